"""Which themes have too few examples: power laws by hand."""

import numpy as np
import pytest

from capthemes.needs import Need, more_examples, needs
from capthemes.records import Label, Paragraph, Probabilities

HALVING = {0.25: 0.8, 0.5: 0.4, 1.0: 0.2}  # the error is 0.2 / share: doubling gains 0.1


@pytest.mark.parametrize(
    ("examples", "errors", "more"),
    [
        (30, HALVING, 30),  # at 60 the error is 0.1, and doubling gains 0.05
        (100, {0.25: 0.08, 0.5: 0.04, 1.0: 0.02}, 0),  # doubling gains 0.01
        (30, {0.25: 0.3, 0.5: 0.3, 1.0: 0.4}, 0),  # it does not fall
        (41, HALVING, 41),
        (1234, HALVING, 1300),  # two digits
    ],
)
def test_a_power_law_tells_when_doubling_gains_little(examples, errors, more):
    assert more_examples(examples, errors) == more


def test_what_is_far_off_is_cut(monkeypatch):
    monkeypatch.setattr("capthemes.needs.GAIN", 0.001)
    assert more_examples(10, HALVING) == 100
    assert str(Need("land", 10, 100)).endswith("its learning curve asks for 100 or more")


def test_thin_themes_are_named_and_others_are_not():
    gold = [Paragraph(str(i), "", (Label("many"), *([Label("few")] if i < 3 else []))) for i in range(30)]
    sure = Probabilities(("many", "few", "none"), (), (), np.ones((30, 3)))
    found = needs(gold, {0.5: sure, 1.0: sure}, sure.themes)
    assert found == [Need("few", 3), Need("none", 0)]
    assert "few has 3 examples, too few to guess" in str(found[0])
    assert [need.theme for need in needs(gold, {}, sure.themes)] == ["few", "none"]


def test_only_paragraphs_read_for_a_theme_count():
    gold = [Paragraph(str(i), "", (Label("x"),), {"read": ["x"]} if i < 5 else {"read": []}) for i in range(30)]
    assert needs(gold, {}, ["x"]) == [Need("x", 5)]
