"""Evidence: which characters of a paragraph speak for each of its labels, and by how much.

Weights are calibrated log-odds of the theme. A family that is a sum over n-grams is taken at its word: every
n-gram's part is shared out evenly over its characters, and a span weighs what its characters do. Any other family
is asked again with a piece left out: first each clause, then each word of the clauses that matter.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capthemes.decision import Decision, log_odds
from capthemes.families.base import Additive, Family
from capthemes.records import Array, Label, Predictions, Span
from capthemes.text import HAN

ENOUGH = 0.8  # of all that speaks for a label is carried by the spans that are shown
MOST = 5  # spans of a label
FAINT = 0.25  # of the heaviest span's weight is the least that is shown
SHORT = 12  # words, or twice as many ideographs: a clause that reads best whole
CLOSELY = 2  # clauses of a label whose words are left out one by one
_WORD = re.compile(rf"[{HAN}]|[^\W{HAN}]+(?:['’-][^\W{HAN}]+)*")
_IDEOGRAPH = re.compile(f"[{HAN}]")
_PAUSE = re.compile(rf"[。！？；：，、]+[”’」』）]*|[.!?;:,][\"'”’)\]]*(?=[\s{HAN}])|\s[—–-]\s|\n")

Bounds = npt.NDArray[np.intp]  # (n, 2), first and last (exclusive) characters


@dataclass(frozen=True, slots=True)
class Weights:
    """What the words of a text add to the log-odds of each theme.

    `words` (n, 2) cover the text without a gap, each with what stands between it and the next; `clauses` (n,) are
    the numbers of the clauses that they are in, `weights` (n, T). Where `exact`, the log-odds of the text are
    `base` (T,), those of the empty text, and the sum of all weights, up to where a decision cuts probabilities off.
    """

    words: Bounds
    clauses: npt.NDArray[np.intp]
    weights: Array
    base: Array
    exact: bool


def explain(family: Family, decision: Decision, text: str) -> tuple[Label, ...]:
    """The labels of a text, each with its evidence: spans in the order of the text, with positive weights."""
    labels = Predictions(family.predict_proba([text]), decision)[0]
    if not labels:
        return ()
    themes = list(decision.themes)
    found = weigh(family, decision, text, [themes.index(label.theme) for label in labels])
    return tuple(replace(x, evidence=_spans(text, found, themes.index(x.theme))) for x in labels)


def weigh(family: Family, decision: Decision, text: str, themes: Sequence[int]) -> Weights:
    """The weights of a text's words; where they are found by leaving out, closely for `themes` (positions) only."""
    words, clauses = _words(text)
    if isinstance(family, Additive):
        weights = _summed(family, decision, text, words)
    else:
        weights = _left_out(family, decision, text, words, clauses, themes)
    return Weights(words, clauses, weights, _odds(family, decision, [""])[0], isinstance(family, Additive))


def _summed(family: Additive, decision: Decision, text: str, words: Bounds) -> Array:
    """(n, T): what the n-grams' parts come to, word by word."""
    slopes = np.array([numbers.slope for numbers in decision.themes.values()])
    spans, parts = family.contributions(text)
    density = np.zeros((len(text) + 1, len(slopes)))
    each = parts / np.diff(spans, axis=1)
    np.add.at(density, spans[:, 0], each)
    np.add.at(density, spans[:, 1], -each)
    along = np.concatenate([np.zeros((1, len(slopes))), np.cumsum(np.cumsum(density, axis=0)[:-1], axis=0)])
    return np.asarray((along[words[:, 1]] - along[words[:, 0]]) * slopes, dtype=np.float64)


def _left_out(
    family: Family, decision: Decision, text: str, words: Bounds, clauses: npt.NDArray[np.intp], themes: Sequence[int]
) -> Array:
    """(n, T): how far the log-odds fall without each clause, shared out among its words.

    In a clause that is looked at closely they share by how far the log-odds fall without them and a neighbour (one
    word or ideograph alone seldom tells), else evenly.
    """
    whole = _odds(family, decision, [text])
    members = _members(clauses)
    falls = whole - _odds(family, decision, [_without(text, words[rows[0], 0], words[rows[-1], 1]) for rows in members])
    shares = np.zeros((len(words), whole.shape[1]))
    for rows in members:
        shares[rows] = 1 / len(rows)
    close = np.unique(np.argsort(-falls[:, list(themes)], axis=0)[:CLOSELY]).tolist()
    pairs = [(a, b) for clause in close for a, b in zip(members[clause][:-1], members[clause][1:], strict=True)]
    own = whole - _odds(family, decision, [_without(text, words[a, 0], words[b, 1]) for a, b in pairs])
    told = np.zeros_like(shares)
    for (a, b), fall in zip(pairs, np.maximum(own, 0), strict=True):
        told[a] += fall
        told[b] += fall
    for clause in close:
        rows = members[clause]
        total = told[rows].sum(axis=0)
        shares[rows] = np.divide(told[rows], total, out=shares[rows], where=total > 0)
    return np.asarray(shares * falls[clauses], dtype=np.float64)


