"""Writing: labelled tables as parquet, jsonl or csv, and many parts under one schema."""

import csv
import io
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from capthemes.cells import protected
from capthemes.errors import InputError
from capthemes.reading import as_json, plain
from capthemes.records import ANSWERS

if TYPE_CHECKING:
    import pyarrow

OUTPUTS = (".parquet", ".jsonl", ".csv")
FIRST = ("id", "text", "lang", "document", "position")
GROUP = 16_384  # rows in a row group
REPEATED = ("lang", "model", "schema", *(f"labels.list.element.{part}" for part in ("theme", "stance", "voice")))
LONGEST_NUMBER = 40  # characters
OF_LABEL = {"theme": "string", "stance": "string", "voice": "string", "probability": "double"}  # columns of csv
LEFT_OUT = {"parquet": (), "jsonl": ("probabilities",), "csv": ("labels", "probabilities")}


def output_format(path: Path) -> str:
    """The format an output's ending asks for. Raises InputError, listing the endings that can be written."""
    form = path.suffix.lower()
    if form not in OUTPUTS:
        raise InputError(
            f"cannot write {str(path)!r}: its ending must be one of {', '.join(OUTPUTS)}; none for a folder"
        )
    return form.removeprefix(".")


def write_tables(tables: "Iterable[pyarrow.Table]", schema: "pyarrow.Schema", file: BinaryIO, form: str) -> None:
    """Write labelled rows: nested labels in parquet and jsonl, one row for each label in csv (long).

    In csv a paragraph without labels keeps one row, with nothing under theme, stance, voice and probability. The
    probabilities of all themes are for parquet alone. In jsonl, and in lists and objects within csv, NaN and
    infinite numbers are null; in both, bytes are base64.
    """
    if form == "parquet":
        _write_parquet(tables, schema, file)
        return
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    write = _write_csv if form == "csv" else _write_jsonl
    write((_without(table, "probabilities") for table in tables), schema, text)
    text.flush()
    text.detach()


def written(columns: Mapping[str, str], form: str) -> dict[str, str]:
    """What `write_tables` makes of labelled columns, which are given with their types, in a form."""
    kept = {name: kind for name, kind in columns.items() if name not in LEFT_OUT[form]}
    return kept | OF_LABEL if form == "csv" else kept


def _write_parquet(tables: "Iterable[pyarrow.Table]", schema: "pyarrow.Schema", file: BinaryIO) -> None:
    import pyarrow
    import pyarrow.parquet

    waiting: list[pyarrow.Table] = []
    columns = (name for name in schema.names if name not in FIRST + ANSWERS)
    repeated = [*REPEATED, *columns]  # what a dictionary shortens
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated) as writer:
        for table in tables:
            waiting.append(table)
            if sum(map(len, waiting)) >= GROUP:
                writer.write_table(pyarrow.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pyarrow.concat_tables(waiting))


def _write_jsonl(tables: "Iterable[pyarrow.Table]", schema: "pyarrow.Schema", file: io.TextIOWrapper) -> None:
    for table in tables:
        file.write("".join(_json(row) + "\n" for row in _rows(table)))


def _write_csv(tables: "Iterable[pyarrow.Table]", schema: "pyarrow.Schema", file: io.TextIOWrapper) -> None:
    kept = [name for name in schema.names if name not in LEFT_OUT["csv"]]
    writer = csv.writer(file)
    writer.writerow([*map(_cell, kept), *OF_LABEL])
    for table in tables:
        for row in _rows(table):
            for label in row["labels"] or [{}]:
                writer.writerow([*(_cell(row[name]) for name in kept), *map(label.get, OF_LABEL)])


def _rows(table: "pyarrow.Table") -> list[dict[str, Any]]:
    """The rows as Python has them; days and times as Arrow writes them where one is beyond Python's last year, 9999."""
    import pyarrow

    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except OverflowError:
        texts = [field.with_type(pyarrow.string()) if _is_day(field.type) else field for field in table.schema]
        rows = table.cast(pyarrow.schema(texts)).to_pylist()
    return rows


