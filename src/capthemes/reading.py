"""Reading: the rows of a shard as Arrow tables of id, text, document, position and the input's other columns."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.cells import long_cells
from capthemes.errors import InputError
from capthemes.files import Reject, decode, is_ascii_based, line_of, lines
from capthemes.inflation import batches, footer
from capthemes.records import ANSWERS
from capthemes.text import paragraphs

if TYPE_CHECKING:
    import pyarrow

    from capthemes.corpus import Shard

ROWS = 16_384  # rows in one table of parquet or of a dataset
DEEPEST = 48  # parquet is read to 100 levels, and a list takes two
CELLS = 4 << 20  # of a shard of jsonl, rows times columns, beyond one for each of its bytes
OURS = ("id", "text", "document", "position", *ANSWERS)
OWN_COLUMNS = (*OURS, "theme", "stance", "voice", "probability")  # the last four in csv


def halt(path: Path, reason: str) -> None:
    """The end at the first broken row: InputError."""
    raise InputError(reason)


def tables(shard: "Shard", reject: Reject = halt) -> "Iterator[pyarrow.Table]":
    """The shard's rows, in one table or more of one schema; a broken row goes to `reject` and is left out.

    A row without an id is called file:place, the place being its line (csv), byte (jsonl) or row (parquet, datasets).
    """
    nothing = _table(strings([]), strings([]), strings([]), [], {})
    for table in _or_else(READERS[shard.format](shard, reject), nothing):
        yield _cut(table) if shard.source.cut and shard.format not in ("txt", "md") else table


def _or_else(found: "Iterator[pyarrow.Table]", nothing: "pyarrow.Table") -> "Iterator[pyarrow.Table]":
    first = next(found, nothing)
    yield first
    yield from found


def apart(names: Iterable[str], own: Iterable[str] = OWN_COLUMNS) -> dict[str, str]:
    """What the input's columns are called in the output: one named like a column of ours is input_NAME and last."""
    names = list(names)
    kept = {name: name for name in names if name not in own}
    for name in sorted(set(names).intersection(own)):
        fresh = f"input_{name}"
        while fresh in kept.values():
            fresh = f"input_{fresh}"
        kept[name] = fresh
    return kept


def strings(values: Sequence[str | None]) -> "pyarrow.Array":
    """Strings as Arrow has them, valid UTF-8: a lone surrogate becomes "?", as the families read it."""
    import pyarrow

    try:
        return pyarrow.array(values, pyarrow.string())
    except UnicodeEncodeError:
        sound = [None if value is None else value.encode("utf-8", "replace").decode() for value in values]
        return pyarrow.array(sound, pyarrow.string())


def array(values: Sequence[Any]) -> "pyarrow.Array":
    """Values as an Arrow array; values of no common type are written as JSON strings, as is what parquet cannot hold:
    objects without fields, and lists and objects nested more than DEEPEST times."""
    import pyarrow

    try:
        found = pyarrow.array(values)
    except (pyarrow.ArrowException, UnicodeEncodeError, OverflowError):
        return as_json(values)
    return as_json(values) if _is_deep(found.type) or "struct<>" in str(found.type) else found


def _is_deep(kind: Any) -> bool:
    """Whether a type is nested more than DEEPEST times."""
    from pyarrow import types

    level = [kind]
    for _ in range(DEEPEST + 1):
        level = [field.type for kind in level if types.is_struct(kind) for field in kind] + [
            kind.value_type for kind in level if types.is_list(kind)
        ]
    return bool(level)


def as_json(values: Sequence[Any]) -> "pyarrow.Array":
    """Values as strings: what is no string as its JSON."""
    return strings([v if v is None or isinstance(v, str) else json.dumps(v, default=plain) for v in values])


def plain(value: Any) -> Any:
    """A value that JSON has no word for: bytes as base64, numpy's numbers and arrays as Python's, else its string."""
    import numpy as np

    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    dated = isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "mM"  # Python has no nanoseconds
    if isinstance(value, np.ndarray):
        return value.astype(str).tolist() if dated else value.tolist()
    return value.item() if isinstance(value, np.generic) and not dated and value.itemsize <= 8 else str(value)


