"""doccano: jsonl of a project for intent detection and slot filling, whose examples have categories and spans.

A category is a whole label, as "overcapacity/critical/author"; a span is evidence, named by its theme. doccano keeps
other columns as an example's meta and gives them back, with a number of its own under "id". It has no suggestions: a
model's labels are filled in and the annotator mends them. An exported row is its file's annotator's (doccano names
files by user); export what is approved only, for rows that nobody has opened look read.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from capthemes.annotations import rows
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.formats.documents import identity, with_evidence
from capthemes.records import Label
from capthemes.rounds import Record, as_json, brought_back, carried, label_of, label_rows, tag, tags
from capthemes.store import write_text

COLUMNS = ("id", "text", "cats", "entities", "Comments", "record", "annotator")


def dump(records: Sequence[Record], path: Path, codebook: Codebook) -> None:
    lines = []
    for record in records:
        for name, labels in record.annotators.items() or [(None, record.suggested or ())]:
            row = {"text": record.text, **_marks(labels), "record": carried(record), "annotator": name}
            lines.append(as_json(row) + "\n")
    write_text(path, "".join(lines))


def load(path: Path, codebook: Codebook) -> Iterator[Record]:
    for number, where, row in rows(path):
        if not isinstance(row.get("text"), str) or not isinstance(row.get("cats"), list):
            raise AnnotationError(
                f"{where}: a row needs 'text' and 'cats'; export as JSONL from a project of both kinds"
            )
        others = {name: value for name, value in row.items() if name not in COLUMNS}
        own = row.get("record") or {"id": number if row.get("id") is None else row["id"], "meta": others}
        annotator = row.get("annotator") or (path.stem if "id" in row else None)
        yield Record(
            id=identity(own, where),
            text=row["text"],
            annotators={annotator: _labels(row, codebook, where)} if annotator else {},
            **brought_back(own, codebook, where),
        )


def setup(codebook: Codebook) -> dict[str, str]:
    named = {"categories.json": tags(codebook), "spans.json": list(codebook.names)}
    return {name: json.dumps([{"text": text} for text in texts], indent=1) + "\n" for name, texts in named.items()}


def _marks(labels: Sequence[Label]) -> dict[str, Any]:
    spans = [[x.start, x.end, label.theme] for label in labels for x in label.evidence]
    return {"cats": [tag(label) for label in labels], "entities": spans}


def _labels(row: dict[str, Any], codebook: Codebook, where: str) -> tuple[Label, ...]:
    labels = label_rows([label_of(word, codebook, where) for word in row["cats"]])
    marked = [(theme, {"start": start, "end": end}) for start, end, theme in row.get("entities") or ()]
    return with_evidence(labels, marked, codebook, where)
