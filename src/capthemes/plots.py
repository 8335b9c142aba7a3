"""Pictures of scores: F1 by theme, reliability, confusions of stances, accuracy against speed, a learning curve."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.metrics import Evaluation, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart; markers differ as well, for print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD^vPX"  # of another number than the colours, so that pairs repeat late
DPI = 150
ROOM = 0.1  # of the learning curve's width: what the label of a tick takes, with a gap


def draw(found: Mapping[str, Evaluation], folder: Path, codebook: Codebook, lang: str = "en") -> list[Path]:
    """Write the pictures that evaluations by model allow, as PNG, into `folder`; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    by_theme = {name: _f1(e) for name, e in found.items()}
    if any(count for scores in by_theme.values() for count, _ in scores.values()):
        figures["themes"] = forest(by_theme, theme_names(codebook, lang))
    if curves := {name: e.reliability for name, e in found.items() if e.reliability}:
        figures["reliability"] = reliability(curves)
    if confused := {name: e.confusions["stance"] for name, e in found.items() if e.confusions["stance"]}:
        figures["stances"] = confusions(confused, list(codebook.stances))
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        save(figure, paths[-1])
    return paths


def save(figure: "Figure", path: Path, about: str = "") -> None:
    """Write a PNG; `about` goes into the file, to be read back with `described`."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None, "Description": about} if about else {"Software": None})


def described(path: Path) -> str:
    """What `save` was told of a picture."""
    from PIL import Image

    with Image.open(path) as image:
        return str(image.info.get("Description", ""))


def forest(models: Mapping[str, Mapping[str, tuple[int, Score]]], names: Mapping[str, str]) -> "Figure":
    """F1 by theme with 95% intervals, for each model; `models` gives (gold labels, F1) by theme, commonest on top."""
    support = {theme: count for scores in models.values() for theme, (count, _) in scores.items()}
    themes = sorted((theme for theme in support if support[theme]), key=lambda theme: support[theme])
    figure = _figure(8, 1.2 + len(themes) * (0.2 + 0.13 * len(models)))
    axes = figure.add_subplot()
    for place, (model, scores) in enumerate(models.items()):
        rows = np.arange(len(themes)) + 0.7 * (0.5 - (place + 0.5) / len(models))
        found = [scores[theme][1] for theme in themes]
        values = np.array([score.value for score in found])
        errors = np.abs(np.array([[score.low, score.high] for score in found]).reshape(-1, 2).T - values)
        fmt, colour = _marker(place), _colour(place)
        axes.errorbar(values, rows, xerr=errors, fmt=fmt, color=colour, ms=4, lw=1.2, label=model, clip_on=False)
    axes.set_yticks(range(len(themes)), [f"{names[theme]} ({support[theme]})" for theme in themes])
    for row in range(0, len(themes), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f2f2f2", zorder=0, lw=0)
    axes.set(xlim=(0, 1), ylim=(-0.5, len(themes) - 0.5), xlabel="F1, with 95% interval (gold labels in brackets)")
    _below(axes, len(models))
    return figure


def reliability(curves: Mapping[str, Sequence[tuple[int, float, float]]]) -> "Figure":
    """Share true against mean probability, bin by bin; `curves` gives (count, probability, share) for each model."""
    figure = _figure(5.5, 6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#999999", lw=1, ls="--", label="perfectly calibrated")
    for place, (model, bins) in enumerate(curves.items()):
        counts, said, true = np.array(bins, dtype=float).reshape(-1, 3).T
        colour, marker = _colour(place), _marker(place)
        axes.plot(said, true, color=colour, marker=marker, ms=3, lw=1.2, label=model, clip_on=False)
        axes.scatter(said, true, s=12 + 6 * np.log2(1 + counts), color=colour, marker=marker, zorder=3, clip_on=False)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="probability said (larger marks: more often)",
        ylabel="share of themes that apply",
        aspect="equal",
    )
    _below(axes, len(curves) + 1)
    return figure


def confusions(models: Mapping[str, Sequence[tuple[str, str, int]]], stances: Sequence[str]) -> "Figure":
    """Gold stance in rows, answered stance in columns, given the gold theme: shares of each row, and counts."""
    figure = _figure(1.2 + 3.3 * len(models), 4.6)
    panels = np.ravel(figure.subplots(1, len(models), sharey=True))
    for axes, (model, counted) in zip(panels, models.items(), strict=True):
        counts = np.zeros((len(stances), len(stances)), dtype=int)
        for gold, answered, count in counted:
            counts[stances.index(gold), stances.index(answered)] = count
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.6 else "black"
            said = f"{shares[row, column]:.0%}\n{count}"
            axes.text(column, row, said, ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(len(stances)), stances, rotation=30, ha="right")
        axes.set_yticks(range(len(stances)), stances)
        axes.set(title=model, xlabel="answered")
    panels[0].set_ylabel("gold")
    return figure


def speed(models: Mapping[str, tuple[float, Score]], score: str, where: str) -> "Figure":
    """A score against paragraphs a second (logarithmic); `models` gives (paragraphs a second, score)."""
    figure = _figure(8, 5)
    axes = figure.add_subplot()
    for place, (model, (pace, found)) in enumerate(sorted(models.items(), key=lambda item: -item[1][1].value)):
        errors = [[found.value - found.low], [found.high - found.value]]
        fmt, colour = _marker(place), _colour(place)
        axes.errorbar(pace, found.value, yerr=errors, fmt=fmt, color=colour, ms=7, lw=1.2, label=model)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.margins(x=0.15)
    axes.set(xlabel=f"paragraphs a second, {where}", ylabel=f"{score}, with 95% interval", ylim=(0, 1))
    axes.grid(alpha=0.3)
    _below(axes, len(models))
    return figure


def learning_curve(curves: Mapping[str, Sequence[tuple[int, float]]], score: str) -> "Figure":
    """A score by the number of paragraphs trained on (logarithmic), a line for each source of paragraphs."""
    figure = _figure(7, 4.5)
    axes = figure.add_subplot()
    for place, (source, points) in enumerate(curves.items()):
        sizes, values = np.array(points, dtype=float).reshape(-1, 2).T
        axes.plot(sizes, values, marker=_marker(place), color=_colour(place), lw=1.2, label=source)
    ticks = _apart(sorted({size for points in curves.values() for size, _ in points}))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.minorticks_off()
    axes.set(xlabel="paragraphs trained on", ylabel=score)
    axes.grid(alpha=0.3)
    _below(axes, len(curves))
    return figure


def theme_names(codebook: Codebook, lang: str = "en") -> dict[str, str]:
    """What pictures call the themes: in Chinese ("zh") if a font of this machine has every glyph, else in English."""
    english = {theme.name: theme.name.replace("_", " ") for theme in codebook.themes}
    if lang == "en":
        return english
    if lang != "zh":
        raise InputError(f"no names of themes in {lang!r}; there are: en, zh")
    chinese = {theme.name: theme.chinese for theme in codebook.themes}
    return english if font_for("".join(chinese.values())) is None else chinese


@cache
def font_for(text: str) -> str | None:
    """A font family of this machine that has a glyph for every character, None where there is none."""
    _matplotlib()
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    wanted = {ord(char) for char in text if not char.isspace()}
    entries = sorted(fontManager.ttflist, key=lambda entry: (entry.weight != 400, "Sans" not in entry.name, entry.name))
    for entry in entries:
        if "Last Resort" in entry.name:  # it draws a box for every character
            continue
        try:
            have = FT2Font(entry.fname).get_charmap()
        except (OSError, RuntimeError):  # a font file that is gone, or damaged
            continue
        if wanted <= have.keys():
            return entry.name
    return None


def _f1(found: Evaluation) -> dict[str, tuple[int, Score]]:
    return {theme: (scored.support, scored.f1) for theme, scored in found.themes.items()}


def _figure(width: float, height: float) -> "Figure":
    """A figure of its own, in no window; Chinese falls to a font that has it."""
    _matplotlib()
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    if (font := font_for("产能过剩")) is not None and font not in rcParams["font.family"]:
        rcParams["font.family"] = ["DejaVu Sans", font]
    return Figure(figsize=(width, height), layout="constrained")


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise InputError("pictures need matplotlib: pip install 'capthemes[plots]'") from error
    return matplotlib


def _below(axes: "Axes", entries: int) -> None:
    """The legend under the picture, where it hides nothing."""
    axes.figure.legend(loc="outside lower center", ncols=min(entries, 3), frameon=False, fontsize=8)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _apart(ticks: Sequence[int]) -> list[int]:
    """Of rising ticks on a logarithmic axis, the last and those whose labels have room before the next one kept."""
    kept = list(ticks[-1:])
    for tick in ticks[-2::-1]:
        if np.log(kept[-1] / tick) >= ROOM * np.log(ticks[-1] / ticks[0]):
            kept.append(tick)
    return kept[::-1]


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]
