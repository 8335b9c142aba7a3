"""Suspects: labelled paragraphs whose themes look wrong to a model that has not seen them (confident learning).

Northcutt, Jiang and Chuang 2021, for each theme on its own among the paragraphs that were read for it, as the package
cleanlab has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import InputError
from capthemes.records import Array, Paragraph, read_matrix, theme_matrix
from capthemes.training import out_of_fold

WORST = 0.8  # the weight of a paragraph's least likely theme against the rest: cleanlab's own


@dataclass(frozen=True, slots=True)
class Suspect:
    """A paragraph, and the calibrated probabilities of the themes in doubt: given but unlikely, or likely but not."""

    paragraph: Paragraph
    doubtful: dict[str, float]


def suspects(
    gold: Sequence[Paragraph], codebook: Codebook | None = None, *, family: str = "linear", seed: int = 0
) -> list[Suspect]:
    """The paragraphs that are likely to have a wrong theme, or to lack one that they were read for, likeliest first.

    Raises AnnotationError where there are too few groups of paragraphs for cross-validation, InputError without
    cleanlab.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise InputError("suspects need cleanlab: pip install 'capthemes[suspects]'") from None

    unseen = out_of_fold(gold, codebook or Codebook.load(), family, seed)
    calibrated = Decision.fit(unseen, gold).calibrate(unseen).theme
    truth, read = theme_matrix(gold, unseen.themes), read_matrix(gold, unseen.themes)
    wrong = np.zeros_like(read)
    for t in np.flatnonzero(read.any(axis=0)):
        rows, p = read[:, t], calibrated[read[:, t], t]
        wrong[rows, t] = find_label_issues(truth[rows, t].astype(int), np.column_stack([1 - p, p]), n_jobs=1)
    confidence = np.where(truth, calibrated, 1 - calibrated)
    found = np.flatnonzero(wrong.any(axis=1))
    ranked = found[np.argsort(_quality(confidence[found], read[found]))]
    doubtful = read & (confidence < 0.5)
    return [
        Suspect(gold[i], {unseen.themes[t]: float(calibrated[i, t]) for t in np.flatnonzero(doubtful[i])})
        for i in ranked
    ]


def _quality(confidence: Array, read: npt.NDArray[np.bool_]) -> Array:
    """(n,), cleanlab's score of a paragraph from its (n, T) confidence in each theme that it was read for.

    A moving average that ends with the lowest. It begins with the highest, so that this in place of what was not read
    leaves it as it is.
    """
    highest = np.where(read, confidence, 0).max(axis=1, keepdims=True)
    falling = -np.sort(-np.where(read, confidence, highest), axis=1)
    score = falling[:, 0]
    for value in falling[:, 1:].T:
        score = WORST * value + (1 - WORST) * score
    return score
