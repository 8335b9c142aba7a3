"""The rows of a run as a few flat arrays: enough for every share, some forty bytes a paragraph."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from capthemes.errors import InputError
from capthemes.runs import Run, document_names

if TYPE_CHECKING:
    import pyarrow

Codes = npt.NDArray[np.intp]
NONE = -1  # the code of a value that is not given
_TIME = re.compile(r"((?:1[5-9]|2[01])\d\d)(?:-(\d\d)(?:-\d\d.*)?|\.0)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the input: its distinct values, and for each paragraph the position of its own, or NONE.

    The values of a column of years or dates are years, or months where they lie within two years, in order; those
    of any other begin with the commonest.
    """

    name: str
    values: tuple[str, ...]
    codes: Codes
    time: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """n paragraphs and their m labels. `documents` (n,) are codes, `themes_of` and so on (m,) are positions.

    `stance_of` and `voice_of` are NONE where the model tells none; `lengths` (n,) are characters.
    """

    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]
    documents: Codes
    lengths: Codes
    languages: Counter[str]
    columns: tuple[Column, ...]
    row_of: Codes
    theme_of: Codes
    stance_of: Codes
    voice_of: Codes
    probability: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.documents)

    def having(self, theme: int) -> npt.NDArray[np.bool_]:
        """(n,), True for the paragraphs with the theme."""
        found = np.zeros(len(self), dtype=np.bool_)
        found[self.row_of[self.theme_of == theme]] = True
        return found


def gather(run: Run, by: Sequence[str] = (), document: str = "document") -> Rows:
    """Read a run once. Raises InputError for a column that it does not have, or where it has no rows."""
    import pyarrow.compute

    positions = [{name: place for place, name in enumerate(names)} for names in (run.themes, run.stances, run.voices)]
    collected: list[tuple[Any, ...]] = []
    languages: Counter[str] = Counter()
    values: list[dict[str | None, int]] = [{} for _ in by]
    codes: list[list[int]] = [[] for _ in by]
    size = 0
    for batch in run.batches(_columns(run, ["id", document, *by])):
        languages.update(batch.column("lang").to_pylist())
        for place, name in enumerate(by):
            codes[place] += (values[place].setdefault(v, len(values[place])) for v in _texts(batch.column(name)))
        lengths = pyarrow.compute.utf8_length(batch.column("text")).to_numpy(zero_copy_only=False)
        collected.append(
            (_hashes(document_names(batch, document)), lengths, *_flat(batch.column("labels"), positions, size))
        )
        size += batch.num_rows
    hashes, lengths, row_of, theme_of, stance_of, voice_of, probability = map(
        np.concatenate, zip(*collected, strict=True)
    )
    stances, voices = (tuple(found) for found in positions[1:])
    return Rows(
        run.themes,
        stances,
        voices,
        np.unique(hashes, return_inverse=True)[1],
        lengths.astype(np.intp),
        languages,
        tuple(_column(n, list(v), np.array(c)) for n, v, c in zip(by, values, codes, strict=True)),
        row_of,
        theme_of,
        stance_of,
        voice_of,
        probability,
    )


def _columns(run: Run, names: Sequence[str]) -> list[str]:
    """The columns to read: these, and those that every run has."""
    first = next((batch for batch in run.batches() if batch.num_rows), None)
    if first is None:
        raise InputError("the run has no paragraphs; label some first")
    for name in names:
        if name not in first.schema.names:
            have = ", ".join(n for n in first.schema.names if n not in ("labels", "probabilities", "text"))
            raise InputError(f"the run has no column {name!r}; it has: {have}")
    return list(dict.fromkeys(["text", "lang", "labels", *names]))


def _texts(column: "pyarrow.Array") -> Iterator[str | None]:
    return (None if value is None or value == "" else str(value) for value in column.to_pylist())


def _hashes(column: "pyarrow.Array") -> npt.NDArray[np.uint64]:
    from pandas.util import hash_array

    found: npt.NDArray[np.uint64] = hash_array(np.array([str(value) for value in column.to_pylist()], dtype=object))
    return found


def _flat(column: "pyarrow.Array", positions: Sequence[dict[str, int]], size: int) -> tuple[Any, ...]:
    """Of a batch of label lists: rows, themes, stances, voices and probabilities of the labels."""
    import pyarrow.compute

    labels = column.flatten()
    rows = pyarrow.compute.list_parent_indices(column).to_numpy() + size
    parts = []
    for names, part in zip(positions, ("theme", "stance", "voice"), strict=True):
        found = labels.field(part).to_pylist()
        parts.append(
            np.array([NONE if name is None else names.setdefault(name, len(names)) for name in found], dtype=int)
        )
    probabilities = np.array(labels.field("probability").to_pylist(), dtype=np.float32)
    return rows, *parts, probabilities


def _column(name: str, values: list[str | None], codes: Codes) -> Column:
    """Values in order: time where all of them are, else by how common they are."""
    counts = dict(zip(values, np.bincount(codes, minlength=len(values)).tolist(), strict=True))
    periods = [None if value is None else _TIME.fullmatch(value) for value in values]
    time = all((period is None) == (value is None) for period, value in zip(periods, values, strict=True))
    if time := time and any(periods):
        years = {found[1] for found in periods if found}
        months = len(years) <= 2 and all(found[2] for found in periods if found)
        named = [None if found is None else f"{found[1]}-{found[2]}" if months else found[1] for found in periods]
        order = sorted({value for value in named if value is not None})
    else:
        named = values
        order = sorted((v for v in values if v is not None), key=lambda v: (-counts[v], v))
    places = {value: place for place, value in enumerate(order)}
    renamed = np.array([NONE if value is None else places[value] for value in named], dtype=np.intp)
    return Column(name, tuple(order), renamed[codes], time)
