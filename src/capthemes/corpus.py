"""The corpus: files, folders, datasets and streams become shards, and shards give paragraphs."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from capthemes.errors import InputError, TextTypeError
from capthemes.files import PACKED, Reject, is_ascii_based, is_packed, lines, size
from capthemes.inflation import footer
from capthemes.reading import ROWS, csv_reader, halt, no_text, plain, tables
from capthemes.records import Paragraph
from capthemes.store import atomic_path

if TYPE_CHECKING:
    import pyarrow

ENDINGS = {
    ".txt": "txt",
    ".md": "md",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
DOCUMENTS = ("txt", "md")
FORMATS = tuple(dict.fromkeys(ENDINGS.values()))
STDIN = "stdin"  # the name of its copy
SHARD_BYTES = 16 << 20
SHARD_FILES = 500
STANDARD_INPUT = Path("-")
NOT_ALLOWED = "no permission to read it; ask its owner, or leave it out"
ONLY_JSONL = "only jsonl is read packed; unpack it first"


@dataclass(frozen=True, slots=True)
class Source:
    """How inputs are read: the text's column, the encoding of text files, whether rows are cut into paragraphs."""

    text: str = "text"
    encoding: str = "utf-8"
    cut: bool = False
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts, or rows that are mappings, from anything that can be iterated: an input beside files and folders."""

    rows: Iterable[str | Mapping[str, Any]]

    def __post_init__(self) -> None:
        if isinstance(self.rows, str | bytes):
            raise TextTypeError(f"Rows takes several texts, not one {type(self.rows).__name__}; write Rows([text])")


Input: TypeAlias = str | Path | Rows | Any  # Any: a datasets.Dataset or IterableDataset


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of the input that is read, labelled and written as one: files, or a part of one.

    `start` and `stop` are byte offsets (jsonl, csv), row groups (parquet) or rows (dataset); a line belongs to the
    shard in whose range it begins. `line` is the number of lines before a csv shard; `rows` its number of
    rows, where that is known. `root` is what document names are relative to.
    """

    format: str
    files: tuple[Path, ...]
    root: Path
    source: Source = field(default_factory=Source)
    start: int = 0
    stop: int | None = None
    line: int = 0
    rows: int | None = None

    def tables(self, reject: Reject = halt) -> "Iterator[pyarrow.Table]":
        """The shard's paragraphs as Arrow tables of one schema: id, text, document, position, the other columns.

        Raises InputError for a row or file that cannot be read, with file and line, row or byte, unless `reject`
        takes it: it is called with the file and the reason, and the row is left out.
        """
        return tables(self, reject)

    def read(self) -> Iterator[Paragraph]:
        """The shard's paragraphs; `meta` holds document, position and every other column of the input."""
        for table in self.tables():
            for row in table.to_pylist():
                yield Paragraph(row.pop("id"), row.pop("text"), None, row)

    def name(self, path: Path) -> str:
        """What a file is called in documents and ids."""
        return path.absolute().relative_to(self.root).as_posix()


def split(
    inputs: Sequence[Input], source: Source | None = None, *, spool: Path | None = None, reject: Reject = halt
) -> list[Shard]:
    """Cut inputs into shards, in order. The plan depends on the input alone.

    Inputs are files, folders, "-" (standard input), Rows, and datasets of Hugging Face. A folder gives all its files
    of a known ending, sorted by name, below it at any depth; one that `save_to_disk` wrote gives its rows. What can
    be read once only is copied into the folder `spool` first.

    A file that is named twice is taken once. Raises InputError for a path that is missing or of an unknown ending, for
    a folder without readable files, and, unless `reject` takes these, for an empty or damaged file or one that may not
    be read, in a folder for links that lead nowhere or to folders and for packed files that are no jsonl, and for a
    row of Rows that is neither a string nor a mapping with a string for its text.
    """
    source = source or Source()
    shards: list[Shard] = []
    paths = {number: Path(given) for number, given in enumerate(inputs) if isinstance(given, str | Path)}
    if sum(path == STANDARD_INPUT for path in paths.values()) > 1 or (
        STANDARD_INPUT in paths.values() and source.format == "parquet"
    ):
        raise InputError("standard input is read once, and not as parquet; write it to a file first")
    if source.format and paths and len(paths) == len(inputs) and all(path.is_dir() for path in paths.values()):
        raise InputError(f"the files of a folder tell their formats by their endings; leave out format {source.format}")
    root = _common_root([path for path in paths.values() if path != STANDARD_INPUT])
    fresh = _Fresh()
    for number, given in enumerate(inputs):
        path = paths.get(number)
        if path is None or path == STANDARD_INPUT:
            if spool is None:
                raise InputError(f"{given!r:.60} can be read once only; give split a folder to copy it into (spool)")
            copy, form = _spooled(given, spool, number, source, reject)
            shards.extend(_split_file(copy, spool.absolute(), source, form))
        elif path.is_dir():
            shards.extend(_split_folder(path, root, source, reject, fresh))
        elif fresh(path):
            shards.extend(_split_or_reject(path, root, source, _form(path, source), reject))
    if not shards:
        raise InputError("no input that can be read; give files, folders, or - for standard input")
    return shards


