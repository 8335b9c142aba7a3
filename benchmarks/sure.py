"""Sure or not, and drift, measured: recall over random splits of held-out paragraphs, and other text against policy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sheet import filled, sources
from capthemes import annotations, load
from capthemes.drift import Profile
from capthemes.guarantee import LANGUAGES, HeldOut, precision_bound, recall_bound
from capthemes.model import names
from capthemes.records import unit

RESULTS = Path(__file__).parent / "results" / "sure.json"
SHEET = Path(__file__).parent / "sure.md"
OTHER = Path(__file__).parents[1] / "tests" / "other_text.json"
SPLITS = 1000
RECALL, PRECISION, DELTA = 0.9, 0.7, 0.1
PRECISIONS = (0.7, 0.8)
SHOWN = 0.1  # themes with a precision bound in a split, on average, for their precision to be shown


def run(real: Path) -> None:
    """Measure on the development splits and on published text, and write the tables."""
    labelled = [*annotations.paragraphs("written", "dev"), *annotations.hydrate(sources(real), split="dev").paragraphs]
    found: dict[str, list[dict[str, Any]]] = {"splits": [], "provable": [], "drift": drift(real)}
    for name in names():
        held_out = (model := load(name)).held_out or model.calibrated(labelled).held_out
        if held_out is not None:
            found["splits"] += [{"model": name, **row} for row in splits(held_out)]
            found["provable"].append({"model": name, **provable(held_out)})
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def splits(held_out: HeldOut, count: int = SPLITS, seed: int = 0) -> list[dict[str, Any]]:
    """Means over random halves by document, of all languages and of each: recall and precision of the bounds.

    A theme counts in a split where it has a bound and is in both halves.
    """
    rng, documents, rows = np.random.default_rng(seed), int(held_out.document.max()) + 1, []
    kept: dict[str, list[list[float]]] = {name: [] for name in ("all", *LANGUAGES)}
    for _ in range(count):
        fit = (rng.random(documents) < 0.5)[held_out.document]
        for name, split in kept.items():
            own = np.ones(len(fit), dtype=bool) if name == "all" else held_out.language == LANGUAGES.index(name)
            recalls = [_recall(held_out, t, own & fit, own & ~fit) for t in range(len(held_out.themes))]
            precise = [_precision(held_out, t, own & fit, own & ~fit) for t in range(len(held_out.themes))]
            split.append([*_means(recalls), *_means(precise)])
    for name, split in kept.items():
        table = np.array(split)
        recalls = table[~np.isnan(table[:, 0]), 0]
        rows.append(
            {
                "language": name,
                "recall": round(float(recalls.mean()), 4),
                "error": round(float(recalls.std() / np.sqrt(len(recalls))), 4),
                "themes": round(float(table[:, 1].mean()), 2),
                "precision": round(float(np.nanmean(table[:, 2])), 4) if not np.isnan(table[:, 2]).all() else None,
                "precise_themes": round(float(table[:, 3].mean()), 2),
            }
        )
    return rows


def provable(held_out: HeldOut) -> dict[str, Any]:
    """How many themes have a bound on all held-out paragraphs, and how many paragraphs those are."""
    themes, every = range(len(held_out.themes)), np.ones(len(held_out.truth), dtype=bool)
    found: dict[str, Any] = {"paragraphs": len(every)}
    for name, own in (("all", every), *((x, held_out.language == i) for i, x in enumerate(LANGUAGES))):
        has = [own & held_out.truth[:, t] for t in themes]
        bounds = [recall_bound(held_out.probability[has[t], t], held_out.document[has[t]], 1 - RECALL) for t in themes]
        found[f"recall {RECALL}, {name}"] = sum(bound is not None for bound in bounds)
    for rate in PRECISIONS:
        found[f"precision {rate}"] = sum(
            precision_bound(held_out.probability[:, t], held_out.truth[:, t], held_out.document, rate, DELTA)
            is not None
            for t in themes
        )
    return found


def _recall(held_out: HeldOut, t: int, fit: np.ndarray, rest: np.ndarray) -> float:
    """Mean over documents of the share of the theme's paragraphs that is found."""
    p, has, document = held_out.probability[:, t], held_out.truth[:, t], held_out.document
    bound = recall_bound(p[has & fit], document[has & fit], 1 - RECALL)
    if bound is None or not (has & rest).any():
        return np.nan
    place = np.unique(document[has & rest], return_inverse=True)[1]
    return float(np.mean(np.bincount(place, weights=p[has & rest] >= bound) / np.bincount(place)))


def _precision(held_out: HeldOut, t: int, fit: np.ndarray, rest: np.ndarray) -> float:
    p, truth = held_out.probability[:, t], held_out.truth[:, t]
    bound = precision_bound(p[fit], truth[fit], held_out.document[fit], PRECISION, DELTA)
    given = rest & (p >= bound) if bound is not None else rest & False
    return float(truth[given].mean()) if given.any() else np.nan


def _means(values: list[float]) -> tuple[float, int]:
    """The mean of what there is, and how many there are."""
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else np.nan, len(there)


def drift(real: Path) -> list[dict[str, Any]]:
    """AUROC of a paragraph's surprise, other text against policy text of the same script, by a profile of all training
    text."""
    from sklearn.metrics import roc_auc_score

    training = annotations.paragraphs("written", "train")
    training += annotations.hydrate(sources(real), split="train").paragraphs
    profile = Profile.fit([p.text for p in training], [unit(p) for p in training])
    with (real / "dev.jsonl").open(encoding="utf-8") as file:
        published = profile.read([json.loads(line)["text"] for line in file])
    written, rows = profile.read([p.text for p in annotations.paragraphs("written", "test")]), []
    for kind, texts in {**json.loads(OTHER.read_text(encoding="utf-8")), "policy": None}.items():
        for name, policy in (("written/test", written), ("real/dev", published)):
            if texts is None:
                rows.append({"kind": kind, "against": name, "outside": round(float(policy.outside.mean()), 4)})
                continue
            strange = profile.read(texts)
            same = np.isin(policy.language, strange.language)
            truth = np.r_[np.zeros(same.sum()), np.ones(len(texts))]
            area = roc_auc_score(truth, np.r_[policy.surprise[same], strange.surprise])
            outside = float(strange.outside.mean())
            rows.append({"kind": kind, "against": name, "auroc": round(float(area), 4), "outside": round(outside, 4)})
    return rows


def rendered(sheet: str) -> str:
    """The sheet with the tables of what was measured last."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = {"splits": _split_lines, "provable": _provable_lines, "drift": _drift_lines}
    return filled(sheet, {name: list(of(found[name])) for name, of in lines.items()})


def _split_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| model | language | recall | 2 SE | themes with a bound | precision | themes with a bound |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        precision = "-" if row["precise_themes"] < SHOWN else f"{row['precision']:.3f}"
        yield (
            f"| `{row['model']}` | {row['language']} | {row['recall']:.3f} | {2 * row['error']:.3f} "
            f"| {row['themes']:.1f} | {precision} | {row['precise_themes']:.1f} |"
        )


def _provable_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    columns = list(rows[0])
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield f"| {' | '.join(f'`{row[c]}`' if c == 'model' else f'{row[c]:,}' for c in columns)} |"


def _drift_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| text | against | AUROC | flagged |"
    yield "|---|---|---|---|"
    for row in rows:
        area = f"{row['auroc']:.3f}" if "auroc" in row else "-"
        yield f"| {row['kind'].replace('_', ', ')} | {row['against']} | {area} | {row['outside']:.0%} |"
