"""The kernel of the linear family: `ngrams` and the sums of their rows, compiled, over UTF-8 bytes in place."""

from typing import Any

import numba
import numpy as np

from capthemes.families.ngrams import (
    BEYOND,
    IDEOGRAPH,
    MIX,
    PAIR,
    PLANE,
    START,
    TRIPLE,
    WITHIN,
    WORD,
)

_START, _MIX, _PAIR, _TRIPLE = (np.uint64(constant) for constant in (START, MIX, PAIR, TRIPLE))
_FIRST, _LAST = BEYOND


def compiled(function: Any) -> Any:
    """The function, compiled; what was compiled is kept for the next process, where there is a folder to keep it."""
    try:
        return numba.njit(nogil=True, cache=True, boundscheck=False)(function)
    except RuntimeError:  # an install that cannot be written to, and no home
        return numba.njit(nogil=True, boundscheck=False)(function)


@numba.njit(nogil=True, inline="always")
def _mixed(value):  # type: ignore[no-untyped-def]
    value ^= value >> np.uint64(32)
    value *= _MIX
    return value ^ (value >> np.uint64(29))


@compiled
def hashes(data, start, stop, folds, kinds, out):  # type: ignore[no-untyped-def]
    """Write the hashes of the n-grams of bytes `start` to `stop` to `out`; how many there are.

    data: uint8; out: uint64, with room for 3 * (stop - start) + 2.
    """
    n = 0
    word = before = one = two = np.uint64(0)  # one and two: the ideographs before this, the last first
    within = paired = False
    run = 0
    place = start
    while place <= stop:
        point, size = np.uint32(0), 1
        if place < stop:
            first = np.uint32(data[place])
            if first < 0x80:
                point = first
            elif first < 0xE0:
                if first >= 0xC2 and place + 1 < stop and data[place + 1] & 0xC0 == 0x80:
                    point, size = (first & 0x1F) << 6 | np.uint32(data[place + 1] & 0x3F), 2
            elif first < 0xF0:
                if place + 2 < stop and data[place + 1] & 0xC0 == 0x80 and data[place + 2] & 0xC0 == 0x80:
                    found = (
                        (first & 0x0F) << 12
                        | np.uint32(data[place + 1] & 0x3F) << 6
                        | np.uint32(data[place + 2] & 0x3F)
                    )
                    if found >= 0x800 and (found < 0xD800 or found >= 0xE000):
                        point, size = np.uint32(found), 3
            elif (
                place + 3 < stop
                and data[place + 1] & 0xC0 == 0x80
                and data[place + 2] & 0xC0 == 0x80
                and data[place + 3] & 0xC0 == 0x80
            ):
                found = (
                    (first & 0x0F) << 18
                    | np.uint32(data[place + 1] & 0x3F) << 12
                    | np.uint32(data[place + 2] & 0x3F) << 6
                    | np.uint32(data[place + 3] & 0x3F)
                )
                if found >= PLANE and found < 0x110000:
                    point, size = np.uint32(found), 4
        if point < PLANE:
            kind, folded = kinds[point], np.uint64(folds[point])
        else:
            kind, folded = np.uint8(IDEOGRAPH if _FIRST <= point <= _LAST else 0), np.uint64(point)
        place += size
        if kind == WORD:
            if not within:
                word, within, run = _START, True, 0
            word = (word ^ folded) * _MIX
            word ^= word >> np.uint64(31)
            continue
        if kind == WITHIN:
            continue
        if within:
            out[n] = hashed = _mixed(word)
            n += 1
            if paired:
                out[n] = _mixed(before * _PAIR + hashed)
                n += 1
            before, paired, within = hashed, True, False
        if kind == IDEOGRAPH:
            paired = False
            out[n] = hashed = _mixed((_START ^ folded) * _TRIPLE)
            n += 1
            if run > 0:
                pair = one * _PAIR + hashed
                out[n] = _mixed(pair)
                n += 1
                if run > 1:
                    out[n] = _mixed(two * _TRIPLE + pair)
                    n += 1
            two, one = one, hashed
            run += 1
        else:
            run = 0
    return n


@compiled
def slotted(keys, slots):  # type: ignore[no-untyped-def]
    """Fill `slots`, a power of two long and at first -1, with the positions of `keys`, by open addressing."""
    mask = np.uint64(len(slots) - 1)
    for row in range(len(keys)):
        slot = keys[row] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = row


@compiled
def summed(data, offsets, first, last, folds, kinds, slots, bits, keys, rows, squares, out, norms):  # type: ignore[no-untyped-def]
    """For texts `first` to `last`, the sums of the rows and of the squares of their distinct known n-grams.

    Text i is bytes offsets[i] to offsets[i + 1] of data. keys: (F,) uint64; rows: (F, C) int8; squares: (F,)
    int32; slots as of `slotted`; bits: a bitmap of the keys' upper halves. out: (n, C) int32; norms: (n,) int64.
    """
    width = rows.shape[1]
    mask, bit_mask = np.uint64(len(slots) - 1), np.uint64(len(bits) * 8 - 1)
    longest = 0
    for text in range(first, last):
        longest = max(longest, offsets[text + 1] - offsets[text])
    scratch = np.empty(3 * longest + 2, dtype=np.uint64)
    seen = np.full(len(keys), -1, dtype=np.int32)
    for text in range(first, last):
        n = hashes(data, offsets[text], offsets[text + 1], folds, kinds, scratch)
        likely = np.int64(0)  # those that the bitmap has move to the front, without a branch that none could foretell
        for i in range(n):
            bit = (scratch[i] >> np.uint64(32)) & bit_mask
            scratch[likely] = scratch[i]
            likely += np.int64(bits[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7)) & 1)
        sums = out[text]
        norm = np.int64(0)
        for i in range(likely):
            hashed = scratch[i]
            slot = hashed & mask
            row = slots[slot]
            while row >= 0 and keys[row] != hashed:
                slot = (slot + np.uint64(1)) & mask
                row = slots[slot]
            if row < 0 or seen[row] == text:
                continue
            seen[row] = text
            norm += squares[row]
            for column in range(width):
                sums[column] += rows[row, column]
        norms[text] = norm
