"""What results/speed.json says, as tables of speed.md and one line of the README."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.sheet import filled

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
LANGUAGES = {"en": "English", "zh": "Chinese"}
GOALS = {"fastText": 4, "scikit-learn HashingVectorizer": 15}  # at least so many times as fast
FILE_GOALS = {"parquet": 3, "jsonl": 2}


def rendered(path: Path) -> str:
    """A file with the tables that it has marks for."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    tables = {
        "speed": [_line(found)],
        "setting": list(_setting(found)),
        "scoring": list(_scoring(found["scoring"])),
        "steps": list(_steps(found["steps"])),
        "files": list(_files(found)),
        "growth": list(_growth(found)),
    }
    sheet = path.read_text(encoding="utf-8")
    return filled(sheet, {name: lines for name, lines in tables.items() if f"<!-- {name} -->" in sheet})


def run() -> None:
    """Fill README.md and speed.md, and print the latter."""
    for path in (ROOT / "README.md", ROOT / "benchmarks" / "speed.md"):
        path.write_text(rendered(path), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def _line(found: Mapping[str, Any]) -> str:
    ours, peer = found["scoring"]["en"]["capthemes fast"], found["scoring"]["en"].get("fastText")
    chinese = found["scoring"]["zh"]["capthemes fast"]["speed"]
    ratio = found["scoring"]["zh"].get("fastText", {}).get("ratio")
    against = f", {peer['ratio']:.1f} and {ratio:.1f} times as fast as fastText on the same texts" if peer else ""
    english, chinese_files = (found["files"][lang]["parquet"]["speed"] for lang in LANGUAGES)
    return (
        f"`fast` scores {ours['speed']:.0f},000 English and {chinese:.0f},000 Chinese paragraphs a second on one core"
        f"{against}; from parquet to labelled parquet, {english:.0f},000 and {chinese_files:.0f},000 "
        "([how measured](benchmarks/speed.md))."
    )


def _setting(found: Mapping[str, Any]) -> Iterator[str]:
    sizes = ", ".join(
        f"{LANGUAGES[lang]} {about['paragraphs']:,} paragraphs of {about['bytes']:.0f} bytes"
        for lang, about in found["texts"].items()
    )
    yield f"{found['machine']}; model {found['model']}; {sizes}."


def _scoring(found: Mapping[str, Any]) -> Iterator[str]:
    columns = [
        f"{title} | ours is faster by | F1" for title in ("English, thousand/s a core", "Chinese, thousand/s a core")
    ]
    yield f"| | {' | '.join(columns)} | goal |"
    yield "|---" * 8 + "|"
    for name in found["en"]:
        cells = []
        for lang in LANGUAGES:
            s = found[lang][name]
            cells += [f"{s['speed']:.1f}", f"{s['ratio']:.1f} ({s['least']:.1f} to {s['most']:.1f})"]
            cells.append(f"{s['f1']:.2f}" if "f1" in s else "")
        yield f"| {name} | {' | '.join(cells)} | {GOALS.get(name, '')} |"


def _steps(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| microseconds a paragraph | English | of a paragraph | Chinese | of a paragraph |"
    yield "|---|---|---|---|---|"
    parts = ("hashed and summed", "probabilities", "decided", "as Arrow columns")
    whole = {lang: sum(found[lang][part] for part in parts) for lang in LANGUAGES}
    for name in found["en"]:
        shares = {lang: f"{found[lang][name] / whole[lang]:.0%}" if name in parts else "" for lang in LANGUAGES}
        cells = [f"{found[lang][name]:.2f} | {shares[lang]}" for lang in LANGUAGES]
        yield f"| {name} | {' | '.join(cells)} |"


def _files(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| | measured | goal |"
    yield "|---|---|---|"
    for lang, forms in found["files"].items():
        for form, s in forms.items():
            ratio = f"{s['ratio']:.1f} ({s['least']:.1f} to {s['most']:.1f})"
            yield (
                f"| {form} to {form}, {LANGUAGES[lang]}, against fastText's bare predict "
                f"| {ratio} times, {s['speed']:.1f} thousand/s a core | {FILE_GOALS[form]} |"
            )
    for lang, s in found["threads"].items():
        ratio = f"{s['ratio']:.2f} ({s['least']:.2f} to {s['most']:.2f})"
        yield f"| two threads against one, {LANGUAGES[lang]} | {ratio} | 1.7 |"
    cold = found["cold"]
    for what, goal, first in (("label", 1.5, 2.5), ("predict", 0.8, 2.5)):
        yield (
            f"| `{what}` on ten paragraphs from nothing, seconds | {cold[f'{what}, median']:.2f} "
            f"(least {cold[f'{what}, least']:.2f}; the very first time {cold[f'{what}, first time']:.2f}) "
            f"| {goal} (first {first}) |"
        )


def _growth(found: Mapping[str, Any]) -> Iterator[str]:
    speed = "thousand paragraphs/s a core"
    for name, title, what in (
        ("sizes", "paragraphs", speed),
        ("lengths", "words a paragraph", speed),
        ("themes", "themes", speed),
        ("memory", "paragraphs", "peak memory of `label`, MB"),
    ):
        cells = found[name]
        yield f"| {title} | {' | '.join(f'{int(size):,}' for size in cells)} |"
        yield "|---" * (len(cells) + 1) + "|"
        yield f"| {what} | {' | '.join(f'{value:.1f}' for value in cells.values())} |"
        yield ""
