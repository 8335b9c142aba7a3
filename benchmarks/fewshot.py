"""Few-shot curves: average precision of families on a theme of which they saw 8, 16, 32 or 64 examples."""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sheet import filled
from capthemes import annotations
from capthemes.codebook import Codebook
from capthemes.families import family_class
from capthemes.metrics import average_precision
from capthemes.records import Paragraph, theme_matrix
from capthemes.text import script

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "benchmarks" / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "fewshot.json"
FAMILIES = ("linear", "fewshot")
SIZES = (8, 16, 32, 64)
ORDINARY = 3  # paragraphs without the theme to each with it


def run(themes: int, seeds: int, test: int) -> None:
    """Each theme by itself: examples and ordinary paragraphs from written/train, scored on written/test."""
    book = Codebook.load()
    training = annotations.paragraphs("written", "train")
    held_out = annotations.paragraphs("written", "test")
    held_out = [held_out[i] for i in np.random.default_rng(0).permutation(len(held_out))[:test]]
    chosen = book.names[:: max(1, len(book.names) // themes)][:themes]
    rows = []
    for name, seed in product(chosen, range(seeds)):
        rows += _curve(training, held_out, book.only([name]), seed)
        print(json.dumps(rows[-1]), flush=True)
    found = {"themes": list(chosen), "seeds": seeds, "test": len(held_out), "rows": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(sheet: str) -> str:
    """The sheet with the table of what was measured last."""
    return filled(sheet, {"fewshot": lines(json.loads(RESULTS.read_text(encoding="utf-8")))})


def lines(found: Mapping[str, Any]) -> list[str]:
    told = f"{len(found['themes'])} themes, {found['seeds']} draws of each, {found['test']} paragraphs of written/test."
    table = ["| examples | family | all | English | Chinese |", "|---|---|---|---|---|"]
    for size, family in product(SIZES, FAMILIES):
        rows = [row for row in found["rows"] if (row["examples"], row["family"]) == (size, family)]
        if rows:
            means = (np.mean([row[part] for row in rows if row[part] is not None]) for part in ("all", "en", "zh"))
            table.append(f"| {size} | {family} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return [told, "", *table]


def _curve(
    training: Sequence[Paragraph], held_out: Sequence[Paragraph], book: Codebook, seed: int
) -> list[dict[str, Any]]:
    """A row for each size and family; a smaller draw is part of a larger one."""
    truth = theme_matrix([p.only(book.names) for p in training], book.names)[:, 0]
    order = np.random.default_rng(seed).permutation(len(training))
    yes, no = order[truth[order]], order[~truth[order]]
    gold = theme_matrix([p.only(book.names) for p in held_out], book.names)[:, 0]
    languages = np.array([script(p.text) for p in held_out])
    found = []
    for size, family in product((size for size in SIZES if size <= len(yes)), FAMILIES):
        drawn = [training[i].only(book.names) for i in (*yes[:size], *no[: ORDINARY * size])]
        p = family_class(family).fit(drawn, book, seed).predict_proba([p.text for p in held_out]).theme[:, 0]
        row: dict[str, Any] = {"theme": book.names[0], "seed": seed, "examples": size, "family": family}
        for part, rows in (("all", languages != ""), ("en", languages == "en"), ("zh", languages == "zh")):
            known = gold[rows].any()
            row[part] = round(average_precision(gold[rows], p[rows]), 4) if known else None
        found.append(row)
    return found
