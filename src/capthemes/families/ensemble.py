"""The ensemble family: an encoder and n-grams read the same paragraph, and their log-odds are averaged.

They err in different places: the encoder generalises from few examples, n-grams hold on to the set phrases that they
have seen often.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook
from capthemes.families.linear import Linear
from capthemes.families.transformer import Transformer
from capthemes.records import Array, Paragraph, Probabilities, softmax

SHARE = 0.3  # of the n-grams in the average; an encoder's log-odds are wider, so both count about alike
FLOOR = 1e-6  # the least probability that is told from none


class Ensemble:
    """A transformer and a linear family, whose data files lie side by side."""

    learns: ClassVar[bool] = True
    quick: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, transformer: Transformer, linear: Linear) -> None:
        self.transformer = transformer
        self.linear = linear

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        return averaged(self.transformer.predict_proba(texts), self.linear.predict_proba(texts))

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, encoder: str | None = None) -> Self:
        """Fit both on the same paragraphs; `encoder` and errors as of `Transformer.fit`."""
        transformer = Transformer.fit(paragraphs, codebook, seed, encoder)
        return cls(transformer, Linear.fit(paragraphs, codebook, seed))

    def save(self, folder: Path) -> None:
        self.transformer.save(folder)
        self.linear.save(folder)

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, engine: str | None = None, threads: int | None = None) -> Self:
        """`engine` is the transformer's, `threads` the linear family's."""
        return cls(Transformer.load(folder, codebook, engine), Linear.load(folder, codebook, threads))


def averaged(first: Probabilities, second: Probabilities) -> Probabilities:
    """Both in one, the second with a weight of SHARE."""
    theme = _mean(*(np.stack([1 - said.theme, said.theme], axis=-1) for said in (first, second)))
    return Probabilities(
        first.themes,
        first.stances,
        first.voices,
        theme[:, :, 1],
        None if first.stance is None or second.stance is None else _mean(first.stance, second.stance),
        None if first.voice is None or second.voice is None else _mean(first.voice, second.voice),
    )


def _mean(first: Array, second: Array) -> Array:
    """The weighted geometric mean of two distributions over the last axis: their log-odds are averaged."""
    of_first, of_second = (np.log(np.maximum(part, FLOOR)) for part in (first, second))
    return softmax((1 - SHARE) * of_first + SHARE * of_second)
