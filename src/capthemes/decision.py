"""The decision: probabilities are calibrated, held against a threshold for each theme, and become labels.

It is a table of a few dozen numbers, fitted on predictions for texts that the family had not seen. It
knows nothing of families.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capthemes.errors import InputError, ModelError
from capthemes.records import (
    Array,
    Decided,
    Paragraph,
    Probabilities,
    label_indices,
    read_matrix,
    theme_matrix,
)
from capthemes.untrusted import parse

EDGE = 1e-6
MOST = 1e4  # of a slope, an intercept or a temperature: none that was fitted comes near it
PRIOR_POSITIVES = 400  # a theme's own threshold counts as much as the common one at so many; by folds of the dev sets


@dataclass(frozen=True, slots=True)
class ThemeDecision:
    """One theme's numbers: calibrated log-odds = slope * log-odds + intercept; it applies from `threshold` up."""

    slope: float = 1.0
    intercept: float = 0.0
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Decision:
    """Calibration and thresholds by theme, and the temperatures of stance and voice."""

    themes: Mapping[str, ThemeDecision]
    stance_temperature: float = 1.0
    voice_temperature: float = 1.0

    @classmethod
    def plain(cls, themes: Sequence[str]) -> "Decision":
        """No calibration, threshold 0.5 throughout."""
        return cls({theme: ThemeDecision() for theme in themes})

    @classmethod
    def fit(cls, unseen: Probabilities, gold: Sequence[Paragraph]) -> "Decision":
        """Fit on out-of-fold probabilities of n paragraphs with gold labels.

        Slopes and intercepts are Platt's, fitted to the log-odds; thresholds maximise F1, drawn toward the
        common threshold where a theme has few positives; temperatures minimise the log loss. A theme is fitted on
        the paragraphs that were read for it.
        """
        truth, read = theme_matrix(gold, unseen.themes), read_matrix(gold, unseen.themes)
        lines = [
            _platt(log_odds(unseen.theme[rows, t]), truth[rows, t])
            for t, rows in ((t, read[:, t]) for t in range(len(unseen.themes)))
        ]
        rough = cls({name: ThemeDecision(*line) for name, line in zip(unseen.themes, lines, strict=True)})
        calibrated = rough.calibrate(unseen).theme
        common = _best_threshold(calibrated[read], truth[read])
        themes = {}
        for t, name in enumerate(unseen.themes):
            rows = read[:, t]
            positives = truth[rows, t].sum()
            weight = positives / (positives + PRIOR_POSITIVES)
            own = _best_threshold(calibrated[rows, t], truth[rows, t]) if weight else common
            threshold = weight * own + (1 - weight) * common
            slope, intercept = lines[t]
            themes[name] = ThemeDecision(round(slope, 4), round(intercept, 4), round(threshold, 4))
        return cls(
            themes,
            _temperature(unseen, gold, "stance"),
            _temperature(unseen, gold, "voice"),
        )

    def calibrate(self, said: Probabilities) -> Probabilities:
        """What a family said, with calibrated values."""
        return replace(
            said,
            theme=self.calibrated_theme(said),
            stance=_soften(said.stance, self.stance_temperature),
            voice=_soften(said.voice, self.voice_temperature),
        )

    def calibrated_theme(self, said: Probabilities) -> Array:
        """(n, T), the calibrated probabilities of themes alone."""
        numbers = [self.themes[name] for name in said.themes]
        slopes, intercepts = (np.array([getattr(n, part) for n in numbers]) for part in ("slope", "intercept"))
        if (slopes == 1).all() and not intercepts.any():
            return said.theme
        return _sigmoid(slopes * log_odds(said.theme) + intercepts)

    def decide(self, said: Probabilities) -> Decided:
        """The labels of what a family said, each row's most probable first."""
        thresholds = np.array([self.themes[name].threshold for name in said.themes])
        return decided_at(said, self.calibrated_theme(said), thresholds)

    def with_thresholds(self, thresholds: float | Mapping[str, float]) -> "Decision":
        """Other thresholds, one for all themes or one for each theme named; the rest stays."""
        if not isinstance(thresholds, Mapping):
            thresholds = dict.fromkeys(self.themes, thresholds)
        for name, value in thresholds.items():
            if name not in self.themes:
                raise InputError(f"no theme {name!r} to set a threshold for; the model has: {', '.join(self.themes)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise InputError(f"threshold {value!r} of {name!r} must be a number from 0 to 1")
        changed = {name: replace(self.themes[name], threshold=float(value)) for name, value in thresholds.items()}
        return replace(self, themes={**self.themes, **changed})

    def to_json(self) -> str:
        """The text of decision.json."""
        themes = {
            name: {"slope": n.slope, "intercept": n.intercept, "threshold": n.threshold}
            for name, n in self.themes.items()
        }
        content = {
            "stance_temperature": self.stance_temperature,
            "voice_temperature": self.voice_temperature,
            "themes": themes,
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, content: bytes, where: str) -> "Decision":
        """Read decision.json; `where` is the file's name for messages. Raises ModelError."""
        try:
            found = parse(content)
            themes = {
                name: ThemeDecision(
                    _number(numbers["slope"], -MOST, MOST),
                    _number(numbers["intercept"], -MOST, MOST),
                    _number(numbers["threshold"], 0, 1),
                )
                for name, numbers in found["themes"].items()
            }
            stance, voice = (_number(found[f"{part}_temperature"], 1 / MOST, MOST) for part in ("stance", "voice"))
            return cls(themes, stance, voice)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelError(f"{where}: not a decision ({error}); save the model anew") from error


def decided_at(said: Probabilities, theme: Array, thresholds: Array) -> Decided:
    """The labels whose calibrated probability `theme` (n, T) is at least that of `thresholds`, (T,) or (n, T).

    A stance or voice is the likeliest one, which its temperature does not change.
    """
    rows, themes = np.nonzero(theme >= thresholds)
    order = np.lexsort((-theme[rows, themes], rows))
    rows, themes = rows[order], themes[order]
    stances, voices = (_likeliest(values, rows, themes) for values in (said.stance, said.voice))
    return Decided(theme, rows, themes, stances, voices)


def _likeliest(
    values: Array | None, rows: npt.NDArray[np.intp], themes: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp] | None:
    """The positions of the likeliest stances or voices, -1 where the family cannot tell."""
    if values is None:
        return None
    chosen = values[rows, themes]
    return np.where(np.isnan(chosen[:, 0]), -1, chosen.argmax(axis=-1))


def log_odds(p: Array) -> Array:
    clipped = np.clip(p, EDGE, 1 - EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64)


def _soften(p: Array | None, temperature: float) -> Array | None:
    if p is None or temperature == 1.0:
        return p
    powered = np.clip(p, EDGE, 1) ** (1 / temperature)
    return np.asarray(powered / powered.sum(axis=-1, keepdims=True), dtype=np.float64)


def _platt(x: Array, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of a logistic regression of y on x, with Platt's smoothed targets; slope kept positive."""
    from scipy.optimize import minimize

    positives, negatives = float(y.sum()), float((~y).sum())
    target = np.where(y, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(line: Array) -> tuple[float, Array]:
        z = line[0] * x + line[1]
        residual = _sigmoid(z) - target
        value = float(np.sum(np.logaddexp(0, z) - target * z)) + 0.5 * (line[0] - 1) ** 2
        return value, np.array([np.sum(residual * x) + line[0] - 1, np.sum(residual)])

    line = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, None), (None, None)]).x
    return float(line[0]), float(line[1])


