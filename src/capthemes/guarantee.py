"""Sure or not: label sets that miss, or err, no more often than stated, fitted on held-out labelled paragraphs.

Recall by conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2024), precision by learn-then-test
(Angelopoulos, Bates, Candes, Jordan and Lei 2021). Both hold for text that is like the held-out paragraphs.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from capthemes.decision import Decision, decided_at
from capthemes.errors import GuaranteeWarning, InputError, ModelError
from capthemes.intervals import Cell, design_effect
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Decided, Paragraph, Predictions, Probabilities, theme_matrix, unit
from capthemes.store import atomic_path, packed
from capthemes.text import script, scripts
from capthemes.untrusted import Shape, parse, read_about, read_tensors

FORMAT = "1"
LANGUAGES = ("en", "zh")
CONFIDENCE = 0.9  # with which a precision holds, over draws of the held-out paragraphs
GRID = np.linspace(4, -4, 17)  # log-odds of raw probabilities that are tested, the strictest first
WITHOUT_END = 1 << 60  # size of a corpus of which nothing is known by being labelled
ROUNDING = 1e-9  # of sums of 1/size
Kind = Literal["recall", "precision"]
Holds = Literal["in the language", "over all languages", "not"]
OWN, POOLED, NOT = get_args(Holds)


@dataclass(frozen=True, slots=True)
class Bound:
    """From which calibrated probability up a theme belongs in the set, for one language, and where that holds.

    `documents` are the held-out documents of the language with the theme. Where nothing can be guaranteed, a recall
    keeps the decision's threshold and a precision never gives the theme (threshold infinite).
    """

    kind: Kind
    theme: str
    language: str
    threshold: float
    documents: int
    holds: Holds


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a set of labels is sure of.

    recall: of the paragraphs with a theme, at least this share is found, averaged over documents. precision: of the
    labels given, at least this share is right, with CONFIDENCE. how: "held out" or "cross-validated" paragraphs; the
    latter come from sister models, so that the guarantee is nearly exact only.
    """

    recall: float | None
    precision: float | None
    how: str
    bounds: tuple[Bound, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where it does not hold, in words; empty where it holds for every theme in every language."""
        found = []
        for kind, fallback in (("recall", "keep their ordinary threshold"), ("precision", "are never given")):
            for holds, words in (
                (POOLED, "holds over English and Chinese together, not within {language}, for {themes}"),
                (NOT, "is not guaranteed in {language} for {themes}: too few held-out documents; they {fallback}"),
            ):
                for language in LANGUAGES:
                    themes = [b.theme for b in self.bounds if (b.kind, b.holds, b.language) == (kind, holds, language)]
                    if themes:
                        filled = words.format(language=language, themes=", ".join(themes), fallback=fallback)
                        found.append(f"{kind} of {getattr(self, kind)} {filled}")
        return tuple(found)

    def table(self, kind: Kind, themes: Sequence[str]) -> Array:
        """(languages, T), the thresholds of one kind."""
        at = {(b.language, b.theme): b.threshold for b in self.bounds if b.kind == kind}
        return np.array([[at[language, theme] for theme in themes] for language in LANGUAGES])


class SurePredictions(Predictions):
    """Predictions whose label sets are guaranteed; `guarantee` says of what.

    With both a recall and a precision, `open` has for each text the themes on which the model abstains: neither
    given, at the precision, nor ruled out, at the recall. Else it has none.
    """

    def __init__(
        self, said: Probabilities, decision: Decision, guarantee: Guarantee, languages: npt.NDArray[np.intp]
    ) -> None:
        kinds: list[Kind] = [kind for kind in ("precision", "recall") if getattr(guarantee, kind) is not None]
        given, *loose = (guarantee.table(kind, said.themes)[languages] for kind in kinds)
        super().__init__(said, _Fixed(decision, given))
        self.guarantee = guarantee
        theme = self.decided.theme
        left = (theme >= loose[0]) & (theme < given) if loose else np.zeros_like(given) > 0
        self.open = tuple(tuple(said.themes[t] for t in np.flatnonzero(row)) for row in left)


@dataclass(frozen=True, slots=True, eq=False)
class _Fixed:
    """A decision whose thresholds are given, row by row."""

    decision: Decision
    thresholds: Array

    def calibrate(self, said: Probabilities) -> Probabilities:
        return self.decision.calibrate(said)

    def decide(self, said: Probabilities) -> Decided:
        return decided_at(said, self.decision.calibrated_theme(said), self.thresholds)

    def with_thresholds(self, thresholds: float | Mapping[str, float]) -> Decision:
        return self.decision.with_thresholds(thresholds)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Labelled paragraphs that the family did not see, as numbers: what guarantees and error rates are fitted on.

    probability: (n, T), raw; truth: (n, T); document: (n,), what is kept together; language: (n,), of LANGUAGES.
    """

    themes: tuple[str, ...]
    probability: Array
    truth: npt.NDArray[np.bool_]
    document: npt.NDArray[np.intp]
    language: npt.NDArray[np.intp]
    how: str = "held out"

    @classmethod
    def of(
        cls, unseen: Probabilities, gold: Sequence[Paragraph], how: str = "held out", column: str | None = None
    ) -> "HeldOut":
        """Of raw probabilities and gold labels; `column` of their meta says what is kept together, else see `unit`."""
        documents = np.unique([unit(p, column) for p in gold], return_inverse=True)[1]
        truth = theme_matrix(gold, unseen.themes)
        return cls(unseen.themes, unseen.theme, truth, documents, languages([p.text for p in gold]), how)

    def guarantee(self, decision: Decision, recall: float | None, precision: float | None) -> Guarantee:
        """The thresholds that keep a recall, a precision, or both, by theme and language, on the calibrated scale.

        Raises InputError for a rate that is not between 0 and 1.
        """
        bounds: list[Bound] = []
        asked: list[tuple[Kind, float | None]] = [("recall", recall), ("precision", precision)]
        for kind, rate in asked:
            if rate is None:
                continue
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
                raise InputError(f"{kind} {rate!r} cannot be guaranteed; ask for one between 0 and 1, as 0.9")
            for t in range(len(self.themes)):
                bounds += self._bounds(kind, t, rate, decision)
        return Guarantee(recall, precision, self.how, tuple(bounds))

    def rates(self, decision: Decision) -> dict[str, tuple[float, float]]:
        """Theme -> (sensitivity, specificity) of the labels that the decision gives; themes never seen have nan."""
        given = self._calibrated(decision, self.probability) >= [
            decision.themes[name].threshold for name in self.themes
        ]
        found = {}
        for t, name in enumerate(self.themes):
            has = self.truth[:, t]
            found[name] = tuple(float(np.mean(x)) if len(x) else np.nan for x in (given[has, t], ~given[~has, t]))
        return {name: (sensitivity, specificity) for name, (sensitivity, specificity) in found.items()}

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "probability": self.probability,
            "truth": self.truth.astype(np.uint8),
            "document": self.document.astype(np.int32),
            "language": self.language.astype(np.uint8),
        }
        about = {"format": FORMAT, "themes": json.dumps(self.themes), "how": self.how}
        with atomic_path(path) as temporary:
            temporary.write_bytes(packed(arrays, {"about": json.dumps(about)}))

    @classmethod
    def load(cls, path: Path) -> "HeldOut":
        """Read what `save` wrote. Raises ModelError."""
        most = ENDINGS[path.suffix]
        about = read_about(path, FORMAT, most)
        try:
            themes, how = parse(str(about.get("themes")).encode()), about.get("how")
        except ValueError as error:
            raise ModelError(f"{path}: cannot be read ({error}); fetch the model anew") from error
        if not isinstance(themes, list) or not all(isinstance(name, str) for name in [*themes, how]):
            raise ModelError(f"{path}: it does not say what its themes are; fetch the model anew")
        shapes: dict[str, tuple[Shape, str]] = {
            "probability": ((None, len(themes)), "float64"),
            "truth": ((None, len(themes)), "uint8"),
            "document": ((None,), "int32"),
            "language": ((None,), "uint8"),
        }
        tensors = read_tensors(path, shapes, most)
        probability, truth, document, language = (tensors[name] for name in shapes)
        if not len(probability) == len(truth) == len(document) == len(language) or (language >= len(LANGUAGES)).any():
            raise ModelError(f"{path}: its parts do not fit together; fetch the model anew")
        return cls(tuple(themes), probability, truth > 0, document.astype(np.intp), language.astype(np.intp), str(how))

    def _bounds(self, kind: Kind, t: int, rate: float, decision: Decision) -> list[Bound]:
        """A theme's bound for each language: its own, else that of all languages, else none."""
        pooled, found = self._raw_bound(kind, t, rate, np.ones(len(self.truth), dtype=np.bool_)), []
        for number, language in enumerate(LANGUAGES):
            rows = self.language == number
            raw, holds = self._raw_bound(kind, t, rate, rows), OWN
            if raw is None:
                raw, holds = pooled, POOLED if pooled is not None else NOT
            if raw is not None:
                threshold = float(self._calibrated(decision, np.full((1, len(self.themes)), raw))[0, t])
            else:
                threshold = decision.themes[self.themes[t]].threshold if kind == "recall" else np.inf
            documents = len(np.unique(self.document[rows & self.truth[:, t]]))
            found.append(Bound(kind, self.themes[t], language, threshold, documents, holds))
        return found

    def _raw_bound(self, kind: Kind, t: int, rate: float, rows: npt.NDArray[np.bool_]) -> float | None:
        p, truth, documents = self.probability[rows, t], self.truth[rows, t], self.document[rows]
        if kind == "recall":
            return recall_bound(p[truth], documents[truth], 1 - rate)
        return precision_bound(p, truth, documents, rate, 1 - CONFIDENCE)

    def _calibrated(self, decision: Decision, raw: Array) -> Array:
        return decision.calibrate(Probabilities(self.themes, (), (), raw)).theme