class _Fresh:
    """Whether a file is asked about for the first time, under whichever name."""

    def __init__(self) -> None:
        self._seen: set[Path] = set()

    def __call__(self, path: Path) -> bool:
        before = len(self._seen)
        self._seen.add(path.resolve())
        return len(self._seen) > before


def format_of(path: Path) -> str | None:
    """The format that a file's ending tells, or None."""
    ending = path.suffix.lower()
    if ending in PACKED:
        return "jsonl" if ENDINGS.get(path.with_suffix("").suffix.lower()) == "jsonl" else None
    return ENDINGS.get(ending)


def _common_root(paths: Sequence[Path]) -> Path:
    """What documents are named relative to: the one folder, or the nearest folder that holds all inputs."""
    folders = [str((path if path.is_dir() and not _is_dataset(path) else path.parent).absolute()) for path in paths]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _split_folder(folder: Path, root: Path, source: Source, reject: Reject, fresh: "_Fresh") -> Iterator[Shard]:
    if _is_dataset(folder):
        yield from _split_dataset(folder, root, source) if fresh(folder) else ()
        return
    found = [p for p in sorted(folder.rglob("*")) if not _hidden(p, folder)]
    found = [p for p in found if not any(map(_is_dataset, _between(p, folder)))]
    unread = {path: reason for path in found if (reason := _unread(path))}
    for path, reason in unread.items():
        reject(path, f"{path}: {reason}")
    found = [p for p in found if p not in unread and (_is_dataset(p) or (p.is_file() and format_of(p)))]
    if not found:
        raise InputError(f"no readable files in folder {folder}; it needs files ending in {', '.join(ENDINGS)}")
    group: list[Path] = []
    whole = 0
    for path in filter(fresh, found):
        form = None if path.is_dir() else format_of(path)
        more = path.stat().st_size if form in DOCUMENTS else 0
        full = len(group) == SHARD_FILES or whole + more > SHARD_BYTES
        if group and (full or form not in DOCUMENTS or format_of(group[0]) != form):
            yield Shard(str(format_of(group[0])), tuple(group), root, source)
            group, whole = [], 0
        if form in DOCUMENTS:
            group.append(path)
            whole += more
        elif form is None:
            yield from _split_dataset(path, root, source)
        else:
            yield from _split_or_reject(path, root, source, form, reject)
    if group:
        yield Shard(str(format_of(group[0])), tuple(group), root, source)


def _unread(path: Path) -> str:
    """Why something in a folder cannot be read, though its name says that it should be; "" of all else."""
    if _is_dataset(path):
        return ""
    if path.is_dir():
        if path.is_symlink():
            return "a link to a folder, which is not followed; give that folder as an input too, or remove the link"
        return "" if os.access(path, os.R_OK | os.X_OK) else NOT_ALLOWED
    if is_packed(path) and not format_of(path):
        return ONLY_JSONL if ENDINGS.get(path.with_suffix("").suffix.lower()) else ""
    if not format_of(path):
        return ""
    if not path.is_file():
        return "no file, or a link to one that is gone; remove it"
    return "" if os.access(path, os.R_OK) else NOT_ALLOWED


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _between(path: Path, folder: Path) -> list[Path]:
    """The folders on the way from `folder` down to a path."""
    return [parent for parent in path.parents if parent.is_relative_to(folder)]


