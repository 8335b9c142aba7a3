"""Label Studio: tasks with annotations and predictions, and the labelling interface of a codebook.

Themes are choices; a theme that is chosen shows choices of its stance and voice; evidence is marked in the text. An
annotator's name is the email of a member of the project, or Label Studio refuses the import. The form is that of
https://labelstud.io/guide/task_format; exports are read as "JSON" (not "JSON-MIN").
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.formats.documents import identity, json_list, with_evidence
from capthemes.records import Label
from capthemes.rounds import Record, as_json, brought_back, carried
from capthemes.store import write_text


def dump(records: Sequence[Record], path: Path, codebook: Codebook) -> None:
    write_text(path, as_json([_task(record) for record in records], indent=1) + "\n")


def load(path: Path, codebook: Codebook) -> Iterator[Record]:
    for where, task in json_list(path):
        data = task.get("data")
        if not isinstance(data, Mapping) or not isinstance(data.get("text"), str):
            raise AnnotationError(f"{where}: no text in the task's data; export from Label Studio as JSON")
        others = {name: value for name, value in data.items() if name not in ("id", "text")}
        own = data.get("record") or {"id": task.get("id") if data.get("id") is None else data["id"], "meta": others}
        read = [x for x in task.get("annotations", ()) if not x.get("was_cancelled")]
        answers = [(_name(x, where), _labels(x["result"], data["text"], codebook, where)) for x in read]
        if len(dict(answers)) < len(answers):
            raise AnnotationError(f"{where}: one annotator has annotated the task twice; delete one annotation")
        yield Record(identity(own, where), data["text"], dict(answers), **brought_back(own, codebook, where))


def setup(codebook: Codebook) -> dict[str, str]:
    view = ElementTree.Element("View")
    evidence = ElementTree.SubElement(view, "Labels", name="evidence", toName="text")
    ElementTree.SubElement(view, "Text", name="text", value="$text")
    themes = ElementTree.SubElement(view, "Choices", name="theme", toName="text", choice="multiple")
    for theme in codebook.themes:
        ElementTree.SubElement(evidence, "Label", value=theme.name)
        ElementTree.SubElement(themes, "Choice", value=theme.name, hint=theme.covers)
        shown = {"visibleWhen": "choice-selected", "whenTagName": "theme", "whenChoiceValue": theme.name}
        own = ElementTree.SubElement(view, "View", shown)
        ElementTree.SubElement(own, "Header", value=f"{theme.name}: {theme.target}", size="5")
        for part, values in (("stance", codebook.stances), ("voice", codebook.voices)):
            if values:
                choices = ElementTree.SubElement(own, "Choices", name=f"{part}_{theme.name}", toName="text")
                for value, meaning in values.items():
                    ElementTree.SubElement(choices, "Choice", value=value, hint=meaning)
    ElementTree.indent(view)
    return {"interface.xml": ElementTree.tostring(view, encoding="unicode") + "\n"}


def _task(record: Record) -> dict[str, Any]:
    task: dict[str, Any] = {"data": {"text": record.text, "record": carried(record)}}
    task["annotations"] = [
        {"completed_by": {"email": name}, "result": _results(labels, record.text)}
        for name, labels in record.annotators.items()
    ]
    if record.suggested is not None:
        sure = [x.probability for x in record.suggested if x.probability is not None]
        prediction = {"model_version": record.model, "result": _results(record.suggested, record.text)}
        task["predictions"] = [{**prediction, **({"score": min(sure)} if sure else {})}]
    return task


def _results(labels: Sequence[Label], text: str) -> list[dict[str, Any]]:
    """The regions of an annotation or prediction; no labels give none."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    if labels:
        found.append(("theme", "choices", {"choices": [label.theme for label in labels]}))
    for label in labels:
        for part, value in (("stance", label.stance), ("voice", label.voice)):
            if value is not None:
                found.append((f"{part}_{label.theme}", "choices", {"choices": [value]}))
        for x in label.evidence:
            marked = {"start": x.start, "end": x.end, "text": text[x.start : x.end], "labels": [label.theme]}
            found.append(("evidence", "labels", marked))
    return [
        {"id": f"r{number}", "from_name": name, "to_name": "text", "type": kind, "value": value}
        for number, (name, kind, value) in enumerate(found)
    ]


def _labels(results: Sequence[Mapping[str, Any]], text: str, codebook: Codebook, where: str) -> tuple[Label, ...]:
    choices = {x["from_name"]: x["value"]["choices"] for x in results if x.get("type") == "choices"}
    values = [
        {"theme": theme, **{part: next(iter(choices.get(f"{part}_{theme}", ())), None) for part in ("stance", "voice")}}
        for theme in choices.get("theme", ())
    ]
    marked = [
        (theme, _span(x["value"], text, where))
        for x in results
        if x.get("type") == "labels"
        for theme in x["value"]["labels"]
    ]
    return with_evidence(values, marked, codebook, where)


def _span(value: Mapping[str, Any], text: str, where: str) -> dict[str, int]:
    """The characters that a region marks.

    Label Studio has counted in UTF-16 units and in characters (its issues 1008 and 1347): the marked text that it
    keeps beside the offsets tells which.
    """
    start, end, marked = value["start"], value["end"], value.get("text")
    if marked is None or text[start:end] == marked:
        return {"start": start, "end": end}
    units = text.encode("utf-16-le")
    before, within = units[: 2 * start], units[2 * start : 2 * end]
    if within.decode("utf-16-le", "replace") != marked:
        raise AnnotationError(f"{where}: the text from {start} to {end} is not {marked!r}; was the text changed?")
    start = len(before.decode("utf-16-le", "replace"))
    return {"start": start, "end": start + len(marked)}


def _name(annotation: Mapping[str, Any], where: str) -> str:
    by = annotation.get("completed_by")
    name = by.get("email") or by.get("id") if isinstance(by, Mapping) else by
    if name is None:
        raise AnnotationError(f"{where}: an annotation without completed_by; export it with its annotator")
    return str(name)
