"""The learning curve: scores of one plain model on published paragraphs, by what and how much it was trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from capthemes.annotations import folds
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.evaluation import decided
from capthemes.families.linear import Linear
from capthemes.metrics import evaluate
from capthemes.records import Paragraph, Predictions

SIZES = (500, 1000, 2000, 4000, 8000)
SEEDS = (0, 1)


def measure(
    written: Sequence[Paragraph], references: Sequence[Paragraph], dev: Sequence[Paragraph]
) -> list[dict[str, Any]]:
    """Mean scores over two draws of each size (one of the whole) from written only, published only, and both.

    Of each draw four fifths train the model and one fifth fits its decision.
    """
    from joblib import Parallel, delayed

    found = []
    for name, source in (("written", written), ("published", references), ("both", [*written, *references])):
        sizes = [*(size for size in SIZES if size < len(source)), len(source)]
        draws = [(size, seed) for size in sizes for seed in (SEEDS if size < len(source) else SEEDS[:1])]
        scores = Parallel(n_jobs=-1)(delayed(_scores)(source, size, seed, dev) for size, seed in draws)
        for size in sizes:
            drawn = [score for score, (drawn_size, _) in zip(scores, draws, strict=True) if drawn_size == size]
            means = {key: round(float(np.mean([score[key] for score in drawn])), 4) for key in drawn[0]}
            found.append({"trained_on": name, "paragraphs": size, **means})
    return found


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "| trained on | paragraphs | theme micro-F1 | theme macro-F1 | stance macro-F1 |",
        "|---|---|---|---|---|",
        *(
            "| {trained_on} | {paragraphs} | {micro_f1:.3f} | {macro_f1:.3f} | {stance:.3f} |".format(**row)
            for row in found
        ),
    ]


def _scores(source: Sequence[Paragraph], size: int, seed: int, dev: Sequence[Paragraph]) -> dict[str, float]:
    rows = np.random.default_rng(seed).permutation(len(source))[:size]
    drawn, codebook = [source[i] for i in rows], Codebook.load()
    others, fifth = folds(drawn, 5, seed)[0]
    fitted = Linear.fit([drawn[i] for i in others], codebook, seed)
    unseen = [drawn[i] for i in fifth]
    decision = Decision.fit(fitted.predict_proba([p.text for p in unseen]), unseen)
    predictions = Predictions(fitted.predict_proba([p.text for p in dev]), decision)
    found = evaluate(dev, predictions.probabilities, decided(dev, predictions))
    return {
        "micro_f1": found.micro_f1.value,
        "macro_f1": found.macro_f1.value,
        "stance": found.stance_macro_f1.value if found.stance_macro_f1 else 0.0,
    }