def _documents(shard: "Shard", reject: Reject) -> "Iterator[pyarrow.Table]":
    names: list[str] = []
    positions: list[int] = []
    texts: list[str] = []
    for path in shard.files:
        try:
            text = decode(path.read_bytes(), path, shard.source.encoding)
            if not text.strip():
                raise InputError(f"{path} is empty; leave it out")
        except InputError as error:
            reject(path, str(error))
            continue
        if not (found := paragraphs(text, markdown=shard.format == "md")):
            reject(path, f"{path} has no paragraph; leave it out")
        names += [shard.name(path)] * len(found)
        positions += range(len(found))
        texts += found
    ids = [f"{name}#{position}" for name, position in zip(names, positions, strict=True)]
    yield _table(strings(ids), strings(texts), strings(names), positions, {})


def _jsonl(shard: "Shard", reject: Reject) -> "Iterator[pyarrow.Table]":
    path, column = shard.files[0], shard.source.text
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    columns: dict[str, None] = {}
    whole = 0
    before: int | None = None  # lines before the shard's first, counted when an error has to name one
    for number, (offset, line) in enumerate(lines(path, shard.start, shard.stop, reject)):
        whole += len(line)
        if not line.strip():
            continue
        try:
            text = decode(line, path, shard.source.encoding, offset)
        except InputError as error:
            reject(path, str(error))
            continue
        row = _json_row(text, column)
        if isinstance(row, str):
            before = line_of(path, offset) - number if before is None else before
            reject(path, f"{path}:{before + number}: {row}")
        else:
            rows.append(row)
            places.append(offset)
            columns |= dict.fromkeys(row)
    if len(rows) * len(columns) > CELLS + whole:
        place = f"{path}: {len(rows):,} rows from byte {shard.start:,} on have {len(columns):,} different keys together"
        reject(path, f"{place}; put what is named apart in each row into one object")
        return
    yield _of_columns(shard, path, {name: [row.get(name) for row in rows] for name in columns}, places)


def _json_row(text: str, column: str) -> dict[str, Any] | str:
    """The row of a line, or what is wrong with it."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error}); mend or remove the line"
    if not isinstance(row, dict):
        return f"a row must be a JSON object, not {row!r:.60}"
    if column not in row:
        return _no_column(column, list(row))
    return row if isinstance(row[column], str) else no_text(column, row[column])


def _csv(shard: "Shard", reject: Reject) -> "Iterator[pyarrow.Table]":
    path, column = shard.files[0], shard.source.text
    header: list[str] = []
    rows: list[list[str]] = []
    places: list[int] = []
    try:
        found = _csv_rows(shard, reject)
        _, header = next(found, (0, []))
        if not header:
            raise InputError(f"{path} is empty; leave it out")
        if len(set(header)) < len(header):
            raise InputError(f"{path}:1: two columns have one name ({', '.join(header)}); rename one")
        for line, cells in found:
            if column not in header:
                reject(path, f"{path}:{line}: {_no_column(column, header)}")
            elif len(cells) == len(header):
                rows.append(cells)
                places.append(line)
            else:
                reject(path, f"{path}:{line}: {len(cells)} cells under {len(header)} columns; mend the row")
    except InputError as error:
        reject(path, str(error))
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
    yield _of_columns(shard, path, columns, places)


def _csv_rows(shard: "Shard", reject: Reject) -> Iterator[tuple[int, list[str]]]:
    """The file's header and the shard's rows, none of them empty, each with the number of its last line.

    What is no csv goes to `reject` line by line, and reading goes on after it; of the header it is an InputError.
    """
    path = shard.files[0]
    undecoded: list[str] = []
    reader = csv_reader(_csv_lines(shard, undecoded), shard.format)
    take = reject if shard.start else halt
    if shard.start:
        yield 1, _csv_header(path, shard.source.encoding, shard.format)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            span = range(shard.line + first, shard.line + reader.line_num + 1)
            within = f" in the row of lines {span[0]} to {span[-1]}" if len(span) > 1 else ""
            for line in span:
                take(path, f"{path}:{line}: not csv ({error}{within}); mend the row")
        else:
            if undecoded:
                take(path, undecoded[0])
            elif cells:
                take = reject
                yield shard.line + reader.line_num, cells
        undecoded.clear()


def _csv_lines(shard: "Shard", undecoded: list[str]) -> Iterator[str]:
    """The shard's lines, decoded; why a line cannot be is added to `undecoded`."""
    path, encoding = shard.files[0], shard.source.encoding
    with path.open("rb") as file:
        file.seek(shard.start)
        data = file.read(-1 if shard.stop is None else shard.stop - shard.start)
    try:
        whole = decode(data, path, encoding, shard.start)
    except InputError:
        if not is_ascii_based(encoding):
            raise
    else:
        yield from io.StringIO(whole, newline="")
        return
    at = shard.start
    for line in data.splitlines(keepends=True):
        try:
            text = decode(line, path, encoding, at)
        except InputError as error:
            undecoded.append(str(error))
            text = line.decode("latin-1")  # what csv asks of it is ASCII
        yield text
        at += len(line)


