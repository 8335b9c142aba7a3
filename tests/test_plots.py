"""Pictures: they are drawn whole, and no glyph is missing (a missing one is a warning, and so an error)."""

from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from capthemes import plots
from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.metrics import Score, evaluate
from capthemes.records import Paragraph, Probabilities


@pytest.fixture(autouse=True)
def _own_settings():
    with matplotlib.rc_context():
        yield


def score(value: float) -> Score:
    return Score(value, value - 0.1, value + 0.1)


def pictures(names, models=("one", "two", "模型")):
    """Every kind of picture, of made-up scores."""
    themes = {theme: (10 + i, score(0.3 + i / 40)) for i, theme in enumerate(names)}
    stances = ["supportive", "critical"]
    return {
        "forest": plots.forest(dict.fromkeys(models, themes), names),
        "reliability": plots.reliability({m: [(50, 0.1, 0.2), (5, 0.9, 0.8)] for m in models}),
        "stances": plots.confusions({m: [("supportive", "critical", 3)] for m in models}, stances),
        "speed": plots.speed({m: (10.0**i, score(0.5)) for i, m in enumerate(models)}, "F1", "one core"),
        "curve": plots.learning_curve({m: [(500, 0.4), (1000, 0.5)] for m in models}, "F1"),
    }


@pytest.mark.parametrize("sizes", [(500, 4000, 8000, 12307, 16693), (500, 1000, 9000, 9100, 18000), (700,)])
def test_the_ticks_of_a_learning_curve_have_room(sizes):
    figure = plots.learning_curve({"m": [(size, 0.5) for size in sizes]}, "F1")
    figure.canvas.draw()
    boxes = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
    assert all(after.x0 - before.x1 > 3 for before, after in pairwise(boxes))
    assert figure.axes[0].get_xticklabels()[-1].get_text() == f"{sizes[-1]:,}"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_picture_is_drawn_with_all_its_glyphs(tmp_path, lang):
    if lang == "zh" and plots.font_for("产能过剩") is None:
        pytest.skip("no font of this machine has Chinese")
    models = ("one", "two") if plots.font_for("模型") is None else ("one", "two", "模型")
    for name, figure in pictures(plots.theme_names(Codebook.load(), lang), models).items():
        plots.save(figure, tmp_path / f"{name}.png", "made of nothing")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
        assert plots.described(tmp_path / f"{name}.png") == "made of nothing"


def test_without_a_font_the_themes_have_their_english_names(monkeypatch, tmp_path):
    monkeypatch.setattr(plots, "font_for", lambda text: None)
    names = plots.theme_names(Codebook.load(), "zh")
    assert names["value_chain_upgrading"] == "value chain upgrading"
    plots.save(pictures(names, ("one",))["forest"], tmp_path / "p.png")


def test_a_font_is_named_only_if_it_has_every_glyph():
    assert plots.font_for("abc") is not None
    assert plots.font_for("a\U0010fffd") is None
    chinese = plots.font_for("产能过剩")
    names = plots.theme_names(Codebook.load(), "zh")
    assert (names["overcapacity"] == "产能过剩") == (chinese is not None)


def test_a_glyph_that_no_font_has_is_an_error_here(tmp_path):
    figure = plots.forest({"one": {"t": (1, score(0.5))}}, {"t": "\U0010fffd"})
    with pytest.raises(UserWarning, match=r"Glyph .* missing"):
        plots.save(figure, tmp_path / "p.png")


def test_the_forest_leaves_out_what_gold_never_has_and_the_commonest_theme_is_on_top():
    names = {"a": "a", "b": "b"}
    axes = plots.forest({"m": {"a": (5, score(0.5)), "b": (9, score(0.6)), "c": (0, score(0.2))}}, names)
    assert [tick.get_text() for tick in axes.axes[0].get_yticklabels()] == ["a (5)", "b (9)"]


def test_a_mark_at_nought_is_whole_and_the_legend_has_the_markers():
    axes = plots.forest({"m": {"a": (5, Score(0, 0, 0.1))}}, {"a": "a"}).axes[0]
    assert not any(line.get_clip_on() for line in axes.lines)
    legend = plots.reliability({m: [(5, 0.1, 0.2)] for m in ("one", "two")}).legends[0]
    assert [line.get_marker() for line in legend.get_lines()] == ["None", *plots.MARKERS[:2]]


def test_pictures_of_a_set_without_a_label(tmp_path):
    gold = [Paragraph(str(i), "", ()) for i in range(5)]
    said = Probabilities(("overcapacity",), (), (), np.full((5, 1), 0.1))
    for scores, drawn in ((evaluate(gold, said, gold), ["reliability.png"]), (evaluate(gold, None, gold), [])):
        assert [path.name for path in plots.draw({"m": scores}, tmp_path, Codebook.load())] == drawn


def test_another_language_is_refused():
    with pytest.raises(InputError, match="no names of themes in 'fr'"):
        plots.theme_names(Codebook.load(), "fr")