def _members(clauses: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """The words of each clause."""
    return [np.flatnonzero(clauses == clause) for clause in range(int(clauses.max(initial=-1)) + 1)]


def _odds(family: Family, decision: Decision, texts: Sequence[str]) -> Array:
    return log_odds(decision.calibrate(family.predict_proba(texts)).theme)


def _without(text: str, start: int, stop: int) -> str:
    return text[:start] + text[stop:]


def _words(text: str) -> tuple[Bounds, npt.NDArray[np.intp]]:
    """Words and ideographs with what follows them, and the number of the clause that each is in."""
    starts = [found.start() for found in _WORD.finditer(text)]
    bounds = (
        np.array([[0, *starts[1:]], [*starts[1:], len(text)]], dtype=np.intp).T if starts else np.zeros((0, 2), int)
    )
    pauses = np.array([found.end() for found in _PAUSE.finditer(text)], dtype=np.intp)
    clauses = np.searchsorted(pauses, np.array(starts, dtype=np.intp), side="right")
    return bounds, np.unique(clauses, return_inverse=True)[1]


def _spans(text: str, found: Weights, theme: int) -> tuple[Span, ...]:
    """The stretches that speak most for a theme: the fewest that carry ENOUGH, none FAINT beside the first."""
    weights = found.weights[:, theme]
    stretches = sorted(_stretches(text, found, weights), key=lambda stretch: -stretch[2])
    total, carried, kept = sum(weight for _, _, weight in stretches), 0.0, []
    for first, stop, weight in stretches[:MOST]:
        if carried >= ENOUGH * total or weight < FAINT * stretches[0][2]:
            break
        carried += weight
        kept.append((first, stop, weight))
    return tuple(_trimmed(text, found.words, *stretch) for stretch in sorted(kept))


def _stretches(text: str, whole: Weights, weights: Array) -> Iterator[tuple[int, int, float]]:
    """Within each clause the stretches of words that weigh more than usual; a SHORT clause is taken whole."""
    usual = max(0.0, float(weights.mean())) if len(weights) else 0.0
    for rows in _members(whole.clauses):
        found = list(maximal((weights[rows] - usual).tolist(), int(rows[0])))
        first, stop = whole.words[rows[0], 0], whole.words[rows[-1], 1]
        if found and len(rows) - len(_IDEOGRAPH.findall(text[first:stop])) / 2 <= SHORT:
            found = [(int(rows[0]), int(rows[-1]) + 1)]
        for first, stop in found:
            if (weight := float(weights[first:stop].sum())) > 0:
                yield first, stop, weight


def _trimmed(text: str, words: Bounds, first: int, stop: int, weight: float) -> Span:
    """The span from the first word's first letter to the last word's last."""
    letters = list(_WORD.finditer(text, int(words[first, 0]), int(words[stop - 1, 1])))
    return Span(letters[0].start(), letters[-1].end(), weight)


def maximal(scores: Sequence[float], offset: int = 0) -> Iterator[tuple[int, int]]:
    """The maximal scoring stretches of a sequence, as positions from `offset` up, first and last (exclusive).

    No stretch can be made larger in sum by growing or shrinking (Ruzzo and Tompa, ISMB 1999).
    """
    found: list[tuple[int, int, float, float]] = []  # first, last, and the sums up to each
    total = 0.0
    for place, score in enumerate(scores):
        before, total = total, total + score
        if score <= 0:
            continue
        new = (place, place + 1, before, total)
        while True:
            j = next((j for j in range(len(found) - 1, -1, -1) if found[j][2] < new[2]), None)
            if j is None or found[j][3] >= new[3]:
                found.append(new)
                break
            new = (found[j][0], new[1], found[j][2], new[3])
            del found[j:]
    yield from ((offset + first, offset + stop) for first, stop, _, _ in found)
