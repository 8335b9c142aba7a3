"""Scores: gold labels against predicted ones, with intervals from a bootstrap over documents and a signature."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capthemes.records import Array, Indices, Paragraph, Probabilities, label_indices, read_matrix, theme_matrix, unit

RESAMPLES = 1000
BINS = 10  # of probability, for the calibration error


@dataclass(frozen=True, slots=True)
class Signature:
    """What a score rests on. Two scores can be compared where all but the model agrees."""

    data: str
    data_sha256: str
    model: str
    codebook: int
    seed: int
    version: str

    def __str__(self) -> str:
        return (
            f"data:{self.data}@{self.data_sha256[:12]}|model:{self.model}|codebook:{self.codebook}"
            f"|seed:{self.seed}|bootstrap:{RESAMPLES}|capthemes:{self.version}"
        )


@dataclass(frozen=True, slots=True)
class Score:
    """A value with its 95% interval (percentiles of a bootstrap over documents)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True)
class ThemeScore:
    """Precision, recall, F1, average precision and calibration error of one theme; `support` gold positives."""

    support: int
    precision: float
    recall: float
    f1: Score
    average_precision: float
    ece: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores of one model on one set of paragraphs.

    `macro_f1` is over the themes that the gold labels have, None where they have none. Stance and voice are
    scored given the gold theme, macro over the values that the gold labels have; None where the model or the
    data has none.
    `confusions` counts (gold, predicted) for "theme", "stance" and "voice", the right ones among the latter two;
    for a theme the two that stand for one another in a paragraph, "-" where none does.
    """

    paragraphs: int
    documents: int
    themes: dict[str, ThemeScore]
    micro_f1: Score
    macro_f1: Score | None
    stance_macro_f1: Score | None
    stance_accuracy: Score | None
    voice_macro_f1: Score | None
    ece: float
    confusions: dict[str, list[tuple[str, str, int]]]


def evaluate(
    gold: Sequence[Paragraph], probabilities: Probabilities, decided: Sequence[Paragraph], seed: int = 0
) -> Evaluation:
    """Score calibrated `probabilities` and the labels `decided` from them against `gold`, paragraph by paragraph.

    Paragraphs of one document, and one paragraph in several languages, are resampled together. A theme is scored on
    the paragraphs that were read for it.
    """
    names = probabilities.themes
    documents = np.unique([unit(p) for p in gold], return_inverse=True)[1]
    weights = resamples(int(documents.max(initial=-1)) + 1, seed)[:, documents]
    read = read_matrix(gold, names)
    truth, found = theme_matrix(gold, names) & read, theme_matrix(decided, names) & read
    counts = np.stack([truth & found, ~truth & found, truth & ~found], axis=2).astype(float)  # (n, T, 3)
    resampled = np.einsum("bn,ntk->btk", weights, counts)
    total = counts.sum(axis=0)
    has = truth.any(axis=0)
    themes = {}
    for t, name in enumerate(names):
        tp, fp, fn = total[t]
        themes[name] = ThemeScore(
            support=int(truth[:, t].sum()),
            precision=_ratio(tp, tp + fp),
            recall=_ratio(tp, tp + fn),
            f1=_score(_f1(total[t]), _f1(resampled[:, t])),
            average_precision=average_precision(truth[read[:, t], t], probabilities.theme[read[:, t], t]),
            ece=calibration_error(truth[read[:, t], t], probabilities.theme[read[:, t], t]),
        )
    stance, voice = _told(probabilities, gold, "stance"), _told(probabilities, gold, "voice")
    return Evaluation(
        paragraphs=int(read.any(axis=1).sum()),
        documents=len(np.unique(documents[read.any(axis=1)])),
        themes=themes,
        micro_f1=_score(_f1(total.sum(axis=0)), _f1(resampled.sum(axis=1))),
        macro_f1=_score(_f1(total[has]).mean(), _f1(resampled[:, has]).mean(axis=1)) if has.any() else None,
        stance_macro_f1=_macro(probabilities.stance, stance, weights),
        stance_accuracy=_accuracy(probabilities.stance, stance, weights),
        voice_macro_f1=_macro(probabilities.voice, voice, weights),
        ece=float(np.mean([theme.ece for theme in themes.values()])),
        confusions={
            "theme": _theme_confusions(truth, found, names),
            "stance": _given_confusions(probabilities.stance, stance, probabilities.stances),
            "voice": _given_confusions(probabilities.voice, voice, probabilities.voices),
        },
    )


def calibration_error(truth: np.ndarray, p: Array) -> float:
    """Expected calibration error over ten bins of equal width: mean |share true - mean probability|, by bin size."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    size = np.bincount(bins, minlength=BINS)
    gap = np.bincount(bins, weights=truth, minlength=BINS) - np.bincount(bins, weights=p, minlength=BINS)
    return float(np.abs(gap).sum() / max(size.sum(), 1))


