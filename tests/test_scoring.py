"""Reports and comparisons through the public door."""

from dataclasses import replace

import pytest

import capthemes
from capthemes.answers import answerer
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.records import Label, Paragraph
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
