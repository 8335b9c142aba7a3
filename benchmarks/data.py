"""The annotated sets, measured: counts, agreement, leaks, fingerprints, learning curve; shown in the data sheet."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import curve, fingerprints, leaks
from benchmarks.sheet import filled, sources
from capthemes import annotations
from capthemes.agreement import agreement
from capthemes.codebook import Codebook
from capthemes.corpus import split
from capthemes.files import lines
from capthemes.metrics import Score
from capthemes.records import Paragraph
from capthemes.store import fingerprint_bytes, fingerprint_file, home

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "data.json"
SHEET = ROOT / "annotations" / "README.md"
SETS = ("written", "references")
LANGUAGES = {"en": "English", "zh": "Chinese"}


def run(real: Path | None) -> None:
    """Measure all that can be measured with what is there, keep the rest, and render the data sheet."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    codebook = Codebook.load()
    results["codebook"] = codebook.version
    results["counts"] = counts(codebook)
    results["agreement"] = agreements(codebook)
    measured = ["counts", "agreement"]
    written = annotations.paragraphs("written")
    if real is not None:
        splits = {name: annotations.hydrate(sources(real), split=name).paragraphs for name in annotations.SPLITS}
        references = [paragraph for part in splits.values() for paragraph in part]
        dev = annotations.paragraphs(real / "dev.jsonl")
        published = {
            "dev": dev,
            **{path.name.split(".")[0]: list(_unread(path)) for path in sources(real) if path.is_file()},
        }
        published["articles"] = [p for shard in split([real / "articles"]) for p in shard.read()]
        results["leaks"] = leaks.measure(written, splits, published)
        results.setdefault("fingerprints", {})["now"] = fingerprints.measure(written, references)
        results["curve"] = curve.measure(written, references, dev)
        measured += ["leaks", "fingerprints", "curve"]
    results["measured_on"] = results.get("measured_on", {}) | dict.fromkeys(measured, files_fingerprint())
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8"), results), encoding="utf-8")


def files_fingerprint() -> str:
    """The SHA-256 of all labelled rows of the sets, and of every annotator's own."""
    paths = [path for name in SETS for path in sorted(home("annotations").glob(f"{name}/**/*.jsonl"))]
    return fingerprint_bytes("".join(fingerprint_file(path) for path in paths).encode())


def stale(results: dict[str, Any]) -> list[str]:
    """The parts of the results that were measured on other files than are there."""
    now = files_fingerprint()
    return [part for part, then in results.get("measured_on", {}).items() if then != now]


def _unread(path: Path) -> Iterator[Paragraph]:
    """The paragraphs of a jsonl file, gzipped or not, without labels."""
    for _, line in lines(path):
        row = json.loads(line)
        yield Paragraph(row["id"], row["text"])


def language(row: dict[str, Any] | Paragraph) -> str:
    """ "en" or "zh": English as a machine translates it counts as English."""
    lang = row.meta.get("lang") if isinstance(row, Paragraph) else row["lang"]
    return "zh" if str(lang).startswith("zh") else "en"


def counts(codebook: Codebook) -> dict[str, Any]:
    """Paragraphs and labels by set, language, theme, stance and voice."""
    rows = [(name, split, row) for name in SETS for split, part in annotations.load(name).items() for row in part]
    labels = [(language(row), label) for _, _, row in rows for label in row["labels"]]
    voices = Counter(label["voice"] for _, label in labels)
    return {
        "paragraphs": {
            name: {
                "splits": Counter(split for n, split, _ in rows if n == name),
                "languages": Counter(row["lang"] for n, _, row in rows if n == name),
                "none": _share(not row["labels"] for n, _, row in rows if n == name),
            }
            for name in SETS
        },
        "none": _share(not row["labels"] for *_, row in rows),
        "attributed": round(voices["attributed"] / max(voices.total(), 1), 4),
        "themes": {
            theme: {
                lang: Counter(label["stance"] for f, label in labels if f == lang and label["theme"] == theme)
                for lang in LANGUAGES
            }
            for theme in codebook.names
        },
        "writers": len({row["writer"] for n, _, row in rows if n == "written"}),
        "groups": len({row["group"] for n, _, row in rows if n == "written" and row["group"]}),
    }


