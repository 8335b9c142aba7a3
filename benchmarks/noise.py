"""Label noise: the paragraphs whose gold themes look least likely to a model that has not seen them (cleanlab)."""

from collections.abc import Sequence

import numpy as np

from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.records import Paragraph, theme_matrix
from capthemes.training import out_of_fold


def suspects(gold: Sequence[Paragraph], count: int, seed: int = 0) -> list[tuple[Paragraph, dict[str, float]]]:
    """The `count` most suspect paragraphs, worst first, each with the doubtful themes' calibrated probabilities."""
    from cleanlab.multilabel_classification.filter import find_label_issues

    unseen = out_of_fold(gold, Codebook.load(), "linear", seed)
    calibrated = Decision.fit(unseen, gold).calibrate(unseen).theme
    truth = theme_matrix(gold, unseen.themes)
    given = [np.flatnonzero(row).tolist() for row in truth]
    ranked = find_label_issues(given, calibrated, return_indices_ranked_by="self_confidence")
    doubt = np.where(truth, 1 - calibrated, calibrated)
    return [
        (gold[i], {unseen.themes[t]: round(float(calibrated[i, t]), 3) for t in np.flatnonzero(doubt[i] > 0.5)})
        for i in ranked[:count]
    ]
