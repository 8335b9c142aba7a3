"""Training: out-of-fold probabilities, a decision fitted on them, a refit on all, a model with its scores."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from capthemes.annotations import SPLITS, fingerprint, folds, hydrate, is_by_reference, paragraphs
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import AnnotationError
from capthemes.families import family_class
from capthemes.metrics import Evaluation, Signature, evaluate
from capthemes.model import Model
from capthemes.records import Label, Paragraph, Probabilities
from capthemes.text import script

FOLDS = 5


def train(
    data: Mapping[str, Sequence[Paragraph]],
    *,
    name: str,
    family: str,
    codebook: Codebook | None = None,
    seed: int = 0,
) -> Model:
    """Train a model on labelled paragraphs; `data` has them by the names that the card will call them.

    The model's first score is cross-validated, with decisions fitted on the other folds. The same paragraphs, seed and
    library versions give the same bytes.

    Raises AnnotationError where a paragraph has no labels yet (labels None) or there are fewer groups than folds.
    """
    codebook = codebook or Codebook.load()
    everything = [paragraph for part in data.values() for paragraph in part]
    if unread := next((p.id for p in everything if p.labels is None), None):
        raise AnnotationError(
            f"paragraph {unread!r} has not been labelled; leave it out or give it labels ([] for none)"
        )
    kind = family_class(family)
    unseen = out_of_fold(everything, codebook, family, seed)
    decision = Decision.fit(unseen, everything)
    about = {
        "trained_on": [{"name": n, "paragraphs": len(part), "sha256": fingerprint(part)} for n, part in data.items()],
        "seed": seed,
        "capthemes": version("capthemes"),
        "scores": [],
    }
    model = Model(name, family, kind.fit(everything, codebook, seed), decision, codebook, about=about)
    with tempfile.TemporaryDirectory() as folder:  # the saved weights are rounded: what is scored is what is shipped
        model.save(folder)
        model = Model.load(folder)
    how = f"{' + '.join(data)}, {FOLDS}-fold cross-validation"
    return _with_scores(model, [_entry(model, how, everything, cross_fitted(unseen, everything, seed), seed)])


def gather(sets: Sequence[str], texts: Path | None, codebook: Codebook) -> tuple[dict[str, list[Paragraph]], list[str]]:
    """The paragraphs of annotated sets ("written", "written/train", a file), and what had to be left out of them.

    Sets by reference take their texts from `texts`; without it, or where texts are missing, they are left out.

    Raises AnnotationError for an unknown set, and where nothing is left.
    """
    data, left_out = {}, []
    for item in sets:
        name, _, split = item.rpartition("/") if item.rpartition("/")[2] in SPLITS else (item, "", "")
        if not is_by_reference(name, codebook):
            data[item] = paragraphs(name, split or None, codebook)
        elif texts is None:
            left_out.append(f"{item} is by reference and no --texts were given: trained without it")
        else:
            found = hydrate(texts, name, split or None)
            data[item] = found.paragraphs
            left_out.extend([f"{item}: {found}"] if found.missing else [])
    if not any(data.values()):
        raise AnnotationError(f"nothing to train on in {', '.join(sets)}: {'; '.join(left_out) or 'no paragraphs'}")
    return data, left_out


def measure(model: Model, gold: Sequence[Paragraph], data: str, seed: int = 0) -> Model:
    """The model with its scores on held-out labelled paragraphs added to its card, beside the codebook's keywords.

    Scored are all paragraphs and, where there are both, the English and the Chinese ones.
    """
    keywords = Model(
        "keywords",
        "keywords",
        family_class("keywords").fit([], model.codebook, seed),
        Decision.plain(model.codebook.names),
        model.codebook,
        model.codebook.fingerprint,
    )
    entries = []
    for subset, part in _by_script(gold, data).items():
        for candidate in (model, keywords):
            predictions = candidate.predict([paragraph.text for paragraph in part])
            evaluation = evaluate(part, predictions.probabilities, decided(part, predictions), seed)
            entries.append(_entry(candidate, subset, part, evaluation, seed))
    return _with_scores(model, entries)


def out_of_fold(gold: Sequence[Paragraph], codebook: Codebook, family: str, seed: int) -> Probabilities:
    """Raw probabilities of every paragraph, from a family fitted on the other folds; the folds run side by side."""
    from joblib import Parallel, delayed

    pairs = folds(gold, FOLDS, seed)
    parts = Parallel(n_jobs=-1)(
        delayed(_held_out)([gold[i] for i in rows], [gold[i].text for i in held_out], codebook, family, seed)
        for rows, held_out in pairs
    )
    return Probabilities.concatenate(parts)[np.argsort(np.concatenate([held_out for _, held_out in pairs]))]


def _held_out(
    training: Sequence[Paragraph], texts: Sequence[str], codebook: Codebook, family: str, seed: int
) -> Probabilities:
    return family_class(family).fit(training, codebook, seed).predict_proba(texts)


def cross_fitted(unseen: Probabilities, gold: Sequence[Paragraph], seed: int) -> Evaluation:
    """Scores of out-of-fold probabilities, each fold decided by a decision fitted on the others."""
    parts, rows = [], []
    labels: list[tuple[Label, ...]] = []
    for others, fold in folds(gold, FOLDS, seed):
        decision = Decision.fit(unseen[others], [gold[i] for i in others])
        calibrated = decision.calibrate(unseen[fold])
        parts.append(calibrated)
        rows.append(fold)
        labels.extend(decision.decide(calibrated))
    order = np.argsort(np.concatenate(rows))
    return evaluate(gold, Probabilities.concatenate(parts)[order], decided(gold, [labels[i] for i in order]), seed)


def _by_script(gold: Sequence[Paragraph], data: str) -> dict[str, list[Paragraph]]:
    subsets = {data: list(gold)}
    for name, wanted in (("English", "en"), ("Chinese", "zh")):
        part = [paragraph for paragraph in gold if script(paragraph.text) == wanted]
        if 0 < len(part) < len(gold):
            subsets[f"{data}, {name}"] = part
    return subsets


def _with_scores(model: Model, entries: list[dict[str, Any]]) -> Model:
    return replace(model, about={**model.about, "scores": [*model.about["scores"], *entries]})


def _entry(model: Model, data: str, gold: Sequence[Paragraph], evaluation: Evaluation, seed: int) -> dict[str, Any]:
    signature = Signature(data, fingerprint(gold), model.id, model.codebook.version, seed, version("capthemes"))
    return {"data": data, "model": model.name, "signature": str(signature), **_rounded(asdict(evaluation))}


def decided(gold: Sequence[Paragraph], labels: Sequence[tuple[Label, ...]]) -> list[Paragraph]:
    """The same paragraphs with these labels in place of their gold ones."""
    return [replace(paragraph, labels=found) for paragraph, found in zip(gold, labels, strict=True)]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value