def agreements(codebook: Codebook) -> dict[str, Any]:
    """Alpha of the two blind annotators, by set and language."""
    found = {}
    for name in SETS:
        rows = [row for part in annotations.load(name).values() for row in part]
        documents = {row["id"]: row.get("group") or row.get("doc") or row["id"] for row in rows}
        by_route = annotations.annotators(name)
        for lang in LANGUAGES:
            ids = {row["id"] for row in rows if language(row) == lang}
            routes = [{k: v for k, v in by_route[route].items() if k in ids} for route in ("whole", "list")]
            measured = agreement(routes, codebook, documents)
            found[f"{name}, {LANGUAGES[lang]}"] = {
                **{key: value for key, value in asdict(measured).items() if key != "confusions"},
                "confusions": {
                    part: [[*pair, count] for pair, count in pairs.most_common(8)]
                    for part, pairs in measured.confusions.items()
                },
            }
    return found


def rendered(sheet: str, results: dict[str, Any]) -> str:
    """The data sheet with each marked place filled from the results; what was not measured stays as it is."""
    lines = {
        "counts": _count_lines,
        "agreement": _agreement_lines,
        "leaks": leaks.lines,
        "fingerprints": fingerprints.lines,
        "curve": curve.lines,
    }
    return filled(sheet, {part: render(results[part]) for part, render in lines.items() if part in results})


def _count_lines(found: dict[str, Any]) -> list[str]:
    lines = ["| set | train | dev | test | languages | no theme |", "|---|---|---|---|---|---|"]
    for name, part in found["paragraphs"].items():
        splits = " | ".join(str(part["splits"].get(split, 0)) for split in annotations.SPLITS)
        languages = ", ".join(f"{lang} {n}" for lang, n in sorted(part["languages"].items()))
        lines.append(f"| {name} | {splits} | {languages} | {part['none']:.0%} |")
    lines += [
        "",
        f"{found['writers']} writers, {found['groups']} paragraphs in two or three languages. Over both sets "
        f"{found['none']:.0%} of the paragraphs have no theme and {found['attributed']:.0%} of the labels an "
        "attributed voice. Labels by theme and stance (supportive / critical / mixed / neutral):",
        "",
        "| theme | English | | Chinese | |",
        "|---|---|---|---|---|",
    ]
    for theme, by_lang in found["themes"].items():
        cells = []
        for lang in LANGUAGES:
            stances = [by_lang[lang].get(s, 0) for s in ("supportive", "critical", "mixed", "neutral")]
            cells.append(f"{sum(stances)} | {' / '.join(map(str, stances))}")
        lines.append(f"| {theme} | {' | '.join(cells)} |")
    return lines


def _agreement_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        "| paragraphs | n | theme | stance | voice |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {part['paragraphs']} | "
            + " | ".join(_score(part[k]) for k in ("theme", "stance", "voice"))
            + " |"
            for name, part in found.items()
        ),
        "",
        "By theme:",
        "",
        f"| theme | {' | '.join(found)} |",
        "|---" * (len(found) + 1) + "|",
    ]
    for theme in next(iter(found.values()))["themes"]:
        lines.append(f"| {theme} | {' | '.join(_score(part['themes'][theme]) for part in found.values())} |")
    lines += ["", "Where the two differed most often:", ""]
    for name, part in found.items():
        said = [
            f"{kind}: "
            + ", ".join(f"{a} / {b} {count}" if b != "-" else f"{a} / none {count}" for a, b, count in pairs[:5])
            for kind, pairs in part["confusions"].items()
        ]
        lines.append(f"- {name}. {'; '.join(said)}")
    return lines


def _score(score: dict[str, float]) -> str:
    return str(Score(**score))


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return round(sum(values) / max(len(values), 1), 4)
