"""Rounds of annotation: paragraphs with what every annotator says of them, and what a model suggested."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capthemes.agreement import Labelling
from capthemes.annotations import check_read, read_labels, rows
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label
from capthemes.store import write_text

OWN = ("id", "text", "annotator", "labels", "suggested", "model")  # the keys of a row of our jsonl; all else is meta
NO_THEME = (
    "no theme"  # a tag's place where a paragraph, or an annotator's answer, has none; no theme's name has a space
)


@dataclass(frozen=True, slots=True)
class Record:
    """A paragraph in a round of annotation.

    `annotators` has everyone who has read it, by name, with () where no theme was found; a paragraph that is not in
    it has not been read. `suggested` is what `model` predicts, None where there is no suggestion. The spans of an
    annotator weigh 1. Themes that were read for, where these are not all, are in `meta` under "read" as long as they
    are the same for all annotators; else `read` has them by name, and who is not in it has read for all.

    Raises AnnotationError for a suggestion without a model's name or the reverse, an annotator without a name, or
    meta under one of the names above.
    """

    id: str
    text: str
    annotators: Labelling = field(default_factory=dict)
    suggested: tuple[Label, ...] | None = None
    model: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.suggested is None) != (not self.model):
            raise AnnotationError(f"paragraph {self.id!r}: a suggestion and its model's name go together; give both")
        if "" in self.annotators:
            raise AnnotationError(f"paragraph {self.id!r}: an annotator has no name; give one")
        if taken := sorted(set(OWN) & self.meta.keys()):
            raise AnnotationError(f"paragraph {self.id!r}: column {taken[0]!r} has a name of ours; rename it")

    def read_by(self, annotator: str) -> Sequence[str] | None:
        """The themes that an annotator has read the paragraph for; None where these are all."""
        return self.read.get(annotator, self.meta.get("read"))

    def meta_of(self, annotator: str) -> Mapping[str, Any]:
        """`meta` as an annotator's own row has it, with what that annotator has read for."""
        return {**self.meta, "read": self.read[annotator]} if annotator in self.read else self.meta


def read(paths: Iterable[str | Path], codebook: Codebook) -> list[Record]:
    """The records of jsonl files, one for each paragraph.

    A row has an id, the text (files of labels alone may lack it), labels with the annotator who gave them (the
    file's name where it does not say), and a model's suggestion, or no labels where nobody has read it. The labels
    of a row that names a model and no annotator are that model's: what `capthemes label` wrote.

    Raises AnnotationError with file and line, and as `merge`.
    """
    found = []
    for path in map(Path, paths):
        for number, where, row in rows(path):
            if not isinstance(row.get("text", ""), str) or not isinstance(row.get("labels"), list | None):
                raise AnnotationError(f"{where}: 'text' must be a string and 'labels' a list; mend or remove the line")
            if row.get("model") and row.get("suggested") is None and not row.get("annotator"):
                row["suggested"] = row.pop("labels", None)
            annotators = {}
            if row.get("labels") is not None:
                labels = read_labels(row["labels"], codebook, where)
                check_read(row.get("read"), labels, codebook, where)
                annotators = {str(row.get("annotator") or path.stem): labels}
            found.append(
                Record(
                    id=str(number if row.get("id") is None else row["id"]),
                    text=row.get("text", ""),
                    annotators=annotators,
                    meta={key: value for key, value in row.items() if key not in OWN},
                    **suggestion(row, codebook, where),
                )
            )
    return merge(found)


def write(records: Iterable[Record], path: Path) -> None:
    """Write jsonl: a row for each annotator of a record, or one without labels where nobody has read it.

    Rows with labels are what `annotations.paragraphs` reads.
    """
    lines = []
    for record in records:
        own, suggested = {"id": record.id, "text": record.text}, _suggestion_row(record)
        lines += [
            as_json({**own, **record.meta_of(name), **suggested, "annotator": name, "labels": label_rows(labels)})
            for name, labels in record.annotators.items()
        ] or [as_json({**own, **record.meta, **suggested})]
    write_text(path, "".join(f"{line}\n" for line in lines))


def merge(records: Iterable[Record]) -> list[Record]:
    """One record for each paragraph, with all its annotators and what each read, in the order of first appearance.

    Raises AnnotationError where two texts have one id, or one annotator labels a paragraph twice.
    """
    found: dict[str, Record] = {}
    for new in records:
        if (old := found.get(new.id)) is None:
            found[new.id] = new
            continue
        if old.text and new.text and old.text != new.text:
            raise AnnotationError(f"paragraph {new.id!r} has two texts; give paragraphs ids of their own")
        if twice := sorted(old.annotators.keys() & new.annotators.keys()):
            raise AnnotationError(f"paragraph {new.id!r}: {twice[0]!r} labels it twice; keep one row")
        suggesting = old if old.suggested is not None else new
        found[new.id] = Record(
            id=old.id,
            text=old.text or new.text,
            annotators={**old.annotators, **new.annotators},
            suggested=suggesting.suggested,
            model=suggesting.model,
            **_joined(old, new),
        )
    return list(found.values())


