"""What a queue saves: annotation played through on sets that are annotated already, strategy by strategy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sheet import filled, sources
from capthemes import annotations
from capthemes.annotations import folds
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.families import family_class
from capthemes.queue import STRATEGIES, pick
from capthemes.records import Paragraph, Probabilities, theme_matrix
from capthemes.training import cross_fitted

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "queue.json"
SHEET = ROOT / "benchmarks" / "queue.md"
SCORES = ("macro_f1", "micro_f1")
STEP = 100  # paragraphs labelled before a model is trained anew
FULL = {"pool": 4000, "last": 1500, "seeds": 5}
REDUCED = {"pool": 1000, "last": 400, "seeds": 2}


def run(real: Path | None, reduced: bool) -> None:
    """Play all strategies through on the written set and, with their texts, on the references; render the sheet."""
    size = REDUCED if reduced else FULL
    sets = {"written": {split: annotations.paragraphs("written", split) for split in annotations.SPLITS}}
    if real is not None:
        sets["references"] = {
            split: annotations.hydrate(sources(real), split=split).paragraphs for split in annotations.SPLITS
        }
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name, splits in sets.items():
        held_out = splits["dev"] if reduced else splits["dev"] + splits["test"]
        results[name] = {**size, "held_out": len(held_out), "curves": curves(splits["train"], held_out, **size)}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8"), results), encoding="utf-8")


def curves(
    paragraphs: Sequence[Paragraph], held_out: Sequence[Paragraph], pool: int, last: int, seeds: int
) -> list[dict[str, Any]]:
    """The scores after every STEP labels, from the same first ones for all strategies of a seed."""
    from joblib import Parallel, delayed

    plays = [(strategy, seed) for seed in range(seeds) for strategy in STRATEGIES]
    drawn = {seed: np.random.default_rng(seed).permutation(len(paragraphs))[:pool] for seed in range(seeds)}
    scores = Parallel(n_jobs=-1)(
        delayed(_play)([paragraphs[i] for i in drawn[seed]], held_out, last, strategy, seed) for strategy, seed in plays
    )
    return [
        {"strategy": strategy, "seed": seed, **found} for (strategy, seed), found in zip(plays, scores, strict=True)
    ]


def saved(curve: Sequence[float], random: Sequence[float]) -> float | None:
    """The share of labels by which a curve reaches the best score of `random` sooner; None where it never does."""
    ours, theirs = _reached(curve, max(random)), _reached(random, max(random))
    return None if ours is None or theirs is None else 1 - ours / theirs


def _reached(curve: Sequence[float], score: float) -> float | None:
    """The labels at which a curve first reaches a score, by straight lines between its points."""
    above = np.flatnonzero(np.array(curve) >= score)
    if not len(above):
        return None
    at = int(above[0])
    return STEP * (at + 1 if at == 0 else at + (score - curve[at - 1]) / (curve[at] - curve[at - 1]))


def rendered(sheet: str, results: Mapping[str, Any]) -> str:
    return filled(sheet, {name: list(_lines(found)) for name, found in results.items()})


def _play(
    pool: Sequence[Paragraph], held_out: Sequence[Paragraph], last: int, strategy: str, seed: int
) -> dict[str, list[float]]:
    codebook = Codebook.load()
    labelled = list(range(STEP))
    found: dict[str, list[float]] = {score: [] for score in SCORES}
    while True:
        gold = [pool[i] for i in labelled]
        calibrate, family = _fitted(gold, codebook, seed)
        scores = cross_fitted(family.predict_proba([p.text for p in held_out]), held_out, seed)
        for score in SCORES:
            found[score].append(round(getattr(scores, score).value, 4))
        if len(labelled) >= last:
            return found
        rest = np.setdiff1d(np.arange(len(pool)), labelled)
        probabilities: Probabilities = calibrate(family.predict_proba([pool[i].text for i in rest]))
        have = theme_matrix(gold, codebook.names).sum(axis=0).astype(float)
        chosen = pick(
            probabilities.theme,
            lambda places, rest=rest: [pool[i].text for i in rest[places]],
            STEP,
            strategy,
            have,
            [p.text for p in gold],
            seed + len(labelled),
        )
        labelled += rest[chosen].tolist()


def _fitted(gold: Sequence[Paragraph], codebook: Codebook, seed: int) -> tuple[Any, Any]:
    """A family fitted on four fifths of what is labelled, and the calibration that the last fifth gives."""
    others, fifth = folds(gold, 5, seed)[0]
    family = family_class("linear").fit([gold[i] for i in others], codebook, seed)
    unseen = [gold[i] for i in fifth]
    return Decision.fit(family.predict_proba([p.text for p in unseen]), unseen).calibrate, family


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    labels = STEP * len(found["curves"][0]["macro_f1"])
    yield (
        f"{found['pool']:,} paragraphs to choose from, {labels:,} labelled, {found['held_out']:,} held out, "
        f"{found['seeds']} seeds."
    )
    yield ""
    yield "| strategy | macro-F1 | micro-F1 | labels saved, macro | labels saved, micro |"
    yield "|---|---|---|---|---|"
    curve = {
        (strategy, score): np.array([x[score] for x in found["curves"] if x["strategy"] == strategy])
        for strategy in STRATEGIES
        for score in SCORES
    }
    for strategy in STRATEGIES:
        scores = [f"{curve[strategy, score][:, -1].mean():.3f}" for score in SCORES]
        yield f"| {strategy} | {' | '.join([*scores, *(_saving(curve, strategy, score) for score in SCORES)])} |"


def _saving(curve: Mapping[tuple[str, str], Any], strategy: str, score: str) -> str:
    """Of the mean curve, and of each seed's."""
    if strategy == "random":
        return ""
    ours, theirs = curve[strategy, score], curve["random", score]
    each = [saved(one, other) for one, other in zip(ours, theirs, strict=True)]
    told = ", ".join("none" if share is None else f"{share:.0%}" for share in each)
    share = saved(ours.mean(axis=0), theirs.mean(axis=0))
    return f"{'none' if share is None else f'{share:.0%}'} ({told})"
