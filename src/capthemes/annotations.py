"""Annotated sets: labelled paragraphs by name and split, and folds that keep a document together.

A set is a folder of {train,dev,test}.jsonl, or one file as "rules", which is all "test". Its rows have a
text, or stand for a published one by reference: a SHA-256 and a source in its place, which `hydrate` joins
with texts that the user brings.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label, Paragraph, Span, unit
from capthemes.references import Hydrated, join
from capthemes.store import fingerprint_bytes, home

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "dev", "test")


def names() -> list[str]:
    """The bundled sets."""
    return sorted({path.parent.name for split in SPLITS for path in home("annotations").glob(f"*/{split}.jsonl")})


def load(name: str) -> "datasets.DatasetDict | dict[str, list[Paragraph]]":
    """A bundled set, a folder of {train,dev,test}.jsonl, or one jsonl file, by split.

    A `datasets.DatasetDict` with all columns of the files, None where a row lacks one (labels as a list of structs);
    where the package `datasets` is not installed, a dict of lists of Paragraph. Paragraphs by reference have no text
    yet. A file of one's own is "train" where its name is no split's.

    Raises AnnotationError for an unknown name, listing the bundled ones, and for a broken row with file and line.
    """
    by_split = {split: list(_read(path)) for split, path in _files(name).items()}
    try:
        import datasets
    except ImportError:
        return by_split
    rows = {split: [_row(paragraph) for paragraph in found] for split, found in by_split.items()}
    columns = dict.fromkeys(column for part in rows.values() for row in part for column in row)
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict({column: [row.get(column) for row in part] for column in columns})
            for split, part in rows.items()
        }
    )


def paragraphs(
    source: str | Path, split: str | None = None, codebook: Codebook | None = None, *, unread: bool = False
) -> list[Paragraph]:
    """The labelled paragraphs of a bundled set, a folder of splits, or one jsonl file; of all splits if none is named.

    Each row has text and labels (a list of objects with theme, stance, voice, perhaps evidence); id, where it is
    missing, is the line's number; all else goes to `meta`. Labels are held to `codebook` (the built-in one by default).
    "read" lists the themes that the row was read for, where these are not all: of the others nothing is known.
    Bundled sets were read for the built-in themes.
    `unread` lets rows pass whose labels are null, as a sample to label has them.

    Raises AnnotationError with file and line for a row or label that does not fit, for an unknown set or split,
    and for a set by reference.
    """
    found = _gather(source, split, codebook, unread)
    if bare := next((p.id for p in found if _by_reference(p)), None):
        raise AnnotationError(f"{source} holds paragraphs by reference ({bare} ...): bring their texts to hydrate()")
    return found


def hydrate(
    texts: str | Path | Sequence[str | Path] | Mapping[str, str | Path],
    name: str = "references",
    split: str | None = None,
    codebook: Codebook | None = None,
) -> Hydrated:
    """Paragraphs by reference joined with texts that the user brings; each counts only if its SHA-256 agrees.

    `texts` is a jsonl file whose rows have a "text" (.gz as well), a folder of git checkouts (owner/name), several of
    either, or checkouts by repository ({"owner/name": "path/of/checkout"}). The answer has the paragraphs found, with
    those of the set that have their text already, and counts the missing by repository.

    Raises AnnotationError for an unknown set or split, InputError for texts that cannot be read.
    """
    wanted = _gather(name, split, codebook)
    if isinstance(texts, Mapping):
        return join(wanted, {key: Path(path) for key, path in texts.items()})
    return join(wanted, [Path(texts)] if isinstance(texts, str | Path) else [Path(path) for path in texts])


def glossary() -> dict[str, str]:
    """Chinese words of the debate, the commonest first, each with the English that a translator would use."""
    with (home("annotations") / "glossary.jsonl").open(encoding="utf-8") as file:
        return {row["chinese"]: row["english"] for row in map(json.loads, file)}


def annotators(name: str, codebook: Codebook | None = None) -> dict[str, dict[str, tuple[Label, ...]]]:
    """Every annotator's own labels of a set: annotator -> paragraph id -> labels.

    An annotator here is a route ("whole", "list", "writer", "adjudicator"): annotators/<route>.jsonl. Raises as
    `paragraphs`.
    """
    codebook = codebook or Codebook.load()
    found: dict[str, dict[str, tuple[Label, ...]]] = {}
    for path in sorted((next(iter(_files(name).values())).parent / "annotators").glob("*.jsonl")):
        found[path.stem] = {row["id"]: read_labels(row["labels"], codebook, where) for _, where, row in rows(path)}
    return found


def is_by_reference(source: str | Path, split: str | None = None, codebook: Codebook | None = None) -> bool:
    """Whether any paragraph of a set or split stands for a published text by its hash. Raises as `paragraphs`."""
    return any(_by_reference(paragraph) for paragraph in _gather(source, split, codebook))


def fingerprint(labelled: Sequence[Paragraph]) -> str:
    """The SHA-256 of ids, texts, labels and, where they are not all, the themes that were read for, in order."""
    rows = [
        [p.id, p.text, [[x.theme, x.stance, x.voice] for x in p.labels or ()]]
        + ([p.meta["read"]] if p.meta.get("read") is not None else [])
        for p in labelled
    ]
    return fingerprint_bytes(json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode())


def folds(
    labelled: Sequence[Paragraph], count: int, seed: int
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """`count` pairs of (training rows, held-out rows); a group or document is never on two sides.

    Raises AnnotationError where there are fewer groups than folds.
    """
    groups = [unit(p) for p in labelled]
    unique = sorted(set(groups))
    if len(unique) < count:
        raise AnnotationError(f"{len(unique)} groups of paragraphs cannot make {count} folds; bring more paragraphs")
    shuffled = np.random.default_rng(seed).permutation(len(unique))
    fold_of = {group: int(place) % count for group, place in zip(unique, shuffled, strict=True)}
    assigned = np.array([fold_of[group] for group in groups])
    return [(np.flatnonzero(assigned != k), np.flatnonzero(assigned == k)) for k in range(count)]


def _gather(
    source: str | Path, split: str | None, codebook: Codebook | None = None, unread: bool = False
) -> list[Paragraph]:
    files = _files(str(source))
    if split is not None and split not in files:
        raise AnnotationError(f"no split {split!r} in {source}; there is: {', '.join(files)}")
    return [paragraph for part in ([split] if split else files) for paragraph in _read(files[part], codebook, unread)]


def _by_reference(paragraph: Paragraph) -> bool:
    return not paragraph.text and "sha256" in paragraph.meta


def _files(name: str) -> dict[str, Path]:
    for file, split in ((Path(name), "train"), (home("annotations") / f"{name}.jsonl", "test")):
        if file.is_file():
            return {file.stem if file.stem in SPLITS else split: file}
    for folder in (home("annotations") / name, Path(name)):
        files = {split: folder / f"{split}.jsonl" for split in SPLITS}
        if present := {split: path for split, path in files.items() if path.is_file()}:
            return present
    whole, _, split = name.rpartition("/")
    if whole in names():
        raise AnnotationError(f"the set {whole!r} has no split {split!r}; splits are {', '.join(SPLITS)}")
    raise AnnotationError(
        f"no annotated set {name!r}; bundled: {', '.join(names())}; or give a folder with train.jsonl, or a file"
    )


def _read(path: Path, codebook: Codebook | None = None, unread: bool = False) -> Iterator[Paragraph]:
    codebook = codebook or Codebook.load()
    built_in, bundled = Codebook.load().names, path.is_relative_to(home("annotations"))
    read_for = {"read": list(built_in)} if bundled and set(codebook.names) - set(built_in) else {}
    for number, where, row in rows(path):
        text = "" if "text" not in row and "sha256" in row else row.get("text")
        waits = unread and row.get("labels") is None
        if not isinstance(text, str) or not (waits or isinstance(row.get("labels"), list)):
            raise AnnotationError(f"{where}: a row needs a string 'text' (or a 'sha256') and a list 'labels'")
        labels = None if waits else read_labels(row["labels"], codebook, where)
        meta = read_for | {key: value for key, value in row.items() if key not in ("id", "text", "labels")}
        check_read(meta.get("read"), labels or (), codebook, where)
        yield Paragraph(str(number if row.get("id") is None else row["id"]), text, labels, meta)


def rows(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The rows of a jsonl file, each with its line's number and its place, file:line.

    Raises AnnotationError for a line that is no JSON object.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = parsed(line)
            except (ValueError, RecursionError) as error:
                other = "" if path.suffix == ".jsonl" else "; labelled paragraphs are jsonl: capthemes import makes it"
                raise AnnotationError(f"{where}: not JSON ({error}); mend or remove the line{other}") from None
            if not isinstance(row, dict):
                raise AnnotationError(f"{where}: a row must be a JSON object, not {row!r:.60}")
            yield number, where, row


def parsed(content: str | bytes) -> Any:
    """The value of JSON; a lone surrogate, which no file can hold, becomes "?", as the families read it.

    Raises ValueError, and RecursionError for what nests too deep.
    """
    value = json.loads(content)
    written = json.dumps(value, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.loads(written.encode("utf-8", "replace"))
    return value


def read_labels(values: Sequence[Any], codebook: Codebook, where: str) -> tuple[Label, ...]:
    """Labels from their JSON form, held to the codebook: theme, and where known stance, voice, probability, evidence.

    Raises AnnotationError, which names the place `where`.
    """
    labels = tuple(read_label(value, codebook, where) for value in values)
    if len({label.theme for label in labels}) < len(labels):
        raise AnnotationError(f"{where}: a theme stands twice in 'labels'; keep one")
    return labels


def check_read(read: Any, labels: Sequence[Label], codebook: Codebook, where: str) -> None:
    """Raise AnnotationError, with `where`, if `read` lists no themes of the codebook or leaves a label's out."""
    if read is None:
        return
    if not isinstance(read, list) or any(theme not in codebook.names for theme in read):
        raise AnnotationError(f"{where}: 'read' is {read!r:.80}; it lists themes of: {', '.join(codebook.names)}")
    if unread := [label.theme for label in labels if label.theme not in read]:
        raise AnnotationError(f"{where}: has the label {unread[0]!r}, which 'read' leaves out; add it there")