def _joined(old: Record, new: Record) -> dict[str, Any]:
    """`meta` and `read` of two records of a paragraph; what was read is for those to say who have read it."""
    meta = {**new.meta, **old.meta}
    by_name = {name: record.read_by(name) for record in (old, new) for name in record.annotators}
    if not by_name:
        return {"meta": meta}
    meta.pop("read", None)
    shared, *others = by_name.values()
    if any(themes != shared for themes in others):
        return {"meta": meta, "read": {name: themes for name, themes in by_name.items() if themes is not None}}
    return {"meta": meta if shared is None else meta | {"read": shared}}


def by_annotator(records: Iterable[Record]) -> dict[str, dict[str, Sequence[Label]]]:
    """The same the other way round: annotator -> paragraph id -> labels."""
    found: dict[str, dict[str, Sequence[Label]]] = {}
    for record in records:
        for name, labels in record.annotators.items():
            found.setdefault(name, {})[record.id] = labels
    return found


def readings(records: Iterable[Record]) -> dict[str, dict[str, Sequence[str]]]:
    """What each annotator has read for, where it is not all: annotator -> paragraph id -> themes."""
    found: dict[str, dict[str, Sequence[str]]] = {}
    for record in records:
        for name in record.annotators:
            own = found.setdefault(name, {})
            if (themes := record.read_by(name)) is not None:
                own[record.id] = themes
    return found


def theme_counts(records: Iterable[Record]) -> Counter[str]:
    """How many of the paragraphs have each theme by any annotator."""
    return Counter(
        theme for record in records for theme in {x.theme for labels in record.annotators.values() for x in labels}
    )


def label_rows(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Labels in their JSON form, as `annotations.read_labels` takes it."""
    return [_label_row(label) for label in labels]


def carried(record: Record) -> dict[str, Any]:
    """What travels untouched through an annotation tool beside the text: id, meta, who read what, and suggestion."""
    read = {"read": dict(record.read)} if record.read else {}
    return {"id": record.id, "meta": dict(record.meta), **read, **_suggestion_row(record)}


def brought_back(own: Mapping[str, Any], codebook: Codebook, where: str) -> dict[str, Any]:
    """What was `carried`, beside the id, as a Record takes it. Raises as `suggestion`."""
    return {"meta": own["meta"], "read": dict(own.get("read", {})), **suggestion(own, codebook, where)}


def suggestion(row: Mapping[str, Any], codebook: Codebook, where: str) -> dict[str, Any]:
    """`suggested` and `model` of a row, as a Record takes them; nothing where it has no suggestion.

    Raises AnnotationError, which names the place `where`.
    """
    if row.get("suggested") is None:
        return {}
    if not isinstance(row["suggested"], list):
        raise AnnotationError(f"{where}: 'suggested' is {row['suggested']!r:.60}, not a list of labels; mend it")
    return {"suggested": read_labels(row["suggested"], codebook, where), "model": row.get("model")}


def as_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON: an infinity, or what is no number, becomes null; what JSON has no type for, its string."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(value, default=str), parse_constant=lambda _: None)
        return json.dumps(finite, ensure_ascii=False, indent=indent)


def tag(label: Label) -> str:
    """A label as one word, "theme/stance/voice", with - for what is not known; the theme alone where neither is."""
    if label.stance is None and label.voice is None:
        return label.theme
    return f"{label.theme}/{label.stance or '-'}/{label.voice or '-'}"


def label_of(word: str, codebook: Codebook, where: str) -> Label:
    """The label of a tag. Raises AnnotationError, which names the place `where`."""
    parts = [part.strip() for part in word.split("/")]
    if len(parts) not in (1, 3):
        raise AnnotationError(f"{where}: {word!r} is no label; write theme/stance/voice, with - for what is not known")
    names = ("theme", "stance", "voice")
    value = {name: None if part == "-" else part for name, part in zip(names, parts, strict=False)}
    return read_labels([value], codebook, where)[0]


def tags(codebook: Codebook) -> list[str]:
    """Every label that the codebook allows: theme by theme, the theme alone and with each stance and voice."""
    stances, voices = tuple(codebook.stances) or (None,), tuple(codebook.voices) or (None,)
    found = [
        tag(label)
        for theme in codebook.names
        for label in [Label(theme), *(Label(theme, stance, voice) for stance in stances for voice in voices)]
    ]
    return list(dict.fromkeys(found))


def _label_row(label: Label) -> dict[str, Any]:
    row: dict[str, Any] = {"theme": label.theme, "stance": label.stance, "voice": label.voice}
    if label.probability is not None:
        row["probability"] = label.probability
    if label.evidence:
        row["evidence"] = [{"start": x.start, "end": x.end, "weight": x.weight} for x in label.evidence]
    return row


def _suggestion_row(record: Record) -> dict[str, Any]:
    return {} if record.suggested is None else {"suggested": label_rows(record.suggested), "model": record.model}
