"""Inflation: compressed files that come out far larger than they went in are read in bounded pieces, or refused."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capthemes.errors import InputError

if TYPE_CHECKING:
    import pyarrow

ALWAYS = 64 << 20  # bytes that any file may come out as
TIMES = 1000  # a parquet file of repeated paragraphs comes out at a few hundred times its size, other text at ten
PIECE = 32 << 20  # bytes of strings in one batch
WIDTH = 16  # bytes of a number at most


def footer(path: Path) -> "pyarrow.parquet.FileMetaData":
    """What a parquet file says of itself.

    Raises InputError for a damaged one, and for one whose pages, or whose lists and cells of a fixed width, come out at
    more than TIMES its size by their own word.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        about = pyarrow.parquet.read_metadata(path)
        groups = [about.row_group(group) for group in range(about.num_row_groups)]
        check(path, sum(group.total_byte_size for group in groups))
        check(path, _wide(path, about.schema, groups))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a parquet file ({error}); write it anew") from None
    return about


def batches(path: Path, rows: int, groups: Sequence[int] | None = None) -> "Iterator[pyarrow.RecordBatch]":
    """The rows of a parquet file in batches of at most `rows` rows and about PIECE bytes of strings.

    A string that stands once in a dictionary and a million times in the rows is laid out batch by batch. Raises
    InputError for a damaged file, and where all of its strings together come out at more than TIMES its size.
    """
    import pyarrow
    import pyarrow.parquet

    about = footer(path)
    try:
        schema = pyarrow.parquet.read_schema(path)
        paths, nested = _string_paths(about.schema)
        file = pyarrow.parquet.ParquetFile(path, read_dictionary=paths, pre_buffer=False)
        groups = list(range(about.num_row_groups)) if groups is None else groups
        whole = 0
        parts = [[group] for group in groups] if nested else [groups]  # Arrow joins no dictionaries within lists
        for batch in chain.from_iterable(file.iter_batches(rows, row_groups=part) for part in parts):
            for piece in _pieces(batch):
                whole += _length(piece)
                check(path, whole)
                plain = pyarrow.record_batch([_laid_out(piece[field.name], field.type) for field in schema], schema)
                plain.validate(full=True)  # a damaged page can hold strings that are no UTF-8
                yield plain
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: a damaged parquet file ({error}); write it anew") from None


def _pieces(batch: "pyarrow.RecordBatch") -> "Iterator[pyarrow.RecordBatch]":
    """The batch in parts of about PIECE, each on its own: what casts a slice of lists lays out the whole of them."""
    import pyarrow

    if batch.num_rows < 2 or _length(batch) <= PIECE:
        yield batch
        return
    for half in np.array_split(np.arange(batch.num_rows), 2):
        yield from _pieces(batch.take(pyarrow.array(half)))


def _string_paths(schema: Any) -> tuple[list[str], bool]:
    """The columns of strings or bytes of a parquet file, and whether any of them is within a list or a struct."""
    columns = [schema.column(number) for number in range(len(schema))]
    found = [c for c in columns if c.physical_type == "BYTE_ARRAY" and c.logical_type.type != "DECIMAL"]
    return [column.path for column in found], any(column.path != column.name for column in found)


def _wide(path: Path, schema: Any, groups: Sequence[Any]) -> int:
    """Bytes of the values in lists, of which one row may hold any number, and of cells of a fixed great width."""
    import pyarrow.parquet

    widths = {}
    for number in range(len(schema)):
        column = schema.column(number)
        width = column.length if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else WIDTH
        if column.max_repetition_level or width > WIDTH:
            widths[number] = width
    if widths:  # a scan ends in an error where what a chunk says of itself is damaged; asking it ends the process
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
            file.scan_contents([schema.column(number).path for number in widths])
    return sum(group.column(number).num_values * width for group in groups for number, width in widths.items())


def _length(batch: "pyarrow.RecordBatch") -> int:
    """Bytes of the strings of a batch's dictionaries, each as often as it stands in the rows."""
    return sum(map(_strings_length, batch.columns))


def _strings_length(column: Any) -> int:
    import pyarrow
    import pyarrow.compute as compute

    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        lengths = compute.binary_length(column.dictionary).cast(pyarrow.int64())
        return compute.sum(lengths.take(column.indices)).as_py() or 0
    if pyarrow.types.is_struct(kind):
        return sum(map(_strings_length, column.flatten()))
    if pyarrow.types.is_map(kind):
        first, end = column.offsets[0].as_py(), column.offsets[-1].as_py()
        return sum(_strings_length(part.slice(first, end - first)) for part in (column.keys, column.items))
    return _strings_length(column.flatten()) if pyarrow.types.is_nested(kind) else 0


def _laid_out(column: Any, kind: Any) -> Any:
    """A column whose strings are read as dictionaries, as it was written."""
    import pyarrow

    views = {pyarrow.string_view(): pyarrow.string(), pyarrow.binary_view(): pyarrow.binary()}
    return column.cast(views.get(kind, kind)).cast(kind)


def check(path: Path, whole: int) -> None:
    """Raise InputError where a file comes out at `whole` bytes and that is more than TIMES its size.

    What comes out at ALWAYS bytes or fewer may do so.
    """
    if whole > ALWAYS + TIMES * path.stat().st_size:
        raise InputError(f"{path}: comes out at {whole:,} bytes, more than {TIMES} times its size; write it anew")
