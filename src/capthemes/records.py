"""The records that pass through the house: Span, Label, Paragraph, Probabilities, Predictions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas
    import pyarrow

Array = npt.NDArray[np.float64]
ANSWERS = ("labels", "probabilities", "model", "schema")  # the columns that labelling adds to a row
BY_HAND = ("read", "stratum", "weight", "drawn_by")  # those that a sample, or who labels it by hand, adds
DOCUMENTS = ("group", "doc", "document")  # where a paragraph's meta says what it is from
Indices = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of a paragraph's text that speak for a label, with their weight."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Label:
    """What a paragraph says about one theme. Gold and predicted labels are this one type.

    `stance` and `voice` are None where a family cannot say; `probability` is None on gold labels and
    the calibrated probability that the theme applies on predicted ones.
    """

    theme: str
    stance: str | None = None
    voice: str | None = None
    probability: float | None = None
    evidence: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text and what is known of it. `labels` None is unread, () is read and found empty."""

    id: str
    text: str
    labels: tuple[Label, ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def only(self, themes: Sequence[str]) -> "Paragraph":
        """The same with its labels of these themes alone."""
        return replace(self, labels=tuple(label for label in self.labels or () if label.theme in themes))


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """What a family says of n texts.

    theme: (n, T), the probability that each theme applies. stance: (n, T, S), given that the theme
    applies, summing to 1 over S; voice: (n, T, V) likewise. None where the family cannot say; nan for a theme of
    which it cannot.
    """

    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]
    theme: Array
    stance: Array | None = None
    voice: Array | None = None

    def __len__(self) -> int:
        return len(self.theme)

    def __getitem__(self, rows: slice | npt.NDArray[np.intp]) -> "Probabilities":
        """The same for some of the rows."""
        return self._with(
            self.theme[rows],
            None if self.stance is None else self.stance[rows],
            None if self.voice is None else self.voice[rows],
        )

    def _with(self, theme: Array, stance: Array | None, voice: Array | None) -> "Probabilities":
        return Probabilities(self.themes, self.stances, self.voices, theme, stance, voice)

    @staticmethod
    def concatenate(parts: Sequence["Probabilities"]) -> "Probabilities":
        """The rows of all parts, in order; at least one part."""
        first = parts[0]
        stances = [part.stance for part in parts if part.stance is not None]
        voices = [part.voice for part in parts if part.voice is not None]
        return first._with(
            np.concatenate([part.theme for part in parts]),
            np.concatenate(stances) if stances else None,
            np.concatenate(voices) if voices else None,
        )


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis."""
    powered = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powered / powered.sum(axis=-1, keepdims=True), dtype=np.float64)


def unit(paragraph: Paragraph, column: str | None = None) -> str:
    """What a paragraph is kept together with in folds, in the bootstrap and in guarantees: the value of `column`.

    Left out, it is the column that a sample of whole documents was drawn by ("drawn_by" names it), else "group", "doc"
    or "document"; without a value there a paragraph stands for itself.
    """
    own = column or paragraph.meta.get("drawn_by")
    values = (paragraph.meta.get(name) for name in ([own] if own else DOCUMENTS))
    return next((str(value) for value in values if value not in (None, "")), paragraph.id)


def theme_matrix(paragraphs: Sequence[Paragraph], themes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n, T), True where a paragraph has the theme."""
    position = {name: t for t, name in enumerate(themes)}
    matrix = np.zeros((len(paragraphs), len(themes)), dtype=np.bool_)
    for row, paragraph in enumerate(paragraphs):
        for label in paragraph.labels or ():
            matrix[row, position[label.theme]] = True
    return matrix


