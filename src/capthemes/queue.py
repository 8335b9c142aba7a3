"""The queue: which paragraphs of a run to label next.

Strategies of active learning on probabilities that are calibrated: "uncertainty" (the entropy of all themes),
"diversity" (paragraphs far from one another and from those already labelled: the greedy core-set of Sener and
Savarese 2018), "thin" (the theme with the fewest labels gets its likeliest paragraph, in turn), "mixed" (uncertain of
thin themes, then far from one another) and "random".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from capthemes.errors import InputError
from capthemes.reading import apart
from capthemes.records import ANSWERS, BY_HAND, Array, Label
from capthemes.rounds import OWN, Record, theme_counts
from capthemes.runs import Run

Rows = npt.NDArray[np.intp]
STRATEGIES = ("uncertainty", "diversity", "thin", "mixed", "random")
FAR = ("mixed", "diversity")  # those that choose, among candidates, what is far from one another
POOL = 200_000  # paragraphs of a run that are looked at; of a larger one as many at random, so memory stays flat
CANDIDATES = {"mixed": 4}  # for each place in the queue, whose texts are read; of the other strategies MANY
MANY = 20
DIMENSIONS = 1024  # of the vectors that distances are measured in: runs of characters, hashed with signs
CERTAIN = 1e-6
RUN_COLUMNS = ("id", "text", *ANSWERS)


def queue(
    run: Run,
    count: int,
    *,
    strategy: str = "uncertainty",
    labelled: Sequence[Record] = (),
    seed: int = 0,
) -> list[Record]:
    """The next `count` paragraphs to label, first first, each with the run's labels as suggestion.

    Left out are the paragraphs of `labelled`, whose labels also tell which themes are thin, and all but one of
    paragraphs with the same text. Fewer are given where the run has no more.

    Raises InputError for an unknown strategy or a count below 1.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"no strategy {strategy!r}; there is: {', '.join(STRATEGIES)}")
    if count < 1:
        raise InputError(f"cannot queue {count} paragraphs; ask for at least 1")
    rows, probabilities = _pool(run, {record.id for record in labelled}, seed)
    counts = theme_counts(labelled)
    have = np.array([counts[theme] for theme in run.themes], dtype=float)
    records: dict[int, Record] = {}

    def texts(places: Rows) -> list[str]:
        found = _records(run, rows[places])
        records.update(zip(places.tolist(), found, strict=True))
        return [record.text for record in found]

    chosen = pick(probabilities, texts, count, strategy, have, [record.text for record in labelled], seed)
    return [records[place] for place in chosen.tolist()]


def pick(
    probabilities: Array,
    texts: Callable[[Rows], Sequence[str]],
    count: int,
    strategy: str,
    have: Array,
    labelled: Sequence[str] = (),
    seed: int = 0,
) -> Rows:
    """The rows of (n, T) calibrated probabilities to label next, first first; of rows with one text, one.

    `texts` reads the texts of some rows, `have` (T,) is how many paragraphs of each theme are labelled, `labelled` are
    their texts.
    """
    order = candidates(probabilities, CANDIDATES.get(strategy, MANY) * count, strategy, have, seed)
    known, read = set(labelled), texts(order)
    first = dict(zip(reversed(read), reversed(order.tolist()), strict=True))
    fresh = [text for text in dict.fromkeys(read) if text not in known]
    if strategy in FAR:
        fresh = [fresh[place] for place in far_apart(fresh, count, labelled)]
    return np.array([first[text] for text in fresh[:count]], dtype=np.intp)


def everything(run: Run) -> Iterator[Record]:
    """All paragraphs of a run, unread, each with the run's labels as suggestion."""
    for batch in run.batches():
        yield from map(_record, batch.to_pylist())


def candidates(probabilities: Array, count: int, strategy: str, have: Array, seed: int = 0) -> Rows:
    """The rows of (n, T) calibrated probabilities that a strategy looks at, best first; at most `count`.

    `have` (T,) is how many paragraphs of each theme are labelled.
    """
    if strategy in ("random", "diversity"):
        return np.random.default_rng(seed).permutation(len(probabilities))[:count]
    if strategy == "thin":
        return thinnest(probabilities, count, have)
    weight = 1 / np.sqrt(have + 1) if strategy == "mixed" else np.ones_like(have)
    return np.argsort(-(entropies(probabilities) @ weight), kind="stable")[:count]


