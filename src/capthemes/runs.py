"""A run: what labelling a corpus left behind, read batch by batch."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.errors import InputError

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class Run:
    """Labelled paragraphs on disk; `about` is the content of run.json, empty for a single file."""

    files: tuple[Path, ...]
    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]
    model: str
    about: dict[str, Any]

    def batches(self, columns: Sequence[str] | None = None) -> Iterator["pyarrow.RecordBatch"]:
        """Record batches in order, flat in memory."""
        import pyarrow.parquet

        for path in self.files:
            with pyarrow.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(columns=None if columns is None else list(columns))


def open_run(path: str | Path) -> Run:
    """Open a folder with run.json and part-*.parquet, or one labelled parquet file. Raises InputError."""
    import pyarrow.parquet

    from capthemes.codebook import Codebook

    path = Path(path)
    files = tuple(sorted(path.glob("part-*.parquet"))) if path.is_dir() else (path,)
    if not files or not files[0].is_file():
        raise InputError(f"no labelled run at {path}; give the folder or parquet file that capthemes label wrote")
    schema = pyarrow.parquet.read_schema(files[0])
    themes = (schema.metadata or {}).get(b"themes")
    if themes is None or "probabilities" not in schema.names:
        raise InputError(f"{files[0]} has no probabilities; label the corpus anew into parquet")
    with pyarrow.parquet.ParquetFile(files[0]) as file:
        first = next(file.iter_batches(batch_size=1, columns=["model"]), None)
    about = json.loads((path / "run.json").read_text(encoding="utf-8")) if path.is_dir() else {}
    codebook = Codebook.load()
    return Run(
        files,
        tuple(json.loads(themes)),
        tuple(about.get("stances", codebook.stances)),
        tuple(about.get("voices", codebook.voices)),
        first["model"][0].as_py() if first is not None and len(first) else "",
        about,
    )