def resamples(documents: int, seed: int) -> Array:
    """(RESAMPLES, documents): how often each document is drawn."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(documents, np.full(documents, 1 / max(documents, 1)), size=RESAMPLES).astype(float)


def _f1(counts: Array) -> Array:
    """F1 of (..., 3) counts of true positives, false positives, false negatives; 0 where there are none."""
    tp, wrong = counts[..., 0], counts[..., 1] + counts[..., 2]
    return np.divide(2 * tp, 2 * tp + wrong, out=np.zeros_like(tp), where=(tp + wrong) > 0)


def _score(value: Array | float, resampled: Array) -> Score:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Score(float(value), float(low), float(high))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def average_precision(truth: np.ndarray, p: Array) -> float:
    """Sum of precision times the gain in recall, ties taken together (as scikit-learn defines it)."""
    if not truth.any():
        return 0.0
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)  # the last of each run of equal probabilities
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _macro(values: Array | None, gold: Indices | None, weights: Array) -> Score | None:
    """Macro-F1 of the most probable value against the gold one, given the gold theme."""
    if values is None or gold is None or not len(gold[0]):
        return None
    rows, themes, truth = gold
    guess = values[rows, themes].argmax(axis=1)
    per_value = []
    for value in np.unique(truth):
        counts = np.stack(
            [
                (truth == value) & (guess == value),
                (truth != value) & (guess == value),
                (truth == value) & (guess != value),
            ],
            axis=1,
        )
        per_value.append(counts.astype(float))
    stacked = np.stack(per_value, axis=1)  # (labels, values, 3)
    resampled = np.einsum("bn,nvk->bvk", weights[:, rows], stacked)
    return _score(_f1(stacked.sum(axis=0)).mean(), _f1(resampled).mean(axis=1))


def _told(probabilities: Probabilities, gold: Sequence[Paragraph], part: str) -> Indices | None:
    """Gold labels whose "stance" or "voice" the model tells; None where it tells none."""
    values: Array | None = getattr(probabilities, part)
    if values is None:
        return None
    rows, themes, truth = label_indices(gold, probabilities.themes, getattr(probabilities, f"{part}s"), part)
    told = ~np.isnan(values[rows, themes, 0])
    return rows[told], themes[told], truth[told]


def _theme_confusions(truth: np.ndarray, found: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, int]]:
    counts: Counter[tuple[str, str]] = Counter()
    for wanted, got in zip(truth, found, strict=True):
        missed, extra = (sorted(names[int(t)] for t in np.flatnonzero(side)) for side in (wanted & ~got, got & ~wanted))
        counts.update((a, b) for a in missed or ["-"] for b in extra or ["-"] if a != b)
    return [(*pair, count) for pair, count in counts.most_common()]


def _given_confusions(values: Array | None, gold: Indices | None, names: Sequence[str]) -> list[tuple[str, str, int]]:
    if values is None or gold is None:
        return []
    rows, themes, truth = gold
    guess = values[rows, themes].argmax(axis=1)
    counts = Counter((names[a], names[b]) for a, b in zip(truth.tolist(), guess.tolist(), strict=True))
    return [(*pair, count) for pair, count in sorted(counts.items())]


def _accuracy(values: Array | None, gold: Indices | None, weights: Array) -> Score | None:
    if values is None or gold is None or not len(gold[0]):
        return None
    rows, themes, truth = gold
    right = (values[rows, themes].argmax(axis=1) == truth).astype(float)
    drawn = weights[:, rows]
    return _score(right.mean(), drawn @ right / np.maximum(drawn.sum(axis=1), 1))
