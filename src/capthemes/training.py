"""Training: out-of-fold probabilities, a decision fitted on them, a refit on all, a model with its scores."""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from capthemes.annotations import SPLITS, fingerprint, folds, hydrate, is_by_reference, paragraphs
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.drift import Profile
from capthemes.errors import AnnotationError
from capthemes.evaluation import decided, rules_kept, scores, signed, versions_agree
from capthemes.families import family_class
from capthemes.guarantee import HeldOut
from capthemes.metrics import Evaluation, evaluate
from capthemes.model import Model, check_options
from capthemes.records import Label, Paragraph, Probabilities, unit

FOLDS = 5


def train(
    data: Mapping[str, Sequence[Paragraph]],
    *,
    name: str,
    family: str,
    dev: Mapping[str, Sequence[Paragraph]] | None = None,
    codebook: Codebook | None = None,
    seed: int = 0,
    **options: Any,
) -> Model:
    """Train a model on labelled paragraphs; `data` has them by the names that the card will call them.

    The decision is fitted on the paragraphs of `dev`, or without them on cross-validated predictions. The model's
    first score is on the same paragraphs, each fifth decided by a decision fitted on the rest. `options` go to the
    family. On a processor the same paragraphs, seed and library versions give the same answers; the manifest and card
    also tell how long it took.

    Raises AnnotationError where a paragraph has no labels yet (labels None), there are fewer groups than folds, or a
    paragraph of `dev` belongs with one of `data`; ModelError for an option that the family does not take.
    """
    codebook, kind = codebook or Codebook.load(), family_class(family)
    everything = [paragraph for part in data.values() for paragraph in part]
    gold = [paragraph for part in dev.values() for paragraph in part] if dev else everything
    _check_labelled(everything + gold)
    check_options(family, kind.fit, options)
    folds(gold, FOLDS, seed)
    if dev:
        check_apart(everything, gold, "dev")
    began = time.perf_counter()
    about: dict[str, Any] = {
        "trained_on": _described(data),
        "decided_on": _described(dev or {}),
        "seed": seed,
        "capthemes": version("capthemes"),
        "scores": [],
    }
    fitted = kind.fit(everything, codebook, seed, **options)
    profile = Profile.fit([p.text for p in everything], [unit(p) for p in everything])
    model = _shipped(
        Model(name, family, fitted, Decision.plain(codebook.names), codebook, about=about, profile=profile)
    )
    if dev:
        how, unseen = " + ".join(dev), model.family.predict_proba([p.text for p in gold])
    else:
        how = f"{' + '.join(data)}, {FOLDS}-fold cross-validation"
        unseen = out_of_fold(everything, codebook, family, seed, **options)
    held_out = HeldOut.of(unseen, gold, "held out" if dev else "cross-validated")
    model = _shipped(replace(model, decision=Decision.fit(unseen, gold), held_out=held_out))
    model = replace(model, about={**about, **_behaviour(model), "training": _effort(began)})
    return _with_scores(model, [signed(model, how, gold, cross_fitted(unseen, gold, seed), seed)])


def check_apart(training: Sequence[Paragraph], held_out: Sequence[Paragraph], name: str) -> None:
    """Raise AnnotationError where a held-out paragraph has the text, group or document of one that is trained on."""
    texts, units = {p.text for p in training}, {unit(p) for p in training}
    for paragraph in held_out:
        if paragraph.text in texts or (unit(paragraph) != paragraph.id and unit(paragraph) in units):
            raise AnnotationError(
                f"paragraph {paragraph.id!r} of {name}, or another of its document or group, is also trained on; "
                "hold whole documents out"
            )


def _check_labelled(gold: Sequence[Paragraph]) -> None:
    if unread := next((p.id for p in gold if p.labels is None), None):
        raise AnnotationError(
            f"paragraph {unread!r} has not been labelled; leave it out or give it labels ([] for none)"
        )


def _behaviour(model: Model) -> dict[str, Any]:
    """What the built-in codebook's rules and the written paragraphs in several languages say of a model."""
    if model.codebook != Codebook.load():
        return {}
    held_out = [p for part in ("dev", "test") for p in paragraphs("written", part)]
    agreement, pairs = versions_agree(model, held_out)
    return {"rules": rules_kept(model), "versions": {"agreement": round(agreement, 4), "pairs": pairs}}


def _effort(began: float) -> dict[str, Any]:
    return {"seconds": round(time.perf_counter() - began), "cores": os.cpu_count()}


def _shipped(model: Model) -> Model:
    """The model as it comes back from its folder: weights rounded as they are saved, and its fingerprint known."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        own = {"trusted": True} if model.family_name == "pipeline" else {}  # made by the caller a moment ago
        return Model.load(folder, **own)


def _described(data: Mapping[str, Sequence[Paragraph]]) -> list[dict[str, Any]]:
    return [{"name": name, "paragraphs": len(part), "sha256": fingerprint(part)} for name, part in data.items()]


def gather(
    sets: Sequence[str], texts: Sequence[Path], codebook: Codebook
) -> tuple[dict[str, list[Paragraph]], list[str]]:
    """The paragraphs of annotated sets ("written", "written/train", a file), and what had to be left out of them.

    Sets by reference take their texts from `texts`; without it, or where texts are missing, they are left out.

    Raises AnnotationError for an unknown set, and where nothing is left.
    """
    data, left_out = {}, []
    for item in sets:
        name, _, split = item.rpartition("/") if item.rpartition("/")[2] in SPLITS else (item, "", "")
        if not is_by_reference(name, split or None, codebook):
            data[item] = paragraphs(name, split or None, codebook)
        elif not texts:
            left_out.append(f"{item} is by reference and no --texts were given: left out")
        else:
            found = hydrate(texts, name, split or None, codebook)
            data[item] = found.paragraphs
            left_out.extend([f"{item}: {found}"] if found.missing else [])
    if not any(data.values()):
        raise AnnotationError(f"no paragraphs in {', '.join(sets)}: {'; '.join(left_out) or 'they are empty'}")
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
    pairs = zip(scores(model, gold, data, seed), scores(keywords, gold, data, seed), strict=True)
    return _with_scores(model, [entry for pair in pairs for entry in pair])


def out_of_fold(gold: Sequence[Paragraph], codebook: Codebook, family: str, seed: int, **options: Any) -> Probabilities:
    """Raw probabilities of every paragraph, from a family fitted on the other folds; linear ones run side by side."""
    from joblib import Parallel, delayed

    pairs = folds(gold, FOLDS, seed)
    side_by_side = -1 if family == "linear" else 1  # the others fill the machine, or a GPU, by themselves
    parts = Parallel(n_jobs=side_by_side)(
        delayed(_held_out)([gold[i] for i in rows], [gold[i].text for i in held_out], codebook, family, seed, options)
        for rows, held_out in pairs
    )
    return Probabilities.concatenate(parts)[np.argsort(np.concatenate([held_out for _, held_out in pairs]))]


def _held_out(
    training: Sequence[Paragraph],
    texts: Sequence[str],
    codebook: Codebook,
    family: str,
    seed: int,
    options: Mapping[str, Any],
) -> Probabilities:
    return family_class(family).fit(training, codebook, seed, **options).predict_proba(texts)


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


def _with_scores(model: Model, entries: list[dict[str, Any]]) -> Model:
    return replace(model, about={**model.about, "scores": [*model.about["scores"], *entries]})
