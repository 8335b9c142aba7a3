"""Faithfulness: whether a label's probability falls further without its evidence than without other text as long.

What DeYoung et al. (ACL 2020) call comprehensiveness, beside the same for spans drawn at random.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sheet import filled, sources
from capthemes import annotations
from capthemes.annotations import fingerprint
from capthemes.metrics import Score, Signature, resamples
from capthemes.model import Model, load
from capthemes.records import Paragraph, Span, unit

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "benchmarks" / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "faithfulness.json"
DRAWS = 5  # of random spans for each label
SEED = 0


@dataclass(frozen=True, slots=True)
class Fall:
    """Of one label, how far the probability falls without its evidence, and without random spans as long (mean)."""

    unit: str
    length: float  # the evidence's share of the text's characters
    evidence: float
    random: float


def run(real: Path | None, models: Sequence[str], limit: int | None) -> None:
    """Measure the models on the test sets and fill the table; what is not measured now stays as it was."""
    data = {"written/test": annotations.paragraphs("written", "test")}
    if real is not None:
        data["references/test"] = annotations.hydrate(sources(real), split="test").paragraphs
        data["real/dev"] = annotations.paragraphs(real / "dev.jsonl")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in models:
        model = load(name)
        for data_name, gold in data.items():
            drawn = gold[:: max(1, len(gold) // limit)][:limit] if limit else gold
            row = summary(model, data_name, drawn)
            print(json.dumps(row), flush=True)
            found[f"{name}, {data_name}"] = row
    RESULTS.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def summary(model: Model, data: str, paragraphs: Sequence[Paragraph]) -> dict[str, Any]:
    """Means over all labels, with 95% intervals from a bootstrap over documents."""
    found = list(falls(model, paragraphs))
    units = np.unique([fall.unit for fall in found], return_inverse=True)[1]
    drawn = resamples(int(units.max()) + 1, SEED)[:, units]

    def score(values: Any) -> dict[str, float]:
        spread = drawn @ values / np.maximum(drawn.sum(axis=1), 1)
        value = Score(float(values.mean()), *map(float, np.percentile(spread, [2.5, 97.5])))
        return {part: round(number, 4) for part, number in asdict(value).items()}

    evidence, random = (np.array([getattr(fall, part) for fall in found]) for part in ("evidence", "random"))
    return {
        "paragraphs": len(paragraphs),
        "labels": len(found),
        "length": round(float(np.mean([fall.length for fall in found])), 4),
        "evidence": score(evidence),
        "random": score(random),
        "difference": score(evidence - random),
        "further": score((evidence > random).astype(float)),
        "signature": str(
            Signature(data, fingerprint(paragraphs), model.id, model.codebook.version, SEED, version("capthemes"))
        ),
    }


def falls(model: Model, paragraphs: Sequence[Paragraph], draws: int = DRAWS) -> Iterator[Fall]:
    """The falls of all labels that the model gives these paragraphs, those without any evidence left out."""
    rng = np.random.default_rng(SEED)
    themes = list(model.codebook.names)
    for paragraph in paragraphs:
        text = paragraph.text
        for label in model.explain(text):
            if not label.evidence or label.probability is None:
                continue
            lengths = [span.end - span.start for span in label.evidence]
            variants = [without(text, label.evidence)]
            variants += [without(text, random_spans(len(text), lengths, rng)) for _ in range(draws)]
            after = model.predict_proba(variants).theme[:, themes.index(label.theme)]
            down = label.probability - after
            yield Fall(unit(paragraph), sum(lengths) / len(text), float(down[0]), float(down[1:].mean()))


def without(text: str, spans: Sequence[Span]) -> str:
    """The text less these spans."""
    for span in sorted(spans, key=lambda span: -span.start):
        text = text[: span.start] + text[span.end :]
    return text


def random_spans(size: int, lengths: Sequence[int], rng: np.random.Generator) -> list[Span]:
    """Spans of these lengths at random places of a text of `size` characters, none over another."""
    lengths = [lengths[i] for i in rng.permutation(len(lengths))]
    gaps = np.sort(rng.integers(0, size - sum(lengths) + 1, size=len(lengths)))
    starts = gaps + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return [Span(int(start), int(start) + length, 0.0) for start, length in zip(starts, lengths, strict=True)]


def rendered(sheet: str) -> str:
    """The sheet with the table of what has been measured."""
    return filled(sheet, {"faithfulness": list(lines(json.loads(RESULTS.read_text(encoding="utf-8"))))})


def lines(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    columns = "evidence | fall without it | without random spans | difference | falls further"
    yield f"| model, data | paragraphs | labels | {columns} |"
    yield "|---" * 8 + "|"
    for name, row in found.items():
        parts = [row[part] for part in ("evidence", "random", "difference", "further")]
        cells = [str(Score(part["value"], part["low"], part["high"])) for part in parts]
        yield f"| {name} | {row['paragraphs']:,} | {row['labels']:,} | {row['length']:.0%} | {' | '.join(cells)} |"
