"""Themes that not every paragraph was read for: what teaches, what decides, what is scored."""

from dataclasses import replace

import numpy as np
import pytest

import capthemes
from capthemes.annotations import fingerprint, paragraphs
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import AnnotationError, ModelError
from capthemes.families.joint import Joint, blocks
from capthemes.families.linear import Linear
from capthemes.metrics import evaluate
from capthemes.records import Label, Paragraph, Probabilities, read_matrix
from capthemes.training import train


def only_read(gold: list[Paragraph], theme: str) -> list[Paragraph]:
    """The same paragraphs, read for one theme alone."""
    return [replace(p.only([theme]), meta={**p.meta, "read": [theme]}) for p in gold]


@pytest.fixture
def book(land_codebook):
    return Codebook.load(land_codebook)


@pytest.fixture
def partly(land_paragraphs):
    """Plots read in the first half, fields in the second."""
    return only_read(land_paragraphs[:20], "industrial_land") + only_read(land_paragraphs[20:], "farmland")


def test_what_was_read_for(land_paragraphs, partly):
    themes = ("industrial_land", "farmland")
    assert read_matrix(land_paragraphs, themes).all()
    assert read_matrix(partly, themes).sum(axis=0).tolist() == [20, 20]
    assert fingerprint(partly) != fingerprint([replace(p, meta={}) for p in partly])


def test_a_theme_is_learned_only_from_paragraphs_read_for_it(book, partly):
    found = Joint.fit(partly, book, 0).predict_proba(["Plot 3 for a plant.", "第9块耕地得到保护。"]).theme
    halves = [
        Linear.fit(half, book.only([name]), 0).predict_proba(["Plot 3 for a plant.", "第9块耕地得到保护。"]).theme[:, 0]
        for half, name in ((partly[:20], "industrial_land"), (partly[20:], "farmland"))
    ]
    assert pytest.approx(np.array(halves)) == found.T


def test_parts_are_of_themes_that_the_same_paragraphs_were_read_for(book, land_paragraphs, partly):
    assert [part.names for part in blocks(partly, book)] == [("industrial_land",), ("farmland",)]
    (whole,) = blocks(land_paragraphs, book)
    assert (whole.names, whole.stances, whole.voices) == (book.names, book.stances, book.voices)
    bare = [replace(p, labels=tuple(Label(x.theme, x.stance) for x in p.labels)) for p in land_paragraphs]
    (part,) = blocks(bare, book)
    assert (list(part.stances), part.voices) == (["supportive", "critical"], {})


def test_a_theme_must_have_been_read_for_somewhere(book, partly):
    with pytest.raises(AnnotationError, match="no paragraph was read for 'farmland'"):
        train({"land": partly[:20]}, name="m", family="linear", codebook=book)


def test_a_stance_that_nothing_taught_is_not_told(book, partly):
    bare = [replace(p, labels=tuple(Label(x.theme) for x in p.labels)) for p in partly[20:]]
    model = train({"land": partly[:20] + bare}, name="m", family="linear", codebook=book)
    assert model.family_name == "joint"
    plot, field = model.predict(["Plot 3 for a plant was sold.", "第9块耕地得到保护。"])
    assert [(x.theme, x.stance, x.voice) for x in plot] == [("industrial_land", "supportive", "author")]
    assert [(x.theme, x.stance, x.voice) for x in field] == [("farmland", None, None)]


def test_decision_and_scores_leave_out_what_was_not_read():
    gold = [
        Paragraph("a", "", (Label("x"),)),
        Paragraph("b", "", ()),
        Paragraph("c", "", (), {"read": ["y"]}),
        Paragraph("d", "", (), {"read": []}),
    ]
    p = Probabilities(("x", "y"), (), (), np.array([[0.9, 0.1], [0.2, 0.1], [0.9, 0.1], [0.9, 0.9]]))
    decided = [Paragraph(g.id, "", (Label("x"),) if row[0] > 0.5 else ()) for g, row in zip(gold, p.theme, strict=True)]
    found = evaluate(gold, p, decided)
    assert (found.paragraphs, found.documents) == (3, 3)
    assert (found.themes["x"].precision.value, found.themes["x"].average_precision.value) == (1.0, 1.0)
    assert found.confusions["theme"] == []
    whole, read = (Decision.fit(p[:n], gold[:n]).themes["x"] for n in (4, 2))
    assert (whole.slope, whole.intercept) == (read.slope, read.intercept)


def test_joint_files_that_do_not_fit_are_refused(book, partly, tmp_path):
    Joint.fit(partly, book, 0).save(tmp_path)
    text = (tmp_path / "joint.json").read_text()
    for damaged in ("[]", "{", text.replace("farmland", "industrial_land"), text.replace('"slope"', '"slop"')):
        (tmp_path / "joint.json").write_text(damaged)
        with pytest.raises(ModelError, match=r"joint\.json"):
            Joint.load(tmp_path, book)


def test_a_base_model_keeps_its_themes(fast, land_codebook, land_paragraphs, tmp_path):
    book = Codebook.load(land_codebook).only(["farmland"], stances=False, voices=False)
    book = replace(book, rules=())
    gold = [replace(p, labels=tuple(Label(x.theme) for x in p.only(["farmland"]).labels)) for p in land_paragraphs]
    model = train({"land": gold}, name="m", family="fast", codebook=book, base=fast)
    model.save(tmp_path / "m")
    loaded = capthemes.load(tmp_path / "m")
    texts = ["Steel mills were told to cut output because supply far exceeds demand.", "第9块耕地得到保护。"]
    assert loaded.codebook.names == (*fast.codebook.names, "farmland")
    assert loaded.predict_proba(texts).theme[:, :16] == pytest.approx(fast.predict_proba(texts).theme, abs=1e-5)
    before, after = fast.predict(texts), loaded.predict(texts)
    assert [(x.theme, x.stance, x.voice) for x in after[0]] == [(x.theme, x.stance, x.voice) for x in before[0]]
    assert ("farmland", None) in [(x.theme, x.stance) for x in after[1]]
    assert list(model.about["scores"][0]["themes"]) == ["farmland"]
    assert f"are those of `{fast.id}`" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")


def test_bundled_sets_were_not_read_for_a_theme_of_ones_own(tmp_path):
    (tmp_path / "mine.csv").write_text("theme,covers\nland,Plots\n", encoding="utf-8")
    book = Codebook.load().extended(Codebook.load(tmp_path / "mine.csv"))
    starter = paragraphs("starter", codebook=book)
    assert read_matrix(starter, book.names)[:, -1].sum() == 0
    assert read_matrix(starter, book.names[:-1]).all()
    assert "read" not in paragraphs("starter")[0].meta


def test_unread_paragraphs_count_only_where_it_is_asked_and_the_card_says_so(book, partly, tmp_path):
    plain = train({"land": partly}, name="m", family="linear", codebook=book)
    counted = train({"land": partly}, name="m", family="linear", codebook=book, count_unread=True)
    assert (plain.family_name, counted.family_name) == ("joint", "linear")
    assert counted.about["unread"] == {"themes": {"industrial_land": 20, "farmland": 20}, "counted_as_absent": True}
    assert counted.about["scores"][0]["themes"]["farmland"]["support"] == 5
    for model, said in ((plain, "taught the model nothing"), (counted, "trained on as paragraphs without the theme")):
        model.save(tmp_path / "m")
        assert said in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
