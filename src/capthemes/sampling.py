"""The sample to label by hand: drawn at random from strata of predicted probability, and how large it must be."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from capthemes.annotations import paragraphs
from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.intervals import ENOUGH, LEVEL, wilson
from capthemes.reading import apart
from capthemes.records import ANSWERS, BY_HAND, Array, Paragraph, unit
from capthemes.runs import Run, document_names

if TYPE_CHECKING:
    import pyarrow

EDGES = (0.05, 0.2, 0.5)  # of probability, between strata
LEAST = 10  # labels in each stratum
LEAST_SPREAD = 0.1  # of the truth in a stratum: where a model is sure it may be wrong
ANY = "any"
Ints = npt.NDArray[np.intp]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Strata:
    """Strata of a theme's predicted probability, or of the highest of all themes (`theme` ANY), between `edges`."""

    theme: str = ANY
    edges: tuple[float, ...] = EDGES

    def assign(self, probabilities: Array, themes: Sequence[str]) -> Ints:
        """The stratum of each of n paragraphs, from 0; `probabilities` are (n, T)."""
        return np.searchsorted(self.edges, self.values(probabilities, themes), side="right")

    def values(self, probabilities: Array, themes: Sequence[str]) -> Array:
        """The probability that the strata are made of: (n,)."""
        own = slice(None) if self.theme == ANY else [list(themes).index(self.theme)]
        return np.asarray(probabilities[:, own].max(axis=1))

    @property
    def names(self) -> list[str]:
        """What a sample's rows call them, as "any 0.05-0.20"."""
        bounds = (0.0, *self.edges, 1.0)
        return [f"{self.theme} {low:.2f}-{high:.2f}" for low, high in pairwise(bounds)]

    @classmethod
    def named(cls, names: Iterable[str], themes: Sequence[str]) -> "Strata":
        """The strata that the rows of a sample name. Raises InputError for names that `names` did not make."""
        given = set(names)
        found = cls(next(iter(given)).split(" ")[0])
        if found.theme not in (ANY, *themes) or not given <= set(found.names):
            raise InputError(
                f"strata {sorted(given)} are not those that capthemes sample writes; leave the column as is"
            )
        return found


@dataclass(frozen=True, slots=True)
class Power:
    """How many labels an interval as wide as `width` takes for a theme whose share is about `share`.

    `by_hand` of a simple random sample without predictions, `powered` with them; None where so few labels would hold
    fewer than ENOUGH positives, so that predictions cannot be used.
    """

    theme: str
    share: float
    width: float
    by_hand: int
    powered: int | None

    @property
    def labels(self) -> int:
        """The fewer of the two."""
        return self.by_hand if self.powered is None else min(self.by_hand, self.powered)


def draw(
    run: Run, n: int, *, theme: str | None = None, documents: str | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """About `n` rows of a run to label by hand, in random order, so that labelling may stop anywhere.

    Drawn from strata of the highest predicted probability, or of that of `theme`: more where paragraphs are many and
    the model unsure. Each row has the run's columns but its answers, the stratum, the weight (how many paragraphs of
    the run it stands for) and labels null; a column of the run that has a name of BY_HAND is input_NAME there.
    `documents`, the column that says what a paragraph is from, draws whole documents instead, each as likely as
    another, until there are `n` paragraphs: what shares of documents need. Their rows name it under "drawn_by".

    Raises InputError for an `n` that the run cannot give, for a theme or column that it does not have or that cannot
    be drawn by, and for a drawn id that stands twice in the run.
    """
    rng = np.random.default_rng(seed)
    if n < 1:
        raise InputError(f"a sample of {n} paragraphs says nothing; ask for 1 or more")
    if theme is not None and theme not in run.themes:
        raise InputError(f"no theme {theme!r} in the run; it has: {', '.join(run.themes)}")
    if theme is not None and documents is not None:
        raise InputError("a sample is drawn by a theme's probability or by documents; choose one")
    if documents in BY_HAND:
        raise InputError(
            f"the rows of a sample have a {documents!r} of their own; rename the run's column to draw by it"
        )
    strata = Strata(theme or ANY)
    codes, spreads = _survey(run, strata)
    if n > len(codes):
        raise InputError(f"the run has {len(codes)} paragraphs, fewer than the {n} asked for; ask for fewer")
    if documents is not None:
        rows, of, weight = _whole_documents(run, documents, n, rng)
        _check_ids(run, rows)
        place = {document: order for order, document in enumerate(_shuffled(dict.fromkeys(of.tolist()), rng))}
        drawn = [{**row, "drawn_by": documents, "weight": weight, "labels": None} for row in _taken(run, rows)]
        return [drawn[i] for i in sorted(range(len(drawn)), key=lambda i: place[of[i]])]
    sizes = np.bincount(codes, minlength=len(strata.names))
    counts = allocate(sizes, spreads, n)
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(codes == h), count, replace=False) for h, count in enumerate(counts)]
    )
    rows.sort()
    _check_ids(run, rows)
    drawn = [
        {**row, "stratum": strata.names[h], "weight": round(float(sizes[h] / counts[h]), 4), "labels": None}
        for row, h in zip(_taken(run, rows), codes[rows].tolist(), strict=True)
    ]
    return _shuffled(drawn, rng)


