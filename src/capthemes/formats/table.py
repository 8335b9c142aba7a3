"""Plain csv: a row for each label of each annotator, and for each label that a model suggests.

Columns: id, text, annotator, model, theme, stance, voice, probability, evidence, and those of meta. A row with an
annotator is that annotator's; one with a model is a suggestion; one with neither is of a paragraph that nobody has
read. Nothing under theme: no theme was found. Evidence is "start-end" or "start-end:weight", parted by spaces. A cell
of meta is JSON, or a string that is not JSON itself; a column named like one of ours is written as meta.NAME.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capthemes import cells
from capthemes.annotations import parsed, read_labels
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label
from capthemes.rounds import OWN, Record

COLUMNS = ("id", "text", "annotator", "model", "theme", "stance", "voice", "probability", "evidence")


def dump(records: Sequence[Record], path: Path, codebook: Codebook) -> None:
    names = sorted({name for record in records for who in ("", *record.annotators) for name in record.meta_of(who)})
    rows: list[list[cells.Cell]] = []
    for record in records:
        for annotator, model, labels in _readings(record):
            own = record.meta_of(annotator)
            meta = [_cell(own[name]) if name in own else None for name in names]
            rows += [[record.id, record.text, annotator, model, *_parts(label), *meta] for label in labels or (None,)]
    cells.write(path, [*COLUMNS, *map(_outer, names)], rows)


def load(path: Path, codebook: Codebook) -> Iterator[Record]:
    readings: dict[tuple[str, str, str], tuple[str, Mapping[str, str], list[dict[str, Any]]]] = {}
    for where, row in cells.read(path, ("id", "text", "theme")):
        if not row["id"]:
            raise AnnotationError(f"{where}: no id; give every paragraph one")
        model = row.get("model", "")
        annotator = row.get("annotator", "" if model else path.stem)
        _, first, values = readings.setdefault((row["id"], annotator, model), (where, row, []))
        if row["text"] not in ("", first["text"]):
            raise AnnotationError(f"{where}: paragraph {row['id']!r} has two texts; give paragraphs ids of their own")
        if row["theme"]:
            values.append(_label(row, where))
    for (id, annotator, model), (where, row, values) in readings.items():
        labels = read_labels(values, codebook, where)
        if not annotator and not model and labels:
            raise AnnotationError(f"{where}: a label without annotator or model; say whose it is")
        suggesting = bool(model) and not annotator
        yield Record(
            id=id,
            text=row["text"],
            annotators={annotator: labels} if annotator else {},
            suggested=labels if suggesting else None,
            model=model if suggesting else None,
            meta={name.removeprefix("meta."): _value(row[name]) for name in row if name not in COLUMNS and row[name]},
        )


def setup(codebook: Codebook) -> dict[str, str]:
    return {}


def _readings(record: Record) -> Iterator[tuple[str, str, Sequence[Label]]]:
    """(annotator, model, labels) of each who said something; ("", "", ()) where nobody has."""
    yield from ((name, "", labels) for name, labels in record.annotators.items())
    if record.suggested is not None:
        yield "", record.model or "", record.suggested
    elif not record.annotators:
        yield "", "", ()


def _parts(label: Label | None) -> list[cells.Cell]:
    if label is None:
        return [None] * 5
    spans = [f"{x.start}-{x.end}" + (f":{x.weight!r}" if x.weight != 1 else "") for x in label.evidence]
    return [label.theme, label.stance, label.voice, label.probability, " ".join(spans)]


def _label(row: Mapping[str, str], where: str) -> dict[str, Any]:
    return {
        "theme": row["theme"],
        "stance": row.get("stance") or None,
        "voice": row.get("voice") or None,
        "probability": row.get("probability") or None,
        "evidence": [_span(word, where) for word in row.get("evidence", "").split()],
    }


def _span(word: str, where: str) -> dict[str, str]:
    place, _, weight = word.partition(":")
    start, dash, end = place.partition("-")
    if not dash:
        raise AnnotationError(f"{where}: evidence {word!r} must be start-end or start-end:weight")
    return {"start": start, "end": end, "weight": weight or "1"}


def _outer(name: str) -> str:
    return f"meta.{name}" if name in (*COLUMNS, *OWN) or name.startswith("meta.") else name


def _cell(value: Any) -> cells.Cell:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    if isinstance(value, str) and value and _value(value) is value:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _value(cell: str) -> Any:
    try:
        return parsed(cell)
    except (ValueError, RecursionError):
        return cell
