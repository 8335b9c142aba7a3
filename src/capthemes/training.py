"""Training: out-of-fold probabilities, a decision fitted on them, a refit on all, a model with its scores."""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np

from capthemes.annotations import SPLITS, fingerprint, folds, hydrate, is_by_reference, paragraphs
from capthemes.codebook import Codebook
from capthemes.decision import Decision, ThemeDecision
from capthemes.drift import Profile
from capthemes.errors import AnnotationError, CodebookError
from capthemes.evaluation import decided, rules_kept, scores, signed, versions_agree
from capthemes.families import family_class
from capthemes.families.base import Family
from capthemes.families.joint import Joint, Part
from capthemes.guarantee import HeldOut
from capthemes.manifest import read_manifest
from capthemes.metrics import Evaluation, evaluate
from capthemes.model import Model, check_options, names
from capthemes.needs import needs
from capthemes.recipe import FOLDS, Recipe
from capthemes.records import Label, Paragraph, Predictions, Probabilities, read_matrix, theme_matrix, unit
from capthemes.store import home

TIMED = 0.5  # seconds of the processor in which speed is measured
PLENTY = 64  # examples of each theme: no learning curve is drawn


def train(
    data: Mapping[str, Sequence[Paragraph]],
    *,
    name: str,
    family: str,
    dev: Mapping[str, Sequence[Paragraph]] | None = None,
    codebook: Codebook | None = None,
    base: Model | None = None,
    count_unread: bool = False,
    seed: int = 0,
    **options: Any,
) -> Model:
    """Train a model on labelled paragraphs; `data` has them by the names that the card will call them.

    The decision is fitted on the paragraphs of `dev`, or without them on cross-validated predictions. The model's
    first score is on the same paragraphs, each fifth decided by a decision fitted on the rest. `family` may be the
    name of a bundled model, for its family; `options` go to it. With `base`, the themes of that model stay as they
    are, and only the codebook's others are trained. A paragraph that was not read for a theme teaches nothing of it;
    with `count_unread` it is trained on as one without the theme, but neither decided nor scored. On a processor the
    same paragraphs, seed and library versions give the same answers; the manifest and card also tell how long it took.

    Raises AnnotationError where a paragraph has no labels yet (labels None), there are fewer groups than folds, a
    theme was read for nowhere, or a paragraph of `dev` belongs with one of `data`; CodebookError where a base's
    codebook cannot be extended; ModelError for an option that the family does not take.
    """
    whole = extended(codebook, base)
    own = whole if base is None else whole.only([name for name in whole.names if name not in base.codebook.names])
    family = family_named(family)
    everything, gold = (_gathered(part, own, count_unread) for part in (data, dev or data))
    _check_labelled(everything + gold)
    check_options(family, family_class(family).fit, options)
    folds(gold, FOLDS, seed)
    if dev:
        check_apart(everything, gold, "dev")
    began = time.perf_counter()
    recipe = Recipe.of(family, own, seed, everything, options, count_unread)
    model = _shipped(Model(name, recipe.family, recipe.fit(everything), Decision.plain(own.names), own))
    curve: dict[float, Probabilities] = {}
    if dev:
        how, unseen = " + ".join(dev), model.family.predict_proba([p.text for p in gold])
    else:
        how, unseen = f"{' + '.join(data)}, {FOLDS}-fold cross-validation", recipe.unseen(gold)
        curve = {share: recipe.unseen(gold, share) for share in _shares(recipe, gold)} | {1.0: unseen}
    model = replace(model, decision=Decision.fit(unseen, gold))
    model = model if base is None else _beside(base, model, whole)
    known = base is None and read_matrix(gold, own.names).all()  # a guarantee needs to know all themes of a paragraph
    model = _shipped(
        replace(
            model,
            held_out=HeldOut.of(unseen, gold, "held out" if dev else "cross-validated") if known else None,
            profile=Profile.fit([p.text for p in everything], [unit(p) for p in everything]),
        )
    )
    about: dict[str, Any] = {
        "trained_on": _described(data),
        "decided_on": _described(dev or {}),
        "seed": seed,
        "capthemes": version("capthemes"),
        "scores": [],
        "needs": [str(need) for need in needs(everything if dev else gold, curve, own.names)],
        **_unread([p for part in data.values() for p in part], own, count_unread),
        **({} if base is None else {"base": {"model": base.id, "themes": list(base.codebook.names)}}),
    }
    model = replace(model, about={**about, **_behaviour(model), "training": _effort(began)})
    return _with_scores(model, [signed(model, how, gold, cross_fitted(unseen, gold, seed), seed)])


def family_named(name: str) -> str:
    """The family of that name, or of the bundled model of that name ("fast")."""
    return read_manifest(home("models") / name)["family"] if name in names() else name


def extended(codebook: Codebook | None, base: Model | None) -> Codebook:
    """The codebook to train by: the one given or the built-in one, with the themes of `base` where it lacks them.

    Raises CodebookError where it has some of them only, or has no theme of its own.
    """
    if base is None:
        return codebook or Codebook.load()
    if codebook is None or not set(codebook.names) - set(base.codebook.names):
        raise CodebookError(f"nothing to add to {base.id}; give a codebook with themes that it does not have")
    if not set(base.codebook.names) <= set(codebook.names):
        return base.codebook.extended(codebook)
    if (codebook.stances, codebook.voices) != (base.codebook.stances, base.codebook.voices):
        raise CodebookError(f"the codebook's stances or voices are not those of {base.id}; take them over from it")
    return codebook


