"""What the formats of annotation tools share: JSON files of objects, and evidence that stands apart from the labels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capthemes.annotations import parsed, read_labels
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label


def json_list(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file's list, each with its place, file[position]. Raises AnnotationError."""
    try:
        found = parsed(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not JSON ({error}); export it anew") from None
    if not isinstance(found, list):
        raise AnnotationError(f"{path}: not a list of objects; export it anew, as JSON")
    for position, item in enumerate(found):
        if not isinstance(item, dict):
            raise AnnotationError(f"{path}[{position}]: {item!r:.60} is no object; export it anew, as JSON")
        yield f"{path}[{position}]", item


def identity(own: Mapping[str, Any], where: str) -> str:
    """The id of what a row is about. Raises AnnotationError where it has none."""
    if own.get("id") is None:
        raise AnnotationError(f"{where}: no id; give every paragraph one")
    return str(own["id"])


def with_evidence(
    values: Sequence[Mapping[str, Any]], marked: Iterable[tuple[str, Mapping[str, int]]], codebook: Codebook, where: str
) -> tuple[Label, ...]:
    """Labels in their JSON form with the spans (start, end) that are marked for their themes.

    Raises AnnotationError for a span whose theme has no label, and as `read_labels`.
    """
    evidence: dict[str, list[Mapping[str, int]]] = {value["theme"]: [] for value in values}
    for theme, span in marked:
        if theme not in evidence:
            raise AnnotationError(f"{where}: evidence is marked for {theme!r}, which is not among the labels; add it")
        evidence[theme].append(span)
    return read_labels([{**value, "evidence": evidence[value["theme"]]} for value in values], codebook, where)
