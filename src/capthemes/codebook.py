"""The codebook: which themes, stances and voices there are, and what each of them means."""

import csv
import io
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from capthemes.errors import CodebookError
from capthemes.store import fingerprint_bytes

BUILT_IN = Path(__file__).with_name("codebook.md")
COLUMNS = ("theme", "chinese", "what it covers", "stance target")
TABLES = {".csv": ",", ".tsv": "\t"}  # a codebook as a table, and what parts its cells
TABLE_COLUMNS = {"covers": COLUMNS[2], "target": COLUMNS[3]}  # shorter names that a table may use
PARTS = ("themes", "stance", "voice")  # what rules rule on
NAME = re.compile(r"`([A-Za-z][A-Za-z0-9_]*)`")


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme: its name, its Chinese name, what it covers, and what a stance toward it is a stance toward."""

    name: str
    chinese: str
    covers: str
    target: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A numbered rule, `part` being what it rules on: "themes", "stance" or "voice"."""

    part: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Codebook:
    """What every label means, parsed from a markdown file that annotators read.

    The file has a title that ends in a version number (`# Codebook, version 1`), a table of themes with the
    columns theme, Chinese, what it covers, stance target; sections headed Stance and Voice that list their
    values as "- `value`: meaning"; and, if wanted, sections "Rules for themes", "... stance", "... voice" with
    numbered rules. A file without a Stance or Voice section has themes only.

    A table (csv or tsv) has the columns theme and covers, and if wanted chinese and target. With targets it has the
    stances and voices of the built-in codebook, without them themes only.
    """

    version: int
    themes: tuple[Theme, ...]
    stances: dict[str, str]
    voices: dict[str, str]
    rules: tuple[Rule, ...]
    text: str

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Codebook":
        """Read a codebook file, or the built-in one.

        Raises CodebookError with file and line where the file does not have the form above.
        """
        if path is None:
            return _built_in()
        path = Path(path)
        return _read_table(path) if path.suffix.lower() in TABLES else _read_markdown(path)

    @property
    def names(self) -> tuple[str, ...]:
        """The themes' names in the codebook's order."""
        return tuple(theme.name for theme in self.themes)

    @property
    def fingerprint(self) -> str:
        return fingerprint_bytes(self.text.encode())

    def extended(self, more: "Codebook") -> "Codebook":
        """This codebook with the themes and rules of another after its own, at its own version.

        Raises CodebookError where a theme stands in both, or the other has stances or voices and they differ.
        """
        if twice := [name for name in more.names if name in self.names]:
            raise CodebookError(f"theme {twice[0]!r} is in both codebooks; rename it, or leave it out of the new one")
        for part in ("stances", "voices"):
            own, other = list(getattr(self, part)), list(getattr(more, part))
            if other and other != own:
                raise CodebookError(f"{part} {other} are not those that are extended ({own}); take these, or have none")
        count = {part: sum(rule.part == part for rule in self.rules) for part in PARTS}
        added = [replace(rule, number=count[rule.part] + rule.number) for rule in more.rules]
        lines = self.text.splitlines()
        _insert(lines, rf"\|\s*`{self.names[-1]}`\s*\|", "", [_row(theme) for theme in more.themes])
        for part in PARTS:
            new = [f"{rule.number}. {rule.text}" for rule in added if rule.part == part]
            _insert(lines, rf"{count[part]}\. ", f"rules for {part}", new)
        rules = tuple(sorted([*self.rules, *added], key=lambda rule: PARTS.index(rule.part)))
        text = "\n".join([*lines, ""])
        return replace(self, themes=(*self.themes, *more.themes), rules=rules, text=text)

    def only(self, themes: Sequence[str], stances: bool = True, voices: bool = True) -> "Codebook":
        """The codebook of some of its themes, in this order, with or without stances and voices; without rules."""
        kept = tuple(self.theme(name) for name in themes)
        return _written(self.version, kept, self.stances if stances else {}, self.voices if voices else {})

    def theme(self, name: str) -> Theme:
        """The theme of that name. Raises CodebookError, listing the names there are."""
        for theme in self.themes:
            if theme.name == name:
                return theme
        raise CodebookError(f"no theme {name!r} in codebook version {self.version}; it has: {', '.join(self.names)}")

    def rules_about(self, name: str) -> Iterator[Rule]:
        """The rules whose text names the theme, in plain words or as `code`."""
        words = name.replace("_", " ")
        for rule in self.rules:
            if f"`{name}`" in rule.text or words in rule.text.lower():
                yield rule


