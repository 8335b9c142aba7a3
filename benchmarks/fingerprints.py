"""Fingerprints: how well a classifier tells one writer from another, and written from published text, and by what."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.grams import spelled
from capthemes.records import Paragraph
from capthemes.text import script

FOLDS, TOP = 5, 25
LANGUAGES = {"en": "English", "zh": "Chinese"}


def measure(written: Sequence[Paragraph], real: Sequence[Paragraph]) -> dict[str, Any]:
    """By language: accuracy of naming the writer against the largest writer's share, AUROC of written against real."""
    found = {}
    for lang, name in LANGUAGES.items():
        ours = [p for p in written if script(p.text) == lang]
        theirs = [p for p in real if script(p.text) == lang]
        writers = np.array([p.meta["writer"] for p in ours])
        groups = [p.meta.get("group") or p.id for p in ours]
        accuracy = _cross_validated([p.text for p in ours], writers, groups, "accuracy")
        side = np.array([1] * len(ours) + [0] * len(theirs))
        origin = [p.meta.get("group") or p.id for p in ours] + [p.meta["doc"] for p in theirs]
        texts = [p.text for p in ours] + [p.text for p in theirs]
        found[name] = {
            "writers": len(set(writers)),
            "accuracy": round(accuracy, 4),
            "chance": round(float(np.unique(writers, return_counts=True)[1].max() / len(writers)), 4),
            "auroc": round(_cross_validated(texts, side, origin, "roc_auc"), 4),
            **_telling(texts, side),
        }
    return found


def lines(found: Mapping[str, Any]) -> list[str]:
    """Of `found` by time ("before", "now") and language: a table, and the telling words."""
    rows = [
        "| when | language | writers | naming the writer | chance | written against published, AUROC |",
        "|---|---|---|---|---|---|",
    ]
    each = [(when, name, part) for when, by_language in found.items() for name, part in by_language.items()]
    for when, name, part in each:
        numbers = f"{part['accuracy']:.2f} | {part['chance']:.2f} | {part['auroc']:.3f}"
        rows.append(f"| {when} | {name} | {part['writers']} | {numbers} |")
    for when, name, part in each:
        rows += ["", f"{name}, {when}, most telling of writing: {', '.join(part['written'])}."]
        if when == "now":
            rows += ["", f"{name}, most telling of published text: {', '.join(part['published'])}."]
    return rows


def _pipeline() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(analyzer=spelled, sublinear_tf=True, min_df=5)
    return make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=500, class_weight="balanced"))


def _cross_validated(texts: Sequence[str], y: np.ndarray, groups: Sequence[str], scoring: str) -> float:
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return float(cross_val_score(_pipeline(), texts, y, groups=groups, cv=folds, scoring=scoring).mean())


def _telling(texts: Sequence[str], side: np.ndarray) -> dict[str, list[str]]:
    """The n-grams with the largest weights on either side."""
    fitted = _pipeline().fit(texts, side)
    names, weights = fitted[0].get_feature_names_out(), fitted[1].coef_[0]
    order = np.argsort(weights)
    return {"written": names[order[::-1][:TOP]].tolist(), "published": names[order[:TOP]].tolist()}
