"""Evaluation: a model's scores on labelled paragraphs, of all and of each language, with signatures."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import combinations
from typing import Any

import numpy as np

from capthemes.annotations import fingerprint, paragraphs
from capthemes.metrics import Evaluation, Signature, evaluate
from capthemes.model import Model
from capthemes.records import Label, Paragraph, Predictions, label_indices
from capthemes.text import script


def scores(model: Model, gold: Sequence[Paragraph], data: str, seed: int = 0) -> list[dict[str, Any]]:
    """Scores as a card has them: on all paragraphs, then on the English and the Chinese ones where there are both.

    `data` is the name that the signatures give to the paragraphs.
    """
    predictions = model.predict([paragraph.text for paragraph in gold])
    entries = []
    for subset, rows in _by_script(gold, data).items():
        part = [gold[row] for row in rows]
        found = decided(part, [predictions[row] for row in rows])
        entries.append(
            signed(model, subset, part, evaluate(part, predictions.probabilities[np.array(rows)], found, seed), seed)
        )
    return entries


def signed(model: Model, data: str, gold: Sequence[Paragraph], evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """One evaluation as a row of a card, signed."""
    signature = Signature(data, fingerprint(gold), model.id, model.codebook.version, seed, version("capthemes"))
    return {"data": data, "model": model.name, "signature": str(signature), **_rounded(asdict(evaluation))}


def decided(gold: Sequence[Paragraph], labels: Sequence[tuple[Label, ...]]) -> list[Paragraph]:
    """The same paragraphs with these labels in place of their gold ones."""
    return [replace(paragraph, labels=found) for paragraph, found in zip(gold, labels, strict=True)]


def rules_kept(model: Model) -> dict[str, tuple[int, int]]:
    """For each rule of the codebook, how many of its minimal pairs the model tells apart, and how many there are.

    A pair is two paragraphs on either side of the rule. A rule for themes is kept where the model gives each side
    the themes that part them; a rule for stance or voice, where it reads the stance or voice of each gold theme,
    and is left out where the model tells none.
    """
    sides: dict[str, list[Paragraph]] = {}
    for paragraph in paragraphs("rules", codebook=model.codebook):
        sides.setdefault(str(paragraph.meta["pair"]), []).append(paragraph)
    kept: dict[str, tuple[int, int]] = {}
    for pair in sides.values():
        rule = str(pair[0].meta["rule"])
        right, total = kept.get(rule, (0, 0))
        predictions = model.predict([side.text for side in pair])
        if not getattr(predictions.probabilities, f"{rule.split()[0]}s"):
            continue
        told = _themes_right(pair, predictions) if rule.startswith("theme") else _given_right(pair, predictions, rule)
        kept[rule] = (right + told, total + 1)
    return kept


def versions_agree(model: Model, gold: Sequence[Paragraph]) -> tuple[float, int]:
    """How alike the model labels one paragraph in two languages: mean Dice overlap of themes, and the number of pairs.

    Versions are paragraphs of one "group" in `meta`; two that have no theme agree. Nought pairs give nan.
    """
    groups: dict[str, list[frozenset[str]]] = {}
    versions = [p for p in gold if p.meta.get("group")]
    for paragraph, labels in zip(versions, model.predict([p.text for p in versions]), strict=True):
        groups.setdefault(str(paragraph.meta["group"]), []).append(frozenset(label.theme for label in labels))
    overlaps = [
        2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0
        for found in groups.values()
        for one, other in combinations(found, 2)
    ]
    return float(np.mean(overlaps)) if overlaps else math.nan, len(overlaps)


def _themes_right(pair: Sequence[Paragraph], predictions: Predictions) -> bool:
    one, other = ({label.theme for label in side.labels or ()} for side in pair)
    found = [{label.theme for label in labels} for labels in predictions]
    parting = one ^ other or one | other
    return found[0] & parting == one & parting and found[1] & parting == other & parting


def _given_right(pair: Sequence[Paragraph], predictions: Predictions, rule: str) -> bool:
    part, found = rule.split()[0], predictions.probabilities
    values, names = getattr(found, part), getattr(found, f"{part}s")
    rows, themes, truth = label_indices(pair, found.themes, names, part)
    return bool((values[rows, themes].argmax(axis=1) == truth).all())


def _by_script(gold: Sequence[Paragraph], data: str) -> dict[str, list[int]]:
    """Rows of all paragraphs, and of those in either script where there are both."""
    subsets = {data: list(range(len(gold)))}
    for name, wanted in (("English", "en"), ("Chinese", "zh")):
        rows = [row for row, paragraph in enumerate(gold) if script(paragraph.text) == wanted]
        if 0 < len(rows) < len(gold):
            subsets[f"{data}, {name}"] = rows
    return subsets


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value
