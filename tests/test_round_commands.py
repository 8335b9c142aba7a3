"""A round of annotation on the command line: label, queue, export, import, agreement, adjudicate, suspects."""

import json
import re
from pathlib import Path

import pytest

from capthemes import Decision, Model, annotations, formats, rounds
from capthemes.cli import main
from capthemes.codebook import Codebook
from capthemes.commands import exchange, queue
from capthemes.families import family_class
from capthemes.queue import STRATEGIES
from capthemes.records import Label
from capthemes.rounds import Record

CODEBOOK = Codebook.load()


def test_the_commands_offer_what_there_is():
    assert tuple(formats.FORMATS) == exchange.FORMATS
    assert queue.STRATEGIES == STRATEGIES


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": f"p{i}", "text": f"Steel mills of town {i} cut output; 产能过剩。", "doc": f"d{i}"} for i in range(8)
    ]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["label", "in.jsonl", "-o", "run.parquet"]) == 0
    return tmp_path


@pytest.mark.parametrize("form", ["labelstudio", "doccano", "argilla", "csv"])
def test_a_queue_goes_to_a_tool_and_comes_back(here, capsys, form):
    assert main(["queue", "run.parquet", "-n", "5", "-o", "queue.jsonl"]) == 0
    assert re.search(r"wrote queue.jsonl: 5 paragraphs, \d+ themes suggested by fast@", capsys.readouterr().out)
    assert main(["export", "queue.jsonl", "-f", form, "-o", "tool", "--setup", "project"]) == 0
    assert "wrote tool: 5 paragraphs, 0 annotators, 5 with a suggestion" in capsys.readouterr().out
    assert bool(list(Path("project").iterdir())) == (form != "csv")
    assert main(["import", "tool", "-f", form, "-o", "none.jsonl"]) == 0
    assert "left out 5 that nobody has read" in capsys.readouterr().out
    assert Path("none.jsonl").read_bytes() == b""
    queued = rounds.read(["queue.jsonl"], CODEBOOK)
    read = [Record(r.id, r.text, {"ann": r.suggested[:1]}, r.suggested, r.model, r.meta) for r in queued]
    rounds.write(read, Path("read.jsonl"))
    assert main(["export", "read.jsonl", "-f", form, "-o", "tool"]) == 1
    assert "tool exists; choose another name, or remove it" in capsys.readouterr().err
    assert main(["export", "read.jsonl", "-f", form, "-o", "read"]) == 0
    assert main(["import", "read", "-f", form, "-o", "back.jsonl"]) == 0
    assert [p.labels[0].theme for p in annotations.paragraphs("back.jsonl")] == ["overcapacity"] * 5
    assert [p.text for p in annotations.paragraphs("back.jsonl")] == [record.text for record in queued]


def test_a_labelled_corpus_is_exported_without_a_queue(here):
    assert main(["label", "in.jsonl", "-o", "run.jsonl"]) == 0
    for run in ("run.parquet", "run.jsonl"):
        assert main(["export", run, "-f", "csv", "-o", f"{run}.csv"]) == 0
    assert Path("run.parquet.csv").read_text(encoding="utf-8-sig").count("overcapacity") == 8
    found = rounds.read(["run.jsonl"], CODEBOOK)
    assert [(dict(r.annotators), r.model) for r in found] == [({}, found[0].model)] * 8


def test_a_run_is_exported_by_its_own_codebook_only(here, land_paragraphs, land_codebook, capsys):
    book = Codebook.load(land_codebook)
    family = family_class("keywords").fit(land_paragraphs, book, 0)
    Model("land", "keywords", family, Decision.plain(book.names), book).save(here / "land")
    assert main(["label", "in.jsonl", "-m", "land", "-o", "land.parquet"]) == 0
    export = ["export", "land.parquet", "-f", "labelstudio", "-o", "tasks.json", "--setup", "project"]
    assert main(export) == 1
    assert re.search(
        r"no theme 'industrial_land'; give the codebook of land@.* \(--codebook\)", capsys.readouterr().err
    )
    assert not Path("tasks.json").exists()
    assert main([*export, "--codebook", "land/codebook.md"]) == 0
    assert "farmland" in Path("project/interface.xml").read_text(encoding="utf-8")


