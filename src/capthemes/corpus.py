"""The corpus: inputs become shards, shards give paragraphs, labelled paragraphs become files."""

import codecs
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from capthemes.errors import InputError
from capthemes.inflation import batches, footer
from capthemes.records import Paragraph
from capthemes.text import paragraphs

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
OUTPUTS = ("parquet", "jsonl", "csv")
SHARD_BYTES = 16 << 20
SHARD_FILES = 500
ROWS = 4096  # of parquet, read at once
STANDARD_INPUT = Path("-")
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # how a cell begins that is run, by OWASP's list
LONGEST_NUMBER = 40  # characters
OWN_COLUMNS = frozenset(
    (
        "id",
        "text",
        "document",
        "position",
        "labels",
        "probabilities",
        "theme",
        "stance",
        "voice",
        "probability",
        "model",
        "schema",
    )
)


@dataclass(frozen=True, slots=True)
class Source:
    """How inputs are read: the text's column, the encoding of text files, whether rows are cut into paragraphs."""

    text: str = "text"
    encoding: str = "utf-8"
    cut: bool = False
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of the input that is read, labelled and written as one: files, or a part of one.

    `start` and `stop` are byte offsets (jsonl) or row groups (parquet); a line belongs to the shard in whose
    range it begins. `root` is what document names are relative to.
    """

    format: str
    files: tuple[Path, ...]
    root: Path
    source: Source = field(default_factory=Source)
    start: int = 0
    stop: int | None = None

    def read(self) -> Iterator[Paragraph]:
        """The shard's paragraphs; `meta` holds document, position and every other column of the input.

        A row without an id is called file:place, the place being its line (csv), byte (jsonl) or row (parquet).

        Raises InputError for a row or file that cannot be read, with file and line or byte.
        """
        return READERS[self.format](self)


def split(inputs: Sequence[str | Path], source: Source | None = None) -> list[Shard]:
    """Cut files, folders and "-" (standard input) into shards, in order. The plan depends on the input alone.

    A folder gives all its files of a known ending, sorted by name, below it at any depth.

    Raises InputError for a path that is missing, empty, of an unknown ending, or a folder without readable files.
    """
    source = source or Source()
    shards: list[Shard] = []
    paths = [Path(path) for path in inputs]
    root = _common_root([path for path in paths if path != STANDARD_INPUT])
    for path in paths:
        if path == STANDARD_INPUT:
            if source.format == "parquet" or any(STANDARD_INPUT in shard.files for shard in shards):
                raise InputError("standard input is read once, and not as parquet; write it to a file first")
            shards.append(Shard(source.format or "txt", (path,), path, source))
        elif path.is_dir():
            shards.extend(_split_folder(path, root, source))
        else:
            shards.extend(_split_file(path, root, source))
    if not shards:
        raise InputError("no input; give files, folders, or - for standard input")
    return shards


def output_format(path: Path) -> str:
    """The format an output's ending asks for. Raises InputError, listing the endings that can be written."""
    form = ENDINGS.get(path.suffix.lower())
    if form not in OUTPUTS:
        raise InputError(f"cannot write {str(path)!r}: its ending must be one of .{', .'.join(OUTPUTS)}")
    return form


def write_table(table: "pyarrow.Table", path: Path, form: str) -> None:
    """Write labelled rows: nested labels in parquet and jsonl, one row for each label in csv (long).

    In csv a paragraph without labels keeps one row, with nothing under theme, stance, voice and probability. The
    probabilities of all themes are for parquet alone.
    """
    if form == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path, compression="zstd")
        return
    table = table.drop_columns([name for name in ("probabilities",) if name in table.column_names])
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        if form == "jsonl":
            for row in _rows(table):
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        else:
            _write_csv(table, file)


def _write_csv(table: "pyarrow.Table", file: TextIO) -> None:
    kept = [name for name in table.column_names if name != "labels"]
    writer = csv.writer(file)
    writer.writerow([*map(_cell, kept), "theme", "stance", "voice", "probability"])
    for row in _rows(table):
        for label in row["labels"] or [{}]:
            parts = [label.get(part) for part in ("theme", "stance", "voice", "probability")]
            writer.writerow([*(_cell(row[name]) for name in kept), *parts])


