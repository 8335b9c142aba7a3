import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from capthemes.cli import main
from capthemes.commands.terminal import duration, progress_line
from capthemes.summary import Summary


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


@pytest.mark.parametrize("output", ["o.parquet", "o.jsonl", "o.csv", "o", "parts"])
def test_label_tells_how_far_the_text_is_from_the_models(articles, tmp_path, capsys, output):
    form = ["--parts", "jsonl"] if output == "parts" else []
    assert main(["label", str(articles), "-o", str(tmp_path / output), *form]) == 0
    assert re.search(r"\d+% of paragraphs are far .*; 2\d% are Chinese \(\d+% there\)", capsys.readouterr().out)


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
        (["label", ".", "-o", "o.csv", "-m", "slow"], "no model 'slow'; bundled: accurate, fast"),
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


@pytest.fixture
def land(tmp_path, land_paragraphs):
    """The land paragraphs in two files, whole documents in each."""
    for name, part in (("most", land_paragraphs[:28]), ("rest", land_paragraphs[28:])):
        with (tmp_path / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for p in part:
                labels = [{"theme": x.theme, "stance": x.stance, "voice": x.voice} for x in p.labels]
                file.write(json.dumps({"id": p.id, "text": p.text, "labels": labels, **p.meta}) + "\n")
    return str(tmp_path / "most.jsonl"), str(tmp_path / "rest.jsonl")


def test_train_writes_a_model_that_labels_and_is_evaluated(tmp_path, land, land_codebook, capsys):
    most, rest = land
    model = str(tmp_path / "mine")
    assert main(["train", "--data", most, "--codebook", str(land_codebook), "--measure", rest, "-o", model]) == 0
    assert "mine: theme micro-F1" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "mine" / "model.json").read_text(encoding="utf-8"))
    assert manifest["about"]["command"].endswith(f"--data {most} --measure {rest} -o models/mine")
    assert main(["label", most, "-m", model, "-o", str(tmp_path / "o.csv")]) == 0
    assert set(pandas.read_csv(tmp_path / "o.csv").theme.dropna()) == {"industrial_land", "farmland"}
    capsys.readouterr()
    assert main(["evaluate", rest, "--model", model]) == 0
    assert re.search(r"farmland +3 +1\.00 +1\.00 +1\.00", capsys.readouterr().out)
    assert main(["evaluate", rest, "--model", model, "--model", "fast"]) == 1
    assert "have different codebooks" in capsys.readouterr().err


