"""A run: a labelled corpus, one parquet file or a folder of parts, read batch by batch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.codebook import Codebook
from capthemes.errors import InputError

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class Run:
    """What a corpus was labelled with, and its rows; `about` is what its run.json says, {} for a single file."""

    files: tuple[Path, ...]
    about: Mapping[str, Any]
    model: str
    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]

    def batches(self, columns: Sequence[str] | None = None) -> Iterator["pyarrow.RecordBatch"]:
        """The rows in order, flat in memory; of all columns unless some are named."""
        import pyarrow.parquet

        for path in self.files:
            with pyarrow.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(columns=None if columns is None else list(columns))


def open_run(path: str | Path) -> Run:
    """A run by its folder or its parquet file. Raises InputError where there is none."""
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    files = tuple(sorted(path.glob("part-*.parquet"))) if path.is_dir() else (path,)
    try:
        with pyarrow.parquet.ParquetFile(files[0]) as file:
            themes = tuple(json.loads(file.schema_arrow.metadata[b"themes"]))
            model = file.read_row_group(0, columns=["model"])["model"][0].as_py()
    except (IndexError, KeyError, TypeError, ValueError, OSError, pyarrow.ArrowException) as error:
        raise InputError(
            f"{path}: no labelled corpus ({error!r}); write one with capthemes label -o x.parquet"
        ) from None
    about = json.loads((path / "run.json").read_bytes()) if (path / "run.json").is_file() else {}
    codebook = Codebook.load()
    values = (tuple(about.get("stances", codebook.stances)), tuple(about.get("voices", codebook.voices)))
    return Run(files, about, model, themes, *values)
