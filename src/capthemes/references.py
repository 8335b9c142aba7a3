"""References: published paragraphs known by pointer and hash, found again in the texts that a user brings."""

import csv
import html
import io
import json
import re
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from capthemes.cells import long_cells
from capthemes.errors import InputError
from capthemes.files import lines
from capthemes.records import Paragraph
from capthemes.store import fingerprint_bytes

_TAG = re.compile(r"<[^<>]{0,200}>")
_LINK = re.compile(r"!?\[([^\]\n]{0,500})\]\([^)\n]{0,500}\)")
_SOURCE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{7,40}):(?P<path>[^#]+)(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Hydrated:
    """References with their texts, and those whose text was not among what was brought.

    `missing` counts the paragraphs that were not found by source repository.
    """

    paragraphs: list[Paragraph]
    missing: dict[str, int]

    def __str__(self) -> str:
        found, lost = len(self.paragraphs), sum(self.missing.values())
        lines = [f"{found} of {found + lost} texts found, each with its SHA-256"]
        return "\n".join(lines + [f"  missing from {name}: {count}" for name, count in sorted(self.missing.items())])


def join(references: Iterable[Paragraph], texts: Sequence[Path] | Mapping[str, Path]) -> Hydrated:
    """Give references their texts back, from jsonl files with "text" in their rows or from git checkouts.

    Checkouts are given by repository, or as a folder that has them as owner/name. A text counts only where its SHA-256
    is the reference's: what was changed since is missing.

    Raises InputError for a file that cannot be read, or a checkout that is no git repository.
    """
    wanted = list(references)
    if isinstance(texts, Mapping):
        found = _from_checkouts(wanted, texts)
    else:
        found = chain.from_iterable(
            _from_checkouts(wanted, _checkouts_in(path)) if path.is_dir() else _from_file(path) for path in texts
        )
    hashes = {paragraph.meta["sha256"] for paragraph in wanted if not paragraph.text}
    texts_by_hash = {sha256: text for sha256, text in found if sha256 in hashes}
    hydrated, missing = [], dict[str, int]()
    for paragraph in wanted:
        text = paragraph.text or texts_by_hash.get(paragraph.meta["sha256"])
        if text is None:
            repository = str(paragraph.meta.get("source", "")).partition("@")[0]
            missing[repository] = missing.get(repository, 0) + 1
        else:
            hydrated.append(Paragraph(paragraph.id, text, paragraph.labels, paragraph.meta))
    return Hydrated(hydrated, missing)


def pieces(path: str, content: str) -> Iterator[str]:
    """What may be a paragraph of a file: its blocks, lines, cells and elements, with marks and without."""
    for text in _texts_in(path, content):
        for raw in {text, html.unescape(text)}:
            for block in [raw, *re.split(r"\n[^\S\n]*\n", raw), *raw.split("\n"), *_TAG.sub("\n", raw).split("\n")]:
                plain = _LINK.sub(r"\1", block)
                for piece in {block, plain, re.sub(r"[*_`]", "", plain)}:
                    yield piece.strip()
                    yield " ".join(piece.split())
                    yield piece.strip(" \t\"'|,>#-*")


def _texts_in(path: str, content: str) -> Iterator[str]:
    """The texts that a file holds: the cells of a table, the strings of JSON, else the whole."""
    kind = Path(path).suffix.lower()
    try:
        if kind in (".csv", ".tsv"):
            long_cells()
            yield from (
                cell
                for row in csv.reader(io.StringIO(content), delimiter="\t" if kind == ".tsv" else ",")
                for cell in row
            )
            return
        if kind in (".json", ".jsonl"):
            for document in [content] if kind == ".json" else content.splitlines():
                yield from _strings(json.loads(document))
            return
    except (csv.Error, ValueError, RecursionError):
        pass  # not what its ending says: read it as plain text
    yield content


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _from_file(path: Path) -> Iterator[tuple[str, str]]:
    number = 0  # of the line, for the message
    try:
        for number, (_, line) in enumerate(lines(path), 1):  # noqa: B007
            text = json.loads(line)["text"]
            yield fingerprint_bytes(text.encode()), text
    except InputError:
        raise
    except (OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a jsonl file with the texts") from None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError) as error:
        raise InputError(
            f"{path}:{number}: not a JSON object with a 'text' ({error}); mend or remove the line"
        ) from None


def _checkouts_in(folder: Path) -> dict[str, Path]:
    found = {f"{path.parent.name}/{path.name}": path for path in sorted(folder.glob("*/*")) if path.is_dir()}
    if not found:
        raise InputError(f"no checkouts in {folder}; they are looked for as owner/name")
    return found


def _from_checkouts(references: Iterable[Paragraph], checkouts: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """The pieces of every file that a reference points to and that a checkout has at that commit."""
    files = {
        (found["repository"], found["commit"], found["path"])
        for paragraph in references
        if (found := _SOURCE.fullmatch(str(paragraph.meta.get("source", "")))) and found["repository"] in checkouts
    }
    for repository, commit, path in sorted(files):
        shown = _git(checkouts[repository], "show", f"{commit}:{path}")
        for piece in pieces(path, shown.decode("utf-8", "replace")):
            yield fingerprint_bytes(piece.encode()), piece


def _git(folder: Path, *arguments: str) -> bytes:
    """What git prints, nothing where the object is not there. Raises InputError where `folder` is no repository."""
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; give the git checkout of the source")
    run = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    if b"not a git repository" in run.stderr:
        raise InputError(f"{folder} is no git repository; give the git checkout of the source")
    return run.stdout
