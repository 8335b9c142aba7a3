"""Text: its script, its normal form, and how a document falls into paragraphs and a paragraph into sentences."""

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

# Ideographs: extension A, the unified block, compatibility forms, and the supplementary planes.
_IDEOGRAPHS = (("\u3400", "\u4dbf"), ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U000323af"))
_LETTERS = (("A", "Z"), ("a", "z"), ("\u00c0", "\u024f"))
HAN = "".join(map("-".join, _IDEOGRAPHS))
_HAN = re.compile(f"[{HAN}]")
_WORD = re.compile(f"[{''.join(map('-'.join, _LETTERS))}]{{2,}}")
PIECE = 256  # texts whose characters are counted at once
_ENDS = "。！？!?.…：:；;”’\"'）)」』"
_SENTENCE = re.compile(r"(?<=[。！？])[”’」』）]*|(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_MARKS = re.compile(r"(?m)^(?:#{1,6}[^\S\n]+|>[^\S\n]?|[-*+](?:[^\S\n]+(?=\S)|[^\S\n]*$))")


def sound(text: str) -> str:
    """Text without lone surrogates or NUL, which libraries stumble over."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")


def compatible(text: str) -> str:
    """Sound text in its compatibility-composed form (NFKC)."""
    return unicodedata.normalize("NFKC", sound(text))


def normalise(text: str) -> str:
    """Compatible, lower-cased text."""
    return compatible(text).lower()


def is_han(char: str) -> bool:
    """Whether a character is an ideograph."""
    return _HAN.match(char) is not None


def script(text: str) -> str:
    """ "zh" where ideographs outweigh words of Latin letters, else "en"."""
    return "zh" if len(_HAN.findall(text)) > len(_WORD.findall(text)) else "en"


def scripts(texts: "pyarrow.Array") -> "pyarrow.Array":
    """The script of each text of an Arrow array, as `script` tells it."""
    import pyarrow
    import pyarrow.compute as compute

    some = compute.match_substring_regex(texts, _HAN.pattern).fill_null(False)
    chinese = some.to_numpy(zero_copy_only=False).copy()
    if chinese.any():
        found = texts.filter(some)
        pieces = (found[start : start + PIECE].to_pylist() for start in range(0, len(found), PIECE))
        chinese[chinese] = [outweighed for piece in pieces for outweighed in _outweighed(piece)]
    return compute.if_else(texts.is_valid(), compute.if_else(pyarrow.array(chinese), "zh", "en"), None)


def _outweighed(texts: list[str]) -> Any:
    """Whether ideographs outweigh words in each text, none of them empty; all are counted at once."""
    import numpy as np

    lengths = np.array(list(map(len, texts)))
    starts = np.cumsum(lengths) - lengths
    points = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4")
    ideographs, letters = (table[points] for table in _tables())
    after = np.append(False, letters[:-1])  # of another letter
    after[starts] = False
    second = letters & after & ~np.append(False, after[:-1])  # a word of two letters or more has one second letter
    return np.add.reduceat(ideographs, starts, dtype=int) > np.add.reduceat(second, starts, dtype=int)


@cache
def _tables() -> tuple[Any, Any]:
    """For each code point, whether it is an ideograph, and whether a Latin letter."""
    import numpy as np

    tables = np.zeros((2, 0x110000), dtype=bool)
    for table, ranges in zip(tables, (_IDEOGRAPHS, _LETTERS), strict=True):
        for first, last in ranges:
            table[ord(first) : ord(last) + 1] = True
    return tables[0], tables[1]


def sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a paragraph begin and end, in characters; they cover it without white space between."""
    bounds, start = [], 0
    for cut in [*_SENTENCE.finditer(text), None]:
        stop = len(text) if cut is None else cut.start() + len(cut.group().rstrip())
        if text[start:stop].strip():
            lead = len(text[start:stop]) - len(text[start:stop].lstrip())
            bounds.append((start + lead, start + len(text[start:stop].rstrip())))
        start = stop
    return bounds


def paragraphs(document: str, markdown: bool = False) -> list[str]:
    """The paragraphs of a document, in order, stripped, none empty.

    Blank lines part paragraphs. A block of several lines is one paragraph where it was wrapped to a width,
    else each line is a paragraph of its own, as in text copied from web pages. `markdown` drops front
    matter and the marks of headings, quotations and lists.
    """
    document = document.replace("\r\n", "\n").replace("\r", "\n").replace("\u2029", "\n\n")
    if markdown:
        document = _MARKS.sub("", _FRONT_MATTER.sub("", document))
    found: list[str] = []
    for block in re.split(r"\n[^\S\n]*\n", document):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        found.extend([_join(lines)] if _wrapped(lines) else lines)
    return found


def _wrapped(lines: list[str]) -> bool:
    """Whether lines break at a width, not at the ends of paragraphs: short, of like length, in mid-sentence."""
    if len(lines) < 2:
        return False
    widths = [sum(2 if _HAN.match(char) else 1 for char in line) for line in lines]
    widest, inner = max(widths), lines[:-1]
    even = sum(width > 0.7 * widest for width in widths[:-1])
    open_ended = sum(line[-1] not in _ENDS for line in inner)
    return 40 <= widest <= 120 and even >= 0.8 * len(inner) and open_ended >= 0.5 * len(inner)


def _join(lines: list[str]) -> str:
    """One line of several; no space goes between two ideographs."""
    joined = lines[0]
    for line in lines[1:]:
        joined += line if _HAN.match(joined[-1]) and _HAN.match(line[0]) else f" {line}"
    return joined
