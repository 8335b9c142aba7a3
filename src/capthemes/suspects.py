"""Suspects: labelled paragraphs whose themes look wrong to a model that has not seen them (confident learning).

Northcutt, Jiang and Chuang 2021, for each theme on its own, as the package cleanlab has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import InputError
from capthemes.records import Paragraph, theme_matrix
from capthemes.training import out_of_fold


@dataclass(frozen=True, slots=True)
class Suspect:
    """A paragraph, and the calibrated probabilities of the themes in doubt: given but unlikely, or likely but not."""

    paragraph: Paragraph
    doubtful: dict[str, float]


def suspects(
    gold: Sequence[Paragraph], codebook: Codebook | None = None, *, family: str = "linear", seed: int = 0
) -> list[Suspect]:
    """The paragraphs that are likely to have a wrong theme, or to lack one, the likeliest first.

    Raises AnnotationError where there are too few groups of paragraphs for cross-validation, InputError without
    cleanlab.
    """
    try:
        from cleanlab.multilabel_classification.filter import find_label_issues
    except ImportError:
        raise InputError("suspects need cleanlab: pip install 'capthemes[suspects]'") from None

    unseen = out_of_fold(gold, codebook or Codebook.load(), family, seed)
    calibrated = Decision.fit(unseen, gold).calibrate(unseen).theme
    truth = theme_matrix(gold, unseen.themes)
    given = [np.flatnonzero(row).tolist() for row in truth]
    ranked = find_label_issues(given, calibrated, return_indices_ranked_by="self_confidence", n_jobs=1)
    doubt = np.where(truth, 1 - calibrated, calibrated)
    return [
        Suspect(gold[i], {unseen.themes[t]: float(calibrated[i, t]) for t in np.flatnonzero(doubt[i] > 0.5)})
        for i in ranked
    ]
