from dataclasses import replace

import numpy as np
import pytest

from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.records import Label
from capthemes.suspects import _quality, suspects


def test_wrong_labels_are_suspect(land_paragraphs, land_codebook):
    pytest.importorskip("cleanlab")
    wrong = {
        "p0": (Label("farmland", "supportive", "author"),),
        "p6": (Label("industrial_land", "supportive", "author"),),
        "p20": (),
    }
    gold = [replace(p, labels=wrong.get(p.id, p.labels)) for p in land_paragraphs]
    found = suspects(gold, Codebook.load(land_codebook))
    assert {suspect.paragraph.id for suspect in found} >= wrong.keys()
    doubts = {suspect.paragraph.id: suspect.doubtful for suspect in found}
    assert doubts["p0"]["farmland"] < 0.5 < doubts["p0"]["industrial_land"]
    assert set(doubts["p20"]) == {"industrial_land"}


def test_without_cleanlab_the_error_says_what_to_install(land_paragraphs, land_codebook, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cleanlab.filter", None)
    with pytest.raises(InputError, match=r"pip install 'capthemes\[suspects\]'"):
        suspects(land_paragraphs, Codebook.load(land_codebook))


def test_one_theme_is_enough(one_theme):
    pytest.importorskip("cleanlab")
    path, gold = one_theme
    gold = [replace(p, labels=()) if p.id == "p2" else p for p in gold]
    assert "p2" in {suspect.paragraph.id for suspect in suspects(gold, Codebook.load(path))}


def test_what_was_not_read_is_not_doubted(land_paragraphs, land_codebook):
    pytest.importorskip("cleanlab")
    partly = {"p20": ["farmland"], "p24": []}  # both are about industrial_land, which nobody read them for
    gold = [
        replace(p, labels=(), meta={**p.meta, "read": partly[p.id]}) if p.id in partly else p for p in land_paragraphs
    ]
    assert not partly.keys() & {suspect.paragraph.id for suspect in suspects(gold, Codebook.load(land_codebook))}


def test_paragraphs_are_ranked_as_cleanlab_ranks_them():
    scorer = pytest.importorskip("cleanlab.internal.multilabel_scorer")
    rng = np.random.default_rng(0)
    confidence, read = rng.random((50, 6)), rng.random((50, 6)) < 0.7
    read[:, 0] = True
    everything = np.ones_like(read)
    assert np.array_equal(_quality(confidence, everything), scorer.exponential_moving_average(confidence, alpha=0.8))
    for row, own in enumerate(read):
        expected = scorer.exponential_moving_average(confidence[row : row + 1, own], alpha=0.8)
        assert _quality(confidence[row : row + 1], read[row : row + 1]) == pytest.approx(expected)
