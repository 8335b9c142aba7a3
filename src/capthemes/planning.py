"""Planning: what a run over a corpus would do, and about how long it would take, from a sample that is labelled."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
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
    """Make the plan of a run, and label up to 2,000 paragraphs of its first, middle and last shard; nothing is written.

    Raises InputError as `label_corpus` does.
    """
    with tempfile.TemporaryDirectory() as spool:
        shards = split(list(inputs), source, spool=Path(spool), reject=reject)
        chosen = [shards[number] for number in sorted({0, len(shards) // 2, len(shards) - 1})]
        rows = seconds = sampled = weight = 0.0
        columns: dict[str, str] = {}
        for shard in chosen:
            began = time.monotonic()
            tables = list(shard.tables(reject))
            reading = time.monotonic() - began
            found = sum(map(len, tables))
            sample = tables[-1].slice(0, BATCH).combine_chunks()
            began = time.monotonic()
            for batch in label_batches(sample.to_batches(), model, lang=lang):
                columns |= {field.name: str(field.type) for field in batch.schema}
            labelling = time.monotonic() - began
            rows += found
            weight += _weight(shard)
            sampled += len(sample)
            seconds += labelling / max(len(sample), 1) * found + reading
        whole = sum(map(_weight, shards))
        files = {path for shard in shards for path in shard.files}
        size = sum(inner.stat().st_size for path in files for inner in (path.iterdir() if path.is_dir() else [path]))
        share = whole / max(weight, 1)
        return Plan(len(files), size, len(shards), columns, round(rows * share), seconds * share, int(sampled))


def _weight(shard: Shard) -> int:
    """What a shard's size is measured in, of the same kind for the shards of one file: rows, or bytes."""
    if shard.rows is not None:
        return shard.rows
    if shard.stop is not None:
        return shard.stop - shard.start
    return sum(path.stat().st_size for path in shard.files)
