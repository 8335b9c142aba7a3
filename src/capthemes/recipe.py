"""A recipe: how a family is fitted, and what it says of paragraphs that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from capthemes.annotations import folds
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.families import family_class
from capthemes.families.base import Family
from capthemes.families.joint import blocks
from capthemes.records import Paragraph, Probabilities, read_matrix, unit

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """A family by name, with all that it is fitted with but the paragraphs.

    `kind` is its class, also where it is fitted in parts. With `count_unread`, a paragraph that was not read for a
    theme is fitted as one that does not have it.
    """

    family: str
    codebook: Codebook
    seed: int
    options: Mapping[str, Any]
    kind: type[Family]
    count_unread: bool = False

    @classmethod
    def of(
        cls,
        family: str,
        codebook: Codebook,
        seed: int,
        gold: Sequence[Paragraph],
        options: Mapping[str, Any],
        count_unread: bool = False,
    ) -> Self:
        """The recipe for these paragraphs: parts of the family where they were not all read for all themes.

        Parts, too, where none of their labels has a stance or a voice. Raises AnnotationError where a theme was read
        for nowhere.
        """
        kind = family_class(family)
        plain = cls(family, codebook, seed, options, kind, count_unread)
        fitted = plain._as_fitted(gold)
        read = read_matrix(fitted, codebook.names)
        parts = blocks(fitted, codebook)
        whole = len(parts) == 1 and (parts[0].stances, parts[0].voices) == (codebook.stances, codebook.voices)
        if not kind.learns or (read.all() and whole):
            return plain
        if not read.any(axis=0).all():
            unread = codebook.names[int(np.argmin(read.any(axis=0)))]
            raise AnnotationError(f"no paragraph was read for {unread!r}; bring some, or keep it from a --base model")
        return replace(plain, family="joint", options={"of": family, "options": options})

    def fit(self, gold: Sequence[Paragraph]) -> Family:
        """The family fitted on these paragraphs."""
        return family_class(self.family).fit(self._as_fitted(gold), self.codebook, self.seed, **self.options)

    def unseen(self, gold: Sequence[Paragraph], share: float = 1.0) -> Probabilities:
        """Raw probabilities of every paragraph, from the family fitted on the other folds; quick ones side by side.

        With a `share` below 1, on so many of the other folds' groups.
        """
        from joblib import Parallel, delayed

        pairs = folds(gold, FOLDS, self.seed)
        kept = self._drawn(gold, share)
        parts = Parallel(n_jobs=-1 if self.kind.side_by_side else 1)(
            delayed(self._held_out)([gold[i] for i in rows if kept[i]], [gold[i].text for i in held_out])
            for rows, held_out in pairs
        )
        return Probabilities.concatenate(parts)[np.argsort(np.concatenate([held_out for _, held_out in pairs]))]

    def _held_out(self, training: Sequence[Paragraph], texts: Sequence[str]) -> Probabilities:
        return self.fit(training).predict_proba(texts)

    def _drawn(self, gold: Sequence[Paragraph], share: float) -> np.ndarray:
        """(n,), True for the paragraphs of a share of the groups; those of a smaller share are among them."""
        groups = [unit(paragraph) for paragraph in gold]
        unique = sorted(set(groups))
        shuffled = np.random.default_rng(self.seed + 1).permutation(len(unique))  # apart from that of the folds
        place = dict(zip(unique, shuffled.tolist(), strict=True))
        return np.array([place[group] < share * len(unique) for group in groups])

    def _as_fitted(self, gold: Sequence[Paragraph]) -> Sequence[Paragraph]:
        return [replace(p, meta={**p.meta, "read": None}) for p in gold] if self.count_unread else gold
