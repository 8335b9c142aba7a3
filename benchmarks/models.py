"""The bundled models' figures from their manifests, beside the goals that were set for them, in the README and here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.sheet import filled
from capthemes.card import OVERALL, interval, value
from capthemes.manifest import read_manifest
from capthemes.model import names
from capthemes.store import home

ROOT = Path(__file__).parents[1]
DATA = "real/dev"
GOALS = {  # score: (English, Chinese), of the best model
    "micro_f1": (0.80, 0.75),
    "macro_f1": (0.75, 0.70),
    "stance_macro_f1": (0.62, 0.58),
    "stance_accuracy": (0.75, 0.72),
    "voice_macro_f1": (0.85, 0.82),
}
LARGEST_ECE = 0.05


def run() -> None:
    """Fill README.md and benchmarks/README.md."""
    for path in (ROOT / "README.md", ROOT / "benchmarks" / "README.md"):
        path.write_text(rendered(path), encoding="utf-8")


def rendered(path: Path) -> str:
    """A file with the tables that it has marks for, as the manifests say."""
    sheet = path.read_text(encoding="utf-8")
    tables = {"models": list(_scores()), "goals": list(_goals())}
    return filled(sheet, {name: lines for name, lines in tables.items() if f"<!-- {name} -->" in sheet})


def _scores() -> Iterator[str]:
    """Every model's scores with intervals; English and Chinese in columns."""
    measured = {name: _measured(name) for name in sorted(names())}
    columns = [(name, language) for name in measured for language in ("English", "Chinese")]
    yield f"| | {' | '.join(f'`{name}`, {language}' for name, language in columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for part, title in OVERALL.items():
        yield f"| {title} | {' | '.join(interval(measured[name][language][part]) for name, language in columns)} |"
    errors = [f"{value(measured[name][language]['ece']):.2f}" for name, language in columns]
    yield f"| calibration error (ECE) | {' | '.join(errors)} |"


def _goals() -> Iterator[str]:
    """The best model's value for each goal, and whether it is met."""
    best = {name: _measured(name) for name in names()}
    yield "| | goal, English | reached | goal, Chinese | reached |"
    yield "|---|---|---|---|---|"
    for part, goals in GOALS.items():
        cells = []
        for language, goal in zip(("English", "Chinese"), goals, strict=True):
            reached, name = max((found[language][part]["value"], name) for name, found in best.items())
            cells.append(f"{goal:.2f} | {reached:.2f} `{name}`, {'met' if reached >= goal else 'missed'}")
        yield f"| {OVERALL[part]} | {' | '.join(cells)} |"
    cells = []
    for language in ("English", "Chinese"):
        error, name = min((value(found[language]["ece"]), name) for name, found in best.items())
        cells.append(f"{LARGEST_ECE:.2f} | {error:.2f} `{name}`, {'met' if error <= LARGEST_ECE else 'missed'}")
    yield f"| ECE, at most | {' | '.join(cells)} |"
    cells = []
    for language, most in (("English", 0.04), ("Chinese", 0.02)):
        behind = best["accurate"][language]["micro_f1"]["value"] - best["fast"][language]["micro_f1"]["value"]
        cells.append(f"{most:.2f} | {behind:.2f}, {'met' if behind <= most else 'missed'}")
    yield f"| `fast` behind `accurate`, theme micro-F1, at most | {' | '.join(cells)} |"


def _measured(name: str) -> dict[str, Any]:
    """Language -> the model's entry on the published paragraphs held apart."""
    scores = read_manifest(home("models") / name)["about"]["scores"]
    own = {entry["data"]: entry for entry in scores if entry["model"] == name}
    return {language: own[f"{DATA}, {language}"] for language in ("English", "Chinese")}
