"""N-grams: the features of a text, hashed from its UTF-8 bytes, for both scripts.

Words of letters and digits enter alone and in pairs; ideographs alone, in pairs and in triples. Characters are
folded one by one: to lower case, to their compatible form and from traditional to simplified, where that is
one character. This module says what the n-grams are, in plain Python; `kernel` computes the very same for
corpora.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

APART, WORD, IDEOGRAPH, WITHIN = 0, 1, 2, 3  # kinds of characters; one WITHIN a word (a mark, a joiner) is passed over
PLANE = 1 << 16  # code points that the table covers; beyond are ideographs and characters that stand apart
BEYOND = (0x20000, 0x323AF)  # the first and last ideograph beyond
START, MIX = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93  # odd constants of 64 bits
PAIR, TRIPLE = 0xA0761D6478BD642F, 0xE7037ED1A0B428DB
WHOLE = (1 << 64) - 1


class Gram(NamedTuple):
    """An n-gram's hash and the bytes it covers, `start` to `stop` (exclusive)."""

    hash: int
    start: int
    stop: int


@cache
def characters() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """For each code point of the basic plane, its folded form and its kind.

    A file of the package, so that texts read alike whatever Unicode a Python knows; `python -m benchmarks
    characters` makes it.
    """
    from safetensors.numpy import load

    table = load((files("capthemes") / "families" / "characters.safetensors").read_bytes())
    return table["shift"] + np.arange(PLANE, dtype=np.uint16), table["kind"]


def ngrams(data: bytes) -> Iterator[Gram]:
    """The n-grams of a text in UTF-8, in order; a byte that is not UTF-8 stands apart."""
    word: int | None = None  # the word that is being read, and where it and the one before it began
    began = 0
    before: Gram | None = None
    run: list[Gram] = []  # the last two ideographs, where they touch
    place = 0
    while place <= len(data):
        point, size = _decoded(data, place)
        folded, kind = _folded(point)
        if kind == WORD:
            if word is None:
                word, began, run = START, place, []
            word = (word ^ folded) * MIX & WHOLE
            word ^= word >> 31
        elif kind != WITHIN:
            if word is not None:
                gram = Gram(_mixed(word), began, place)
                yield gram
                if before is not None:
                    yield Gram(_mixed(before.hash * PAIR + gram.hash), before.start, place)
                word, before = None, gram
            if kind == IDEOGRAPH:
                before = None
                gram = Gram(_mixed((START ^ folded) * TRIPLE), place, place + size)
                yield gram
                if run:
                    pair = run[-1].hash * PAIR + gram.hash
                    yield Gram(_mixed(pair), run[-1].start, place + size)
                    if len(run) == 2:
                        yield Gram(_mixed(run[0].hash * TRIPLE + pair), run[0].start, place + size)
                run = [*run[-1:], gram]
            else:
                run = []
        place += size


def _mixed(value: int) -> int:
    value &= WHOLE
    value ^= value >> 32
    value = value * MIX & WHOLE
    return value ^ value >> 29


def _decoded(data: bytes, place: int) -> tuple[int, int]:
    """The code point at a place and its bytes; beyond the end, and for what is not UTF-8, a NUL of one byte."""
    if place == len(data):
        return 0, 1
    first = data[place]
    size = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    try:
        return ord(data[place : place + size].decode("utf-8")), size
    except (UnicodeDecodeError, TypeError):
        return 0, 1


def _folded(point: int) -> tuple[int, int]:
    if point < PLANE:
        folded, kind = characters()
        return int(folded[point]), int(kind[point])
    return point, IDEOGRAPH if BEYOND[0] <= point <= BEYOND[1] else APART
