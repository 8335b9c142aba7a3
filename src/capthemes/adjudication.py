"""Adjudication: what annotators dispute is written out, decided by a person, and read back into one labelled set."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capthemes import cells
from capthemes.annotations import rows
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, InputError
from capthemes.records import Label
from capthemes.rounds import NO_THEME, Record, label_of, tag
from capthemes.store import write_text

COLUMNS = ("id", "theme", "answers", "decision", "text", "rules")
ANNOTATOR = "adjudicated"  # whose the settled labels are


@dataclass(frozen=True, slots=True)
class Dispute:
    """A theme on whose label the annotators of a paragraph differ.

    `answers` has each annotator's label as a tag ("overcapacity/critical/author"), or "no theme" where it was not
    given; `rules` are those of the codebook that name a theme in dispute in the paragraph, as "themes 3: ...".
    """

    id: str
    text: str
    theme: str
    answers: Mapping[str, str]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Records with one annotator, "adjudicated", and the ids of those that wait for a decision."""

    records: list[Record]
    undecided: list[str]


def disputes(records: Iterable[Record], codebook: Codebook) -> list[Dispute]:
    """What the annotators of each record who read for a theme differ on, theme by theme, in the codebook's order."""
    found = []
    for record in records:
        answers = {theme: _answers(record, theme) for theme in codebook.names}
        differing = [theme for theme, given in answers.items() if len(set(given.values())) > 1]
        rules = dict.fromkeys(rule for theme in differing for rule in codebook.rules_about(theme))
        told = tuple(f"{rule.part} {rule.number}: {rule.text}" for rule in rules)
        for theme in differing:
            tags = {name: NO_THEME if label is None else tag(label) for name, label in answers[theme].items()}
            found.append(Dispute(record.id, record.text, theme, tags, told))
    return found


def write(found: Sequence[Dispute], path: Path) -> None:
    """Write disputes as .csv or .jsonl, a row each with an empty `decision`. Raises InputError for another ending."""
    if path.suffix == ".jsonl":
        values = [(x.id, x.theme, x.answers, "", x.text, x.rules) for x in found]
        lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in values]
        write_text(path, "".join(f"{line}\n" for line in lines))
    elif path.suffix == ".csv":
        told = ["\n".join(f"{name}: {answer}" for name, answer in x.answers.items()) for x in found]
        cells.write(
            path,
            COLUMNS,
            [(x.id, x.theme, answers, "", x.text, "\n".join(x.rules)) for x, answers in zip(found, told, strict=True)],
        )
    else:
        raise InputError(f"cannot write {str(path)!r}: its ending must be .csv or .jsonl")


def read_decisions(path: Path, codebook: Codebook) -> dict[tuple[str, str], Label | None]:
    """The decisions of a file that `write` wrote and a person filled in: (id, theme) -> label, None for no theme.

    Rows without a decision are passed over.

    Raises AnnotationError with file and line for a decision that is no label of the row's theme.
    """
    found: dict[tuple[str, str], Label | None] = {}
    for where, row in _rows(path):
        decision = str(row.get("decision") or "").strip()
        if not decision:
            continue
        label = None if decision == NO_THEME else label_of(decision, codebook, where)
        if label is not None and label.theme != row.get("theme"):
            raise AnnotationError(f"{where}: {decision!r} is no label of {row.get('theme')!r}; or write {NO_THEME!r}")
        found[str(row.get("id")), str(row.get("theme"))] = label
    return found


def settle(records: Iterable[Record], decisions: Mapping[tuple[str, str], Label | None], codebook: Codebook) -> Settled:
    """One set of labels for every record that somebody read: what all its annotators gave, and what was decided.

    A label keeps the evidence of the annotators who gave it, a record the themes that any of them read for. A record
    with a dispute that is not decided is left out.
    """
    settled, undecided = [], []
    for record in records:
        if not record.annotators:
            continue
        labels = _settled(record, decisions, codebook)
        if labels is None:
            undecided.append(record.id)
        else:
            settled.append(replace(record, annotators={ANNOTATOR: labels}, meta=_meta(record), read={}))
    return Settled(settled, undecided)


def _meta(record: Record) -> dict[str, Any]:
    """A record's meta with the themes that any annotator read for, without "read" where these are all."""
    meta = {name: value for name, value in record.meta.items() if name != "read"}
    read = [record.read_by(name) for name in record.annotators]
    if any(themes is None for themes in read):
        return meta
    return meta | {"read": list(dict.fromkeys(theme for themes in read for theme in themes or ()))}


def _settled(
    record: Record, decisions: Mapping[tuple[str, str], Label | None], codebook: Codebook
) -> tuple[Label, ...] | None:
    """A record's labels, or None while a dispute is open."""
    labels = []
    for theme in codebook.names:
        given = set(_answers(record, theme).values())
        if len(given) > 1 and (record.id, theme) not in decisions:
            return None
        label = decisions[record.id, theme] if len(given) > 1 else next(iter(given), None)
        if label is not None:
            labels.append(_with_evidence(label, record))
    return tuple(labels)


def _answers(record: Record, theme: str) -> dict[str, Label | None]:
    """What each annotator who read for a theme says of it: the bare label, or None."""
    return {
        name: next((Label(x.theme, x.stance, x.voice) for x in labels if x.theme == theme), None)
        for name, labels in record.annotators.items()
        if (themes := record.read_by(name)) is None or theme in themes
    }


def _with_evidence(label: Label, record: Record) -> Label:
    spans = {
        span for labels in record.annotators.values() for x in labels if tag(x) == tag(label) for span in x.evidence
    }
    return replace(label, evidence=tuple(sorted(spans, key=lambda span: (span.start, span.end))))


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix == ".csv":
        yield from cells.read(path, ("id", "theme", "decision"))
    else:
        yield from ((where, row) for _, where, row in rows(path))
