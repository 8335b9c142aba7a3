"""Comparison: is one answer better than another? Paired bootstrap and permutation test over documents, after Holm.

The bootstrap gives the difference its interval (Efron and Tibshirani 1993, chapter 13); the permutation test, its
p-value: were the two alike, their answers to a document could be exchanged (Yeh 2000, "More accurate tests for the
statistical significance of result differences"). Holm (1979) corrects for the number of scores compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capthemes.metrics import resamples
from capthemes.outcomes import Outcomes, f1, macro_f1, outcomes
from capthemes.records import Array, Paragraph, as_read, read_matrix, unit

PERMUTATIONS = 10_000
CHUNK = 1000  # permutations at a time, each a row as long as there are documents

Statistic = Callable[[Array], Array]  # (..., K) sums of counts to (...) scores


@dataclass(frozen=True, slots=True)
class Difference:
    """One score of two answers: `value` is b - a with its 95% interval, `p` that of the permutation test.

    `corrected` is p after Holm's correction for all the scores compared with it.
    """

    a: float
    b: float
    value: float
    low: float
    high: float
    p: float
    corrected: float


def differences(
    gold: Sequence[Paragraph],
    a: Sequence[Paragraph],
    b: Sequence[Paragraph],
    themes: Sequence[str],
    seed: int = 0,
) -> dict[str, Difference]:
    """Every score of the labels of `a` and `b` on the same paragraphs: overall, end to end, and F1 by theme.

    Scores by theme are of those that the gold labels have. A theme is scored on the paragraphs that were read for it;
    one that was read for none is left out.
    """
    kept = np.flatnonzero(read_matrix(gold, themes).any(axis=1)).tolist()
    gold, a, b = ([side[row] for row in kept] for side in (gold, a, b))
    gold, a, b = (as_read(gold, side, themes) for side in (gold, a, b))
    both = outcomes(gold, a, themes), outcomes(gold, b, themes)
    scores = statistics(*both, themes)
    documents = np.unique([unit(p) for p in gold], return_inverse=True)[1]
    sums = [np.stack([_by_document(of(found), documents) for found in both]) for of, _ in scores.values()]
    plain = [compared(both, statistic, seed) for both, (_, statistic) in zip(sums, scores.values(), strict=True)]
    corrected = holm([found.p for found in plain])
    return {name: replace(found, corrected=float(p)) for name, found, p in zip(scores, plain, corrected, strict=True)}


def compared(sums: Array, statistic: Statistic, seed: int = 0, permutations: int = PERMUTATIONS) -> Difference:
    """The difference of a `statistic` of two answers' sums, (2, documents, K); `corrected` is its p as it stands.

    The p-value counts the observed answers among the permuted ones, so that it is never nought.
    """
    a, b = sums
    count = len(a)
    scored_a, scored_b = (statistic(side.sum(axis=0)[None])[0] for side in (a, b))
    weights = resamples(count, seed)
    resampled = statistic(weights @ b) - statistic(weights @ a)
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    exchanged = _exchanged(b - a, permutations, seed)
    permuted = statistic(b.sum(axis=0) - exchanged) - statistic(a.sum(axis=0) + exchanged)
    observed = scored_b - scored_a
    as_large = np.abs(permuted) >= abs(observed) - 1e-12
    p = float((1 + as_large.sum()) / (1 + permutations))
    return Difference(float(scored_a), float(scored_b), float(observed), float(low), float(high), p, p)


def _exchanged(gaps: Array, permutations: int, seed: int) -> Array:
    """(permutations, K): sums of the (documents, K) rows that a fair coin picks."""
    rng = np.random.default_rng(seed)
    sizes = [min(CHUNK, permutations - start) for start in range(0, permutations, CHUNK)]
    return np.concatenate([rng.integers(0, 2, size=(size, len(gaps))) @ gaps for size in sizes])


def holm(p: Sequence[float]) -> Array:
    """p-values corrected for their number by Holm's step-down method."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def statistics(
    a: Outcomes, b: Outcomes, themes: Sequence[str]
) -> Mapping[str, tuple[Callable[[Outcomes], Array], Statistic]]:
    """Name -> what a score is made of, (n, K) of outcomes, and the score of (..., K) sums; those that both tell."""
    present = np.flatnonzero(a.themes[:, :, [0, 2]].sum(axis=(0, 2))).tolist()
    found: dict[str, tuple[Callable[[Outcomes], Array], Statistic]] = {
        "theme micro-F1": (lambda t: t.themes.sum(axis=1), f1),
        "exact set of themes": (lambda t: np.stack([t.exact, np.ones_like(t.exact)], axis=1), _share),
    }
    if len(present):
        found["theme macro-F1"] = (
            lambda t: t.themes[:, present].reshape(len(t.themes), -1),
            lambda sums: macro_f1(sums.reshape(*sums.shape[:-1], -1, 3)),
        )
    if a.stance is not None and b.stance is not None:
        found["theme and stance, F1"] = (lambda t: _told(t.stance), f1)
    if a.voice is not None and b.voice is not None:
        found["theme and voice, F1"] = (lambda t: _told(t.voice), f1)
    return {**found, **{f"F1 of {themes[i]}": (_of_theme(i), f1) for i in present}}


def _of_theme(position: int) -> Callable[[Outcomes], Array]:
    return lambda found: np.asarray(found.themes[:, position])


def _told(counts: Array | None) -> Array:
    return np.zeros((0, 3)) if counts is None else counts


def _share(sums: Array) -> Array:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))


def _by_document(counts: Array, documents: np.ndarray) -> Array:
    """(documents, K) sums of (n, K) counts."""
    sums = np.zeros((int(documents.max(initial=-1)) + 1, counts.shape[1]))
    np.add.at(sums, documents, counts)
    return sums