def _is_day(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_timestamp(kind) or types.is_date(kind))


def _cell(value: Any) -> Any:
    """A csv cell: lists and objects as JSON, strings that would run as a formula protected, but for numbers."""
    if isinstance(value, list | dict):
        return _json(value)
    value = plain(value) if isinstance(value, bytes) else value
    return protected(value) if isinstance(value, str) and not _is_number(value) else value


def _json(value: Any) -> str:
    """Strict JSON, which has no word for what is no number or infinite."""
    try:
        return json.dumps(value, ensure_ascii=False, default=plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=plain)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_number(text: str) -> bool:
    if len(text) > LONGEST_NUMBER:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without(table: "pyarrow.Table", name: str) -> "pyarrow.Table":
    return table.drop_columns([name]) if name in table.column_names else table


def common_schema(schemas: Sequence["pyarrow.Schema"]) -> "pyarrow.Schema":
    """One schema for all parts: ours first and last, the input's columns between as they first come up.

    Types that can be promoted are; a column whose types cannot be brought together holds strings, as does one that
    is empty throughout. Finding it anew after some parts were cast to it finds the same. Not every value need fit the
    promoted type: `unfit` tells.
    """
    import pyarrow

    kinds: dict[str, list[pyarrow.Field]] = {}
    for schema in schemas:
        for field in schema:
            kinds.setdefault(field.name, []).append(field)
    between = [name for name in kinds if name not in FIRST + ANSWERS]
    fields = [_common_field(kinds[name]) for name in (*FIRST, *between, *ANSWERS)]
    return pyarrow.schema(fields, schemas[0].metadata)


def _common_field(fields: Sequence["pyarrow.Field"]) -> "pyarrow.Field":
    import pyarrow

    try:
        (found,) = pyarrow.unify_schemas([pyarrow.schema([field]) for field in fields], promote_options="permissive")
    except pyarrow.ArrowException:
        return pyarrow.field(fields[0].name, pyarrow.string())
    return found.with_type(pyarrow.string()) if pyarrow.types.is_null(found.type) else found


def promoted(own: "pyarrow.Schema", schema: "pyarrow.Schema") -> list[str]:
    """The columns with values that `schema` has under another type."""
    import pyarrow

    filled = [field for field in own if not pyarrow.types.is_null(field.type)]
    return [field.name for field in filled if field.type != schema.field(field.name).type]


def unfit(tables: "Iterable[pyarrow.Table]", schema: "pyarrow.Schema") -> set[str]:
    """The columns with values that the type in `schema` cannot hold, as a whole number too large for a float."""
    import pyarrow

    found: set[str] = set()
    for table in tables:
        for name in set(table.column_names) - found:
            try:
                _cast(table[name], schema.field(name).type)
            except pyarrow.ArrowException:
                found.add(name)
    return found


def with_strings(schema: "pyarrow.Schema", names: Collection[str]) -> "pyarrow.Schema":
    """The schema with columns of these names that hold strings."""
    import pyarrow

    fields = [field.with_type(pyarrow.string()) if field.name in names else field for field in schema]
    return pyarrow.schema(fields, schema.metadata)


def cast_tables(tables: "Iterable[pyarrow.Table]", schema: "pyarrow.Schema") -> "Iterator[pyarrow.Table]":
    """The tables under one schema, such as `common_schema` gives for theirs."""
    import pyarrow

    for table in tables:
        columns = []
        for field in schema:
            if field.name in table.column_names:
                columns.append(_cast(table[field.name], field.type))
            else:
                columns.append(pyarrow.nulls(len(table), field.type))
        yield pyarrow.table(columns, schema=schema)


def _cast(column: "pyarrow.ChunkedArray", kind: "pyarrow.DataType") -> "pyarrow.ChunkedArray | pyarrow.Array":
    from pyarrow import types

    own = column.type
    if own == kind or not types.is_string(kind) or types.is_null(own):
        return column.cast(kind)
    if _is_day(own) or types.is_time(own) or types.is_decimal(own):
        return column.cast(kind)  # Python has no year above 9999
    return as_json(column.to_pylist())