def read_label(label: Any, codebook: Codebook, where: str) -> Label:
    """A label of an object with theme, stance, voice; AnnotationError, with `where`, if it is not the codebook's."""
    if not isinstance(label, Mapping):
        form = '{"theme": ..., "stance": ..., "voice": ...}'
        raise AnnotationError(f"{where}: label {label!r:.80} is no object; write {form}")
    if label.get("theme") not in codebook.names:
        raise AnnotationError(
            f"{where}: label {label!r} has no theme of the codebook, which has: {', '.join(codebook.names)}; "
            "mend it, or give the codebook that it was labelled by (--codebook)"
        )
    for part, values in (("stance", codebook.stances), ("voice", codebook.voices)):
        if label.get(part) is not None and not (isinstance(label[part], str) and label[part] in values):
            raise AnnotationError(f"{where}: {part} {label[part]!r} is none of {', '.join(values) or 'none at all'}")
    try:
        evidence = tuple(
            Span(int(x["start"]), int(x["end"]), float(x.get("weight", 1))) for x in label.get("evidence") or ()
        )
        probability = None if label.get("probability") is None else float(label["probability"])
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise AnnotationError(
            f"{where}: label {label!r}: evidence is a list of objects with start and end, probability a number"
        ) from None
    if wrong := next((x for x in evidence if not 0 <= x.start <= x.end), None):
        raise AnnotationError(f"{where}: evidence from {wrong.start} to {wrong.end} is no span of a text; mend it")
    return Label(label["theme"], label.get("stance"), label.get("voice"), probability, evidence)


def _row(paragraph: Paragraph) -> dict[str, Any]:
    labels = [{"theme": x.theme, "stance": x.stance, "voice": x.voice} for x in paragraph.labels or ()]
    text = {} if _by_reference(paragraph) else {"text": paragraph.text}
    return {"id": paragraph.id, **text, **paragraph.meta, "labels": labels}
