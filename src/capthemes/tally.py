"""A tally: what a run says, counted by group and stratum in one pass, and what it says of the hand-labelled sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from capthemes.errors import InputError
from capthemes.records import Array, Paragraph
from capthemes.runs import Run, document_names
from capthemes.sampling import Strata, matrix

if TYPE_CHECKING:
    import pyarrow

Ints = npt.NDArray[np.intp]
MISSING = "missing"  # the group of rows that have nothing in the column


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each number of a paragraph stands in a row: for every theme its probability, whether it was given, the
    probability if so, and whether it was given with each stance and voice."""

    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.themes) * (3 + len(self.stances) + len(self.voices))

    def column(self, theme: int, part: str, value: int = 0) -> int:
        """Of "probability", "given", "probability if given", or a "stance" or "voice" by its number."""
        inner = {"probability": 0, "given": 1, "probability if given": 2, "stance": 3, "voice": 3 + len(self.stances)}
        return (inner[part] + value) * len(self.themes) + theme

    def rows(self, batch: "pyarrow.RecordBatch") -> Array:
        """(n, width) of a batch of a run."""
        p = matrix(batch)
        n, count = p.shape
        numbers = np.zeros((n, self.width))
        numbers[:, :count] = p
        labels = batch["labels"]
        row = np.repeat(np.arange(n), np.diff(np.asarray(labels.offsets)))
        theme, stance, voice = (
            _places(labels.flatten().field(part), names)
            for part, names in (("theme", self.themes), ("stance", self.stances), ("voice", self.voices))
        )
        numbers[row, count + theme] = 1
        numbers[:, 2 * count : 3 * count] = p * numbers[:, count : 2 * count]
        for offset, value in ((3, stance), (3 + len(self.stances), voice)):
            known = value >= 0
            numbers[row[known], (offset + value[known]) * count + theme[known]] = 1
        return numbers


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over a run and the sample's own rows.

    sizes: (G, H), sums: (G, H, width) over groups and strata. Of the n sampled paragraphs, in the sample's order:
    numbers (n, width), group, stratum and document (n,). `documents` are counted by their first paragraph's group.
    """

    layout: Layout
    groups: tuple[str, ...]
    sizes: Ints
    sums: Array
    numbers: Array
    group: Ints
    stratum: Ints
    document: Ints
    documents: "Documents"


@dataclass(frozen=True, slots=True, eq=False)
class Documents:
    """The D documents of a run: the highest probability of each theme, whether any paragraph was given it (D, T), the
    group and the number of paragraphs (D,)."""

    probability: Array
    given: npt.NDArray[np.bool_]
    group: Ints
    size: Ints


def tally(run: Run, by: str | None, document: str, sample: Sequence[Paragraph], strata: Strata | None) -> Tally:
    """Count a run by the column `by`; the column `document` says what a paragraph is from.

    Raises InputError for a column that the run lacks, and for a sample that is not of this run.
    """
    layout = Layout(run.themes, run.stances, run.voices)
    counter = _Counter(layout, 1 if strata is None else len(strata.names), [p.id for p in sample])
    for batch in run.batches():
        for column in (by, document):
            if column is not None and column not in batch.schema.names:
                raise InputError(f"the run has no column {column!r}; it has: {', '.join(batch.schema.names)}")
        counter.add(batch, by, document, strata, sample)
    return counter.tally(sample)


class _Counter:
    """A tally in the making."""

    def __init__(self, layout: Layout, strata: int, wanted: Sequence[str]) -> None:
        self.layout, self.strata, self.wanted = layout, strata, wanted
        self.groups: dict[str, int] = {}
        self.document_codes: dict[str, int] = {}
        self.sizes = np.zeros((0, strata), dtype=np.intp)
        self.sums = np.zeros((0, strata, layout.width))
        self.numbers = np.zeros((len(wanted), layout.width))
        self.places = np.full((3, len(wanted)), -1, dtype=np.intp)  # group, stratum, document
        self.documents = Documents(
            np.zeros((0, len(layout.themes))),
            np.zeros((0, len(layout.themes)), dtype=np.bool_),
            np.zeros(0, dtype=np.intp),
            np.zeros(0, dtype=np.intp),
        )

    def add(
        self,
        batch: "pyarrow.RecordBatch",
        by: str | None,
        document: str,
        strata: Strata | None,
        sample: Sequence[Paragraph],
    ) -> None:
        numbers, count = self.layout.rows(batch), len(self.layout.themes)
        group = np.zeros(len(batch), dtype=np.intp) if by is None else _codes(batch[by], self.groups)
        stratum = np.zeros_like(group) if strata is None else strata.assign(numbers[:, :count], self.layout.themes)
        documents = _codes(document_names(batch, document), self.document_codes)
        self._count(numbers, group, stratum)
        self._count_documents(numbers, group, documents)
        places = _places(batch["id"], self.wanted)
        for row in np.flatnonzero(places >= 0).tolist():
            read = sample[number := int(places[row])]
            if batch["text"][row].as_py() != read.text:
                raise InputError(f"paragraph {read.id!r} of the sample has another text in the run; draw it anew")
            if strata is not None and strata.names[stratum[row]] != read.meta["stratum"]:
                raise InputError(
                    f"paragraph {read.id!r} is in another stratum than the sample says; use the run it is from"
                )
            self.numbers[number] = numbers[row]
            self.places[:, number] = group[row], stratum[row], documents[row]

    def tally(self, sample: Sequence[Paragraph]) -> Tally:
        if lost := next((p.id for p, place in zip(sample, self.places[0], strict=True) if place < 0), None):
            raise InputError(f"paragraph {lost!r} of the sample is not in the run; draw the sample from this run")
        group, stratum, document = self.places
        names = tuple(self.groups) or ("",)
        numbers = self.numbers
        return Tally(self.layout, names, self.sizes, self.sums, numbers, group, stratum, document, self.documents)

    def _count(self, numbers: Array, group: Ints, stratum: Ints) -> None:
        from scipy.sparse import csr_array

        rows, shape = max(len(self.groups), 1), (self.strata, self.layout.width)
        self.sizes = np.concatenate([self.sizes, np.zeros((rows - len(self.sizes), self.strata), dtype=np.intp)])
        self.sums = np.concatenate([self.sums, np.zeros((rows - len(self.sums), *shape))])
        cell = group * self.strata + stratum
        self.sizes += np.bincount(cell, minlength=rows * self.strata).reshape(rows, self.strata)
        member = csr_array((np.ones(len(cell)), (cell, np.arange(len(cell)))), shape=(rows * self.strata, len(cell)))
        self.sums += (member @ numbers).reshape(rows, *shape)

    def _count_documents(self, numbers: Array, group: Ints, documents: Ints) -> None:
        known, count, old = len(self.document_codes), len(self.layout.themes), self.documents
        new = known - len(old.size)
        first = np.full(new, -1, dtype=np.intp)
        fresh = documents[::-1] >= len(old.size)
        first[documents[::-1][fresh] - len(old.size)] = group[::-1][fresh]
        probability = np.concatenate([old.probability, np.zeros((new, count))])
        given = np.concatenate([old.given, np.zeros((new, count), dtype=np.bool_)])
        np.maximum.at(probability, documents, numbers[:, :count])
        np.logical_or.at(given, documents, numbers[:, count : 2 * count] > 0)
        size = np.concatenate([old.size, np.zeros(new, dtype=np.intp)]) + np.bincount(documents, minlength=known)
        self.documents = Documents(probability, given, np.concatenate([old.group, first]), size)


def _codes(column: "pyarrow.Array", known: dict[str, int]) -> Ints:
    """The number of each value, read as a string; new values are added to `known`."""
    import pyarrow

    try:
        encoded = column.cast(pyarrow.string()).fill_null(MISSING).dictionary_encode()
    except pyarrow.ArrowException:
        raise InputError(f"a column of type {column.type} has no groups; name one of strings or numbers") from None
    codes = [known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()]
    return np.asarray(np.array(codes, dtype=np.intp)[np.asarray(encoded.indices)])


def _places(column: "pyarrow.Array", names: Sequence[str]) -> Ints:
    """The place of each value in `names`, -1 where it is null."""
    import pyarrow
    import pyarrow.compute

    found = pyarrow.compute.index_in(column, value_set=pyarrow.array(names, column.type))
    return np.asarray(found.fill_null(-1), dtype=np.intp)
