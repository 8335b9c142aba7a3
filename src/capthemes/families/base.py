"""What a family is asked for: probabilities of texts, and to be fitted, saved and loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from capthemes.codebook import Codebook
from capthemes.records import Array, Paragraph, Probabilities


class Family(Protocol):
    """Anything that turns texts into probabilities by a codebook's themes.

    It is fitted once and does not change while it predicts. `save` writes data files into a folder and
    `load` reads them back to the same probabilities, bit for bit; `load` raises ModelError on files that do
    not fit together. `options` are a family's own; most have none.

    `learns` tells whether labels change what it says; `quick` whether a fit takes seconds, so that a learning curve
    can be drawn; `side_by_side` whether folds should run in processes of their own, because a fit leaves cores idle;
    `as_its_maker` has the options of `load` for files that the caller saved a moment ago.
    """

    learns: ClassVar[bool]
    quick: ClassVar[bool]
    side_by_side: ClassVar[bool]
    as_its_maker: ClassVar[Mapping[str, Any]]

    def predict_proba(self, texts: Sequence[str]) -> Probabilities: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, **options: Any) -> Self: ...

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, **options: Any) -> Self: ...


@runtime_checkable
class Additive(Protocol):
    """A family whose log-odds of a theme are a sum, over spans of the text, on top of those of the empty text.

    `contributions` gives the spans, (n, 2) first and last (exclusive) characters, none empty, and what each adds
    to every theme's log-odds, (n, T); spans may overlap.
    """

    def contributions(self, text: str) -> tuple[npt.NDArray[np.intp], Array]: ...
