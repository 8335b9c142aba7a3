"""Cards say what a manifest holds and how to load the model, also of manifests whose scores had no interval."""

import pytest

from capthemes.card import interval, render, value
from capthemes.codebook import Codebook

FILES = {"decision.json": {"bytes": 200_000}, "weights.safetensors": {"bytes": 1_234_000}}


def card(family: str = "linear", mistakes: str | None = None, **about) -> str:
    return render({"name": "m", "family": family, "files": FILES, "about": about}, Codebook.load(), mistakes)


def test_a_score_with_and_without_its_interval():
    score = {"value": 0.614, "low": 0.5, "high": 0.666}
    assert (interval(score), value(score)) == ("0.61 [0.50, 0.67]", 0.614)
    assert (interval(0.034), value(0.034)) == ("0.03", 0.034)
    assert interval(None) == "-"


@pytest.mark.parametrize("family", ["linear", "ensemble"])
def test_the_family_is_named_in_a_sentence(family):
    assert f"\nA model of the `{family}` family for the 16 themes" in card(family)


def test_size_is_of_all_files_and_speed_is_told_where_it_is_known():
    assert "Its files are 1.4 MB." in card()
    assert "core-second" not in card()
    told = card(speed={"data": "real/dev", "per_core_second": 41_234.5})
    assert "It labelled real/dev at about 41,000 paragraphs a core-second" in told


def test_mistakes_are_linked_where_there_are_any():
    assert "## Mistakes" not in card()
    assert "[mistakes.md](mistakes.md)" in card(mistakes="mistakes.md")


def test_a_command_with_texts_tells_what_to_do_without_them():
    known = {"trained_on": [{"name": "d", "paragraphs": 1, "sha256": "0" * 64}], "seed": 0, "capthemes": "0.1.0"}
    assert "leave out `--texts`" in card(**known, command="capthemes train --data d --texts t.jsonl")
    assert "leave out" not in card(**known, command="capthemes train --data d")


def test_versions_are_compared_by_their_themes():
    told = card(versions={"agreement": 0.814, "pairs": 160})
    assert "Themes of two versions of one paragraph overlap by 0.81" in told
    assert "stances and voices are not compared" in told


def test_a_model_of_ones_own_is_loaded_by_its_folder(one_theme):
    about = {"trained_on": [], "seed": 0, "capthemes": "0", "training": {"seconds": 60, "cores": 1}}
    about["trained_on"] = [{"name": "a", "paragraphs": 1, "sha256": "0" * 64}]
    own = render({"family": "linear", "name": "mine", "files": FILES, "about": about}, Codebook.load(one_theme[0]))
    assert 'capthemes.load("path/of/mine")' in own
    assert "for the 1 theme of codebook" in own
    assert "Trained in 1 minute on 1 core, about" in own
    bundled = render({"family": "linear", "name": "fast", "files": FILES, "about": {}}, Codebook.load())
    assert 'capthemes.load("fast")' in bundled
    assert "for the 16 themes of codebook version" in bundled
