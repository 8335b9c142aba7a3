"""Runs: a folder of labelled parts, what they were made from, and how they are read again.

A run's folder holds part-00000.parquet (or .jsonl) and so on, one for each shard, and `.run/`, whose name begins with a
dot so that what reads the folder as one dataset passes over it: run.json, the list of inputs, notes on shards that are
done, the lock, and parts that are not in their final form yet.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.errors import InputError, RunError
from capthemes.store import atomic_path, write_text
from capthemes.summary import Summary, total
from capthemes.writing import GROUP, cast_tables, common_schema, promoted, unfit, with_strings, write_tables

if TYPE_CHECKING:
    import pyarrow

FORMAT = 1
BEGUN, FINISHED, GATHERED = "begun", "finished", "gathered"  # the last: into one file
STATE = ".run"
MANIFEST = "run.json"
PARTS = ("parquet", "jsonl")
BOUND = {  # key of run.json -> what a refusal calls it
    "format": "the format of run.json",
    "capthemes": "the version of capthemes",
    "schema": "the output's schema",
    "model": "the model",
    "fingerprint": "the model",
    "codebook": "the codebook",
    "lang": "the option lang",
    "source": "how the input is read",
    "parts": "the form of the parts",
    "input": "the input",
    "shards": "the plan of shards",
}


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder while it is written: which parts stand, what they are bound to, who may write."""

    path: Path
    parts: str = "parquet"

    @classmethod
    def beside(cls, output: Path, parts: str = "parquet") -> "RunFolder":
        """The hidden folder in which the run is that a single file is made of."""
        return cls(output.parent / f".{output.name}{STATE}", parts)

    @property
    def state(self) -> Path:
        """The folder of what is not a part in its final form."""
        return self.path / STATE

    @property
    def work(self) -> Path:
        """Where shards become parquet parts: the folder itself, unless the parts are to become jsonl."""
        return self.path if self.parts == "parquet" else self.state / "parts"

    def part(self, number: int) -> Path:
        """The part of a shard; once it exists, and its note, the shard is done."""
        return self.work / f"part-{number:05d}.parquet"

    def final(self, number: int) -> Path:
        """The part of a shard in its final form, of a run that is finished."""
        return self.path / f"part-{number:05d}.{self.parts}"

    def note(self, number: int) -> Path:
        """What was found in a shard, and what was rejected; written before its part."""
        return self.state / "shards" / f"{number:05d}.json"

    def about(self) -> dict[str, Any]:
        """The content of run.json, {} where no run was begun."""
        return _read(self.state / MANIFEST)

    def done(self, shards: int) -> int:
        """How many parts stand."""
        return sum(self.stands(number) for number in range(shards))

    def stands(self, number: int) -> bool:
        """Whether a shard is done."""
        return self.part(number).exists() and self.note(number).exists()

    @contextmanager
    def held(self, rank: int = 0, world: int = 1) -> Iterator[None]:
        """Keep others from writing: all of them, or, as one rank of many, whoever is the same rank.

        Raises RunError where another is at it.
        """
        for folder in (self.path, self.state, self.state / "shards", self.work):
            folder.mkdir(exist_ok=True)
        with _lock(self.state / "lock", shared=world > 1), _lock(self.state / f"lock-{rank}"):
            if world == 1:
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what killed processes left half written."""
        for folder in (self.path, self.state, self.state / "shards", self.work):
            for left in folder.glob(".*.tmp"):
                left.unlink(missing_ok=True)

    def begin(self, about: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]], overwrite: bool = False) -> None:
        """Bind the folder to what its parts are made from, or see that it still is what the run was begun with.

        Raises RunError, naming what changed, unless `overwrite`: then the parts of the other run go.
        """
        before = self.about()
        if changed := before and _changed(before, about, self._inputs(), inputs):
            if not overwrite:
                raise RunError(
                    f"{self.path} was begun with something else: {changed}; "
                    "bring that back, choose another output, or start anew (--overwrite)"
                )
            self.clear()
        if changed or not before:
            write_text(self.state / "inputs.jsonl", "".join(json.dumps(line) + "\n" for line in inputs))
            self.write(about)

    def _inputs(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in (self.state / "inputs.jsonl").read_text("utf-8").splitlines()]
        except FileNotFoundError:
            return []

    def write(self, about: Mapping[str, Any]) -> None:
        """Write run.json."""
        write_text(self.state / MANIFEST, json.dumps(about, indent=1, ensure_ascii=False) + "\n")

    def clear(self) -> None:
        """Remove a run's parts and notes, run.json last; what is half cleared is not taken for a whole run."""
        if about := self.about():
            self.write(about | {"state": BEGUN})
        self._remove_parts()
        for note in self.note(0).parent.glob("*.json"):
            note.unlink()
        (self.state / MANIFEST).unlink(missing_ok=True)

    def _remove_parts(self) -> None:
        for folder in (self.path, self.work):
            for part in folder.glob("part-*.*"):
                part.unlink()

    def discard(self) -> None:
        """Remove the run, run.json and the locks after all else, and its folder if nothing else is in it.

        Whoever is stopped amid it finds in run.json how far the run had come; nothing is lost with the locks.
        """
        self._remove_parts()
        for folder in filter(Path.is_dir, self.state.iterdir()):
            shutil.rmtree(folder)
        (self.state / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.state, ignore_errors=True)
        with suppress(OSError):  # other things are in it, or the folder of state could not be removed
            self.path.rmdir()

    def tidy(self) -> None:
        """Remove what a run left that was stopped after its run.json went; not while somebody is at it."""
        if self.path.is_dir() and not self.about():
            with suppress(RunError, OSError), self.held():
                if not self.about():  # still, now that nobody else can be at it
                    self.discard()

    def check_whole(self) -> None:
        """Raise RunError where a part of a finished run is gone."""
        about = self.about()
        for number in range(about["shards"] if about.get("state") == FINISHED else 0):
            part = self.final(number)
            if not part.exists():
                raise RunError(
                    f"{part} is gone, of a run that was finished; bring it back, or label into another folder"
                )

    def found(self, number: int) -> tuple[Summary, list[dict[str, str]]]:
        """What a shard that is done had: its summary, and its rejects."""
        note = _read(self.note(number))
        return Summary.from_dict(note["summary"]), note["rejects"]

    def alone(self) -> AbstractContextManager[None]:
        """One rank at a time."""
        return _lock(self.state / "lock-alone", wait=True)

    def unify(self, shards: int) -> None:
        """Bring all parts under one schema; whoever is killed amid it finds the same schema again."""
        schemas = [_schema(self.part(number)) for number in range(shards)]
        schema = common_schema(schemas)
        for number, own in enumerate(schemas):
            if names := promoted(own, schema):
                schema = with_strings(schema, unfit(_tables(self.part(number), names), schema))
        for number, own in enumerate(schemas):
            if not own.equals(schema, check_metadata=True):
                with atomic_path(self.part(number)) as temporary, temporary.open("wb") as file:
                    write_tables(cast_tables(_tables(self.part(number)), schema), schema, file, "parquet")

    def publish(self, shards: int) -> None:
        """The parts in their final form, where that is not parquet."""
        for number in range(shards if self.parts != "parquet" else 0):
            output = self.final(number)
            if not output.exists():
                with atomic_path(output) as temporary, temporary.open("wb") as file:
                    write_tables(_tables(self.part(number)), _schema(self.part(number)), file, self.parts)

    def gather(self, shards: int, output: Path, form: str) -> None:
        """One file of all parts."""
        with atomic_path(output) as temporary:
            if shards == 1 and form == "parquet":
                shutil.copyfile(self.part(0), temporary)
                return
            tables = (table for number in range(shards) for table in _tables(self.part(number)))
            with temporary.open("wb") as file:
                write_tables(tables, _schema(self.part(0)), file, form)

    def clean(self) -> None:
        """Remove what a finished run needs no more: notes, copies of the input, parts that have another form now."""
        self._sweep()
        for name in ("shards", "input", *(["parts"] if self.parts != "parquet" else [])):
            shutil.rmtree(self.state / name, ignore_errors=True)

    def summary(self, shards: int) -> Summary:
        """What the shards that are done add up to, from run.json where the run is finished."""
        about = self.about()
        if "summary" in about:
            return Summary.from_dict(about["summary"])
        return total(self.found(number)[0] for number in range(shards) if self.stands(number))


