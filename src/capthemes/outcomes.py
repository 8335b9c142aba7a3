"""Outcomes: what each paragraph adds to the counts that scores are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capthemes.records import Array, Label, Paragraph, theme_matrix


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Counts of n paragraphs; the last axis of three is true positives, false positives, false negatives.

    themes: (n, T, 3). stance, voice: (n, 3), of labels end to end: right where theme and stance (or voice) are right;
    None where the answers, or the gold labels, tell none. exact: (n,), 1 where the set of themes is the gold one.
    """

    themes: Array
    stance: Array | None
    voice: Array | None
    exact: Array


def outcomes(
    gold: Sequence[Paragraph],
    answered: Sequence[Paragraph],
    themes: Sequence[str],
    told: frozenset[str] = frozenset(),
) -> Outcomes:
    """Count `answered` labels against `gold` ones, paragraph by paragraph.

    `told` names parts ("stance", "voice") that whoever answered tells, for answers that may hold no label at all. A
    gold label whose stance is unknown counts neither for nor against an answered stance; voice likewise.
    """
    truth, found = theme_matrix(gold, themes), theme_matrix(answered, themes)
    ends = {}
    for part in ("stance", "voice"):
        sides = [{getattr(label, part) for p in side for label in p.labels or ()} - {None} for side in (gold, answered)]
        tells = sides[0] and (sides[1] or part in told)
        ends[part] = _end_to_end(gold, answered, part) if tells else None
    return Outcomes(
        themes=np.stack([truth & found, ~truth & found, truth & ~found], axis=2).astype(float),
        stance=ends["stance"],
        voice=ends["voice"],
        exact=(truth == found).all(axis=1).astype(float),
    )


def f1(counts: Array) -> Array:
    """F1 of (..., 3) counts; 0 where there are none."""
    tp, wrong = counts[..., 0], counts[..., 1] + counts[..., 2]
    return np.asarray(np.divide(2 * tp, 2 * tp + wrong, out=np.zeros_like(tp), where=(tp + wrong) > 0))


def present(counts: Array) -> npt.NDArray[np.bool_]:
    """(..., T): of which themes (..., T, 3) counts hold gold labels."""
    return np.asarray(counts[..., 0] + counts[..., 2] > 0)


def macro(values: Array, kept: npt.NDArray[np.bool_]) -> Array:
    """Means of (..., T) values over those kept; nan where none is."""
    count = kept.sum(axis=-1)
    return np.asarray(np.divide((values * kept).sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0))


def macro_f1(counts: Array) -> Array:
    """Mean F1 of (..., T, 3) counts over the themes that they hold gold labels of; nan where these are none."""
    return macro(f1(counts), present(counts))


def _end_to_end(gold: Sequence[Paragraph], answered: Sequence[Paragraph], part: str) -> Array:
    counts = np.zeros((len(gold), 3))
    for row, (wanted, got) in enumerate(zip(gold, answered, strict=True)):
        truth, found = _values(wanted.labels, part), _values(got.labels, part)
        unknown = {theme for theme, value in truth.items() if value is None}
        right = {(t, v) for t, v in truth.items() if t not in unknown}
        given = {(t, v) for t, v in found.items() if t not in unknown}
        counts[row] = len(right & given), len(given - right), len(right - given)
    return counts


def _values(labels: tuple[Label, ...] | None, part: str) -> dict[str, str | None]:
    return {label.theme: getattr(label, part) for label in labels or ()}
