"""The sections of a report: each a few numbers and sentences, ready to be set on the page."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from capthemes.annotations import fingerprint
from capthemes.codebook import Codebook
from capthemes.model import Model
from capthemes.records import Paragraph
from capthemes.report.charts import top_of
from capthemes.report.clearest import Example
from capthemes.report.rows import NONE, Column, Rows
from capthemes.report.shares import FEW, Counted, Interval, counted
from capthemes.runs import Run, RunFolder, rejects_file
from capthemes.store import fingerprint_bytes, fingerprint_file

SHOWN = 8  # values of a column that is not time; the rest are told of
FEWEST = 50  # paragraphs of a value, a period or a theme of which shares are told
SUPPORTED = 10  # gold paragraphs of a theme whose F1 is told
BALANCE = ("supportive", "mixed", "neutral", "critical")  # the order in which stances are drawn
LANGUAGES = {"en": "English", "zh": "Chinese"}
YEAR = 2026  # of the release that CITATION.cff names


@dataclass(frozen=True, slots=True)
class ThemeRow:
    """A theme in the tables: its share of paragraphs, its documents, and what its labels say."""

    name: str
    counted: Counted
    documents: Counted
    stances: list[tuple[str, int]]
    voices: list[tuple[str, int]]
    supportive: Counted | None
    critical: Counted | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file of which `rows` rows could not be read, and the first reason; "" where it is not at hand."""

    file: str
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A column: for each of its values how many paragraphs there are, and each theme's share of them.

    A column of time reaches from `first` to `last`. `shares` are by theme, None where a value has too few paragraphs
    or documents; `unshown` values are left out (the rarest, or those before the first and after the last period with
    shares), and `missing` paragraphs have none.
    """

    name: str
    time: bool
    first: str
    last: str
    values: tuple[str, ...]
    sizes: list[int]
    shares: dict[str, list[Counted | None]]
    top: dict[str, float]
    unshown: int
    missing: int


def sections(
    run: Run,
    rows: Rows,
    path: Path,
    document: str,
    model: Model | None,
    examples: Mapping[str, Mapping[str | None, Sequence[Example]]],
    estimates: Mapping[str, Interval],
    sample: Sequence[Paragraph] = (),
) -> dict[str, Any]:
    """All that the page shows of a run, by section; `sample` are the paragraphs that the estimates rest on."""
    scores = _scores(model)
    themes = sorted((_theme(rows, t, scores) for t in range(len(rows.themes))), key=lambda row: -row.counted.count)
    labelled = np.zeros(len(rows), dtype=bool)
    labelled[rows.row_of] = True
    codebook = model.codebook if model is not None else Codebook.load()
    rejects = _rejects(run, path)
    return {
        "run": path.name,
        "model": run.model,
        "paragraphs": len(rows),
        "documents": int(rows.documents.max()) + 1,
        "document": document,
        "any": counted(labelled, rows.documents),
        "languages": [(LANGUAGES.get(name, name), n / len(rows)) for name, n in rows.languages.most_common(5)],
        "lengths": [int(value) for value in np.percentile(rows.lengths, [10, 50, 90])],
        "empty": int((rows.lengths == 0).sum()),
        "themes": themes,
        "estimates": estimates,
        "sampled": len(sample),
        "top": top_of([x.high or x.share or 0.0 for x in [*(row.counted for row in themes), *estimates.values()]]),
        "stances": _balanced(rows.stances),
        "voices": rows.voices,
        "columns": [_breakdown(rows, column) for column in rows.columns],
        "together": _together(rows),
        "examples": examples,
        "examples_marked": any(e.label.evidence for of in examples.values() for found in of.values() for e in found),
        "scores": scores,
        "rejects": rejects,
        "rejected_rows": sum(one.rows for one in rejects or ()),
        "fewest": FEWEST,
        "few_documents": FEW,
        "supported": SUPPORTED,
        "codebook": codebook if codebook.names == rows.themes else None,
        "signature": _signature(run, rows, path, sample),
        "version": version("capthemes"),
        "year": YEAR,
    }


def _theme(rows: Rows, theme: int, scores: Mapping[str, Any] | None) -> ThemeRow:
    having = rows.having(theme)
    own = rows.theme_of == theme
    by_document = np.zeros(int(rows.documents.max()) + 1, dtype=bool)
    by_document[rows.documents[having]] = True
    f1 = scores["themes"].get(rows.themes[theme]) if scores else None
    return ThemeRow(
        rows.themes[theme],
        counted(having, rows.documents),
        counted(by_document, np.arange(len(by_document))),
        _counts(rows.stances, rows.stance_of[own]),
        _counts(rows.voices, rows.voice_of[own]),
        _of_theme(rows, own, "supportive"),
        _of_theme(rows, own, "critical"),
        f1["f1"]["value"] if f1 and f1["support"] >= SUPPORTED else None,
    )


def _counts(names: Sequence[str], codes: np.ndarray) -> list[tuple[str, int]]:
    return [(name, int((codes == names.index(name)).sum())) for name in _balanced(names)]


def _balanced(names: Sequence[str]) -> list[str]:
    """Names with those of BALANCE in its order, opposites at the ends, and others after them."""
    return sorted(names, key=lambda name: BALANCE.index(name) if name in BALANCE else len(BALANCE))


def _of_theme(rows: Rows, own: np.ndarray, stance: str) -> Counted | None:
    """The share of a theme's paragraphs that take a stance toward it; None where there is no such stance or theme."""
    if stance not in rows.stances or not own.any():
        return None
    return counted(rows.stance_of[own] == rows.stances.index(stance), rows.documents[rows.row_of[own]])