def sure(
    held_out: HeldOut,
    decision: Decision,
    texts: Any,
    said: Probabilities,
    recall: float | None,
    precision: float | None,
) -> SurePredictions:
    """Guaranteed label sets of n texts, of which the family said so. Warns where a guarantee does not hold."""
    guarantee = held_out.guarantee(decision, recall, precision)
    for line in guarantee.warnings:
        warnings.warn(line, GuaranteeWarning, stacklevel=3)
    return SurePredictions(said, decision, guarantee, languages(texts))


def languages(texts: Any) -> npt.NDArray[np.intp]:
    """The place in LANGUAGES of the script of each text, a sequence of strings or an Arrow array of them."""
    found = scripts(texts).to_pylist() if hasattr(texts, "buffers") else [script(text) for text in texts]
    return np.array([LANGUAGES.index(language) for language in found], dtype=np.intp)


def recall_bound(positives: Array, documents: npt.NDArray[np.intp], alpha: float) -> float | None:
    """The highest threshold that misses at most `alpha` of a theme in a new document, on average; None without one.

    `positives` are the probabilities of the paragraphs with the theme. A document's loss is the share of its own that
    fall below the threshold; the mean over documents, with one more that loses all, must not exceed `alpha`.
    """
    place = np.unique(documents, return_inverse=True)[1]
    sizes = np.bincount(place)
    allowed = alpha * (len(sizes) + 1) - 1
    if allowed < 0:
        return None
    order = np.argsort(positives)
    lost = np.concatenate([[0.0], np.cumsum(1 / sizes[place[order]])])
    ranked = positives[order]
    below = lost[np.searchsorted(ranked, ranked, side="left")]
    return float(ranked[below <= allowed + ROUNDING][-1])