def read_sample(path: Path, codebook: Codebook) -> tuple[list[Paragraph], int]:
    """The labelled paragraphs of a sample's file, and how many have no labels yet.

    Raises AnnotationError with file and line for a row or label that does not fit the codebook.
    """
    read = paragraphs(path, codebook=codebook, unread=True)
    labelled = [paragraph for paragraph in read if paragraph.labels is not None]
    return labelled, len(read) - len(labelled)


def document_column(sample: Sequence[Paragraph], asked: str | None = None) -> str | None:
    """The column that says what a sample's paragraphs are from: `asked`, else the one that they were drawn by, if any.

    Raises InputError where `asked` takes apart what was drawn together.
    """
    drawn = [p for p in sample if p.meta.get("drawn_by")]
    if asked is None:
        return str(drawn[0].meta["drawn_by"]) if drawn else None
    if len({(unit(p), unit(p, asked)) for p in drawn}) > len({unit(p) for p in drawn}):
        by = drawn[0].meta["drawn_by"]
        raise InputError(f"the sample was drawn by {by!r}, which {asked!r} takes apart; leave {asked!r} out")
    return asked


def each_alone(run: Run, document: str) -> str | None:
    """A line that says so where every paragraph is a document of its own, but the input had a column "document"."""
    import pyarrow.parquet

    if document != "document" or "input_document" not in pyarrow.parquet.read_schema(run.files[0]).names:
        return None
    if not all(batch["id"].equals(batch["document"]) for batch in run.batches(["id", "document"])):
        return None
    return "each paragraph counts as its own document; is input_document what it is from? --document input_document"


def allocate(sizes: Ints, spreads: Array, n: int) -> Ints:
    """How many of `n` labels each stratum gets: by size times spread (Neyman 1934), at least LEAST, at most all."""
    counts = np.minimum(np.where(sizes > 0, LEAST, 0), sizes)
    want = sizes * np.maximum(spreads, LEAST_SPREAD)
    for _ in range(max(n - int(counts.sum()), 0)):
        open_ = np.where(counts < sizes, want / (counts + 1), -1.0)
        counts[int(np.argmax(open_))] += 1
    while counts.sum() > n:
        counts[int(np.argmax(counts))] -= 1
    return counts


def power(run: Run, width: float) -> list[Power]:
    """For every theme how many labels an interval of `width` from end to end takes, if the probabilities are right.

    Raises InputError for a width that is not between 0 and 1.
    """
    from scipy.special import ndtri

    if not 0 < width < 1:
        raise InputError(f"a width of {width} is not that of a share's interval; ask for one between 0 and 1, as 0.04")
    count, total, squares = 0, np.zeros(len(run.themes)), np.zeros(len(run.themes))
    for batch in run.batches(["probabilities"]):
        p = matrix(batch)
        count, total, squares = count + len(p), total + p.sum(axis=0), squares + (p * p).sum(axis=0)
    shares, left = total / count, (total - squares) / count  # left: variance of the truth that predictions leave
    factor = (2 * float(ndtri((1 + LEVEL) / 2)) / width) ** 2
    found = []
    for theme, q, rest in zip(run.themes, shares.tolist(), left.tolist(), strict=True):
        by_hand, powered = _by_hand(q, width, count), int(np.ceil(factor * rest / (1 + factor * rest / count)))
        enough = ENOUGH / max(min(q, 1 - q), 1e-9)
        found.append(Power(theme, q, width, by_hand, max(powered, int(np.ceil(enough))) if enough <= count else None))
    return found


