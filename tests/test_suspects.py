from dataclasses import replace

import pytest

from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.records import Label
from capthemes.suspects import suspects


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
    monkeypatch.setitem(__import__("sys").modules, "cleanlab.multilabel_classification.filter", None)
    with pytest.raises(InputError, match=r"pip install 'capthemes\[suspects\]'"):
        suspects(land_paragraphs, Codebook.load(land_codebook))