def precision_bound(
    p: Array, truth: npt.NDArray[np.bool_], documents: npt.NDArray[np.intp], precision: float, delta: float
) -> float | None:
    """The lowest threshold of GRID whose precision is proven, all at once wrong at most with `delta`; None without one.

    Thresholds are tested from the strictest down by the fallback procedure (Wiens and Dmitrienko 2005): each has its
    part of `delta` and inherits what the one before it, if proven, had. A test is binomial, at the effective number of
    paragraphs where documents hold several.
    """
    found, level = None, 0.0
    for threshold in 1 / (1 + np.exp(-GRID)):
        chosen = p >= threshold
        level += delta / len(GRID)
        right, own = truth[chosen].astype(np.float64), documents[chosen]
        if _unlikely(right, 1.0, precision) <= level:  # before documents are counted, which takes longer
            effect = design_effect(Cell(WITHOUT_END, right, right, 0.0, own))[0]
            if _unlikely(right, effect, precision) <= level:
                found = float(threshold)
                continue
        level = 0.0
    return found


def _unlikely(right: Array, effect: float, precision: float) -> float:
    """How likely so many right ones are, or more, if no more than `precision` are right; at an effective number."""
    from scipy.special import betainc

    hits = float(right.sum())
    return float(betainc(hits / effect, (len(right) - hits) / effect + 1, precision)) if hits else 1.0