def _is_dataset(folder: Path) -> bool:
    """Whether a folder is what datasets' `save_to_disk` wrote."""
    return (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()


def _split_dataset(folder: Path, root: Path, source: Source) -> Iterator[Shard]:
    """Runs of rows of about SHARD_BYTES."""
    rows = len(_datasets().load_from_disk(str(folder)))
    whole = sum(path.stat().st_size for path in folder.glob("*.arrow"))
    step = max(1, rows * SHARD_BYTES // max(whole, 1))
    for start in range(0, rows, step):
        end = min(start + step, rows)
        yield Shard("dataset", (folder,), root, source, start, end, rows=end - start)


def _form(path: Path, source: Source) -> str:
    """The format of a file that was named. Raises InputError where it is missing or nothing tells."""
    if not path.exists():
        raise InputError(f"no file or folder {str(path)!r}; check the path")
    form = source.format or format_of(path)
    if form is None:
        raise InputError(f"cannot tell the format of {str(path)!r} by its ending; use {', '.join(ENDINGS)} or --format")
    if is_packed(path) and form != "jsonl":
        raise InputError(f"{path}: {ONLY_JSONL}")
    return form


def _split_or_reject(path: Path, root: Path, source: Source, form: str, reject: Reject) -> Iterator[Shard]:
    try:
        yield from _split_file(path, root, source, form)
    except InputError as error:
        reject(path, str(error))


def _split_file(path: Path, root: Path, source: Source, form: str) -> Iterator[Shard]:
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: {NOT_ALLOWED}")
    whole = size(path)
    if whole == 0:
        told = "standard input" if path.name == STDIN else f"{path}"
        raise InputError(f"{told} is empty (0 bytes) or no plain file; leave it out, or pipe text to -")
    if form == "jsonl":
        for start in range(0, whole, SHARD_BYTES):
            yield Shard(form, (path,), root, source, start, min(start + SHARD_BYTES, whole))
    elif form == "parquet":
        for start, end, rows in _row_groups(path):
            yield Shard(form, (path,), root, source, start, end, rows=rows)
    elif form in ("csv", "tsv") and whole > SHARD_BYTES and is_ascii_based(source.encoding):
        starts = list(_csv_cuts(path, form))
        for (start, line), (end, _) in zip(starts, [*starts[1:], (whole, 0)], strict=True):
            yield Shard(form, (path,), root, source, start, end, line)
    else:
        yield Shard(form, (path,), root, source)


def _csv_cuts(path: Path, form: str) -> Iterator[tuple[int, int]]:
    """Where a shard of csv begins: a row's first byte and the lines before it, about every SHARD_BYTES.

    A line end within quotes ends no row, so the file is read by the rules of csv; a broken row stays in its shard.
    """
    at = cut = 0

    def told() -> Iterator[str]:
        nonlocal at
        for start, whole in lines(path):
            at = start
            for line in whole.splitlines(keepends=True):
                at += len(line)
                yield line.removeprefix(b"\xef\xbb\xbf").decode("latin-1")  # what csv asks of it is ASCII

    yield 0, 0
    reader = csv_reader(told(), form)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue
        if cells and at - cut >= SHARD_BYTES and at < path.stat().st_size:
            yield at, reader.line_num
            cut = at


def _row_groups(path: Path) -> Iterator[tuple[int, int, int]]:
    """Runs of row groups of about SHARD_BYTES: the first, the end, and the rows in them."""
    about = footer(path)
    start, whole, rows = 0, 0, 0
    for group in range(about.num_row_groups):
        whole += about.row_group(group).total_byte_size
        rows += about.row_group(group).num_rows
        if whole >= SHARD_BYTES or group == about.num_row_groups - 1:
            yield start, group + 1, rows
            start, whole, rows = group + 1, 0, 0


def _spooled(given: Input, folder: Path, number: int, source: Source, reject: Reject) -> tuple[Path, str]:
    """A copy of what can be read once only, and its format."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(given, str | Path):
        with atomic_path(folder / STDIN) as temporary, temporary.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return folder / STDIN, source.format or "txt"
    if isinstance(given, Rows):
        return _spool_rows(given.rows, folder / f"rows-{number}", source.text, reject), "jsonl"
    if hasattr(given, "with_format") and hasattr(given, "features"):
        return _spool_dataset(given, folder / f"rows-{number}", source.text, reject)
    raise InputError(f"{given!r:.60} is no path and no dataset; wrap what can be iterated in Rows(...)")


def _spool_rows(rows: Iterable[Any], path: Path, text: str, reject: Reject) -> Path:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="surrogatepass") as file:
        for number, row in enumerate(rows, 1):
            try:
                line = _spooled_row(row, number, text)
            except InputError as error:
                reject(Path(path.name), str(error))
            else:
                file.write(line + "\n")
    return path


def _spooled_row(row: Any, number: int, text: str) -> str:
    """A row as a line of jsonl. Raises InputError where its text is no string, or JSON cannot hold it."""
    if not isinstance(row, str) and not hasattr(row, "keys"):
        raise InputError(f"row {number} is {row!r:.60}, neither a string nor a mapping; mend or drop it")
    content = {text: row} if isinstance(row, str) else dict(row)
    if not isinstance(content.get(text, ""), str):
        raise InputError(f"row {number}: {no_text(text, content[text])}")
    try:
        return json.dumps(content, default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"row {number} cannot be written as JSON ({error}); mend or drop it") from None


def _spool_dataset(dataset: Any, path: Path, text: str, reject: Reject) -> tuple[Path, str]:
    """Rows of a Dataset, or of a stream whose columns are known, as parquet; of another stream as jsonl."""
    import pyarrow.parquet

    if dataset.features is None:
        return _spool_rows(dataset, path, text, reject), "jsonl"
    batches = iter(dataset.with_format("arrow").iter(batch_size=ROWS))
    schema = dataset.features.arrow_schema.remove_metadata()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        with pyarrow.parquet.ParquetWriter(file, schema) as writer:
            while some := list(islice(batches, 8)):  # a row group
                writer.write_table(pyarrow.concat_tables(some).replace_schema_metadata(None).cast(schema))
    return path, "parquet"


def _datasets() -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise InputError("a saved dataset needs the datasets library: pip install 'capthemes[datasets]'") from None
    return datasets
