"""Cards say how to load their model, and read the scores of older manifests, some of which had no interval."""

from capthemes.card import interval, render, value
from capthemes.codebook import Codebook


def test_a_score_with_and_without_its_interval():
    score = {"value": 0.614, "low": 0.5, "high": 0.666}
    assert (interval(score), value(score)) == ("0.61 [0.50, 0.67]", 0.614)
    assert (interval(0.034), value(0.034)) == ("0.03", 0.034)
    assert interval(None) == "-"


def test_a_model_of_ones_own_is_loaded_by_its_folder(one_theme):
    about = {"trained_on": [], "seed": 0, "capthemes": "0", "training": {"seconds": 60, "cores": 1}}
    about["trained_on"] = [{"name": "a", "paragraphs": 1, "sha256": "0" * 64}]
    own = render({"family": "linear", "name": "mine", "about": about}, Codebook.load(one_theme[0]))
    assert 'capthemes.load("path/of/mine")' in own
    assert "for the 1 theme of codebook" in own
    assert "Trained in 1 minute on 1 core, about" in own
    bundled = render({"family": "linear", "name": "fast", "about": {}}, Codebook.load())
    assert 'capthemes.load("fast")' in bundled
    assert "for the 16 themes of codebook version" in bundled