def _gathered(parts: Mapping[str, Sequence[Paragraph]], codebook: Codebook, count_unread: bool) -> list[Paragraph]:
    """The paragraphs with their labels of the codebook's themes; where they teach nothing of these, without them."""
    found = [paragraph for part in parts.values() for paragraph in part]
    read = np.asarray(read_matrix(found, codebook.names).any(axis=1))
    return [
        paragraph if paragraph.labels is None else paragraph.only(codebook.names)
        for row, paragraph in enumerate(found)
        if count_unread or read[row]
    ]


def _beside(base: Model, own: Model, whole: Codebook) -> Model:
    """One model of two: the themes of `base` and those of `own`, calibrated by each and held to its thresholds."""
    parts = [Part(model.family_name, model.family, model.codebook, model.decision) for model in (base, own)]
    thresholds = {
        name: ThemeDecision(threshold=numbers.threshold)
        for model in (base, own)
        for name, numbers in model.decision.themes.items()
    }
    decision = Decision({name: thresholds[name] for name in whole.names})
    return Model(own.name, "joint", cast(Family, Joint(whole, parts)), decision, whole)


def _shares(recipe: Recipe, gold: Sequence[Paragraph]) -> tuple[float, ...]:
    """The shares of the paragraphs at which a learning curve is drawn: where it is quick and a theme may be thin."""
    thin = theme_matrix(gold, recipe.codebook.names).sum(axis=0).min() < PLENTY
    return (0.25, 0.5) if recipe.kind.quick and thin and len({unit(p) for p in gold}) >= 4 * FOLDS else ()


def _unread(gold: Sequence[Paragraph], codebook: Codebook, counted: bool) -> dict[str, Any]:
    """How many paragraphs were not read for each theme, where any was not, and what became of them."""
    missing = (~read_matrix(gold, codebook.names)).sum(axis=0).tolist()
    found = {name: count for name, count in zip(codebook.names, missing, strict=True) if count}
    return {"unread": {"themes": found, "counted_as_absent": counted}} if found else {}


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
        return Model.load(folder, **family_class(model.family_name).as_its_maker)


def _described(data: Mapping[str, Sequence[Paragraph]]) -> list[dict[str, Any]]:
    return [{"name": name, "paragraphs": len(part), "sha256": fingerprint(part)} for name, part in data.items()]


def gather(
    sets: Sequence[str], texts: Sequence[Path], codebook: Codebook
) -> tuple[dict[str, list[Paragraph]], list[str]]:
    """The paragraphs of annotated sets ("written", "written/train", a file), and what had to be left out of them.

    Sets by reference take their texts from `texts`; without it, or where files or texts of it are missing, what has no
    text is left out.

    Raises AnnotationError for an unknown set, and where nothing is left.
    """
    data, left_out = {}, []
    there = [path for path in texts if path.exists()]
    for item in sets:
        name, _, split = item.rpartition("/") if item.rpartition("/")[2] in SPLITS else (item, "", "")
        if not is_by_reference(name, split or None, codebook):
            data[item] = paragraphs(name, split or None, codebook)
        elif not texts:
            left_out.append(f"{item} is by reference and no --texts were given: left out")
        else:
            left_out.extend(
                f"{item} is by reference and there is no file {path}" for path in texts if path not in there
            )
            found = hydrate(there, name, split or None, codebook)
            data |= {item: found.paragraphs} if found.paragraphs else {}
            left_out.extend([f"{item}: {found}"] if found.missing else [])
    if not any(data.values()):
        raise AnnotationError(f"no paragraphs in {', '.join(sets)}: {'; '.join(left_out) or 'they are empty'}")
    return data, left_out


def measure(model: Model, gold: Sequence[Paragraph], data: str, seed: int = 0) -> Model:
    """The model with its scores on held-out labelled paragraphs added to its card, beside the codebook's keywords.

    Scored are all paragraphs and, where there are both, the English and the Chinese ones. The card also tells how many
    paragraphs a second of one core labels.
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
    measured = _with_scores(model, [entry for pair in pairs for entry in pair])
    speed = {"data": data, "per_core_second": _speed(model, [paragraph.text for paragraph in gold])}
    return replace(measured, about={**measured.about, "speed": speed})


def _speed(model: Model, texts: Sequence[str]) -> float:
    """Paragraphs labelled in a second of processor time, in whole passes until TIMED is spent."""
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < TIMED:
        model.predict(texts)
        done += len(texts)
    return round(done / spent, 2)


def out_of_fold(gold: Sequence[Paragraph], codebook: Codebook, family: str, seed: int, **options: Any) -> Probabilities:
    """Raw probabilities of every paragraph, from a family fitted on the other folds."""
    return Recipe.of(family, codebook, seed, gold, options).unseen(gold)


def cross_fitted(unseen: Probabilities, gold: Sequence[Paragraph], seed: int) -> Evaluation:
    """Scores of out-of-fold probabilities, each fold decided by a decision fitted on the others."""
    parts, rows = [], []
    labels: list[tuple[Label, ...]] = []
    for others, fold in folds(gold, FOLDS, seed):
        predictions = Predictions(unseen[fold], Decision.fit(unseen[others], [gold[i] for i in others]))
        parts.append(predictions.probabilities)
        rows.append(fold)
        labels.extend(predictions)
    order = np.argsort(np.concatenate(rows))
    return evaluate(gold, Probabilities.concatenate(parts)[order], decided(gold, [labels[i] for i in order]), seed)


def _with_scores(model: Model, entries: list[dict[str, Any]]) -> Model:
    return replace(model, about={**model.about, "scores": [*model.about["scores"], *entries]})