def matrix(batch: "pyarrow.RecordBatch") -> Array:
    """A batch's probabilities as (n, T)."""
    column = batch["probabilities"]
    return np.asarray(column.flatten(), dtype=np.float64).reshape(len(batch), -1)


def _by_hand(share: float, width: float, size: int) -> int:
    """The fewest labels of a corpus of `size` paragraphs whose Wilson interval, if they find `share`, is so narrow."""
    few, many = 1, size
    while few < many:
        n = (few + many) // 2
        effective = n / (1 - n / size)
        low, high = wilson(share * effective, effective, max(n - 1, 1))
        few, many = (few, n) if high - low <= width else (n + 1, many)
    return many


def _survey(run: Run, strata: Strata) -> tuple[Ints, Array]:
    """The stratum of every paragraph of a run, and how far the truth is expected to spread in each."""
    codes: list[Ints] = []
    variance, sizes = np.zeros(len(strata.names)), np.zeros(len(strata.names))
    for batch in run.batches(["probabilities"]):
        p = matrix(batch)
        codes.append(strata.assign(p, run.themes))
        value = strata.values(p, run.themes)
        variance += np.bincount(codes[-1], weights=value * (1 - value), minlength=len(variance))
        sizes += np.bincount(codes[-1], minlength=len(sizes))
    return np.concatenate(codes or [np.zeros(0, dtype=np.intp)]), np.sqrt(variance / np.maximum(sizes, 1))


def _whole_documents(run: Run, column: str, n: int, rng: np.random.Generator) -> tuple[Ints, Ints, float]:
    """The rows of documents drawn until there are `n` paragraphs, the document of each row, and how many documents of
    the run one stands for."""
    import pyarrow

    batches = run.batches(list(dict.fromkeys(["id", column])))
    names = pyarrow.chunked_array([document_names(batch, column) for batch in batches]).combine_chunks()
    codes = np.asarray(names.dictionary_encode().indices, dtype=np.intp)
    sizes = np.bincount(codes)
    order = rng.permutation(len(sizes))
    chosen = order[: int(np.searchsorted(np.cumsum(sizes[order]), n)) + 1]
    rows = np.flatnonzero(np.isin(codes, chosen))
    return rows, codes[rows], round(len(sizes) / len(chosen), 4)


def _check_ids(run: Run, rows: Ints) -> None:
    """Raise InputError where the id of one of these rows is that of another row as well."""
    import pyarrow
    import pyarrow.compute as compute

    ids = pyarrow.chunked_array([batch["id"] for batch in run.batches(["id"])])
    drawn = ids.filter(compute.is_in(ids, value_set=ids.take(rows)))
    if len(drawn) > len(rows):
        counted = compute.value_counts(drawn).to_pylist()
        twice = max(counted, key=lambda found: found["counts"])["values"]
        raise InputError(
            f"the id {twice!r} stands more than once in the run, so its labels could not be told apart; "
            "give each row of the input an id of its own and label it anew"
        )


def _taken(run: Run, rows: Ints) -> Iterator[dict[str, Any]]:
    """Some rows of a run, in order, without what the model said of them, and with room for what a sample adds."""
    start = 0
    for batch in run.batches():
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        kept = batch.drop_columns([name for name in ANSWERS if name in batch.schema.names])
        names = apart(kept.schema.names, BY_HAND)
        yield from ({fresh: row[name] for name, fresh in names.items()} for row in kept.take(inside).to_pylist())
        start += len(batch)


def _shuffled(rows: Iterable[Item], rng: np.random.Generator) -> list[Item]:
    listed = list(rows)
    return [listed[i] for i in rng.permutation(len(listed))]