def _changed(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    inputs_before: Sequence[Mapping[str, Any]],
    inputs: Sequence[Mapping[str, Any]],
) -> str:
    """What differs, in words; "" where nothing does."""
    if not now["fingerprint"]:
        return f"the model, {now['model']}, was never saved, so nobody can tell whether it is the same"
    for key, name in BOUND.items():
        if before.get(key) == now[key]:
            continue
        if key != "input":
            return f"{name} ({before.get(key)!r}, now {now[key]!r})"
        then = {line["file"]: line for line in inputs_before}
        for line in inputs:
            was = then.pop(line["file"], None)
            if was is None:
                return f"{name} ({line['file']} is new)"
            if was != line:
                return f"{name} ({line['file']} had {was['bytes']:,} bytes, now {line['bytes']:,}, and its SHA-256)"
        return f"{name} ({next(iter(then), 'the order of files')} is gone)"
    return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RunError(f"{path}: not what a run wrote ({error}); remove the run and start anew") from None
    return content


def rejects_file(output: Path) -> Path:
    """The file of what could not be read for an output."""
    return output.with_name(f"{output.name}.rejects.jsonl")


@contextmanager
def _lock(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """A lock that ends with its process, however that ends. Windows has none: there nobody is kept out."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise RunError(f"another run is writing into {path.parents[1]}; let it end, or stop it") from None
        except OSError as error:
            where = f"the file system of {path.parents[1]} has no locks ({error.strerror})"
            raise RunError(f"{where}; write to another, or mount it with them (Lustre: -o flock)") from error
        yield


def _schema(part: Path) -> "pyarrow.Schema":
    import pyarrow.parquet

    return pyarrow.parquet.read_schema(part)


def _tables(part: Path, columns: Sequence[str] | None = None) -> "Iterator[pyarrow.Table]":
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(part) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns)
            yield table if columns is None else table.select(columns)


@dataclass(frozen=True, slots=True)
class Run:
    """A labelled corpus as it is read: a run's folder of parquet parts, or one labelled parquet file.

    `about` is the content of run.json, {} for a single file; `files` are the parts, in order.
    """

    files: tuple[Path, ...]
    about: Mapping[str, Any]
    model: str
    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[pyarrow.RecordBatch]":
        """The rows in order, of all columns or of some; one row group at a time is in memory.

        Raises InputError for a column that is not there.
        """
        import pyarrow.parquet

        for path in self.files:
            with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:  # else it fetches all of it
                if unknown := sorted(set(columns or ()).difference(file.schema_arrow.names)):
                    raise InputError(f"{path}: no column {unknown[0]!r}; it has: {', '.join(file.schema_arrow.names)}")
                yield from file.iter_batches(GROUP, columns=None if columns is None else list(columns))


def document_names(batch: "pyarrow.RecordBatch", column: str) -> "pyarrow.Array":
    """What each row of a run is from, as strings; a row without a value is a document of its own, named by its id.

    Raises InputError for a column of lists or objects.
    """
    import pyarrow
    import pyarrow.compute as compute

    try:
        names = batch[column].cast(pyarrow.string())
    except pyarrow.ArrowException:
        raise InputError(
            f"column {column!r} is of type {batch[column].type}, which names no documents; give one of strings"
        ) from None
    ids = compute.binary_join_element_wise("paragraph", batch["id"].cast(pyarrow.string()), " ")
    return compute.if_else(compute.fill_null(compute.equal(names, ""), True), ids, names)


def open_run(path: str | Path) -> Run:
    """Open a finished run's folder, or one labelled parquet file.

    Raises InputError for what is neither, RunError for a run that is not finished or has lost a part.
    """
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    about = RunFolder(path).about() if path.is_dir() else {}
    files = tuple(sorted(path.glob("part-*.parquet"))) if path.is_dir() else (path,)
    if (path.is_file() and not _is_parquet(path)) or (not files and any(path.glob("part-*.jsonl"))):
        raise InputError(
            f"{path} is not parquet, which a run is read from; label its input with -o NAME.parquet, or into a folder"
        )
    if not files or not files[0].is_file():
        raise InputError(
            f"{path}: neither a run's folder of parquet parts nor a labelled parquet file; label one first"
        )
    if about.get("state", FINISHED) != FINISHED:
        raise RunError(f"{path}: the run is not finished; give its command again to go on")
    if about:
        RunFolder(path, about["parts"]).check_whole()
    try:
        schema = pyarrow.parquet.read_schema(files[0])
        known = {name: json.loads((schema.metadata or {})[name.encode()]) for name in ("themes", "stances", "voices")}
        model = about.get("model") or next(_models(files))
    except (KeyError, StopIteration, pyarrow.ArrowException) as error:
        raise InputError(f"{files[0]}: not labelled by capthemes ({error!r}); label its input first") from None
    return Run(files, about, str(model), *(tuple(known[name]) for name in ("themes", "stances", "voices")))


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _models(files: Sequence[Path]) -> Iterator[str]:
    """The models of the first rows of files."""
    import pyarrow.parquet

    for path in files:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(1, columns=["model"]):
                yield from batch["model"].to_pylist()