def _cell(value: Any) -> Any:
    """A csv cell: lists and objects as JSON, and an apostrophe before a string that would run as a formula."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text[:LONGEST_NUMBER])
    except ValueError:
        return False
    return len(text) <= LONGEST_NUMBER


def _rows(table: "pyarrow.Table") -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _common_root(paths: Sequence[Path]) -> Path:
    """What documents are named relative to: the one folder, or the nearest folder that holds all inputs."""
    folders = [str((path if path.is_dir() else path.parent).absolute()) for path in paths]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _split_folder(folder: Path, root: Path, source: Source) -> Iterator[Shard]:
    found = [
        p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix.lower() in ENDINGS and not _hidden(p, folder)
    ]
    if not found:
        raise InputError(f"no readable files in folder {folder}; it needs files ending in {', '.join(ENDINGS)}")
    group: list[Path] = []
    for path in found:
        form = ENDINGS[path.suffix.lower()]
        if group and (
            form not in ("txt", "md") or ENDINGS[group[0].suffix.lower()] != form or len(group) == SHARD_FILES
        ):
            yield Shard(ENDINGS[group[0].suffix.lower()], tuple(group), root, source)
            group = []
        if form in ("txt", "md"):
            group.append(path)
        else:
            yield from _split_file(path, root, source)
    if group:
        yield Shard(ENDINGS[group[0].suffix.lower()], tuple(group), root, source)


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _split_file(path: Path, root: Path, source: Source) -> Iterator[Shard]:
    if not path.exists():
        raise InputError(f"no file or folder {str(path)!r}; check the path")
    form = source.format or ENDINGS.get(path.suffix.lower())
    if form is None:
        raise InputError(f"cannot tell the format of {str(path)!r} by its ending; use {', '.join(ENDINGS)} or --format")
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes) or no plain file; leave it out, or pipe it to -")
    if form == "jsonl":
        for start in range(0, size, SHARD_BYTES):
            yield Shard(form, (path,), root, source, start, min(start + SHARD_BYTES, size))
    elif form == "parquet":
        for start, stop in _row_groups(path):
            yield Shard(form, (path,), root, source, start, stop)
    else:
        yield Shard(form, (path,), root, source)


def _row_groups(path: Path) -> Iterator[tuple[int, int]]:
    """Runs of row groups of about SHARD_BYTES."""
    about = footer(path)
    start, size = 0, 0
    for group in range(about.num_row_groups):
        size += about.row_group(group).total_byte_size
        if size >= SHARD_BYTES or group == about.num_row_groups - 1:
            yield start, group + 1
            start, size = group + 1, 0


def _read_documents(shard: Shard) -> Iterator[Paragraph]:
    for path in shard.files:
        text = _decode(_bytes(path), path, shard.source.encoding)
        for position, paragraph in enumerate(paragraphs(text, markdown=shard.format == "md")):
            yield _paragraph(_name(path, shard.root), position, paragraph, {})


def _read_jsonl(shard: Shard) -> Iterator[Paragraph]:
    path, offset = shard.files[0], shard.start
    with sys.stdin.buffer if path == STANDARD_INPUT else path.open("rb") as file:
        if shard.start:
            file.seek(shard.start - 1)
            offset += len(file.readline()) - 1
        while shard.stop is None or offset < shard.stop:
            line = file.readline()
            if not line:
                break
            if line.strip():
                yield from _rows_of(shard, path, _json_row(line, path, offset, shard.source.encoding), offset)
            offset += len(line)


def _json_row(line: bytes, path: Path, offset: int, encoding: str) -> dict[str, Any]:
    text = _decode(line, path, encoding, offset)
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{_line(path, offset)}: not JSON ({error}); mend or remove the line") from None
    if not isinstance(row, dict):
        raise InputError(f"{_line(path, offset)}: a row must be a JSON object, not {row!r:.60}")
    return row


def _read_csv(shard: Shard) -> Iterator[Paragraph]:
    path = shard.files[0]
    text = _decode(_bytes(path), path, shard.source.encoding).lstrip("\r\n")
    csv.field_size_limit(2**31 - 1)  # the most that Windows takes
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if shard.format == "tsv" else ",", strict=True)
    try:
        header = next(reader)
        if len(set(header)) < len(header):
            raise InputError(f"{path}:1: two columns have one name ({', '.join(header)}); rename one")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{path}:{reader.line_num}: {len(cells)} cells under {len(header)} columns; mend the row"
                )
            yield from _rows_of(shard, path, dict(zip(header, cells, strict=True)), reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not csv ({error}); mend the row") from None


def _read_parquet(shard: Shard) -> Iterator[Paragraph]:
    path = shard.files[0]
    about = footer(path)
    number = sum(about.row_group(group).num_rows for group in range(shard.start))
    names = about.schema.to_arrow_schema().names
    if shard.source.text not in names:
        raise _no_column(path, shard.source.text, names)
    if len(set(names)) < len(names):
        raise InputError(f"{path}: two columns have one name ({', '.join(names)}); rename one")
    for batch in batches(path, ROWS, list(range(shard.start, shard.stop or about.num_row_groups))):
        for row in batch.to_pylist():
            number += 1
            yield from _rows_of(shard, path, row, number)


def _rows_of(shard: Shard, path: Path, row: dict[str, Any], place: int) -> Iterator[Paragraph]:
    """The paragraph of a row, or several where rows are cut; `place` is its line, row or byte."""
    column = shard.source.text
    if column not in row:
        raise _no_column(_where(shard, path, place), column, list(row))
    text = row[column]
    if not isinstance(text, str):
        raise InputError(
            f"{_where(shard, path, place)}: {column!r} is {text!r:.60}, not a string; mend or remove the row"
        )
    name = row.get("id")
    document = f"{_name(path, shard.root)}:{place}" if name is None or name == "" else str(name)
    meta = {key: value for key, value in row.items() if key not in (column, "id")}
    if not shard.source.cut:
        yield Paragraph(document, text, None, {"document": document, "position": 0} | _apart(meta))
        return
    for position, paragraph in enumerate(paragraphs(text)):
        yield _paragraph(document, position, paragraph, meta)


def _paragraph(document: str, position: int, text: str, meta: dict[str, Any]) -> Paragraph:
    return Paragraph(f"{document}#{position}", text, None, {"document": document, "position": position} | _apart(meta))


def _apart(meta: dict[str, Any]) -> dict[str, Any]:
    """The input's columns; one that is named like a column of ours goes to the end as input_NAME."""
    kept = {name: value for name, value in meta.items() if name not in OWN_COLUMNS}
    for name in sorted(meta.keys() & OWN_COLUMNS):
        fresh = f"input_{name}"
        while fresh in kept:
            fresh = f"input_{fresh}"
        kept[fresh] = meta[name]
    return kept


