"""Csv for spreadsheets: strings that a spreadsheet would take for formulas get an apostrophe, and lose it again."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from capthemes.errors import AnnotationError
from capthemes.store import write_text

Cell = str | int | float | None
MARK = "\ufeff"  # a byte-order mark, without which spreadsheets do not read Chinese
_BEGINS = r"[=+\-@\t\r\n＝＋－＠]"  # how a cell begins that is run, by OWASP's list
_RISKY = re.compile(f"'*{_BEGINS}")
_PROTECTED = re.compile(f"'+{_BEGINS}")


def protected(value: str) -> str:
    """A string cell as it is written: one that begins with = + - @, a tab or a line's end gets an apostrophe.

    So does one that has apostrophes before such a character, so that `plain` gives every string back.
    """
    return f"'{value}" if _RISKY.match(value) else value


def plain(cell: str) -> str:
    """The string behind a cell that `protected` wrote."""
    return cell[1:] if _PROTECTED.match(cell) else cell


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a csv file. Strings are protected, numbers stay as they are."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    for row in (header, *rows):
        writer.writerow([protected(cell) if isinstance(cell, str) else cell for cell in row])
    write_text(path, MARK + file.getvalue())


def long_cells() -> None:
    """Let the csv package read cells of any length: the most that Windows takes."""
    csv.field_size_limit(2**31 - 1)


def read(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The rows of a csv file by column, each with its place, file:line; strings as they were before they were written.

    Raises AnnotationError for what is not UTF-8 or not csv, for two columns of one name, and for a missing one.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not UTF-8 at byte {error.start}; save it as 'CSV UTF-8'") from None
    long_cells()
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [plain(name) for name in next(reader, [])]
        if missing := [name for name in needed if name not in header]:
            raise AnnotationError(f"{path}:1: no column {missing[0]!r}; it has: {', '.join(header)}")
        if len(set(header)) < len(header):
            raise AnnotationError(f"{path}:1: two columns have one name ({', '.join(header)}); rename one")
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if cells and len(cells) != len(header):
                raise AnnotationError(f"{where}: {len(cells)} cells under {len(header)} columns; mend the row")
            if cells:
                yield where, dict(zip(header, map(plain, cells), strict=True))
    except csv.Error as error:
        raise AnnotationError(f"{path}:{reader.line_num}: not csv ({error}); mend the row") from None
