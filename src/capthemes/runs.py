"""A run: labelled paragraphs on disk, one parquet file or a folder of parts."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.codebook import Codebook
from capthemes.errors import InputError

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class Run:
    """What a run's files say of themselves; `batches` reads their rows, flat in memory."""

    files: tuple[Path, ...]
    about: dict[str, Any]
    themes: tuple[str, ...]
    stances: tuple[str, ...]
    voices: tuple[str, ...]
    model: str

    def batches(self, columns: Sequence[str] | None = None) -> Iterator["pyarrow.RecordBatch"]:
        import pyarrow.parquet

        for path in self.files:
            yield from pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=8192, columns=columns)


def open_run(path: str | Path) -> Run:
    """Open a labelled .parquet file, or a folder of part-*.parquet with its run.json.

    Raises InputError for a path that is neither.
    """
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    files = tuple(sorted(path.glob("part-*.parquet"))) if path.is_dir() else (path,)
    if not files or not files[0].is_file():
        raise InputError(f"no run at {path}; give a folder with part-*.parquet, or a labelled .parquet file")
    try:
        about = json.loads((path / "run.json").read_text(encoding="utf-8")) if (path / "run.json").is_file() else {}
        file = pyarrow.parquet.ParquetFile(files[0])
        themes = tuple(json.loads((file.schema_arrow.metadata or {})[b"themes"]))
        model = next(file.iter_batches(batch_size=1, columns=["model"])).column(0)[0].as_py()
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, StopIteration) as error:
        raise InputError(f"{files[0]}: not labelled by capthemes ({error}); write it with capthemes label") from error
    codebook = Codebook.load()
    known = codebook.names == themes
    stances, voices = (tuple(values) if known else () for values in (codebook.stances, codebook.voices))
    return Run(files, about, themes, stances, voices, model)
