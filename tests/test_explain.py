"""capthemes explain: a text or a file, on the terminal or as a page."""

import io
import re
import sys

import pytest
from rich.console import Console

from capthemes.cli import main
from capthemes.commands import explain
from capthemes.records import Label, Span

TEXT = "Steel mills were told to cut output because supply far exceeds demand."


def test_a_text_with_its_labels_and_their_spans(capsys):
    assert main(["explain", TEXT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == TEXT
    assert any(line.split()[1:2] == ["overcapacity"] for line in lines)
    assert any("Steel mills were told to cut output" in line and "+" in line for line in lines[1:])


def test_spans_are_coloured_by_label_the_heaviest_on_top():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system="standard")
    one = Label("one", None, None, 0.9, (Span(0, 5, 2.0),))
    other = Label("other", None, None, 0.8, (Span(0, 2, 1.0), Span(6, 9, 1.0)))
    explain._show(console, "alpha bet\x1b[2J", (one, other))
    shown = console.file.getvalue()
    assert "\x1b[2J" not in shown
    first = shown.splitlines()[0]
    assert re.findall(r"\x1b\[1;(\d+)m(\w+)", first) == [("33", "al"), ("33", "pha"), ("36", "bet")]


def test_a_file_is_read_as_label_reads_it(tmp_path, capsys):
    path = tmp_path / "two.txt"
    path.write_text(f"The choir sang.\n\n{TEXT}\n", encoding="utf-8")
    assert main(["explain", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "no theme" in shown
    assert TEXT in shown


def test_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert main(["explain", "-"]) == 0
    assert TEXT in capsys.readouterr().out


def test_what_looks_like_a_file_is_no_text(capsys):
    assert main(["explain", "notes.txt"]) == 1
    assert "no file or folder 'notes.txt'" in capsys.readouterr().err


@pytest.mark.parametrize("text", [TEXT, "<script>alert(1)</script> overcapacity & glut " + "x" * 5000])
def test_a_page(tmp_path, capsys, text):
    page = tmp_path / "page.html"
    assert main(["explain", text, "--html", str(page)]) == 0
    html = page.read_text(encoding="utf-8")
    assert "<mark>" in html
    assert "<script" not in html
    assert main(["explain", text, "--html", str(page)]) == 1
    assert "exists; choose another name" in capsys.readouterr().err
