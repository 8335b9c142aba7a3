"""Inflation: compressed files that come out far larger than they went in are read in bounded pieces, or refused."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from capthemes.errors import InputError

if TYPE_CHECKING:
    import pyarrow

ALWAYS = 64 << 20  # bytes that any file may come out as
TIMES = 1000  # a parquet file of repeated paragraphs comes out at a few hundred times its size, other text at ten
LONGEST_LINE = 16 << 20
PIECE = 32 << 20  # bytes of strings in one batch


def line(file: BinaryIO, path: Path, at: int) -> bytes:
    """The next line of an open file, which stands at byte `at`; b"" at its end.

    Raises InputError for a line that never ends.
    """
    found = file.readline(LONGEST_LINE + 1)
    if len(found) > LONGEST_LINE:
        raise InputError(f"{path}: the line at byte {at:,} has more than {LONGEST_LINE:,} bytes; mend or remove it")
    return found


def footer(path: Path) -> "pyarrow.parquet.FileMetaData":
    """What a parquet file says of itself.

    Raises InputError for a damaged one, and for one whose pages come out at more than TIMES its size by their own word.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        about = pyarrow.parquet.read_metadata(path)
        whole = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a parquet file ({error}); write it anew") from None
    _check(path, whole)
    return about


def batches(path: Path, rows: int, groups: Sequence[int] | None = None) -> "Iterator[pyarrow.RecordBatch]":
    """The rows of a parquet file in batches of at most `rows` rows and about PIECE bytes of strings.

    A string that stands once in a dictionary and a million times in the rows is laid out batch by batch. Raises
    InputError for a damaged file, and where all of its strings together come out at more than TIMES its size.
    """
    import pyarrow
    import pyarrow.parquet

    footer(path)
    try:
        schema = pyarrow.parquet.read_schema(path)
        strings = pyarrow.types.is_string, pyarrow.types.is_large_string
        flat = [field.name for field in schema if any(of(field.type) for of in strings)]
        file = pyarrow.parquet.ParquetFile(path, read_dictionary=flat, pre_buffer=False)
        whole = 0
        for batch in file.iter_batches(rows, row_groups=groups):
            for piece in _pieces(batch):
                whole += _length(piece)
                _check(path, whole)
                plain = pyarrow.record_batch(
                    [piece[name].cast(schema.field(name).type) for name in schema.names], schema
                )
                plain.validate(full=True)  # a damaged page can hold strings that are no UTF-8
                yield plain
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: a damaged parquet file ({error}); write it anew") from None


def _pieces(batch: "pyarrow.RecordBatch") -> "Iterator[pyarrow.RecordBatch]":
    if batch.num_rows < 2 or _length(batch) <= PIECE:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


def _length(batch: "pyarrow.RecordBatch") -> int:
    """Bytes of the strings of a batch's dictionaries, each as often as it stands in the rows."""
    import pyarrow
    import pyarrow.compute as compute

    def of(column: Any) -> int:
        lengths = compute.binary_length(column.dictionary).cast(pyarrow.int64())
        return compute.sum(lengths.take(column.indices)).as_py() or 0

    return sum(of(column) for column in batch.columns if pyarrow.types.is_dictionary(column.type))


def _check(path: Path, whole: int) -> None:
    if whole > ALWAYS + TIMES * path.stat().st_size:
        raise InputError(f"{path}: comes out at {whole:,} bytes, more than {TIMES} times its size; write it anew")
