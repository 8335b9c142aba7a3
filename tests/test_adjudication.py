import csv
import io
import json

import pytest

from capthemes import annotations, rounds
from capthemes.adjudication import disputes, read_decisions, settle, write
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, InputError
from capthemes.records import Label, Span
from capthemes.rounds import Record

CODEBOOK = Codebook.load()
SHARED = Label("soe_reform", "mixed", "author")
RECORDS = [
    Record("same", "x", {"ann": (SHARED,), "bob": (SHARED,)}),
    Record("one", "x", {"ann": ()}),
    Record("unread", "x"),
    Record(
        "split",
        "=产能",
        {
            "ann": (SHARED, Label("overcapacity", "critical", "author", evidence=(Span(0, 1, 1.0),))),
            "bob": (Label("involution", "neutral", "author"), SHARED),
        },
        meta={"doc": "d"},
    ),
]


def test_disputes_are_themes_with_both_answers_and_their_rules():
    found = disputes(RECORDS, CODEBOOK)
    assert [(x.id, x.theme, x.answers) for x in found] == [
        ("split", "overcapacity", {"ann": "overcapacity/critical/author", "bob": "no theme"}),
        ("split", "involution", {"ann": "no theme", "bob": "involution/neutral/author"}),
    ]
    assert found[0].rules[0].startswith("themes 1: *Overcapacity or involution?*")
    assert not any("SOE reform" in rule for rule in found[0].rules if "involution" not in rule.lower())


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_decisions_are_read_back_into_one_labelled_set(tmp_path, ending):
    path = tmp_path / f"disputes.{ending}"
    write(disputes(RECORDS, CODEBOOK), path)
    assert read_decisions(path, CODEBOOK) == {}
    open_ = settle(RECORDS, {}, CODEBOOK)
    assert [record.id for record in open_.records] == ["same", "one"]
    assert open_.undecided == ["split"]
    decide(path, {"overcapacity": "overcapacity/critical/author", "involution": "no theme"})
    settled = settle(RECORDS, read_decisions(path, CODEBOOK), CODEBOOK)
    assert settled.undecided == []
    assert {record.id: record.annotators["adjudicated"] for record in settled.records} == {
        "same": (SHARED,),
        "one": (),
        "split": (Label("overcapacity", "critical", "author", evidence=(Span(0, 1, 1.0),)), SHARED),
    }
    assert settled.records[-1].meta == {"doc": "d"}


def test_what_an_annotator_has_not_read_for_is_not_disputed_and_what_anyone_has_is_settled(tmp_path):
    bob = (Label("overcapacity"), Label("soe_reform"))
    partial = {"ann": ["involution"], "carl": ["involution", "overcapacity"]}
    full = Record("full", "x", {"ann": (), "bob": bob, "carl": ()}, read=partial)
    apart = Record("apart", "x", {"ann": (Label("involution"),), "carl": ()}, read=partial)
    same = Record("same", "x", {"ann": (), "dan": ()}, meta={"read": ["involution"], "doc": "d"})
    assert [(x.id, x.theme, set(x.answers)) for x in disputes([full, apart, same], CODEBOOK)] == [
        ("full", "overcapacity", {"bob", "carl"}),
        ("apart", "involution", {"ann", "carl"}),
    ]
    decisions = {("full", "overcapacity"): Label("overcapacity"), ("apart", "involution"): None}
    settled = settle([full, apart, same], decisions, CODEBOOK)
    rounds.write(settled.records, tmp_path / "gold.jsonl")
    gold = {p.id: (p.labels, p.meta.get("read")) for p in annotations.paragraphs(tmp_path / "gold.jsonl")}
    assert gold == {
        "full": (bob, None),
        "apart": ((), ["involution", "overcapacity"]),
        "same": ((), ["involution"]),
    }


def test_decisions_that_do_not_fit_are_told_with_their_line(tmp_path):
    path = tmp_path / "disputes.csv"
    write(disputes(RECORDS, CODEBOOK), path)
    decide(path, {"overcapacity": "involution/neutral/author"})
    with pytest.raises(AnnotationError, match=r"disputes.csv:\d+: 'involution/neutral/author' is no label of 'overcap"):
        read_decisions(path, CODEBOOK)
    with pytest.raises(InputError, match=r"its ending must be \.csv or \.jsonl"):
        write([], tmp_path / "disputes.txt")


def decide(path, decisions: dict[str, str]) -> None:
    """Fill in decisions by theme, as a person would."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        rows = [{**row, "decision": decisions.get(row["theme"], "")} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "decision": decisions.get(row["theme"], "")} for row in rows)
