"""Scores: gold labels against predicted ones, with intervals from a bootstrap over documents and a signature."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capthemes.outcomes import f1, macro, macro_f1, outcomes, present
from capthemes.records import Array, Paragraph, Probabilities, as_read, label_indices, read_matrix, theme_matrix, unit

RESAMPLES = 1000
BINS = 10  # of probability, for the calibration error
CHUNK = 100  # resamples at a time, where each costs a row as long as the data


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
    """A value with its 95% interval: percentiles of a bootstrap over documents; of an ECE, mirrored at the value."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True)
class ThemeScore:
    """Scores of one theme; `support` gold positives. The last two are None where there are no probabilities."""

    support: int
    precision: Score
    recall: Score
    f1: Score
    average_precision: Score | None
    ece: Score | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores of one model on one set of paragraphs.

    `macro_f1` and `average_precision` are means over the themes that the gold labels have, in each resample over those
    that it has, None where they have none.
    `exact` is the share of paragraphs whose set of themes is the gold one. `stance_macro_f1`, `stance_accuracy` and
    `voice_macro_f1` are given the gold theme, macro over the values that the gold labels have, and need
    probabilities; `theme_stance_f1` and `theme_voice_f1` are end to end: the micro-F1 of labels that are right where
    theme and stance (or voice) are. `ece` is the mean over themes (of few paragraphs it lies above the truth, and where
    that is near 0 its interval does too), `brier` over themes and paragraphs. None where the model or the data tells
    none.
    `confusions` counts (gold, predicted) for "theme", "stance" and "voice", the right ones among the latter two;
    for a theme the two that stand for one another in a paragraph, "-" where none does. `reliability` has (count, mean
    probability, share true) of each bin of probability that holds any, over all themes.
    """

    paragraphs: int
    documents: int
    themes: dict[str, ThemeScore]
    micro_f1: Score
    macro_f1: Score | None
    exact: Score
    stance_macro_f1: Score | None
    stance_accuracy: Score | None
    voice_macro_f1: Score | None
    theme_stance_f1: Score | None
    theme_voice_f1: Score | None
    average_precision: Score | None
    ece: Score | None
    brier: Score | None
    confusions: dict[str, list[tuple[str, str, int]]]
    reliability: list[tuple[int, float, float]]


def evaluate(
    gold: Sequence[Paragraph],
    probabilities: Probabilities | None,
    decided: Sequence[Paragraph],
    seed: int = 0,
    themes: Sequence[str] | None = None,
) -> Evaluation:
    """Score calibrated `probabilities` and the labels `decided` from them against `gold`, paragraph by paragraph.

    Without probabilities only the labels are scored, over `themes`, or over those that occur. Paragraphs of one
    document, and one paragraph in several languages, are resampled together. A theme is scored on the paragraphs that
    were read for it; one that was read for none is left out.
    """
    names = probabilities.themes if probabilities else tuple(themes or _occurring(gold, decided))
    read = read_matrix(gold, names)
    if names and not (some := read.any(axis=1)).all():
        kept = np.flatnonzero(some)
        gold, decided = ([side[row] for row in kept.tolist()] for side in (gold, decided))
        read = read[kept]
        probabilities = probabilities[kept] if probabilities else None
    weights = _weights(gold, seed)
    gold, decided = (as_read(gold, side, names) for side in (gold, decided))
    told = frozenset(p for p in ("stance", "voice") if probabilities and getattr(probabilities, p) is not None)
    counted = outcomes(gold, decided, names, told)
    drawn = _drawn(weights, counted.themes)
    has = present(drawn)
    chances = _Chances(theme_matrix(gold, names), probabilities.theme, weights, read) if probabilities else None
    stance, voice = (_given(gold, probabilities, part) for part in ("stance", "voice"))
    return Evaluation(
        paragraphs=len(gold),
        documents=len({unit(paragraph) for paragraph in gold}),
        themes={name: _theme(drawn[:, t], chances, t) for t, name in enumerate(names)},
        micro_f1=_score(f1(drawn.sum(axis=1))),
        macro_f1=_score(macro_f1(drawn)) if has.any() else None,
        exact=_mean(counted.exact, weights),
        stance_macro_f1=_macro(stance, weights),
        stance_accuracy=_accuracy(stance, weights),
        voice_macro_f1=_macro(voice, weights),
        theme_stance_f1=None if counted.stance is None else _score(f1(weights @ counted.stance)),
        theme_voice_f1=None if counted.voice is None else _score(f1(weights @ counted.voice)),
        average_precision=_score(macro(chances.precision, has)) if chances and has.any() else None,
        ece=_error_score(chances.error.mean(axis=1)) if chances else None,
        brier=_mean(chances.brier, weights) if chances else None,
        confusions={
            "theme": _theme_confusions(gold, decided),
            "stance": _given_confusions(stance, probabilities.stances if probabilities else ()),
            "voice": _given_confusions(voice, probabilities.voices if probabilities else ()),
        },
        reliability=chances.reliability if chances else [],
    )


def calibration_error(truth: np.ndarray, p: Array) -> float:
    """Expected calibration error over ten bins of equal width: mean |share true - mean probability|, by bin size."""
    return float(_errors(truth, p, np.ones((1, len(p))))[0])


def average_precision(truth: np.ndarray, p: Array) -> float:
    """Sum of precision times the gain in recall; 0 without positives."""
    return float(_average_precisions(truth, p, np.ones((1, len(p))))[0])


def _average_precisions(truth: np.ndarray, p: Array, weights: Array) -> Array:
    """(B,): sum of precision times the gain in recall for each row of (B, n) weights; 0 without positives.

    Ties are taken together, as scikit-learn defines it.
    """
    if not truth.any():
        return np.zeros(len(weights))
    order = np.argsort(-p, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)  # the last of each run of equal probabilities
    found = []
    for start in range(0, len(weights), CHUNK):
        drawn = weights[start : start + CHUNK, order]
        hits = np.cumsum(drawn * truth[order], axis=1)[:, last]
        precision = hits / np.maximum(np.cumsum(drawn, axis=1)[:, last], 1)
        gains = np.diff(hits, axis=1, prepend=0.0) / np.maximum(hits[:, -1:], 1)
        found.append((gains * precision).sum(axis=1))
    return np.concatenate(found)


def f1_interval(counts: Array, gold: Sequence[Paragraph], seed: int = 0) -> Score:
    """F1 of (n, 3) counts of the paragraphs `gold`."""
    return _score(f1(_weights(gold, seed) @ counts))


def resamples(documents: int, seed: int) -> Array:
    """(RESAMPLES, documents): how often each document is drawn."""
    if not documents:
        return np.zeros((RESAMPLES, 0))
    rng = np.random.default_rng(seed)
    return rng.multinomial(documents, np.full(documents, 1 / documents), size=RESAMPLES).astype(float)


def _weights(gold: Sequence[Paragraph], seed: int) -> Array:
    """(1 + RESAMPLES, n): how often each paragraph counts, in the data as they are and then in each resample."""
    documents = np.unique([unit(p) for p in gold], return_inverse=True)[1]
    count = int(documents.max(initial=-1)) + 1
    return np.asarray(np.vstack([np.ones((1, count)), resamples(count, seed)])[:, documents])


class _Chances:
    """What is scored of (n, T) probabilities against their (n, T) truth under (B, n) weights, where they were read.

    precision and error (average precision, calibration error): (B, T); brier: (n,).
    """

    def __init__(self, truth: np.ndarray, p: Array, weights: Array, read: np.ndarray) -> None:
        found = []
        for y, q, rows in zip(truth.T, p.T, read.T, strict=True):
            column = (y, q, weights) if rows.all() else (y[rows], q[rows], weights[:, rows])
            found.append((_average_precisions(*column), _errors(*column)))
        self.precision, self.error = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        self.brier = np.sum((p - truth) ** 2 * read, axis=1) / np.maximum(read.sum(axis=1), 1)
        inside = [(_bins(p) == b) & read for b in range(BINS)]
        self.reliability = [(int(i.sum()), float(p[i].mean()), float(truth[i].mean())) for i in inside if i.any()]


def _bins(p: Array) -> np.ndarray:
    return np.asarray(np.minimum((p * BINS).astype(int), BINS - 1))


def _errors(truth: np.ndarray, p: Array, weights: Array) -> Array:
    gaps = np.zeros((len(p), BINS))
    gaps[np.arange(len(p)), _bins(p)] = truth - p
    return np.asarray(np.abs(weights @ gaps).sum(axis=1) / np.maximum(weights.sum(axis=1), 1))


def _drawn(weights: Array, counts: Array) -> Array:
    """(B, T, 3) sums of (n, T, 3) counts under (B, n) weights."""
    each = counts.shape[1:]
    return (weights @ counts.reshape(len(counts), int(np.prod(each)))).reshape(len(weights), *each)


def _score(drawn: Array) -> Score:
    """Of a statistic of the data, followed by that of each resample; nan where a resample does not tell it."""
    low, high = np.nanpercentile(drawn[1:], [2.5, 97.5])
    return Score(float(drawn[0]), float(low), float(high))


def _error_score(drawn: Array) -> Score:
    """Of a calibration error, which a resample overstates as the data do: the percentiles mirrored at the value.

    Never below 0, and wide enough to hold the value.
    """
    found = _score(drawn)
    low, high = (2 * found.value - end for end in (found.high, found.low))
    return Score(found.value, max(0.0, min(low, found.value)), max(high, found.value))


def _mean(values: Array, weights: Array) -> Score:
    return _score(weights @ values / np.maximum(weights.sum(axis=1), 1))


def _theme(drawn: Array, chances: _Chances | None, t: int) -> ThemeScore:
    tp, fp, fn = drawn.T
    return ThemeScore(
        support=int(tp[0] + fn[0]),
        precision=_score(tp / np.maximum(tp + fp, 1)),
        recall=_score(tp / np.maximum(tp + fn, 1)),
        f1=_score(f1(drawn)),
        average_precision=_score(chances.precision[:, t]) if chances else None,
        ece=_error_score(chances.error[:, t]) if chances else None,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """The row of each gold label, the position of its gold value, and of the most probable one for its theme."""

    rows: np.ndarray
    truth: np.ndarray
    guess: np.ndarray


def _given(gold: Sequence[Paragraph], probabilities: Probabilities | None, part: str) -> _Given | None:
    values: Array | None = getattr(probabilities, part, None)
    if probabilities is None or values is None:
        return None
    rows, themes, truth = label_indices(gold, probabilities.themes, getattr(probabilities, f"{part}s"), part)
    told = ~np.isnan(values[rows, themes, 0])
    rows, themes, truth = rows[told], themes[told], truth[told]
    return _Given(rows, truth, values[rows, themes].argmax(axis=1)) if len(rows) else None


def _macro(given: _Given | None, weights: Array) -> Score | None:
    """Macro-F1 over the values that the gold labels have."""
    if given is None:
        return None
    values = np.unique(given.truth)[:, None]
    wanted, got = given.truth == values, given.guess == values  # (values, labels)
    counts = np.stack([wanted & got, ~wanted & got, wanted & ~got], axis=2).astype(float).transpose(1, 0, 2)
    return _score(macro_f1(_drawn(weights[:, given.rows], counts)))


def _accuracy(given: _Given | None, weights: Array) -> Score | None:
    return None if given is None else _mean((given.truth == given.guess).astype(float), weights[:, given.rows])


def _theme_confusions(gold: Sequence[Paragraph], decided: Sequence[Paragraph]) -> list[tuple[str, str, int]]:
    counts: Counter[tuple[str, str]] = Counter()
    for wanted, got in zip(gold, decided, strict=True):
        themes = [{label.theme for label in side.labels or ()} for side in (wanted, got)]
        missed, extra = sorted(themes[0] - themes[1]), sorted(themes[1] - themes[0])
        counts.update((a, b) for a in missed or ["-"] for b in extra or ["-"] if a != b)
    return [(*pair, count) for pair, count in counts.most_common()]


def _given_confusions(given: _Given | None, names: Sequence[str]) -> list[tuple[str, str, int]]:
    if given is None:
        return []
    counts = Counter((names[a], names[b]) for a, b in zip(given.truth.tolist(), given.guess.tolist(), strict=True))
    return [(*pair, count) for pair, count in sorted(counts.items())]


def _occurring(*sides: Sequence[Paragraph]) -> list[str]:
    return sorted({label.theme for side in sides for paragraph in side for label in paragraph.labels or ()})