def _csv_header(path: Path, encoding: str, form: str) -> list[str]:
    decoded = (decode(line, path, encoding, at) for at, line in lines(path))
    try:
        return next(cells for cells in csv_reader(decoded, form) if cells)
    except csv.Error as error:
        raise InputError(f"{path}: not csv ({error}); mend its header") from None


def csv_reader(text: Iterable[str], form: str) -> Any:
    """A strict reader of csv or tsv lines; its `line_num` is the number of lines read."""
    long_cells()
    return csv.reader(text, delimiter="\t" if form == "tsv" else ",", strict=True)


def _parquet(shard: "Shard", reject: Reject) -> "Iterator[pyarrow.Table]":
    path = shard.files[0]
    try:
        about = footer(path)
        number = sum(about.row_group(group).num_rows for group in range(shard.start))
        schema = about.schema.to_arrow_schema()
        if len(set(schema.names)) < len(schema.names):
            raise InputError(f"{path}: two columns have one name ({', '.join(schema.names)}); rename one")
        groups = list(range(shard.start, shard.stop or about.num_row_groups))
        for batch in chain([schema.empty_table()], batches(path, ROWS, groups)):
            yield _of_batch(shard, path, batch, number + 1, reject)
            number += batch.num_rows
    except InputError as error:
        reject(path, str(error))


def _dataset(shard: "Shard", reject: Reject) -> "Iterator[pyarrow.Table]":
    import datasets

    path = shard.files[0]
    rows = datasets.load_from_disk(str(path)).with_format("arrow")
    stop = len(rows) if shard.stop is None else shard.stop
    try:
        for start in range(shard.start, stop, ROWS):
            batch = rows[start : min(start + ROWS, stop)]
            yield _of_batch(shard, path, batch.replace_schema_metadata(None), start + 1, reject)
    except InputError as error:
        reject(path, str(error))


def _of_batch(shard: "Shard", path: Path, batch: Any, first: int, reject: Reject) -> "pyarrow.Table":
    """Rows that are columns already; `first` is the number of the first."""
    import pyarrow
    import pyarrow.compute

    column, names = shard.source.text, batch.schema.names
    if column not in names:
        raise InputError(f"{path}: {_no_column(column, names)}")
    texts = batch[column]
    places = pyarrow.array(range(first, first + batch.num_rows), pyarrow.int64())
    if not is_string(texts.type) and len(texts):
        found = texts.to_pylist()
        broken = [i for i, text in enumerate(found) if not isinstance(text, str)]
    else:  # of a column without chunks older Arrow has no indices, but a crash
        broken = pyarrow.compute.indices_nonzero(texts.is_null()).to_pylist() if texts.null_count else []
    for i in broken:
        reject(path, f"{path}:{first + i}: {no_text(column, texts[i].as_py())}")
    table = pyarrow.table({name: batch[name] for name in names})
    if broken:
        sound = pyarrow.array(sorted(set(range(batch.num_rows)) - set(broken)), pyarrow.int64())
        table, places = table.take(sound), places.take(sound)
    return _named(shard, path, {name: table[name] for name in names}, places)


