"""Intervals for shares: Wilson's on hand labels alone where positives are few, prediction-powered where they are many.

The corpus is taken as it stands: what is unknown is what the paragraphs that nobody labelled would have been called.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capthemes.records import Array

LEVEL = 0.95
ENOUGH = 50  # positives, and negatives, from which on a normal interval covers what it should at small shares
FEW_DOCUMENTS = 10  # with hits in fewer, how alike a document's paragraphs are cannot be told
EDGE = 1e-12
SPARSE = 8  # up to so many positives Wilson's lower end is too high now and then


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A stratum of the corpus: `size` paragraphs, n of them labelled at random.

    truth: (n,), what the labels say; predicted: (n,), what the model says of the same; mean: of its predictions over
    all `size` paragraphs; documents: (n,), which document each is from, as a number.
    """

    size: int
    truth: Array
    predicted: Array
    mean: float
    documents: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its 95% interval. `kind` is "ppi" where predictions power it, "wilson" where labels alone speak.

    rarer: the effective number of positives, or of negatives where they are fewer, that was held against ENOUGH.
    """

    share: float
    low: float
    high: float
    kind: str
    rarer: float = 0.0


def wilson(hits: float, n: float, freedom: float) -> tuple[float, float]:
    """Wilson's interval for `hits` in `n`, with a t quantile of `freedom`; either may be an effective number.

    With few hits the lower end is that of a Poisson count where it is lower: Brown, Cai and DasGupta, "Interval
    estimation for a binomial proportion" (2001). Likewise with few misses the upper end.
    """
    from scipy.special import gammaincinv, stdtrit

    if n <= 0 or freedom <= 0:
        return 0.0, 1.0
    z2, p = float(stdtrit(freedom, (1 + LEVEL) / 2)) ** 2, hits / n
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low, high, misses = middle - half, middle + half, n - hits
    if hits <= SPARSE:
        low = min(low, float(gammaincinv(hits, 1 - LEVEL)) / n) if hits > 0 else 0.0
    if misses <= SPARSE:
        high = max(high, 1 - float(gammaincinv(misses, 1 - LEVEL)) / n) if misses > 0 else 1.0
    return max(float(low), 0.0), min(float(high), 1.0)


def share(cells: Sequence[Cell], powered: bool) -> Interval:
    """The share of positives over all cells; cells of a single stratum are a simple random sample.

    In each cell: Wilson's interval, or, if `powered`, PPI++ (Angelopoulos, Duchi and Zrnic 2023) where there are ENOUGH
    positives and negatives. Cells are put together by MOVER (Zou and Donner 2008), which keeps intervals that lean to
    one side; where documents reach over several cells, wider by what they add. In a cell without labels anything is
    possible.
    """
    total = sum(cell.size for cell in cells)
    value, below, above, open_below, open_above, rarer, kind = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "wilson"
    for cell in cells:
        weight = cell.size / total
        if not len(cell.truth):
            part = Interval(cell.mean, 0.0, 1.0, "wilson")
            open_below, open_above = open_below + weight * part.share, open_above + weight * (1 - part.share)
        else:
            own = _rarer(cell) if powered else 0.0
            part, rarer = _powered(cell) if own >= ENOUGH else _labelled(cell), max(rarer, own)
            below += (weight * (part.share - part.low)) ** 2
            above += (weight * (part.high - part.share)) ** 2
        value += weight * part.share
        kind = "ppi" if part.kind == "ppi" else kind
    joint = _joint_effect(cells)
    low, high = value - np.sqrt(joint * below) - open_below, value + np.sqrt(joint * above) + open_above
    return Interval(_bounded(value), _bounded(low), _bounded(high), kind, rarer)


def within(parts: Sequence[Cell], wholes: Sequence[Cell], powered: bool) -> Interval | None:
    """The share of `parts` within `wholes` (a stance within a theme), cell by cell the same paragraphs.

    Linearised, and PPI++ if `powered`, where there are effectively ENOUGH of either kind. Else Wilson's on the labelled
    paragraphs of the whole where they are a simple random sample; else from the ends of the intervals of the part and
    of the rest, which is wide. None where no labelled paragraph is of the whole.
    """
    rests = [_less(whole, part) for whole, part in zip(wholes, parts, strict=True)]
    rarer = min(_effective(parts), _effective(rests))
    if rarer >= ENOUGH and all(len(cell.truth) for cell in wholes):
        return _ratio(parts, wholes, powered)
    if not any(cell.truth.any() for cell in wholes):
        return None
    if len(wholes) == 1:
        part, rows = parts[0], wholes[0].truth > 0
        size = max(round(part.size * rows.mean()), int(rows.sum()))
        alone = _labelled(Cell(size, part.truth[rows], part.predicted[rows], 0.0, part.documents[rows]))
        return replace(alone, rarer=rarer)
    one, other = share(parts, powered=False), share(rests, powered=False)
    low, high = one.low / max(one.low + other.high, EDGE), one.high / max(one.high + other.low, EDGE)
    return Interval(one.share / (one.share + other.share), low, high, "wilson", rarer)


def difference(one: Interval, other: Interval, correlation: float = 0.0) -> Interval:
    """The first share less the second, of two values that exclude each other: MOVER with their correlation.

    It is that of a multinomial, or `correlation` where that is lower: of what predictions leave it can be.
    """
    odds = one.share * other.share / max((1 - one.share) * (1 - other.share), EDGE)
    overlap = 2 * max(min(float(np.sqrt(odds)), 1.0), -correlation)
    value = one.share - other.share

    def reach(a: float, b: float) -> float:
        return float(np.sqrt(a * a + b * b + overlap * a * b))

    low = value - reach(one.share - one.low, other.high - other.share)
    high = value + reach(one.high - one.share, other.share - other.low)
    return Interval(value, max(low, -1.0), min(high, 1.0), "ppi" if "ppi" in (one.kind, other.kind) else "wilson")


def correlation(parts: Sequence[Cell], others: Sequence[Cell], wholes: Sequence[Cell], powered: bool) -> float:
    """Of the errors of the shares of `parts` and of `others` within `wholes`, linearised; 0 where it cannot be told."""
    if not all(len(cell.truth) for cell in wholes) or not any(cell.truth.any() for cell in wholes):
        return 0.0
    one, other = (_linearised(cells, wholes, powered)[2] for cells in (parts, others))
    apart = [_summed_variance(values, wholes) for values in (one, other)]
    both = _summed_variance([a + b for a, b in zip(one, other, strict=True)], wholes)
    return float((both - sum(apart)) / (2 * np.sqrt(apart[0] * apart[1]))) if min(apart) > 0 else 0.0


def rogan_gladen(counted: float, sensitivity: float, specificity: float) -> float | None:
    """The share that error rates make of a counted one (Rogan and Gladen 1978); None where they tell nothing."""
    informed = sensitivity + specificity - 1
    return _bounded((counted + specificity - 1) / informed) if informed > 0.05 else None


def design_effect(cell: Cell) -> tuple[float, int]:
    """How many labels of this sample are worth one of a sample without documents, at least 1; degrees of freedom."""
    n, sizes = len(cell.truth), _by_document(cell, np.ones(len(cell.truth)))
    if n in (len(sizes), cell.size):
        return 1.0, n - 1
    hits = _by_document(cell, cell.truth)
    telling = int(min((hits > 0).sum(), (hits < sizes).sum()))
    if telling < FEW_DOCUMENTS:
        return float((sizes**2).sum() / n), len(sizes) - 1  # as if a document's paragraphs were all alike
    p = cell.truth.mean()
    apart = p * (1 - p) / n * (1 - n / cell.size)
    return max(_variance(cell.truth, cell) * _small(telling) / apart, 1.0), telling - 1


def _labelled(cell: Cell) -> Interval:
    """Wilson's interval of the labelled paragraphs alone, at their effective number."""
    n, hits = len(cell.truth), float(cell.truth.sum())
    if n == cell.size:
        return Interval(hits / n, hits / n, hits / n, "wilson")
    effect, freedom = design_effect(cell)
    shrink = 1 / (effect * (1 - n / cell.size))
    low, high = wilson(hits * shrink, n * shrink, freedom)
    return Interval(hits / n, min(low, hits / n), max(high, hits / n), "wilson")


