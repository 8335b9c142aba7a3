"""The codebook: which themes, stances and voices there are, and what each of them means."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capthemes.errors import CodebookError
from capthemes.store import fingerprint_bytes

BUILT_IN = Path(__file__).with_name("codebook.md")
COLUMNS = ("theme", "chinese", "what it covers", "stance target")
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
        return _built_in() if path is None else _parse(Path(path))

    @property
    def names(self) -> tuple[str, ...]:
        """The themes' names in the codebook's order."""
        return tuple(theme.name for theme in self.themes)

    @property
    def fingerprint(self) -> str:
        return fingerprint_bytes(self.text.encode())

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
    return _parse(BUILT_IN)


def _parse(path: Path) -> Codebook:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CodebookError(f"no codebook file {path}; give the path of a markdown file") from None
    except UnicodeDecodeError as error:
        raise CodebookError(f"{path}: not UTF-8 at byte {error.start}; save the codebook as UTF-8") from None
    sections = _sections(text)
    rules = tuple(
        Rule(part, number, rule)
        for part in ("themes", "stance", "voice")
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
        cells = _cells(line)
        if len(cells) != len(COLUMNS):
            raise CodebookError(
                f"{path}:{number}: this row has {len(cells)} cells, a theme needs {len(COLUMNS)} ({', '.join(COLUMNS)})"
            )
        name = NAME.fullmatch(cells[0])
        if name is None:
            raise CodebookError(f"{path}:{number}: theme {cells[0]!r} must be one `name` of letters, digits and _")
        if empty := next((column for column, cell in zip(COLUMNS, cells, strict=True) if not cell), None):
            raise CodebookError(f"{path}:{number}: theme {name[1]!r} has nothing under {empty!r}; fill the cell")
        if name[1] in themes:
            raise CodebookError(f"{path}:{number}: theme {name[1]!r} stands in the table twice; remove one row")
        themes[name[1]] = Theme(name[1], *cells[1:])
    if not themes:
        raise CodebookError(f"{path}:{lines[header][0]}: the table of themes has no rows; add one for each theme")
    return tuple(themes.values())


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
