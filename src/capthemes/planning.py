"""Planning: what a run over a corpus would do, and about how long it would take, from a sample that is labelled."""

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from capthemes.batches import BATCH, label_batches
from capthemes.corpus import Input, Shard, Source, split
from capthemes.files import Reject
from capthemes.model import Model
from capthemes.reading import halt


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would read and write; `paragraphs` and `seconds` (of one worker) are estimates from a sample."""

    files: int
    bytes: int
    shards: int
    columns: dict[str, str]
    paragraphs: int
    seconds: float
    sampled: int


def plan_corpus(
    inputs: Iterable[Input], model: Model, source: Source | None = None, *, lang: str = "auto", reject: Reject = halt
) -> Plan:
    """Make the plan of a run, and label up to 2,000 paragraphs of some shards; nothing is written.

    Those are the first, middle and last of each format, which stand for its others by rows or by bytes. `columns` are
    the labelled ones, with their types. Raises InputError as `label_corpus` does.
    """
    found = _Sample()
    with tempfile.TemporaryDirectory() as spool:
        shards = split(list(inputs), source, spool=Path(spool), reject=reject)
        for form in dict.fromkeys(shard.format for shard in shards):
            found.add([shard for shard in shards if shard.format == form], model, lang, reject)
        files = {path for shard in shards for path in shard.files}
        size = sum(inner.stat().st_size for path in files for inner in (path.iterdir() if path.is_dir() else [path]))
    return Plan(len(files), size, len(shards), found.columns, round(found.rows), found.seconds, found.sampled)


@dataclass(slots=True)
class _Sample:
    """What a sample tells of all: rows, seconds, columns; and how many paragraphs were labelled for it."""

    rows: float = 0
    seconds: float = 0
    sampled: int = 0
    columns: dict[str, str] = field(default_factory=dict)

    def add(self, shards: Sequence[Shard], model: Model, lang: str, reject: Reject) -> None:
        """Add the shards of one format, by some of them."""
        chosen = [shards[number] for number in sorted({0, len(shards) // 2, len(shards) - 1})]
        share = sum(map(_weight, shards)) / max(sum(map(_weight, chosen)), 1)
        for shard in chosen:
            began = time.monotonic()
            tables = list(shard.tables(reject))
            reading = time.monotonic() - began
            rows = sum(map(len, tables))
            sample = max(tables, key=len).slice(0, BATCH).combine_chunks()
            began = time.monotonic()
            for batch in label_batches(sample.to_batches(), model, lang=lang):
                self.columns |= {column.name: str(column.type) for column in batch.schema}
            labelling = time.monotonic() - began
            self.rows += rows * share
            self.sampled += len(sample)
            self.seconds += (labelling / max(len(sample), 1) * rows + reading) * share


def _weight(shard: Shard) -> int:
    """What a shard's size is measured in, of the same kind for the shards of one format: rows, or bytes."""
    if shard.rows is not None:
        return shard.rows
    if shard.stop is not None:
        return shard.stop - shard.start
    return sum(path.stat().st_size for path in shard.files)