def _powered(cell: Cell) -> Interval:
    """PPI++'s interval with a t quantile over documents."""
    lam = _tuned(cell.truth, cell.predicted)
    rest = cell.truth - lam * cell.predicted
    value = lam * cell.mean + float(rest.mean())
    half = _quantile(cell) * float(np.sqrt(_variance(rest, cell)))
    return Interval(value, value - half, value + half, "ppi")


def _ratio(parts: Sequence[Cell], wholes: Sequence[Cell], powered: bool) -> Interval:
    value, whole, rest = _linearised(parts, wholes, powered)
    half = max(_quantile(cell) for cell in wholes) * float(np.sqrt(_summed_variance(rest, wholes))) / whole
    return Interval(_bounded(value), _bounded(value - half), _bounded(value + half), "ppi" if powered else "wilson")


def _linearised(parts: Sequence[Cell], wholes: Sequence[Cell], powered: bool) -> tuple[float, float, list[Array]]:
    """The share of the parts within the wholes, that of the wholes, and what each label adds to the first's error."""
    pairs = list(zip(_weights(wholes), parts, wholes, strict=True))

    def means(lam: float) -> tuple[float, float]:
        part, whole = (
            sum(
                w * (c.truth.mean() + lam * (c.mean - c.predicted.mean()))
                for w, c in zip(_weights(cells), cells, strict=True)
            )
            for cells in (parts, wholes)
        )
        return float(part), float(whole)

    plain = means(0.0)[0] / means(0.0)[1]
    spread = [w / np.sqrt(len(p.truth)) for w, p, _ in pairs]
    truth = np.concatenate(
        [s * _centred(p.truth - plain * q.truth) for s, (_, p, q) in zip(spread, pairs, strict=True)]
    )
    predicted = np.concatenate(
        [s * _centred(p.predicted - plain * q.predicted) for s, (_, p, q) in zip(spread, pairs, strict=True)]
    )
    lam = _tuned(truth, predicted) if powered else 0.0
    part, whole = means(lam)
    value = part / whole
    return value, whole, [p.truth - value * q.truth - lam * (p.predicted - value * q.predicted) for _, p, q in pairs]


