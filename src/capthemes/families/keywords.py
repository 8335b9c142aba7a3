"""The keywords family: a theme applies where a phrase of the codebook's own entry occurs. A baseline."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook, Theme
from capthemes.records import Paragraph, Probabilities
from capthemes.text import HAN, normalise

LONGEST = 3  # words in a phrase
IDLE = frozenset(
    (
        "a",
        "an",
        "and",
        "by",
        "for",
        "from",
        "in",
        "it",
        "its",
        "no",
        "of",
        "on",
        "one",
        "or",
        "that",
        "the",
        "this",
        "to",
        "with",
    )
)


class Keywords:
    """Nothing is learned: the phrases are the theme's names and the short phrases of what it covers.

    The probability is the number of distinct phrases found, k, as k / (k + 1): 0, 0.5, 0.67 ... It says
    nothing of stance or voice.
    """

    learns: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook
        self._patterns = [
            [re.compile(_pattern(phrase)) for phrase in sorted(phrases(theme))] for theme in codebook.themes
        ]

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        found = np.zeros((len(texts), len(self._patterns)))
        for row, text in enumerate(map(normalise, texts)):
            for t, patterns in enumerate(self._patterns):
                found[row, t] = sum(1 for pattern in patterns if pattern.search(text))
        return Probabilities(self.codebook.names, (), (), found / (found + 1))

    def save(self, folder: Path) -> None:
        """Nothing to write: the codebook is all there is."""

    @classmethod
    def load(cls, folder: Path, codebook: Codebook) -> Self:
        return cls(codebook)

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int) -> Self:
        return cls(codebook)


def phrases(theme: Theme) -> set[str]:
    """A theme's name and the phrases of up to three words that its codebook entry lists, in both languages."""
    parts = re.split(r"[,;:.()/\"“”]| and | or ", f"{theme.covers},{theme.chinese},{theme.name.replace('_', ' ')}")
    listed = {normalise(part).strip() for part in parts}
    return {part for part in listed if 0 < len(part.split()) <= LONGEST and not set(part.split()) <= IDLE}


def _pattern(phrase: str) -> str:
    if re.search(f"[{HAN}]", phrase):
        return re.escape(phrase)
    return rf"\b{re.escape(phrase)}(?:s|es)?\b"
