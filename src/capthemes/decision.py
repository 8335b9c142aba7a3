"""The decision: probabilities are calibrated, held against a threshold for each theme, and become labels.

It is a table of a few dozen numbers, fitted on predictions for texts that the family had not seen. It
knows nothing of families.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capthemes.errors import InputError, ModelError
from capthemes.records import Array, Label, Paragraph, Probabilities, label_indices, theme_matrix

EDGE = 1e-6
PRIOR_POSITIVES = 20  # a theme's own threshold counts as much as the common one at this many gold positives


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
        common threshold where a theme has few positives; temperatures minimise the log loss.
        """
        truth = theme_matrix(gold, unseen.themes)
        lines = [_platt(_log_odds(unseen.theme[:, t]), truth[:, t]) for t in range(len(unseen.themes))]
        rough = cls({name: ThemeDecision(*line) for name, line in zip(unseen.themes, lines, strict=True)})
        calibrated = rough.calibrate(unseen).theme
        common = _best_threshold(calibrated.ravel(), truth.ravel())
        themes = {}
        for t, name in enumerate(unseen.themes):
            positives = truth[:, t].sum()
            weight = positives / (positives + PRIOR_POSITIVES)
            threshold = weight * _best_threshold(calibrated[:, t], truth[:, t]) + (1 - weight) * common
            slope, intercept = lines[t]
            themes[name] = ThemeDecision(round(slope, 4), round(intercept, 4), round(threshold, 4))
        return cls(
            themes,
            _temperature(unseen, gold, "stance"),
            _temperature(unseen, gold, "voice"),
        )

    def calibrate(self, probabilities: Probabilities) -> Probabilities:
        """The same rows with calibrated values."""
        numbers = [self.themes[name] for name in probabilities.themes]
        slopes, intercepts = (np.array([getattr(n, part) for n in numbers]) for part in ("slope", "intercept"))
        return replace(
            probabilities,
            theme=_sigmoid(slopes * _log_odds(probabilities.theme) + intercepts),
            stance=_soften(probabilities.stance, self.stance_temperature),
            voice=_soften(probabilities.voice, self.voice_temperature),
        )

    def decide(self, probabilities: Probabilities) -> tuple[tuple[Label, ...], ...]:
        """For each row its labels, most probable first; `probabilities` are calibrated ones."""
        return labels_at(probabilities, np.array([self.themes[name].threshold for name in probabilities.themes]))

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
    def from_json(cls, text: str, where: str) -> "Decision":
        """Read decision.json; `where` is the file's name for messages. Raises ModelError."""
        try:
            content = json.loads(text)
            themes = {
                name: ThemeDecision(*(_finite(numbers[part]) for part in ("slope", "intercept", "threshold")))
                for name, numbers in content["themes"].items()
            }
            return cls(themes, _finite(content["stance_temperature"]), _finite(content["voice_temperature"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelError(f"{where}: not a decision ({error}); save the model anew") from error


def labels_at(probabilities: Probabilities, thresholds: Array) -> tuple[tuple[Label, ...], ...]:
    """For each row the labels from `thresholds` up, most probable first; thresholds are (T,), or (n, T) row by row."""
    labels: list[list[Label]] = [[] for _ in range(len(probabilities))]
    for row, t in np.argwhere(probabilities.theme >= thresholds):
        stance, voice = (
            None if values is None else names[int(np.argmax(values[row, t]))]
            for names, values in (
                (probabilities.stances, probabilities.stance),
                (probabilities.voices, probabilities.voice),
            )
        )
        labels[row].append(Label(probabilities.themes[t], stance, voice, float(probabilities.theme[row, t])))
    return tuple(tuple(sorted(row, key=lambda label: -(label.probability or 0))) for row in labels)


def _log_odds(p: Array) -> Array:
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
    if not len(rows):
        return 1.0
    from scipy.optimize import minimize_scalar

    chosen = np.log(np.clip(values[rows, themes], EDGE, 1))

    def loss(log_temperature: float) -> float:
        scaled = chosen / math.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))

    found = minimize_scalar(loss, bounds=(math.log(0.2), math.log(5.0)), method="bounded").x
    return round(math.exp(found), 4)


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