def read_matrix(paragraphs: Sequence[Paragraph], themes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n, T), True where a paragraph was read for the theme: those that `meta` names under "read", without it all.

    Where it is False, a theme that is not among the labels is unknown, not absent.
    """
    matrix = np.ones((len(paragraphs), len(themes)), dtype=np.bool_)
    for row, paragraph in enumerate(paragraphs):
        if (read := paragraph.meta.get("read")) is not None:
            matrix[row] = [theme in read for theme in themes]
    return matrix


def as_read(gold: Sequence[Paragraph], side: Sequence[Paragraph], themes: Sequence[str]) -> list[Paragraph]:
    """The paragraphs of `side`, each with its labels of the `themes` alone that the gold one was read for."""
    scored = [themes if (of := p.meta.get("read")) is None else [t for t in themes if t in of] for p in gold]
    return [p.only(of) for p, of in zip(side, scored, strict=True)]


def label_indices(paragraphs: Sequence[Paragraph], themes: Sequence[str], values: Sequence[str], part: str) -> Indices:
    """Rows, themes and values of all labels whose `part` ("stance" or "voice") is known, as three index arrays."""
    found = [
        (row, themes.index(label.theme), values.index(getattr(label, part)))
        for row, paragraph in enumerate(paragraphs)
        for label in paragraph.labels or ()
        if getattr(label, part) is not None
    ]
    rows, theme, value = np.array(found, dtype=np.intp).reshape(-1, 3).T
    return rows, theme, value


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """The labels of n texts as arrays, one entry a label, by row and within a row the most probable first.

    theme: (n, T), calibrated probabilities. rows, themes: (m,) positions; stances, voices: (m,) positions, -1 where
    the family cannot say of a theme, None where it cannot say at all.
    """

    theme: Array
    rows: npt.NDArray[np.intp]
    themes: npt.NDArray[np.intp]
    stances: npt.NDArray[np.intp] | None = None
    voices: npt.NDArray[np.intp] | None = None


class Decides(Protocol):
    """What Predictions ask of a decision: calibration, and labels at these thresholds or others."""

    def calibrate(self, said: Probabilities) -> Probabilities: ...

    def decide(self, said: Probabilities) -> Decided: ...

    def with_thresholds(self, thresholds: float | Mapping[str, float]) -> "Decides": ...


class Predictions(Sequence[tuple[Label, ...]]):
    """The answer to `predict`: for each text, in order, its labels, most probable first.

    `predictions[i]` is a tuple of labels; `decided` holds the same labels as arrays. Made of what a family said of
    the texts and of a decision.
    """

    def __init__(self, said: Probabilities, decision: Decides) -> None:
        self.decided = decision.decide(said)
        self._said = said
        self._decision = decision

    @cached_property
    def probabilities(self) -> Probabilities:
        """The calibrated probabilities behind the labels."""
        return self._decision.calibrate(self._said)

    @cached_property
    def _labels(self) -> tuple[tuple[Label, ...], ...]:
        found: list[list[Label]] = [[] for _ in range(len(self))]
        for row, label in zip(self.decided.rows.tolist(), map(Label, *self._columns()), strict=True):
            found[row].append(label)
        return tuple(map(tuple, found))

    def _columns(self) -> tuple[list[str], list[str | None], list[str | None], list[float]]:
        """The themes, stances, voices and probabilities of all labels."""
        p, d = self._said, self.decided

        def named(names: tuple[str, ...], places: npt.NDArray[np.intp] | None) -> list[str | None]:
            return (
                [None] * len(d.rows)
                if places is None
                else [None if place < 0 else names[place] for place in places.tolist()]
            )

        themes = [p.themes[place] for place in d.themes.tolist()]
        return themes, named(p.stances, d.stances), named(p.voices, d.voices), d.theme[d.rows, d.themes].tolist()

    def __len__(self) -> int:
        return len(self._said)

    @overload
    def __getitem__(self, index: int) -> tuple[Label, ...]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[Label, ...]]: ...

    def __getitem__(self, index: int | slice) -> tuple[Label, ...] | Sequence[tuple[Label, ...]]:
        return self._labels[index]

    def __iter__(self) -> Iterator[tuple[Label, ...]]:
        return iter(self._labels)

    def __repr__(self) -> str:
        return f"Predictions({len(self)} paragraphs, {len(np.unique(self.decided.rows))} with a theme)"

    def with_thresholds(self, thresholds: float | Mapping[str, float]) -> "Predictions":
        """The same probabilities decided at another threshold, for all themes or for those named.

        Raises InputError for a threshold outside 0 to 1 or a theme that is not the model's.
        """
        return Predictions(self._said, self._decision.with_thresholds(thresholds))

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each label: paragraph (position from 0), theme, stance, voice, probability."""
        import pandas

        names = ("theme", "stance", "voice", "probability")
        columns = dict(zip(names, self._columns(), strict=True))
        frame = pandas.DataFrame({"paragraph": self.decided.rows, **columns})
        return frame.astype({"paragraph": "int64", "probability": "float64"})

    def to_arrow(self) -> "pyarrow.Table":
        """One row for each paragraph.

        labels, a list of structs of theme, stance, voice, probability; probabilities, float32 of all T themes, in
        the order of the schema's metadata, which has "themes", "stances" and "voices" (JSON).
        """
        import pyarrow

        p, d = self._said, self.decided

        def named(names: tuple[str, ...], places: npt.NDArray[np.intp] | None) -> pyarrow.Array:
            if places is None:
                return pyarrow.nulls(len(d.rows), pyarrow.string())
            known = pyarrow.array(places.astype(np.int32), mask=places < 0)
            return pyarrow.DictionaryArray.from_arrays(known, list(names)).dictionary_decode()

        labels = pyarrow.StructArray.from_arrays(
            [
                named(p.themes, d.themes),
                named(p.stances, d.stances),
                named(p.voices, d.voices),
                pyarrow.array(d.theme[d.rows, d.themes]),
            ],
            fields=list(label_type().value_type),
        )
        starts = np.searchsorted(d.rows, np.arange(len(self) + 1)).astype(np.int32)
        everything = pyarrow.array(d.theme.astype(np.float32).ravel())
        columns = {
            "labels": pyarrow.ListArray.from_arrays(pyarrow.array(starts), labels),
            "probabilities": pyarrow.FixedSizeListArray.from_arrays(everything, len(p.themes)),
        }
        known = {name: json.dumps(getattr(p, name)) for name in ("themes", "stances", "voices")}
        return pyarrow.table(columns).replace_schema_metadata(known)


def label_type() -> "pyarrow.DataType":
    """The Arrow type of a paragraph's labels."""
    import pyarrow

    fields = [("theme", pyarrow.string()), ("stance", pyarrow.string()), ("voice", pyarrow.string())]
    return pyarrow.list_(pyarrow.struct([*fields, ("probability", pyarrow.float64())]))
