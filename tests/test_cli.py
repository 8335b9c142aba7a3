import io
import json
import os
import subprocess
import sys

import pandas
import pytest

from capthemes.cli import main


def test_label_shows_what_it_found(articles, tmp_path, capsys, fast):
    output = tmp_path / "labels.csv"
    assert main(["label", str(articles), "-o", str(output)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("7 paragraphs, ")
    assert "supportive" in shown.out
    assert "strongest:" in shown.out
    assert f"wrote {output} with model {fast.id}" in shown.out
    assert shown.err == ""
    assert len(pandas.read_csv(output)) >= 7


def test_standard_input(tmp_path, capsys, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO("Steel mills cut output.\n\n产能过剩严重。".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["label", "-", "-o", str(tmp_path / "o.csv")]) == 0
    assert list(dict.fromkeys(pandas.read_csv(tmp_path / "o.csv").id)) == ["stdin#0", "stdin#1"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n{"text": "b"}\n')))
    assert main(["label", "-", "--format", "jsonl", "-o", str(tmp_path / "p.csv")]) == 0
    assert "2 paragraphs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["label", "none.txt", "-o", "o.csv"], "no file or folder 'none.txt'"),
        (["label", ".", "-o", "o.csv"], "no readable files"),
        (["label", ".", "-o", "o.csv", "-m", "slow"], "no model 'slow'; bundled: fast"),
        (["codebook", "weather"], "no theme 'weather'"),
        (["codebook", "--file", "none.md"], "no codebook file"),
        (["train", "--data", "none", "-o", "m"], "no annotated set 'none'"),
        (["train", "--data", "starter", "--family", "magic", "-o", "m"], "no family 'magic'"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("capthemes: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert list(tmp_path.iterdir()) == []


def test_codebook_and_models(capsys):
    assert main(["codebook"]) == 0
    assert "capacity_cooperation" in capsys.readouterr().out
    assert main(["codebook", "involution"]) == 0
    shown = capsys.readouterr().out
    assert "curbing excessive competition" in shown
    assert "rule themes 1" in shown
    assert main(["models"]) == 0
    assert "fast" in capsys.readouterr().out


def test_train_writes_a_model_that_labels(tmp_path, land_codebook, land_paragraphs, capsys):
    with (tmp_path / "land.jsonl").open("w", encoding="utf-8") as file:
        for p in land_paragraphs:
            labels = [{"theme": x.theme, "stance": x.stance, "voice": x.voice} for x in p.labels]
            file.write(json.dumps({"id": p.id, "text": p.text, "labels": labels, **p.meta}) + "\n")
    data, model = str(tmp_path / "land.jsonl"), str(tmp_path / "mine")
    assert main(["train", "--data", data, "--codebook", str(land_codebook), "--measure", data, "-o", model]) == 0
    assert "mine: theme micro-F1" in capsys.readouterr().out
    assert main(["label", data, "-m", model, "-o", str(tmp_path / "o.csv")]) == 0
    assert set(pandas.read_csv(tmp_path / "o.csv").theme.dropna()) == {"industrial_land", "farmland"}


def test_every_command_has_help():
    for arguments in ([], ["label"], ["codebook"], ["models"], ["train"]):
        run = subprocess.run(
            [sys.executable, "-m", "capthemes.cli", *arguments, "--help"], capture_output=True, text=True
        )
        assert run.returncode == 0
        assert len(run.stdout.splitlines()) > 5


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m capthemes.cli codebook | true; echo ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert run.stdout == "0\n"
    assert run.stderr == ""


def test_what_a_terminal_cannot_print_is_no_error(tmp_path):
    row = {"id": "\ud800", "text": "Overcapacity \ud800 \x1b[31m must be cut 产能过剩"}
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    command = [
        sys.executable,
        "-m",
        "capthemes.cli",
        "label",
        str(tmp_path / "in.jsonl"),
        "-o",
        str(tmp_path / "o.csv"),
    ]
    run = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert run.returncode == 0, run.stderr
    assert b"strongest" in run.stdout
    assert b"\x1b" not in run.stdout
