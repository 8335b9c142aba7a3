import krippendorff
import numpy as np
import pytest

from capthemes.agreement import Difference, agreement, alpha, coincidences, differences
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label


def test_alpha_is_krippendorffs():
    rng = np.random.default_rng(0)
    for values in (2, 4):
        for noise in (0.0, 0.2, 0.9):
            truth = rng.integers(0, values, 200)
            answers = np.where(rng.random((3, 200)) < noise, rng.integers(0, values, (3, 200)), truth).astype(float)
            answers[rng.random((3, 200)) < 0.3] = np.nan
            units = [[int(v) for v in column if not np.isnan(v)] for column in answers.T]
            expected = krippendorff.alpha(answers, level_of_measurement="nominal", value_domain=list(range(values)))
            assert alpha(coincidences(units, values).sum(axis=0)) == pytest.approx(expected)


def test_alpha_by_hand():
    assert alpha(coincidences([[0, 0], [1, 1]], 2).sum(axis=0)) == 1
    assert alpha(coincidences([[0, 1], [1, 0]], 2).sum(axis=0)) == pytest.approx(-0.5)
    assert alpha(coincidences([[0, 0], [0]], 2).sum(axis=0)) == 1


def test_agreement_of_two_annotators():
    codebook = Codebook.load()
    one = {
        "a": [Label("overcapacity", "supportive", "author")],
        "b": [Label("involution", "neutral", "author")],
        "c": [],
        "d": [],
    }
    other = {
        "a": [Label("overcapacity", "critical", "author")],
        "b": [Label("unified_market", "neutral", "author")],
        "c": [Label("soe_reform", "mixed", "author")],
    }
    found = agreement([one, other], codebook, {})
    assert found.paragraphs == 3
    assert found.themes["overcapacity"].value == 1
    assert found.themes["involution"].value < 1
    assert found.confusions["theme"] == {("involution", "unified_market"): 1, ("soe_reform", "-"): 1}
    assert found.confusions["stance"] == {("critical", "supportive"): 1}
    assert found.confusions["voice"] == {}
    assert found.theme.low <= found.theme.value <= found.theme.high


def test_differences_say_who_gave_what():
    ann = {
        "a": [Label("overcapacity", "supportive", "author"), Label("soe_reform")],
        "b": [],
        "c": [Label("involution")],
        "d": [],
    }
    bob = {
        "a": [Label("overcapacity", "critical", "author"), Label("soe_reform", "mixed")],
        "b": [Label("soe_reform")],
        "c": [Label("unified_market")],
    }
    assert list(differences({"ann": ann, "bob": bob})) == [
        Difference("a", "ann", "bob", "stance", "overcapacity", "supportive", "critical"),
        Difference("b", "ann", "bob", "theme", "soe_reform", "-", "soe_reform"),
        Difference("c", "ann", "bob", "theme", "involution", "involution", "unified_market"),
    ]


def test_a_theme_that_one_has_not_read_for_is_no_disagreement():
    codebook = Codebook.load()
    ids = ["a", "b", "c", "d"]
    ann = {id: [Label("involution")] if id == "a" else [] for id in ids}
    bob = {id: [Label("overcapacity"), *ann[id]] for id in ids}
    carl = {id: [Label("overcapacity")] if id == "a" else [] for id in ids}
    readings = {"ann": {id: ["involution"] for id in ids}, "bob": {}, "carl": {id: ["overcapacity"] for id in ids}}
    found = agreement([ann, bob], codebook, {}, readings=[readings["ann"], readings["bob"]])
    assert np.isnan(found.themes["overcapacity"].value)
    assert (found.themes["involution"].value, found.theme.value, found.confusions["theme"]) == (1, 1, {})
    assert agreement([ann, bob], codebook, {}).themes["overcapacity"].value < 0
    three = agreement([ann, bob, carl], codebook, {}, readings=list(readings.values()))
    assert three.themes["overcapacity"] == agreement([bob, carl], codebook, {}).themes["overcapacity"]
    assert list(differences({"ann": ann, "bob": bob}, readings)) == []
    told = list(differences({"ann": ann, "bob": bob, "carl": carl}, readings))
    assert {(x.one, x.other, x.theme) for x in told} == {("bob", "carl", "overcapacity")}


def test_nothing_to_agree_on():
    codebook = Codebook.load()
    assert np.isnan(agreement([{"a": [Label("soe_reform")]}] * 2, codebook, {}).stance.value)
    with pytest.raises(AnnotationError, match="labelled by two of 1 annotators"):
        agreement([{"a": []}], codebook, {})
