"""Text: its script, its normal form, and how a document falls into paragraphs and a paragraph into sentences."""

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

# Ideographs: extension A, the unified block, compatibility forms, and the supplementary planes.
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_HAN = re.compile(f"[{HAN}]")
_WORD = re.compile("[A-Za-z\u00c0-\u024f]{2,}")
_ENDS = "。！？!?.…：:；;”’\"'）)」』"
_SENTENCE = re.compile(r"(?<=[。！？])[”’」』）]*|(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_MARKS = re.compile(r"(?m)^(?:#{1,6}\s+|>\s?|[-*+]\s+(?=\S))")


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

    def where(mask: pyarrow.Array, pattern: str) -> pyarrow.Array:
        """How often the pattern stands in the texts that the mask lets through; in the others, 0."""
        nothing = pyarrow.repeat(pyarrow.scalar(0, pyarrow.int32()), len(texts))
        return compute.replace_with_mask(nothing, mask, compute.count_substring_regex(texts.filter(mask), pattern))

    foreign = compute.not_equal(compute.binary_length(texts), compute.utf8_length(texts)).fill_null(False)
    ideographs = where(foreign, _HAN.pattern)  # ASCII has none
    words = where(compute.greater(ideographs, 0), _WORD.pattern)
    return compute.if_else(texts.is_valid(), compute.if_else(compute.greater(ideographs, words), "zh", "en"), None)


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
