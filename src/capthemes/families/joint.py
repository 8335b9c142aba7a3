"""The joint family: parts side by side, each fitted for some of the codebook's themes.

It is how a theme is learned from the paragraphs that were read for it and from no others, and how themes of one's own
stand beside those of another model.
"""

import inspect
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import CodebookError, ModelError
from capthemes.families import family_class
from capthemes.families.base import Family
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Paragraph, Probabilities, label_indices, read_matrix
from capthemes.untrusted import read_json

FILE = "joint.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A family under its name, the codebook of its own themes, and the decision that calibrates it."""

    name: str
    family: Family
    codebook: Codebook
    decision: Decision


class Joint:
    """Parts whose themes together are those of the codebook."""

    learns: ClassVar[bool] = True
    quick: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {"trusted": True}

    def __init__(self, codebook: Codebook, parts: Sequence[Part]) -> None:
        self.codebook = codebook
        self.parts = tuple(parts)

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Each part's calibrated probabilities; nan for stance and voice of themes whose part tells none."""
        names = self.codebook.names
        theme = np.full((len(texts), len(names)), 0.5)
        given: dict[str, Array] = {}
        for part in self.parts:
            found = part.decision.calibrate(part.family.predict_proba(texts))
            columns = [names.index(name) for name in found.themes]
            theme[:, columns] = found.theme
            for kind, values in (("stance", found.stance), ("voice", found.voice)):
                if values is not None:
                    empty = np.full((len(texts), len(names), values.shape[2]), np.nan)
                    given.setdefault(kind, empty)[:, columns] = values
        return Probabilities(
            names,
            tuple(self.codebook.stances) if "stance" in given else (),
            tuple(self.codebook.voices) if "voice" in given else (),
            theme,
            given.get("stance"),
            given.get("voice"),
        )

    @classmethod
    def fit(
        cls,
        paragraphs: Sequence[Paragraph],
        codebook: Codebook,
        seed: int,
        of: str = "linear",
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Fit the family `of` once for all themes that the same paragraphs were read for, on those paragraphs.

        A theme that fewer than two paragraphs were read for has no part, and a probability of 0.5.
        """
        parts = []
        for book in blocks(paragraphs, codebook):
            read = read_matrix(paragraphs, book.names[:1])[:, 0]
            own = [p.only(book.names) for p, kept in zip(paragraphs, read, strict=True) if kept]
            if len(own) > 1:
                fitted = family_class(of).fit(own, book, seed, **(options or {}))
                parts.append(Part(of, fitted, book, Decision.plain(book.names)))
        return cls(codebook, parts)

    def save(self, folder: Path) -> None:
        """joint.json, and the files of each part under its number."""
        described = []
        for number, part in enumerate(self.parts):
            with tempfile.TemporaryDirectory() as own:
                part.family.save(Path(own))
                for path in Path(own).iterdir():
                    shutil.move(path, folder / f"{number}-{path.name}")
            tells = {"stances": bool(part.codebook.stances), "voices": bool(part.codebook.voices)}
            decision = json.loads(part.decision.to_json())
            described.append({"family": part.name, "themes": part.codebook.names, **tells, "decision": decision})
        (folder / FILE).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls, folder: Path, codebook: Codebook, trusted: Sequence[str] | bool = (), engine: str | None = None
    ) -> Self:
        """Load every part; `trusted` and `engine` go to the parts that take them."""
        path, parts = folder / FILE, []
        try:
            described = read_json(path, ENDINGS[path.suffix])
            for number, row in enumerate(described):
                book = codebook.only(row["themes"], bool(row["stances"]), bool(row["voices"]))
                decision = Decision.from_json(json.dumps(row["decision"]).encode(), str(path))
                if tuple(decision.themes) != book.names:
                    raise ValueError(f"part {number} decides on other themes than its own")
                family = _load_part(folder, number, row["family"], book, {"trusted": trusted, "engine": engine})
                parts.append(Part(row["family"], family, book, decision))
        except (OSError, ValueError, KeyError, TypeError, CodebookError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"{path}: does not describe parts ({error}); save the model anew") from error
        if sorted(name for part in parts for name in part.codebook.names) != sorted(codebook.names):
            raise ModelError(f"{path}: the parts' themes are not the codebook's, each once; save the model anew")
        return cls(codebook, parts)


def blocks(paragraphs: Sequence[Paragraph], codebook: Codebook) -> list[Codebook]:
    """The codebook in parts: themes that the same paragraphs were read for, with stance and voice if these have any."""
    read = read_matrix(paragraphs, codebook.names)
    columns: dict[bytes, list[str]] = {}
    for name, column in zip(codebook.names, read.T, strict=True):
        columns.setdefault(column.tobytes(), []).append(name)
    found = []
    for names in columns.values():
        own = [paragraph.only(names) for paragraph in paragraphs]
        tells = [
            len(label_indices(own, names, list(values), part)[0]) > 0
            for part, values in (("stance", codebook.stances), ("voice", codebook.voices))
        ]
        found.append(codebook.only(names, *tells))
    return found


def _load_part(folder: Path, number: int, name: str, codebook: Codebook, options: Mapping[str, Any]) -> Family:
    """A part read by its family from a folder of its own, where its files have their own names."""
    kind = family_class(name)
    taken = inspect.signature(kind.load).parameters
    with tempfile.TemporaryDirectory() as own:
        for path in folder.glob(f"{number}-*"):
            shutil.copyfile(path, Path(own) / path.name.removeprefix(f"{number}-"))
        return kind.load(Path(own), codebook, **{key: value for key, value in options.items() if key in taken})
