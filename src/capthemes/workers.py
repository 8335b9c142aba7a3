"""Workers: each labels shards into parts, in this process or in several, and no text passes between them."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.batches import label_batches, loaded
from capthemes.corpus import Shard
from capthemes.errors import RunError
from capthemes.model import Model
from capthemes.reading import halt
from capthemes.runs import RunFolder
from capthemes.store import atomic_path, write_text
from capthemes.summary import Summary, total
from capthemes.writing import write_tables

if TYPE_CHECKING:
    import pyarrow

WATCH_SECONDS = 0.5
Progress = Callable[[float, Summary], None]  # the share of the input that is done, and what was found so far


@dataclass(frozen=True, slots=True)
class Job:
    """What the labelling of a shard needs to know. It travels between processes, so it holds neither text nor model."""

    run: RunFolder
    model: str
    fingerprint: str
    lang: str
    skip: bool
    holder: int  # the process that holds the run


@dataclass(slots=True)
class Rejects:
    """Rows and files that could not be read, each with its reason, and how many by file."""

    shard: Shard | None = None
    lines: list[dict[str, str]] = field(default_factory=list)

    def take(self, path: Path, reason: str) -> None:
        """Keep one."""
        name = str(path) if self.shard is None else self.shard.name(path)
        self.lines.append({"file": _sound(name), "reason": _sound(reason)})


def _sound(text: str) -> str:
    """A lone surrogate, as of a file name that is no UTF-8, becomes "?"."""
    return text.encode("utf-8", "replace").decode()


def label_shards(
    job: Job,
    model: Model,
    shards: Sequence[Shard],
    numbers: Sequence[int],
    workers: int,
    progress: Progress | None,
) -> None:
    """Label those of the shards of these numbers that have no part yet.

    `progress` is told of each, and in one process within each, as a share of these numbers.
    """
    before = {number for number in numbers if job.run.stands(number)}
    missing = [number for number in numbers if number not in before]
    found, standing = total(job.run.found(number)[0] for number in sorted(before)), len(before)

    def within(share: float, so_far: Summary) -> None:
        if progress is not None:
            progress((standing + share) / len(numbers), total([found, so_far]))

    if workers == 1:
        done: Iterator[int] = (label_shard(job, number, shards[number], model, within) for number in missing)
    else:
        done = _side_by_side(job, shards, missing, workers)
    for number in done:
        standing += 1
        found.add(job.run.found(number)[0])
        if workers > 1:
            within(0, Summary())


def _side_by_side(job: Job, shards: Sequence[Shard], numbers: Sequence[int], workers: int) -> Iterator[int]:
    """The numbers of the shards as they are done by several processes."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    pool = Parallel(n_jobs=workers, backend="loky", batch_size=1, return_as="generator_unordered")
    try:
        with _held_back():
            done = pool(delayed(_in_worker)(job, number, shards[number]) for number in numbers)
        yield from done
    except TerminatedWorkerError:
        raise RunError("a worker was killed, as happens when memory runs out; use fewer --workers") from None


@contextmanager
def _held_back() -> Iterator[None]:
    """Ctrl-C waits, and processes that start meanwhile never hear of it. Windows cannot do so."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as pool_tracker

    resource_tracker.ensure_running()  # as they start they let signals through
    pool_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_worker(job: Job, number: int, shard: Shard) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that holds the run; it ends its workers
    _end_with(job.holder)
    return label_shard(job, number, shard, loaded(job.model))


@lru_cache(maxsize=1)
def _end_with(holder: int) -> None:
    """End this process once the one that holds the run is gone; else it would wait, and hold memory, for minutes."""

    def watch() -> None:
        while os.getppid() == holder:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def label_shard(job: Job, number: int, shard: Shard, model: Model, progress: Progress | None = None) -> int:
    """Label one shard: a note of what was found in it, and then its part, each whole or not at all. Its number."""
    import pyarrow

    summary, rejects, expected = Summary(), Rejects(shard), shard.rows or 0

    def rows() -> "Iterator[pyarrow.RecordBatch]":
        nonlocal expected
        for table in shard.tables(rejects.take if job.skip else halt):
            expected = expected if shard.rows else len(table)
            yield from table.combine_chunks().to_batches() or [pyarrow.RecordBatch.from_pylist([], table.schema)]

    def labelled() -> "Iterator[pyarrow.Table]":
        for batch in chain([first], batches):
            summary.count(batch)
            yield pyarrow.Table.from_batches([batch])
            if progress is not None and len(batch):
                progress(min(summary.paragraphs / expected, 1), summary)

    batches = label_batches(rows(), model, lang=job.lang, fingerprint=job.fingerprint)
    first = next(batches)
    with atomic_path(job.run.part(number)) as temporary:
        with temporary.open("wb") as file:
            write_tables(labelled(), first.schema, file, "parquet")
        if os.getpid() != job.holder and os.getppid() != job.holder:
            raise SystemExit(1)  # nobody waits for this part any more, and another run may be at it
        summary.rejected.update(line["file"] for line in rejects.lines)
        write_text(job.run.note(number), json.dumps({"summary": summary.to_dict(), "rejects": rejects.lines}))
    return number
