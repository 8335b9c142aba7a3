"""Slices: the rows of a set by language, register, translation, year and length, so that each is scored by itself."""

import re
from collections.abc import Callable, Mapping, Sequence

from capthemes.records import Paragraph
from capthemes.text import HAN, script

LEAST = 20  # paragraphs in a slice that is scored
LENGTHS = (60, 120)  # words: below the first is short, from the second on is long
_HAN = re.compile(f"[{HAN}]")
IDEOGRAPHS = 1.4  # to an English word, in the paragraphs that `written` has in both languages


def slices(gold: Sequence[Paragraph], least: int = LEAST) -> tuple[dict[str, list[int]], int]:
    """Rows by "language: zh", "register: party_press", ... of each part that has two slices or more.

    What a paragraph tells stands in its `meta`: lang, register (or kind), translation, year. Registers of fewer than
    `least` paragraphs are put together as "register: other", where that parts them from any; other slices so small
    are left out, and counted beside.
    """
    found: dict[str, list[int]] = {}
    for part, told in _PARTS.items():
        by_value: dict[str, list[int]] = {}
        for row, paragraph in enumerate(gold):
            by_value.setdefault(told(paragraph), []).append(row)
        if part == "register":
            by_value = _pooled(by_value, least)
        if len(by_value) > 1:
            found.update({f"{part}: {value}": rows for value, rows in sorted(by_value.items())})
    kept = {name: rows for name, rows in found.items() if len(rows) >= least}
    return kept, len(found) - len(kept)


def _pooled(by_value: Mapping[str, list[int]], least: int) -> dict[str, list[int]]:
    """The values of fewer than `least` rows as one, "other", unless all are."""
    large = {value: rows for value, rows in by_value.items() if len(rows) >= least}
    other = sorted(row for value, rows in by_value.items() if value not in large for row in rows)
    if not large or not other:
        return dict(by_value)
    return {**large, "other": sorted([*large.get("other", []), *other])}


def _language(paragraph: Paragraph) -> str:
    return str(paragraph.meta.get("lang") or script(paragraph.text))


def _register(paragraph: Paragraph) -> str:
    return str(paragraph.meta.get("register") or paragraph.meta.get("kind") or "unknown")


def _translation(paragraph: Paragraph) -> str:
    machine = str(paragraph.meta.get("lang")).endswith("-mt")
    return "machine" if machine else str(paragraph.meta.get("translation") or "original")


def _year(paragraph: Paragraph) -> str:
    """Five years together."""
    try:
        first = int(paragraph.meta["year"]) // 5 * 5
    except (KeyError, TypeError, ValueError, OverflowError):
        return "unknown"
    return f"{first}-{first + 4}"


def _length(paragraph: Paragraph) -> str:
    han = len(_HAN.findall(paragraph.text))
    words = han / IDEOGRAPHS + len(_HAN.sub(" ", paragraph.text).split())
    short, long = LENGTHS
    return (
        f"1. below {short} words" if words < short else f"2. {short} to {long}" if words < long else f"3. from {long}"
    )


_PARTS: Mapping[str, Callable[[Paragraph], str]] = {
    "language": _language,
    "register": _register,
    "translation": _translation,
    "year": _year,
    "length": _length,
}