@cache
def _built_in() -> Codebook:
    return _read_markdown(BUILT_IN)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CodebookError(f"no codebook file {path}; give the path of a markdown file or a csv table") from None
    except UnicodeDecodeError as error:
        raise CodebookError(f"{path}: not UTF-8 at byte {error.start}; save the codebook as UTF-8") from None


def _read_markdown(path: Path) -> Codebook:
    text = _text(path)
    sections = _sections(text)
    rules = tuple(
        Rule(part, number, rule)
        for part in PARTS
        for number, rule in _numbered(path, sections.get(f"rules for {part}", []))
    )
    return Codebook(
        version=_version(path, text),
        themes=_themes(path, text),
        stances=_values(path, sections.get("stance", [])),
        voices=_values(path, sections.get("voice", [])),
        rules=rules,
        text=text,
    )


def _sections(text: str) -> dict[str, list[tuple[int, str]]]:
    """Lower-cased heading -> the numbered lines below it."""
    sections: dict[str, list[tuple[int, str]]] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            lines = sections.setdefault(line.lstrip("#").strip().lower(), [])
        else:
            lines.append((number, line))
    return sections


def _version(path: Path, text: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# "):
            if found := re.search(r"version (\d{1,9})\s*$", line):
                return int(found[1])
            raise CodebookError(
                f"{path}:{number}: the title {line!r} must end in a version, as '# Codebook, version 1'"
            )
    raise CodebookError(f"{path}:1: no title; begin the file with '# Codebook, version 1'")


def _themes(path: Path, text: str) -> tuple[Theme, ...]:
    lines = list(enumerate(text.splitlines(), 1))
    header = next((i for i, (_, line) in enumerate(lines) if tuple(_cells(line.lower())) == COLUMNS), None)
    if header is None:
        raise CodebookError(f"{path}:1: no table of themes; its header must be: | {' | '.join(COLUMNS)} |")
    under = _cells(lines[header + 1][1]) if header + 1 < len(lines) else []
    if not under or not all(re.fullmatch(":?-+:?", cell) for cell in under):
        raise CodebookError(f"{path}:{lines[header][0] + 1}: under the header of the table goes |---|---|---|---|")
    themes: dict[str, Theme] = {}
    ended = False
    for number, line in lines[header + 2 :]:
        if line.startswith("#"):
            break
        if not line.startswith("|"):
            if line.count("|") >= 3:
                raise CodebookError(f"{path}:{number}: a row of the table of themes must begin with '|' at the margin")
            ended = True
            continue
        if ended:
            raise CodebookError(f"{path}:{number}: this row is cut off from the table above; remove the lines between")
        theme = _theme(f"{path}:{number}", _cells(line), themes)
        themes[theme.name] = theme
    if not themes:
        raise CodebookError(f"{path}:{lines[header][0]}: the table of themes has no rows; add one for each theme")
    return tuple(themes.values())


def _theme(where: str, cells: list[str], before: Container[str]) -> Theme:
    if len(cells) != len(COLUMNS):
        raise CodebookError(
            f"{where}: this row has {len(cells)} cells, a theme needs {len(COLUMNS)} ({', '.join(COLUMNS)})"
        )
    name = NAME.fullmatch(cells[0])
    if name is None:
        raise CodebookError(f"{where}: theme {cells[0]!r} must be one `name` of letters, digits and _")
    if empty := next((column for column, cell in zip(COLUMNS, cells, strict=True) if not cell), None):
        raise CodebookError(f"{where}: theme {name[1]!r} has nothing under {empty!r}; fill the cell")
    if name[1] in before:
        raise CodebookError(f"{where}: theme {name[1]!r} stands in the table twice; remove one row")
    return Theme(name[1], *cells[1:])


def _read_table(path: Path) -> Codebook:
    rows = _table_rows(path)
    _, names = next(rows, ("", []))
    header = [TABLE_COLUMNS.get(name, name) for name in (cell.strip().lower() for cell in names)]
    if missing := [name for name in (COLUMNS[0], COLUMNS[2]) if name not in header]:
        raise CodebookError(f"{path}:1: no column {missing[0]!r}; a table needs theme and covers, and may have others")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise CodebookError(f"{path}:1: two columns are {twice[0]!r}; rename or remove one")
    themes: dict[str, Theme] = {}
    for where, row in rows:
        if not any(row):
            continue
        if len(row) > len(header):
            raise CodebookError(f"{where}: {len(row)} cells under {len(header)} columns; mend the row")
        if bar := next((cell for cell in row if "|" in cell), None):
            raise CodebookError(f"{where}: {bar!r} has a '|', which parts cells of the codebook; write it without")
        cells = {name: " ".join(cell.split()) for name, cell in zip(header, row, strict=False)}
        words = cells.get(COLUMNS[0], "").replace("_", " ")  # stand in for a column that the table does not have
        cells = {name: cells.get(name, "" if name in header else words) for name in COLUMNS}
        theme = _theme(where, [f"`{cells[COLUMNS[0]]}`", *(cells[name] for name in COLUMNS[1:])], themes)
        themes[theme.name] = theme
    if not themes:
        raise CodebookError(f"{path}:1: the table of themes has no rows; add one for each theme")
    built_in = _built_in()
    given = (built_in.stances, built_in.voices) if COLUMNS[3] in header else ({}, {})
    return _written(1, tuple(themes.values()), *given)


def _table_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table, each with its place, file:line. Raises CodebookError for what is not csv."""
    rows = csv.reader(io.StringIO(_text(path), newline=""), delimiter=TABLES[path.suffix.lower()], strict=True)
    try:
        for row in rows:
            yield f"{path}:{rows.line_num}", row
    except csv.Error as error:
        raise CodebookError(f"{path}:{rows.line_num}: not csv ({error}); mend the row") from None


def _written(version: int, themes: tuple[Theme, ...], stances: dict[str, str], voices: dict[str, str]) -> Codebook:
    """A codebook of these parts, without rules; its text is markdown that parses to it."""
    lines = [f"# Codebook, version {version}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += map(_row, themes)
    for heading, values in (("Stance", stances), ("Voice", voices)):
        if values:
            lines += ["", f"## {heading}", *(f"- `{value}`: {meaning}" for value, meaning in values.items())]
    return Codebook(version, themes, stances, voices, (), "\n".join([*lines, ""]))


def _row(theme: Theme) -> str:
    return f"| `{theme.name}` | {theme.chinese} | {theme.covers} | {theme.target} |"


def _insert(lines: list[str], after: str, section: str, new: Sequence[str]) -> None:
    """Put new lines behind the line of a section that begins like `after`, or the section at the end.

    `after` is a regular expression; the section "" is any.
    """
    place, here = None, ""
    for number, line in enumerate(lines):
        here = line.lstrip("#").strip().lower() if line.startswith("#") else here
        if re.match(after, line) and section in ("", here):
            place = number + 1
    if new and place is None:
        lines += ["", f"## {section.capitalize()}"]
    place = len(lines) if place is None else place
    lines[place:place] = new


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def _values(path: Path, lines: list[tuple[int, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, line in lines:
        if not re.match(r"\s*[-*+] ", line):
            continue
        found = re.fullmatch(r"- `([A-Za-z][A-Za-z0-9_]*)`: (.+)", line.strip())
        if found is None:
            raise CodebookError(f"{path}:{number}: cannot read {line!r}; write '- `value`: what it means'")
        if found[1] in values:
            raise CodebookError(f"{path}:{number}: {found[1]!r} is listed twice; remove one line")
        values[found[1]] = found[2]
    return values


def _numbered(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    expected = 1
    for number, line in lines:
        found = re.match(r"(\d{1,9})\.\s+(.+)", line)
        if found is None:
            continue
        if int(found[1]) != expected:
            raise CodebookError(
                f"{path}:{number}: rule {found[1]} follows rule {expected - 1}; number the rules in turn"
            )
        yield expected, found[2].strip()
        expected += 1
