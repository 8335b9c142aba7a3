"""The table of characters that the linear family folds by: from Unicode and OpenCC's traditional characters."""

import unicodedata
from importlib.resources import files

import numpy as np
from safetensors.numpy import save

from capthemes.families.ngrams import APART, IDEOGRAPH, PLANE, WITHIN, WORD
from capthemes.store import PACKAGE
from capthemes.text import is_han


def table() -> tuple[np.ndarray, np.ndarray]:
    """(65536,) folded forms, uint16, and kinds, uint8, by this Python's Unicode."""
    lines = (files("opencc") / "dictionary" / "TSCharacters.txt").read_text(encoding="utf-8").splitlines()
    simplified = {line.split("\t")[0]: line.split("\t")[1].split()[0] for line in lines if "\t" in line}
    folded, kind = np.arange(PLANE, dtype=np.uint16), np.full(PLANE, APART, dtype=np.uint8)
    for point in range(PLANE):
        char = chr(point)
        if unicodedata.category(char) == "Cs":  # half of a pair, no character
            continue
        for fold in (compatible, str.lower, lambda char: simplified.get(char, char)):
            form = fold(char)
            char = form if len(form) == 1 and ord(form) < PLANE else char
        folded[point], category = ord(char), unicodedata.category(char)
        if is_han(char):
            kind[point] = IDEOGRAPH
        elif category[0] in "LN":
            kind[point] = WORD
        elif category in ("Mn", "Me", "Cf"):
            kind[point] = WITHIN
    return folded, kind


def compatible(char: str) -> str:
    return unicodedata.normalize("NFKC", char)


def run() -> None:
    """Write the table into the package."""
    folded, kind = table()
    shift = folded - np.arange(PLANE, dtype=np.uint16)  # nearly all zeros, and so small where it is packed
    (PACKAGE / "families" / "characters.safetensors").write_bytes(save({"shift": shift, "kind": kind}))
