"""Reports and comparisons through the public door."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import capthemes
from capthemes.answers import answerer
from capthemes.codebook import Codebook
from capthemes.comparison import differences
from capthemes.errors import AnnotationError, ModelError
from capthemes.records import Label, Paragraph, Probabilities
from capthemes.scoring import annotators_of, standing
from capthemes.slices import slices


def knows(gold):
    by_text = {p.text: p.labels for p in gold}
    return lambda texts: [by_text[text] for text in texts]


def test_a_function_that_knows_all_is_scored_in_full_and_signed(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    report = capthemes.evaluate(knows(land_paragraphs), land_paragraphs, codebook=book, name="oracle", seed=3)
    found = report.evaluation
    assert (found.micro_f1.value, found.exact.value, found.theme_stance_f1.value) == (1, 1, 1)
    assert (found.ece, found.average_precision, found.stance_macro_f1) == (None, None, None)
    sha = capthemes.annotations.fingerprint(land_paragraphs)[:12]
    assert str(report.slices["all"].signature).startswith(f"data:paragraphs@{sha}|model:oracle|codebook:3|seed:3|")


def test_a_saved_pipeline_is_scored_by_its_folder(tmp_path, land_codebook, land_paragraphs, options):
    book = Codebook.load(land_codebook)
    data = {"land": land_paragraphs}
    model = capthemes.train(data, name="own", family="pipeline", codebook=book, **options["pipeline"])
    model.save(tmp_path / "own")
    report = capthemes.evaluate(str(tmp_path / "own"), land_paragraphs)
    assert report.name.startswith("own@")
    assert report.evaluation.micro_f1.value > 0.9
    assert report.evaluation.average_precision is not None


def test_slices_hold_the_rows_of_their_kind():
    gold = [
        Paragraph(str(i), "word " * (30 + 5 * i), (), {"lang": lang, "register": "news", "year": 2018 + i // 20})
        for i, lang in enumerate(["en"] * 20 + ["en-mt"] * 20)
    ]
    found, small = slices(gold, least=10)
    assert small == 1
    assert found["language: en-mt"] == found["translation: machine"] == list(range(20, 40))
    assert found["length: 2. 60 to 120"] == list(range(6, 18))
    assert found["length: 3. from 120"] == list(range(18, 40))
    assert "length: 1. below 60 words" not in found  # six only
    assert not any(name.startswith(("register", "year")) for name in found)  # one register, one span of years
    gold = [
        replace(p, meta={"lang": "en", "year": year})
        for p, year in zip(gold, [2018, 2020, None, "x"] * 10, strict=True)
    ]
    assert {name: len(rows) for name, rows in slices(gold, least=10)[0].items() if name.startswith("year")} == {
        "year: 2015-2019": 10,
        "year: 2020-2024": 10,
        "year: unknown": 20,
    }


def test_small_registers_are_put_together():
    kinds = ["speech"] * 12 + ["verse"] * 6 + ["letter"] * 5 + ["note"]
    gold = [Paragraph(str(i), "word", (), {"lang": "en", "kind": kind}) for i, kind in enumerate(kinds)]
    assert slices(gold, least=10) == ({"register: other": [*range(12, 24)], "register: speech": [*range(12)]}, 0)
    assert slices(gold[:18], least=10) == ({"register: speech": [*range(12)]}, 1)
    assert slices(gold[12:], least=10) == ({}, 3)  # none is large: there is nothing to part


def test_a_year_without_end_is_unknown():
    gold = [Paragraph(str(i), "word", (), {"lang": "en", "year": year}) for i, year in enumerate([2020, 1e999])]
    assert set(slices(gold, least=1)[0]) == {"year: 2020-2024", "year: unknown"}


def test_what_was_left_out_is_told(tmp_path):
    rows = [{"id": str(i), "text": f"Paragraph {i}", "labels": []} for i in range(3)]
    rows += [{"id": "far", "sha256": "0" * 64, "source": {"repository": "a/b"}, "labels": []}]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text('{"text": "another"}\n', encoding="utf-8")
    asked = {"data": tmp_path / "gold.jsonl", "texts": [tmp_path / "texts.jsonl"]}
    report = capthemes.evaluate(lambda texts: [[]] * len(texts), **asked)
    found = capthemes.compare(lambda texts: [[]] * len(texts), lambda texts: [[]] * len(texts), **asked)
    assert report.paragraphs == found.paragraphs == 3
    assert report.left_out == found.left_out
    assert "gold.jsonl: " in report.left_out[0]


def test_two_that_bear_one_name_are_told_apart(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    one, other = knows(land_paragraphs), knows([replace(p, labels=()) for p in land_paragraphs])

    def called(a, b, **options):
        found = capthemes.compare(a, b, land_paragraphs, codebook=book, **options)
        assert [s.model for s in found.signatures] == [found.a, found.b]
        return found.a, found.b

    name = "knows.<locals>.<lambda>"
    assert called(one, one) == (name, name)
    assert called(one, other) == (f"{name}#1", f"{name}#2")
    assert called(one, other, names=("all", "none")) == ("all", "none")


def test_who_was_read_for_nothing_is_not_scored(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    gold = [
        replace(p, meta={"doc": p.id, "read": [] if i % 2 else list(book.names)}, labels=() if i % 2 else p.labels)
        for i, p in enumerate(land_paragraphs)
    ]

    def says(gold):
        return lambda texts: Probabilities(book.names, (), (), np.full((len(texts), 2), 0.6))

    half = [p for p in gold if p.meta["read"]]
    of_all, of_half = (capthemes.evaluate(says(side), side, codebook=book).evaluation for side in (gold, half))
    assert of_all == of_half
    assert (of_all.paragraphs, of_all.exact.value) == (20, 0)
    assert of_all.brier.value == pytest.approx((0.4**2 + 0.6**2) / 2)
    against = [capthemes.compare(says(side), knows(side), side, codebook=book) for side in (gold, half)]
    assert against[0].differences == against[1].differences
    assert against[0].paragraphs == 20
    assert against[0].left_out == ["20 of 40 paragraphs were read for no theme: left out"]
    with pytest.raises(AnnotationError, match="no paragraphs to score on"):
        capthemes.evaluate(says(gold), [p for p in gold if not p.meta["read"]], codebook=book)
    unread = [p for p in gold if p.meta["read"] == []]
    assert set(differences(unread, unread, unread, book.names)) == {"theme micro-F1", "exact set of themes"}


def test_a_model_stands_among_annotators(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    own = {p.id: p.labels for p in land_paragraphs}
    blind = {p.id: () for p in land_paragraphs}
    answers = answerer(knows(land_paragraphs), book, "oracle").ask(land_paragraphs)
    raters = {"one": own, "none": blind, "few": {"p0": ()}}
    found = standing(answers, land_paragraphs, raters, book)
    assert found["oracle"]["one"].value == 1
    assert found["oracle"]["none"].value == found["one"]["none"].value == found["none"]["one"].value == 0
    assert set(found) == {"oracle", "one", "none"}  # who read too little is left out


def test_annotators_of_named_sets_only(tmp_path):
    book = Codebook.load()
    assert {"whole", "list", "writer"} <= set(annotators_of("written/test", book))
    assert annotators_of(Path("written/test"), book) == annotators_of("written/test", book)
    assert annotators_of(Path("some.jsonl"), book) == {}
    assert annotators_of("starter/train", book) == annotators_of("some.jsonl", book) == {}


def test_compare_shows_which_paragraphs_differ(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    worse = [replace(p, labels=()) if i % 4 == 0 else p for i, p in enumerate(land_paragraphs)]
    found = capthemes.compare(knows(worse), knows(land_paragraphs), land_paragraphs, codebook=book)
    assert [d.paragraph.id for d in found.differing] == [p.id for p in land_paragraphs[::4]]
    assert found.differing[0].a == ()
    assert found.differing[0].b == (Label("industrial_land", "supportive", "author"),)
    assert found.differences["theme micro-F1"].low > 0
    assert found.differences["theme and stance, F1"].p < 0.01


def test_what_a_paragraph_was_not_read_for_counts_neither_for_nor_against_anyone(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    gold = [replace(p, meta={"doc": p.id, "read": ["farmland"]}).only(["farmland"]) for p in land_paragraphs]
    more = [replace(p, labels=(*p.labels, Label("industrial_land"))) for p in gold]
    found = capthemes.compare(knows(gold), knows(more), gold, codebook=book)
    assert {(d.a, d.b, d.value) for d in found.differences.values()} == {(1, 1, 0)}
    assert not found.differing
    assert capthemes.evaluate(knows(more), gold, codebook=book).evaluation.micro_f1.value == 1
    annotators = {"one": {p.id: p.labels for p in gold}}
    assert standing(answerer(knows(more), book, "m").ask(gold), gold, annotators, book)["m"]["one"].value == 1


def test_who_tells_no_stance_does_not_differ_in_it(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    themes = [replace(p, labels=tuple(Label(x.theme) for x in p.labels)) for p in land_paragraphs]
    assert not capthemes.compare(knows(themes), knows(land_paragraphs), land_paragraphs, codebook=book).differing
    other = [replace(p, labels=tuple(replace(x, stance="critical") for x in p.labels)) for p in land_paragraphs]
    found = capthemes.compare(knows(other), knows(land_paragraphs), land_paragraphs, codebook=book)
    assert {x.stance for d in found.differing for x in d.b} == {"supportive"}
    assert len(found.differing) == 20


def test_what_cannot_be_scored(land_codebook, land_paragraphs, fast):
    book = Codebook.load(land_codebook)
    with pytest.raises(AnnotationError, match="has not been labelled"):
        capthemes.evaluate(fast, [Paragraph("1", "text")])
    with pytest.raises(AnnotationError, match="no paragraphs"):
        capthemes.evaluate(fast, [])
    with pytest.raises(ModelError, match="different codebooks"):
        capthemes.compare(fast, capthemes.Model("m", "keywords", None, None, book), land_paragraphs)