def test_evaluate_prints_scores_with_intervals_and_signatures(capsys):
    assert main(["evaluate", "fast", "starter/train", "--model", "fast"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("theme micro-F1") == 2 * 2  # of all, and of slices
    assert len(re.findall(r"overcapacity +\d+( +\d\.\d\d){3} \[\d\.\d\d, \d\.\d\d\]( +\d\.\d\d){2}\s", shown)) == 2
    assert re.search(r"language: zh +152 +\d\.\d\d \[", shown)
    assert shown.count("data:starter/train@") == 2
    assert max(map(len, shown.splitlines()[:8])) <= 80
    assert shown.count("all with intervals on a terminal of 130 columns, and in -o") == 2


def test_a_wide_terminal_shows_all_intervals(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "130")
    assert main(["evaluate", "starter/train"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"overcapacity +\d+( +\d\.\d\d \[\d\.\d\d, \d\.\d\d\]){5}\s", shown)
    assert "value_chain_upgrading" in shown
    assert "all with intervals" not in shown
    assert max(map(len, shown.splitlines()[:40])) <= 130


def test_what_evaluate_and_compare_leave_out_is_told(tmp_path, monkeypatch, capsys):
    rows = [{"id": "1", "text": "Steel mills cut output.", "labels": []}]
    rows += [{"id": "2", "sha256": "0" * 64, "source": {"repository": "a/b"}, "labels": []}]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text('{"text": "another"}\n', encoding="utf-8")
    given = [str(tmp_path / "gold.jsonl"), "--texts", str(tmp_path / "texts.jsonl")]
    for asked in (["evaluate", "fast", *given], ["compare", "fast", "fast", *given]):
        assert main(asked) == 0
        shown = capsys.readouterr()
        assert re.search(r"capthemes: .*gold.jsonl: ", shown.err)
        assert re.search(r"\b1 paragraphs", shown.out)


def test_a_three_line_function_is_evaluated_and_compared(land, land_codebook, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text(
        "def predict(texts):\n    return [['farmland'] if '耕地' in t else [] for t in texts]\n"
    )
    _, rest = land
    own = ["--codebook", str(land_codebook)]
    assert main(["evaluate", "mine:predict", rest, *own, "-o", "s.json", "--plots", "p", "--plot-labels", "zh"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"farmland +3 +1\.00 +1\.00 +1\.00 \[.*\] +- +-", shown)
    assert "drew p/themes.png" in shown
    assert re.search(r"\n\d slices below 20 left out", shown)
    report = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))[0]
    assert report["slices"]["all"]["evaluation"]["themes"]["farmland"]["f1"]["value"] == 1
    assert report["slices"]["all"]["signature"]["model"] == "mine:predict"
    rows = [json.loads(line) for line in Path(rest).read_text(encoding="utf-8").splitlines()]
    (tmp_path / "theirs.jsonl").write_text(
        "".join(json.dumps({"id": r["id"], "labels": r["labels"]}) + "\n" for r in rows)
    )
    assert main(["compare", "mine:predict", "theirs.jsonl", rest, *own, "--show", "1"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"F1 of industrial_land +0\.00 +1\.00 +\+1\.00 \[", shown)
    assert re.search(r"industrial_land +supportive, author +- +supportive, author", shown)
    assert "they part on 6 paragraphs" in shown  # of the farmland ones, mine tells no stance


def test_a_p_value_is_never_shown_as_nought():
    from capthemes.commands.compare import _chance

    assert [_chance(p) for p in (0.0001, 0.001, 0.0456, 1.0)] == ["< 0.001", "0.001", "0.046", "1.000"]


def test_train_refuses_what_is_not_apart_and_options_of_others(tmp_path, land, land_codebook, capsys):
    most, rest = land
    end = ["--codebook", str(land_codebook), "-o", str(tmp_path / "mine")]
    for option in ("--dev", "--measure"):
        assert main(["train", "--data", most, option, most, *end]) == 1
        assert "also trained on; hold whole documents out" in capsys.readouterr().err
    assert main(["train", "--data", most, "--dev", rest, "--encoder", "x", *end]) == 1
    assert "the linear family takes no option 'encoder'" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_every_command_has_help():
    for arguments in (
        [],
        ["label"],
        ["codebook"],
        ["models"],
        ["evaluate"],
        ["compare"],
        ["train"],
        ["queue"],
        ["export"],
        ["adjudicate"],
    ):
        run = subprocess.run(
            [sys.executable, "-m", "capthemes.cli", *arguments, "--help"], capture_output=True, text=True
        )
        assert run.returncode == 0
        assert len(run.stdout.splitlines()) > 5
        if arguments in (["evaluate"], ["compare"]):
            names = "[MODEL ...]" if arguments == ["evaluate"] else "A B"
            assert run.stdout.startswith(f"usage: capthemes {arguments[0]} {names} DATA [options]\n")


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


@pytest.mark.parametrize("name", ["o.PARQUET", "o.CSV", "o.JSONL"])
def test_endings_in_capitals_are_the_same_forms(articles, tmp_path, capsys, name):
    assert main(["label", str(articles), "-o", str(tmp_path / name)]) == 0
    assert f"wrote {tmp_path / name}" in capsys.readouterr().out


def test_a_dry_run_refuses_what_the_run_would(articles, tmp_path, capsys):
    (tmp_path / "o.csv").write_text("mine")
    for output, message in (("nowhere/o.csv", "no folder"), ("o.csv", "exists; choose another name")):
        assert main(["label", str(articles), "-o", str(tmp_path / output), "--dry-run"]) == 1
        assert message in capsys.readouterr().err


def test_a_dry_run_shows_the_plan_and_writes_nothing(articles, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    assert main(["label", str(articles), "-o", str(tmp_path / "run"), "--dry-run", "--workers", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("3 files of ")
    assert "in 3 shards" in shown
    assert re.search(r"about 7 paragraphs in \d+ s by 2 worker\(s\) \(from a sample of 7\)", shown)
    assert re.search(r"(?m)^year +int64", shown)
    assert re.search(r"(?m)^probabilities +fixed", shown)
    assert main(["label", str(articles), "-o", str(tmp_path / "o.csv"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"(?m)^stance +string", shown)
    assert not re.search(r"(?m)^(labels|probabilities) ", shown)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_rank_that_is_done_says_what_stands(articles, tmp_path, capsys):
    command = ["label", str(articles), "-o", str(tmp_path / "run"), "--world", "2", "--rank"]
    assert main([*command, "0"]) == 0
    assert f"rank 0 of 2 is done: 2 of 3 parts stand in {tmp_path / 'run'}" in capsys.readouterr().out
    assert main([*command, "1"]) == 0
    assert f"wrote {tmp_path / 'run'} with model" in capsys.readouterr().out


def test_progress_tells_rate_time_left_and_the_share_labelled():
    line = progress_line((100.0, 0.5, 1000), 110.0, 0.6, Summary(1500, 300))
    assert line == "1,500 paragraphs, 20% with a theme, 50/s, 40 s left"
    assert [duration(s) for s in (59, 600, 12_000)] == ["59 s", "10 min", "3 h 20 min"]
