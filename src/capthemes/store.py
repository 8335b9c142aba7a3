"""Where named things lie, how files are written whole or not at all, and how content is fingerprinted."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

PACKAGE = Path(__file__).parent


def home(kind: str) -> Path:
    """The folder of bundled `kind` ("models" or "annotations"), in a checkout or in an installed copy."""
    bundled = PACKAGE / "data" / kind
    return bundled if bundled.is_dir() else PACKAGE.parents[1] / kind


def data_name(data: str) -> str:
    """What signatures call a set or file: its last two parts, without an ending."""
    return "/".join(PurePath(data.removesuffix(".jsonl")).parts[-2:]) or data


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends well, and vanishes when it does not."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what killed processes left of files that were to become `path`."""
    for left in path.parent.glob(f".{escape(path.name)}.{'[a-z0-9_]' * 8}.tmp"):
        left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file with LF line ends, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def packed(arrays: "Mapping[str, npt.NDArray[Any]]", about: "Mapping[str, str] | None" = None) -> bytes:
    """Arrays, and what there is to say of them, as safetensors; that package takes an array's memory as it lies."""
    import numpy as np
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content: bytes = save(plain, dict(about) if about else None)
    return content


def fingerprint_bytes(data: bytes) -> str:
    """The SHA-256 of some bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def fingerprint_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder to sync it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