def _weights(cells: Sequence[Cell]) -> Array:
    """The cells' shares of the corpus."""
    sizes = np.array([cell.size for cell in cells], dtype=np.float64)
    return np.asarray(sizes / sizes.sum())


def _summed_variance(values: Sequence[Array], cells: Sequence[Cell]) -> float:
    """Of the mean over all cells of labelled values."""
    parts = zip(_weights(cells), values, cells, strict=True)
    return sum(float(weight) ** 2 * _variance(own, cell) for weight, own, cell in parts)


def _tuned(truth: Array, predicted: Array) -> float:
    """PPI++'s weight of the predictions: least variance, from 0 to 1."""
    varies = float(predicted.var())
    return _bounded(float(np.mean(_centred(truth) * _centred(predicted))) / varies) if varies > 0 else 0.0


def _variance(values: Array, cell: Cell) -> float:
    """Of the mean of labelled values: documents are drawn together, and what is labelled is known."""
    sums = _by_document(cell, _centred(values))
    return float(np.sum(sums**2)) / len(values) ** 2 * _small(len(sums)) * (1 - len(values) / cell.size)


def _joint_effect(cells: Sequence[Cell]) -> float:
    """How much the variance over all cells grows because a document is in several of them; at least 1."""
    filled = [cell for cell in cells if len(cell.truth)]
    if len(filled) < 2:
        return 1.0
    rest = [cell.size / len(cell.truth) * _centred(cell.truth) for cell in filled]
    apart = sum(float(np.sum(_by_document(c, r) ** 2)) for c, r in zip(filled, rest, strict=True))
    together = np.unique(np.concatenate([cell.documents for cell in filled]), return_inverse=True)[1]
    joint = float(np.sum(np.bincount(together, weights=np.concatenate(rest)) ** 2))
    return max(joint / apart, 1.0) if apart > 0 else 1.0


def _by_document(cell: Cell, values: Array) -> Array:
    """Sums over the documents of a cell."""
    return np.asarray(np.bincount(np.unique(cell.documents, return_inverse=True)[1], weights=values), dtype=np.float64)


def _small(count: int) -> float:
    return count / max(count - 1, 1)


def _rarer(cell: Cell) -> float:
    """The effective number of positives, or of negatives where they are fewer."""
    hits = float(min(cell.truth.sum(), len(cell.truth) - cell.truth.sum()))
    return hits / design_effect(cell)[0] if hits else 0.0


def _effective(cells: Sequence[Cell]) -> float:
    """The number of positives, less for unequal weights (Kish) and for documents."""
    weights = [cell.size / max(len(cell.truth), 1) for cell in cells]
    hits = [float(cell.truth.sum()) for cell in cells]
    squares = sum(w * w * h * design_effect(cell)[0] for w, h, cell in zip(weights, hits, cells, strict=True) if h)
    return sum(w * h for w, h in zip(weights, hits, strict=True)) ** 2 / squares if squares else 0.0


def _less(whole: Cell, part: Cell) -> Cell:
    rest = whole.truth - part.truth
    return Cell(whole.size, rest, whole.predicted - part.predicted, whole.mean - part.mean, whole.documents)


def _quantile(cell: Cell) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(len(np.unique(cell.documents)) - 1, 1), (1 + LEVEL) / 2))


def _centred(values: Array) -> Array:
    return np.asarray(values - values.mean())


def _bounded(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))