def _where(shard: Shard, path: Path, place: int) -> str:
    return _line(path, place) if shard.format == "jsonl" else f"{path}:{place}"


def _line(path: Path, offset: int) -> str:
    """file:line of a byte offset; lines are counted only when an error has to name one."""
    if path == STANDARD_INPUT:
        return f"standard input, byte {offset}"
    with path.open("rb") as file:
        line = file.read(offset).count(b"\n") + 1
    return f"{path}:{line}"


def _no_column(where: object, column: str, have: Sequence[str]) -> InputError:
    return InputError(f"{where}: no column {column!r}; it has: {', '.join(have)}; name the text's column with --text")


def _bytes(path: Path) -> bytes:
    data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    if not data.strip():
        raise InputError(f"{_shown(path)} is empty; leave it out")
    return data


def _decode(data: bytes, path: Path, encoding: str, offset: int = 0) -> str:
    """The text of bytes that begin at `offset` of a file; a byte-order mark at its beginning goes."""
    try:
        utf8 = codecs.lookup(encoding).name == "utf-8"
        return data.decode("utf-8-sig" if utf8 and offset == 0 else encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{_shown(path)}: not {encoding} at byte {offset + error.start}; name its encoding, as --encoding gb18030 "
            "for older Chinese files"
        ) from None
    except LookupError:
        raise InputError(f"no encoding {encoding!r}; try utf-8, gb18030 or big5") from None


def _shown(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else str(path)


def _name(path: Path, root: Path) -> str:
    return "stdin" if path == STANDARD_INPUT else path.absolute().relative_to(root).as_posix()


READERS: dict[str, Callable[[Shard], Iterator[Paragraph]]] = {
    "txt": _read_documents,
    "md": _read_documents,
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "tsv": _read_csv,
    "parquet": _read_parquet,
}