def _best_threshold(p: Array, y: np.ndarray) -> float:
    """The threshold of the highest F1, halfway to the next lower probability."""
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + max(int(y.sum()), 1))
    f1[:-1][np.diff(p[order]) == 0] = -1  # a threshold cannot part equal probabilities
    best = int(np.argmax(f1))
    lower = p[order[best + 1]] if best + 1 < len(p) else 0.0
    return float((p[order[best]] + lower) / 2)


def _temperature(unseen: Probabilities, gold: Sequence[Paragraph], part: str) -> float:
    """The temperature of "stance" or "voice" that minimises the log loss of the gold values."""
    values: Array | None = getattr(unseen, part)
    if values is None:
        return 1.0
    rows, themes, truth = label_indices(gold, unseen.themes, getattr(unseen, f"{part}s"), part)
    told = ~np.isnan(values[rows, themes, 0])
    rows, themes, truth = rows[told], themes[told], truth[told]
    if not len(rows):
        return 1.0
    from scipy.optimize import minimize_scalar

    chosen = np.log(np.clip(values[rows, themes], EDGE, 1))

    def loss(log_temperature: float) -> float:
        scaled = chosen / math.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))

    found = minimize_scalar(loss, bounds=(math.log(0.2), math.log(5.0)), method="bounded").x
    return round(math.exp(found), 4)


def _number(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r:.60} is no number from {low:g} to {high:g}")
    return float(value)
