"""Argilla: records with responses and suggestions, as `dataset.records.to_json` writes them, and a dataset's settings.

One question asks for whole labels, as "overcapacity/critical/author", with an option "no theme" (its server takes no
empty answer); another for evidence, spans named by theme. Users are UUIDs there: an annotator's name becomes one, and
the names travel along. Its spans count characters; its browser page counts UTF-16 units (its issue 5729), which
differ from the first character beyond the Basic Multilingual Plane on.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capthemes.annotations import parsed
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.formats.documents import identity, json_list, with_evidence
from capthemes.records import Label
from capthemes.rounds import NO_THEME, Record, as_json, brought_back, carried, label_of, label_rows, tag, tags
from capthemes.store import write_text

NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "capthemes:annotators")  # of the annotators whose names are no UUIDs


def dump(records: Sequence[Record], path: Path, codebook: Codebook) -> None:
    write_text(path, as_json([_row(record) for record in records], indent=1) + "\n")


def load(path: Path, codebook: Codebook) -> Iterator[Record]:
    for where, row in json_list(path):
        text = (row.get("fields") or {}).get("text")
        if not isinstance(text, str):
            raise AnnotationError(f"{where}: no field 'text'; write it with dataset.records.to_json")
        metadata: dict[str, Any] = row.get("metadata") or {}
        own: dict[str, Any] = {"id": row.get("id"), "meta": metadata}
        if "record" in metadata:
            own = parsed(metadata["record"])
        names = own.get("names", {})
        responses = row.get("responses") or {}
        spans = {x["user_id"]: x["value"] for x in responses.get("evidence") or ()}
        annotators = {
            names.get(x["user_id"], x["user_id"]): _labels(x["value"], spans.get(x["user_id"]), codebook, where)
            for x in responses.get("labels") or ()
            if x.get("status") in (None, "submitted")
        }
        yield Record(identity(own, where), text, annotators, **brought_back(own, codebook, where))


def setup(codebook: Codebook) -> dict[str, str]:
    labels = [{"value": word, "text": word} for word in [*tags(codebook), NO_THEME]]
    themes = [{"value": theme.name, "text": theme.name} for theme in codebook.themes]
    asked = {"type": "multi_label_selection", "options": labels, "options_order": "suggestion"}
    marked = {"type": "span", "field": "text", "options": themes, "allow_overlapping": True}
    settings = {
        "guidelines": codebook.text,
        "fields": [{"name": "text", "required": True, "settings": {"type": "text", "use_markdown": False}}],
        "questions": [
            {"name": "labels", "required": True, "settings": asked},
            {"name": "evidence", "required": False, "settings": marked},
        ],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": True,
    }
    return {"settings.json": json.dumps(settings, ensure_ascii=False, indent=1) + "\n"}


def _row(record: Record) -> dict[str, Any]:
    users = {name: _user(name) for name in record.annotators}
    responses: dict[str, list[dict[str, Any]]] = {}
    for name, labels in record.annotators.items():
        for question, value in _values(labels).items():
            responses.setdefault(question, []).append({"value": value, "user_id": users[name], "status": "submitted"})
    suggestions: dict[str, dict[str, Any]] = {}
    if record.suggested is not None:
        agent = str(record.model).replace("@", ":")  # the server takes no @
        suggestions = {
            question: {"value": value, "score": None, "agent": agent}
            for question, value in _values(record.suggested).items()
        }
        sure = [label.probability for label in record.suggested]
        suggestions["labels"]["score"] = sure if sure and None not in sure else None
    names = {user: name for name, user in users.items()}
    metadata = {"record": as_json({**carried(record), "names": names})}
    return {
        "id": record.id,
        "fields": {"text": record.text},
        "metadata": metadata,
        "suggestions": suggestions,
        "responses": responses,
        "vectors": {},
    }


def _values(labels: Sequence[Label]) -> dict[str, list[Any]]:
    """The answers to the questions: labels, and evidence where there is any."""
    spans = [{"start": x.start, "end": x.end, "label": label.theme} for label in labels for x in label.evidence]
    return {"labels": [tag(label) for label in labels] or [NO_THEME], **({"evidence": spans} if spans else {})}


def _labels(
    words: Sequence[str], spans: Sequence[Mapping[str, Any]] | None, codebook: Codebook, where: str
) -> tuple[Label, ...]:
    found = [label_of(word, codebook, where) for word in words if word != NO_THEME]
    if found and NO_THEME in words:
        raise AnnotationError(f"{where}: {NO_THEME!r} stands beside {', '.join(map(tag, found))}; keep one of them")
    marked = [(span["label"], {"start": span["start"], "end": span["end"]}) for span in spans or ()]
    return with_evidence(label_rows(found), marked, codebook, where)


def _user(name: str) -> str:
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(uuid.uuid5(NAMES, name))