def is_string(kind: Any) -> bool:
    """Whether an Arrow type is one of strings."""
    from pyarrow import types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner))


def _of_columns(shard: "Shard", path: Path, columns: dict[str, list[Any]], places: list[int]) -> "pyarrow.Table":
    """Rows whose texts are sound, as columns of Python values."""
    import pyarrow

    text, typed = shard.source.text, {}
    for name, values in ({text: []} | columns).items():
        sound = name.encode("utf-8", "replace").decode()
        if sound in typed:
            raise InputError(f"{path}: two columns are {sound!r} once what is no UTF-8 is '?'; rename one")
        typed[sound] = strings(values) if name == text else _ids(values) if name == "id" else array(values)
    return _named(shard, path, typed, pyarrow.array(places, pyarrow.int64()))


def _named(shard: "Shard", path: Path, columns: dict[str, Any], places: "pyarrow.Array") -> "pyarrow.Table":
    """The table of a file's sound rows: those without an id are named by their places."""
    import pyarrow
    import pyarrow.compute as compute

    text = columns.pop(shard.source.text)
    text = text.cast(pyarrow.string()) if is_string(text.type) else strings(text.to_pylist())
    prefix = strings([f"{shard.name(path)}:"])[0]
    ids = compute.binary_join_element_wise(prefix, places.cast(pyarrow.string()), "")
    if "id" in columns:
        own = columns.pop("id")
        own = own.cast(pyarrow.string()) if _is_plain(own.type) else _ids(own.to_pylist())
        empty = compute.fill_null(compute.equal(own, ""), True)
        ids = compute.if_else(empty, ids, own)
    return _table(ids, text, ids, [0] * len(text), columns)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    return bool(is_string(kind) or types.is_integer(kind))


def _ids(values: Sequence[Any]) -> "pyarrow.Array":
    return strings([None if value is None else str(value) for value in values])


def _table(ids: Any, texts: Any, documents: Any, positions: Sequence[int], rest: dict[str, Any]) -> "pyarrow.Table":
    import pyarrow

    ours = {"id": ids, "text": texts, "document": documents, "position": pyarrow.array(positions, pyarrow.int64())}
    return pyarrow.table(ours | {fresh: rest[name] for name, fresh in apart(rest).items()})


def _cut(table: "pyarrow.Table") -> "pyarrow.Table":
    """Each row's text cut into paragraphs, a row for each; one without any stays as it is."""
    texts = table["text"].to_pylist()
    found = [(i, n, text) for i, row in enumerate(texts) for n, text in enumerate(paragraphs(row) or [row])]
    rows = table.take([i for i, _, _ in found]) if found else table.slice(0, 0)
    documents = rows["document"].to_pylist()
    ids = [f"{document}#{n}" for document, (_, n, _) in zip(documents, found, strict=True)]
    for name, values in (("id", strings(ids)), ("text", strings([text for _, _, text in found]))):
        rows = rows.set_column(rows.column_names.index(name), name, values)
    positions = array([n for _, n, _ in found]).cast("int64")
    return rows.set_column(rows.column_names.index("position"), "position", positions)


def _no_column(column: str, have: Sequence[str]) -> str:
    return f"no column {column!r}; it has: {', '.join(have)}; name the text's column with --text"


def no_text(column: str, value: object) -> str:
    return f"{column!r} is {value!r:.60}, not a string; mend or remove the row"


READERS: dict[str, Callable[["Shard", Reject], "Iterator[pyarrow.Table]"]] = {
    "txt": _documents,
    "md": _documents,
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _csv,
    "parquet": _parquet,
    "dataset": _dataset,
}