@pytest.fixture
def round_of_two(here) -> list[str]:
    critical, mixed = Label("overcapacity", "critical", "author"), Label("overcapacity", "mixed", "author")
    shared = {f"p{i}": (critical,) if i % 2 else () for i in range(6)}
    for name, own in (("ann", {"p6": (critical,), "p7": ()}), ("bob", {"p6": (mixed,), "p7": (Label("involution"),)})):
        labelled = {**shared, **own}
        rounds.write(
            [Record(id, f"text of {id}", {name: x}, meta={"doc": id}) for id, x in labelled.items()],
            here / f"{name}.jsonl",
        )
    return ["ann.jsonl", "bob.jsonl"]


def test_agreement_has_alphas_and_who_differs_on_what(round_of_two, capsys):
    assert main(["agreement", *round_of_two]) == 0
    shown = capsys.readouterr().out
    assert "8 paragraphs read by at least two of 2 annotators" in shown
    assert re.search(r"overcapacity +4 +1\.00 \[1\.00, 1\.00\]", shown)
    assert re.search(r"soe_reform +0 +-\n", shown)
    assert re.search(r"voice +1\.00", shown)
    assert re.search(r"stance +-?\d\.\d\d \[", shown)
    assert re.search(r"ann, bob +1 +1 +0", shown)
    assert re.search(r"stance +ann: critical +bob: mixed +1", shown)
    assert re.search(r"theme +ann: - +bob: involution +1", shown)
    assert main(["agreement", "ann.jsonl"]) == 1
    assert "no paragraph has been labelled by two of 1 annotators" in capsys.readouterr().err


def test_a_round_in_which_one_was_not_asked_for_a_theme(here, capsys):
    given = {"ann": ([], {"read": ["involution"]}), "bob": ([{"theme": "overcapacity"}], {})}
    for name, (labels, read) in given.items():
        rows = [{"id": f"p{i}", "text": f"text {i}", "labels": labels, **read} for i in range(6)]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["agreement", "ann.jsonl", "bob.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"overcapacity +6 +-\n", shown)
    assert "who differs" not in shown
    assert main(["adjudicate", "ann.jsonl", "bob.jsonl", "-o", "disputes.csv"]) == 0
    assert "0 disputes in 0 of 6 paragraphs" in capsys.readouterr().out
    assert main(["adjudicate", "ann.jsonl", "bob.jsonl", "--decisions", "disputes.csv", "-o", "gold.jsonl"]) == 0
    assert {(p.labels, p.meta.get("read")) for p in annotations.paragraphs("gold.jsonl")} == {
        ((Label("overcapacity"),), None)
    }


def test_disputes_are_decided_and_read_back(round_of_two, capsys):
    assert main(["adjudicate", *round_of_two, "-o", "disputes.jsonl"]) == 0
    assert "2 disputes in 2 of 8 paragraphs" in capsys.readouterr().out
    rows = [json.loads(line) for line in Path("disputes.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[0]["decision"] = "overcapacity/mixed/author"
    Path("disputes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["adjudicate", *round_of_two, "--decisions", "disputes.jsonl", "-o", "gold.jsonl"]) == 0
    assert "7 paragraphs; left out 1 that are not decided yet (p7 ...)" in capsys.readouterr().out
    gold = {p.id: p.labels for p in annotations.paragraphs("gold.jsonl")}
    assert gold["p6"] == (Label("overcapacity", "mixed", "author"),)
    assert gold["p0"] == ()


def test_suspects_are_listed_and_written(here, land_paragraphs, land_codebook, capsys):
    pytest.importorskip("cleanlab")
    rows = [
        {"id": p.id, "text": p.text, "labels": [{"theme": x.theme} for x in p.labels if p.id != "p20"], **p.meta}
        for p in land_paragraphs
    ]
    Path("land.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["suspects", "land.jsonl", "--codebook", str(land_codebook), "-n", "3", "-o", "s.jsonl"]) == 0
    assert re.search(r"p20 +- +industrial_land 0\.\d\d", capsys.readouterr().out)
    written = annotations.paragraphs("s.jsonl", codebook=Codebook.load(land_codebook))
    assert "industrial_land" in next(p for p in written if p.id == "p20").meta["doubtful"]