def entropies(probabilities: Array) -> Array:
    """The entropy, in nats, of every theme's applying or not."""
    p = np.clip(probabilities, CERTAIN, 1 - CERTAIN)
    return np.asarray(-p * np.log(p) - (1 - p) * np.log1p(-p), dtype=np.float64)


def thinnest(probabilities: Array, count: int, have: Array) -> Rows:
    """Rows taken one by one: the likeliest left of the theme that has the fewest labels, the expected ones counted."""
    expected = have.astype(float)
    orders = np.argsort(-probabilities, axis=0, kind="stable")
    next_of = np.zeros(len(have), dtype=np.intp)
    taken = np.zeros(len(probabilities), dtype=np.bool_)
    found: list[int] = []
    while len(found) < min(count, len(probabilities)):
        theme = int(np.argmin(expected))
        while taken[orders[next_of[theme], theme]]:
            next_of[theme] += 1
        row = int(orders[next_of[theme], theme])
        taken[row] = True
        found.append(row)
        expected += np.maximum(probabilities[row], CERTAIN)
    return np.array(found, dtype=np.intp)


def far_apart(texts: Sequence[str], count: int, labelled: Sequence[str] = ()) -> Rows:
    """The places of `count` texts, each in turn the farthest from those chosen before and from the labelled ones."""
    if len(texts) <= 1:
        return np.arange(len(texts))
    vectors = _vectors([*texts, *labelled])
    return greedy_core_set(vectors[: len(texts)], min(count, len(texts)), vectors[len(texts) :])


def greedy_core_set(vectors: Array, count: int, covered: Array) -> Rows:
    """Rows of `vectors` (n, D) chosen one by one, each the farthest from all before it and from `covered` (m, D).

    Without `covered` the first row is the first.
    """
    distance = np.full(len(vectors), np.inf)
    for vector in covered:
        distance = np.minimum(distance, np.linalg.norm(vectors - vector, axis=1))
    found: list[int] = []
    while len(found) < count:
        row = int(np.argmax(distance))
        found.append(row)
        distance = np.minimum(distance, np.linalg.norm(vectors - vectors[row], axis=1))
        distance[row] = -np.inf
    return np.array(found, dtype=np.intp)


def _vectors(texts: Sequence[str]) -> Array:
    """Unit vectors of texts, close where they share runs of characters; of Latin and Chinese script alike."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=DIMENSIONS).transform(texts)
    return np.asarray(hashed.toarray(), dtype=np.float64)


def _pool(run: Run, left_out: Iterable[str], seed: int) -> tuple[Rows, Array]:
    """The rows of a run that may be queued, in order, and their probabilities (n, T); POOL of them at random."""
    rng = np.random.default_rng(seed)
    labelled, start = set(left_out), 0
    rows, drawn, probabilities = np.zeros(0, np.intp), np.zeros(0), np.zeros((0, len(run.themes)), np.float32)
    for batch in run.batches(["id", "probabilities"]):
        fresh = np.array([id not in labelled for id in batch["id"].to_pylist()], dtype=np.bool_)
        flat = batch["probabilities"].flatten().to_numpy(zero_copy_only=False).reshape(-1, len(run.themes))
        rows = np.concatenate([rows, start + np.flatnonzero(fresh)])
        drawn = np.concatenate([drawn, rng.random(int(fresh.sum()))])
        probabilities = np.concatenate([probabilities, flat[fresh]])
        start += len(batch)
        if len(rows) > POOL:
            kept = np.sort(np.argpartition(drawn, POOL)[:POOL])
            rows, drawn, probabilities = rows[kept], drawn[kept], probabilities[kept]
    return rows, probabilities.astype(np.float64)


def _records(run: Run, rows: Rows) -> list[Record]:
    """The records of a run's rows, in the order of `rows`."""
    place = {int(row): i for i, row in enumerate(rows)}
    found: dict[int, Record] = {}
    start = 0
    for batch in run.batches():
        within = [row for row in range(start, start + len(batch)) if row in place]
        for row, values in zip(within, batch.take([row - start for row in within]).to_pylist(), strict=True):
            found[place[row]] = _record(values)
        start += len(batch)
    return [found[i] for i in range(len(rows))]


def _record(row: Mapping[str, Any]) -> Record:
    labels = tuple(Label(**label) for label in row["labels"])
    names = apart((name for name in row if name not in (*RUN_COLUMNS, *OWN) and row[name] is not None), BY_HAND)
    meta = {fresh: row[name] for name, fresh in names.items()}
    return Record(row["id"], row["text"], {}, labels, row["model"], meta)
