import json

import pytest

from capthemes import annotations, rounds
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label, Span
from capthemes.rounds import Record

CODEBOOK = Codebook.load()


def lines(path, *rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_what_is_written_is_what_annotations_read(tmp_path):
    label = Label("involution", "critical", "author", evidence=(Span(0, 1, 1.0),))
    rounds.write([Record("1", "内卷", {"ann": (label,), "bob": ()}, meta={"doc": "d"})], tmp_path / "x.jsonl")
    found = annotations.paragraphs(tmp_path / "x.jsonl")
    assert [(p.id, p.text, p.labels, p.meta) for p in found] == [
        ("1", "内卷", (label,), {"doc": "d", "annotator": "ann"}),
        ("1", "内卷", (), {"doc": "d", "annotator": "bob"}),
    ]


def test_an_annotator_is_named_by_the_row_or_the_file(tmp_path):
    labels = [{"theme": "involution", "stance": None, "voice": None}]
    ann = lines(tmp_path / "ann.jsonl", {"id": "1", "text": "x", "labels": labels})
    two = lines(tmp_path / "two.jsonl", {"id": "1", "annotator": "bob", "labels": []})
    (record,) = rounds.read([ann, two], CODEBOOK)
    assert record.text == "x"
    assert record.annotators == {"ann": (Label("involution"),), "bob": ()}
    assert rounds.by_annotator([record]) == {"ann": {"1": (Label("involution"),)}, "bob": {"1": ()}}
    assert rounds.theme_counts([record]) == {"involution": 1}
    with pytest.raises(AnnotationError, match="paragraph '1': 'ann' labels it twice"):
        rounds.read([ann, ann], CODEBOOK)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": 1, "labels": []}, "x.jsonl:1: 'text' must be a string"),
        ({"text": "x", "labels": {}}, "x.jsonl:1: 'text' must be a string and 'labels' a list"),
        ({"text": "x", "suggested": 5, "model": "m"}, "x.jsonl:1: 'suggested' is 5, not a list of labels"),
        ({"text": "x", "suggested": []}, "a suggestion and its model's name go together"),
        ({"text": "x", "labels": [{"theme": "involution", "evidence": [1]}]}, "evidence is a list of objects"),
    ],
)
def test_broken_rows_are_told(tmp_path, row, message):
    with pytest.raises(AnnotationError, match=message):
        rounds.read([lines(tmp_path / "x.jsonl", row)], CODEBOOK)


def test_a_row_without_an_id_has_its_number(tmp_path):
    path = lines(tmp_path / "x.jsonl", {"text": "x", "labels": []}, {"id": None, "text": "y", "labels": []})
    assert [record.id for record in rounds.read([path], CODEBOOK)] == ["1", "2"]
    assert [paragraph.id for paragraph in annotations.paragraphs(path)] == ["1", "2"]


def test_a_record_holds_together():
    with pytest.raises(AnnotationError, match="an annotator has no name"):
        Record("1", "x", {"": ()})
    with pytest.raises(AnnotationError, match="column 'labels' has a name of ours"):
        Record("1", "x", meta={"labels": 1})
    with pytest.raises(AnnotationError, match="paragraph '1' has two texts"):
        rounds.merge([Record("1", "x"), Record("1", "y")])


def test_tags_name_every_label_of_a_codebook(one_theme):
    assert len(rounds.tags(CODEBOOK)) == 16 * (1 + 4 * 2)
    for word in rounds.tags(CODEBOOK):
        assert rounds.tag(rounds.label_of(word, CODEBOOK, "here")) == word
    assert rounds.label_of("involution/-/author", CODEBOOK, "here") == Label("involution", None, "author")
    assert rounds.tags(Codebook.load(one_theme[0])) == ["farmland"]


OVERCAPACITY = {"theme": "overcapacity", "stance": None, "voice": None}


@pytest.mark.parametrize("order", [["ann.jsonl", "bob.jsonl"], ["bob.jsonl", "ann.jsonl"]])
def test_each_annotator_keeps_what_he_read_for(tmp_path, order):
    lines(tmp_path / "ann.jsonl", {"id": "1", "text": "x", "read": ["involution"], "labels": []})
    lines(tmp_path / "bob.jsonl", {"id": "1", "text": "x", "labels": [OVERCAPACITY]})
    (record,) = rounds.read([tmp_path / name for name in order], CODEBOOK)
    assert (record.read_by("ann"), record.read_by("bob")) == (["involution"], None)
    assert rounds.readings([record]) == {"ann": {"1": ["involution"]}, "bob": {}}
    rounds.write([record], tmp_path / "both.jsonl")
    assert rounds.read([tmp_path / "both.jsonl"], CODEBOOK) == [record]
    read = {p.meta["annotator"]: p.meta.get("read") for p in annotations.paragraphs(tmp_path / "both.jsonl")}
    assert read == {"ann": ["involution"], "bob": None}


def test_what_all_have_read_for_is_the_paragraphs():
    one, other = (Record("1", "x", {name: ()}, meta={"read": ["involution"]}) for name in ("ann", "bob"))
    waiting, full = Record("1", "x", meta={"read": ["soe_reform"], "year": 2020}), Record("1", "x", {"carl": ()})
    (both,) = rounds.merge([one, waiting, other])
    assert (both.meta, both.read) == ({"read": ["involution"], "year": 2020}, {})
    (three,) = rounds.merge([both, full])
    assert (three.meta, three.read) == ({"year": 2020}, {"ann": ["involution"], "bob": ["involution"]})
    assert rounds.merge([waiting, full])[0].read_by("carl") is None
    assert rounds.merge([waiting, waiting])[0].meta == waiting.meta


def test_a_label_that_was_not_read_for_is_told(tmp_path):
    path = lines(tmp_path / "x.jsonl", {"text": "x", "read": ["involution"], "labels": [OVERCAPACITY]})
    with pytest.raises(AnnotationError, match=r"x.jsonl:1: has the label 'overcapacity', which 'read' leaves out"):
        rounds.read([path], CODEBOOK)