def _breakdown(rows: Rows, column: Column) -> Breakdown:
    sizes = np.bincount(column.codes[column.codes != NONE], minlength=len(column.values))
    drawn = range(len(column.values)) if column.time else range(min(SHOWN, len(column.values)))
    inside = {value: np.flatnonzero(column.codes == value) for value in drawn}
    enough = [value for value, r in inside.items() if len(r) >= FEWEST and len(np.unique(rows.documents[r])) >= FEW]
    shown = drawn if not column.time else range(enough[0], enough[-1] + 1) if enough else range(0)
    shares: dict[str, list[Counted | None]] = {}
    for theme, name in enumerate(rows.themes):
        having = rows.having(theme)
        cells = ((value in enough, inside[value]) for value in shown)
        shares[name] = [counted(having[r], rows.documents[r]) if told else None for told, r in cells]
    return Breakdown(
        column.name,
        column.time,
        *(column.values[0], column.values[-1]) if column.values else ("", ""),
        tuple(column.values[value] for value in shown),
        [int(sizes[value]) for value in shown],
        shares,
        {name: top_of([_reach(share) for share in found if share is not None]) for name, found in shares.items()},
        len(column.values) - len(shown),
        int((column.codes == NONE).sum()),
    )


def _reach(share: Counted) -> float:
    """How high a scale must go for a share: to its interval, but not beyond twice its value."""
    return min(share.high or share.share, 2 * share.share)


def _together(rows: Rows) -> dict[str, dict[str, int]]:
    """Theme -> theme -> in how many paragraphs they stand together; of a theme and itself, in how many it is."""
    has = np.zeros((len(rows), len(rows.themes)), dtype=np.float32)
    has[rows.row_of, rows.theme_of] = 1
    counts = np.rint(has.T @ has).astype(int).tolist()
    return {name: dict(zip(rows.themes, row, strict=True)) for name, row in zip(rows.themes, counts, strict=True)}


def _scores(model: Model | None) -> dict[str, Any] | None:
    """The model's own scores on all paragraphs held apart; the first entry has those its decision was fitted on."""
    if model is None:
        return None
    own = [entry for entry in model.about.get("scores", []) if entry["model"] == model.name]
    return next(iter(own[1:] or own), None)


def _signature(run: Run, rows: Rows, path: Path, sample: Sequence[Paragraph]) -> str:
    """What the numbers rest on, in the form of the scores' signatures."""
    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    prints = [fingerprint_file(file) for file in files]
    data = prints[0] if len(prints) == 1 else fingerprint_bytes("\n".join(prints).encode())
    own = f"|sample:{len(sample)}@{fingerprint(sample)[:12]}" if sample else ""
    run_part = f"run:{path.name}@{data[:12]}|paragraphs:{len(rows)}|model:{run.model}"
    return f"{run_part}{own}|capthemes:{version('capthemes')}"


def _rejects(run: Run, path: Path) -> list[Rejected] | None:
    """What of the input could not be read, most rows first; None where nothing tells.

    Of a single file those are told that lie beside it, unless another run into it has begun and may have written them.
    """
    beside, summary = rejects_file(path), run.about.get("summary")
    if not summary and (not beside.is_file() or RunFolder.beside(path).about()):
        return None
    told = [json.loads(line) for line in beside.read_bytes().splitlines()] if beside.is_file() else []
    reasons = {row["file"]: row["reason"] for row in reversed(told)}
    counts = Counter(summary["rejected"] if summary else (row["file"] for row in told))
    return [Rejected(file, rows, reasons.get(file, "")) for file, rows in counts.most_common()]
