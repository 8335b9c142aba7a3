"""The formats of annotation tools: records are written for a tool, and read from what it exports."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, CapthemesError, InputError
from capthemes.rounds import Record, merge
from capthemes.store import write_text


class Format(Protocol):
    """What a format's module has; `setup` gives the files, by name, from which a project of the tool is set up."""

    def dump(self, records: Sequence[Record], path: Path, codebook: Codebook) -> None: ...

    def load(self, path: Path, codebook: Codebook) -> Iterable[Record]: ...

    def setup(self, codebook: Codebook) -> dict[str, str]: ...


FORMATS = {
    "labelstudio": "capthemes.formats.labelstudio",
    "doccano": "capthemes.formats.doccano",
    "argilla": "capthemes.formats.argilla",
    "csv": "capthemes.formats.table",
}


def write(records: Sequence[Record], path: str | Path, form: str, codebook: Codebook) -> None:
    """Write records for an annotation tool: labels as annotations, a model's as suggestions. Raises InputError."""
    _format(form).dump(records, Path(path), codebook)


def read(paths: Iterable[str | Path], form: str, codebook: Codebook) -> list[Record]:
    """The records of files that a tool has exported, one for each paragraph.

    Raises AnnotationError for what does not fit the format or the codebook, InputError for an unknown format.
    """
    module = _format(form)
    found: list[Record] = []
    for path in map(Path, paths):
        try:
            found += module.load(path, codebook)
        except CapthemesError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise AnnotationError(f"{path}: not as {form} exports it ({error!r}); export it anew") from None
    return merge(found)


def write_setup(folder: str | Path, form: str, codebook: Codebook) -> list[Path]:
    """Write the files that set up the tool's project for the codebook into a folder; which ones, in order."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = _format(form).setup(codebook)
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]


def _format(form: str) -> Format:
    if form not in FORMATS:
        raise InputError(f"no format {form!r}; there is: {', '.join(FORMATS)}")
    return cast(Format, import_module(FORMATS[form]))
