"""Agreement: how far annotators of the same paragraphs give the same labels (Krippendorff's alpha)."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.metrics import Score, resamples
from capthemes.records import Array, Label

Labelling = Mapping[str, Sequence[Label]]  # paragraph id -> labels
Reading = Mapping[str, Sequence[str]]  # paragraph id -> the themes that it was read for, where these are not all


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which two annotators of a paragraph differ: `one` gave `given` where `other` gave `instead`.

    `part` is "theme", "stance" or "voice". Stance and voice are of a `theme` that both gave. For a theme, "-" is
    instead of it where the other gave nothing that the one did not; `theme` is then the one that was given.
    """

    paragraph: str
    one: str
    other: str
    part: str
    theme: str
    given: str
    instead: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Alpha with intervals: of each theme's presence, of all themes, of stance and voice where a theme is shared.

    `confusions` counts, for "theme", "stance" and "voice", the pairs of different answers. Themes that one gave and the
    other did not are paired with each of those that only the other gave; a theme without such a one, with "-".
    """

    paragraphs: int
    themes: dict[str, Score]
    theme: Score
    stance: Score
    voice: Score
    confusions: dict[str, Counter[tuple[str, str]]]


def agreement(
    annotators: Sequence[Labelling],
    codebook: Codebook,
    documents: Mapping[str, str],
    seed: int = 0,
    readings: Sequence[Reading] = (),
) -> Agreement:
    """Agreement of two or more annotators over the paragraphs that at least two of them labelled.

    `documents` gives each paragraph's document, the unit of the bootstrap; a paragraph that is missing from it
    is a document of its own. `readings` are the annotators', in their order, none where all read for all themes; for
    a theme that an annotator has not read for, nothing was answered.

    Raises AnnotationError where no paragraph has two annotators.
    """
    read = Counter(id for annotator in annotators for id in annotator)
    ids = sorted(id for id, count in read.items() if count > 1)
    if not ids:
        raise AnnotationError(
            f"no paragraph has been labelled by two of {len(annotators)} annotators; bring both files"
        )
    numbers, readings = [str(number) for number in range(len(annotators))], readings or [{}] * len(annotators)
    units = [[{x.theme: x for x in a[id]} for a in annotators if id in a] for id in ids]
    asked = [[r.get(id, codebook.names) for a, r in zip(annotators, readings, strict=True) if id in a] for id in ids]
    place = np.unique([documents.get(id, id) for id in ids], return_inverse=True)[1]
    weights = resamples(int(place.max(initial=-1)) + 1, seed)[:, place]
    presence = np.stack(
        [coincidences(_presence(units, asked, name), 2) for name in codebook.names], axis=1
    )  # (n, T, 2, 2)
    parts = {}
    for part, values in (("stance", list(codebook.stances)), ("voice", list(codebook.voices))):
        counted = np.zeros((len(ids), len(values), len(values)))
        for row, unit in enumerate(units):
            for name in {name for a in unit for name in a}:
                given = [getattr(a[name], part) for a in unit if name in a and getattr(a[name], part) is not None]
                counted[row] += coincidences([[values.index(v) for v in given]], len(values))[0]
        parts[part] = _interval(counted, weights)
    return Agreement(
        paragraphs=len(ids),
        themes={name: _interval(presence[:, t], weights) for t, name in enumerate(codebook.names)},
        theme=_interval(presence.sum(axis=1), weights),
        stance=parts["stance"],
        voice=parts["voice"],
        confusions=_confusions(
            differences(dict(zip(numbers, annotators, strict=True)), dict(zip(numbers, readings, strict=True)))
        ),
    )


def differences(
    annotators: Mapping[str, Labelling], readings: Mapping[str, Reading] | None = None
) -> Iterator[Difference]:
    """Who differs from whom on what, paragraph by paragraph, of annotators by name, on the themes that both read for.

    `readings` are the annotators'; who is not in it has read for all themes.
    """
    for one, other in combinations(annotators, 2):
        for id in sorted(annotators[one].keys() & annotators[other].keys()):
            read = [own[id] for name in (one, other) if id in (own := (readings or {}).get(name, {}))]
            first, second = (
                {x.theme: x for x in annotators[name][id] if all(x.theme in themes for themes in read)}
                for name in (one, other)
            )
            only, instead = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
            for a in only or ["-"]:
                for b in instead or ["-"]:
                    if a != b:
                        yield Difference(id, one, other, "theme", b if a == "-" else a, a, b)
            for theme in sorted(first.keys() & second.keys()):
                for part in ("stance", "voice"):
                    a, b = getattr(first[theme], part), getattr(second[theme], part)
                    if a != b and a is not None and b is not None:
                        yield Difference(id, one, other, part, theme, a, b)


def coincidences(units: Sequence[Sequence[int]], values: int) -> Array:
    """(n, values, values): each unit's pairs of answers over (answers - 1); a unit with one answer counts nothing."""
    found = np.zeros((len(units), values, values))
    for row, unit in enumerate(units):
        if len(unit) > 1:
            counts = np.bincount(unit, minlength=values).astype(float)
            found[row] = (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    return found


def alpha(pairs: Array) -> Array:
    """Krippendorff's nominal alpha of (..., V, V) sums of coincidences; 1 where only one value was ever given."""
    marginal = pairs.sum(axis=-1)
    total = marginal.sum(axis=-1)
    observed = total - np.trace(pairs, axis1=-2, axis2=-1)
    expected = (total**2 - (marginal**2).sum(axis=-1)) / np.maximum(total - 1, 1)
    return np.asarray(1 - np.divide(observed, expected, out=np.zeros_like(observed), where=expected > 0))


def _presence(
    units: Sequence[Sequence[Mapping[str, Label]]], asked: Sequence[Sequence[Sequence[str]]], theme: str
) -> list[list[int]]:
    """For each paragraph, whether those of its annotators who read it for the theme gave it: 1 or 0."""
    return [
        [int(theme in given) for given, themes in zip(unit, read, strict=True) if theme in themes]
        for unit, read in zip(units, asked, strict=True)
    ]


def _interval(units: Array, weights: Array) -> Score:
    """Alpha of all units, nan where nothing was answered twice, and its percentiles under resampling weights."""
    if not units.any():
        return Score(math.nan, math.nan, math.nan)
    drawn = np.tensordot(weights, units, axes=1)
    low, high = np.percentile(alpha(drawn), [2.5, 97.5])
    return Score(float(alpha(units.sum(axis=0))), float(low), float(high))


def _confusions(found: Iterator[Difference]) -> dict[str, Counter[tuple[str, str]]]:
    """The pairs of different answers by part, in whichever order they were given; "-" stands last."""
    counts: dict[str, Counter[tuple[str, str]]] = {"theme": Counter(), "stance": Counter(), "voice": Counter()}
    for x in found:
        first, last = sorted((x.given, x.instead), key=lambda answer: (answer == "-", answer))
        counts[x.part][first, last] += 1
    return counts
