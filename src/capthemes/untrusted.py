"""Untrusted files: bytes, JSON and tensors of strangers, read within limits and with one meaning only."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from capthemes.errors import ModelError

Tensor = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...]

ROOM = 32 << 20  # bytes of memory that a small JSON file may ask for; a large one three times its size beyond it


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a plain file of at most `most` bytes. Raises ModelError for a link, a device or a larger file."""
    _check_plain(path, most)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch the model anew") from error


def _check_plain(path: Path, most: int) -> None:
    if path.is_symlink() or not path.is_file():
        raise ModelError(f"{path}: missing, or a link, or no plain file; fetch the model anew")
    if (size := path.stat().st_size) > most:
        raise ModelError(f"{path}: {size:,} bytes, at most {most:,} are read; fetch the model anew")


def read_json(path: Path, most: int) -> Any:
    """The JSON of a plain file of at most `most` bytes. Raises ModelError, as `read_bytes` and `parse` do."""
    content = read_bytes(path, most)
    try:
        return parse(content)
    except ValueError as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch the model anew") from error


def parse(content: bytes) -> Any:
    """The value of UTF-8 JSON.

    Raises ValueError for what is no JSON, nests too deep, has a key twice or a number that is none (NaN) or infinite
    (1e999), or would fill much more memory than its size: an empty list is two bytes in a file and 64 in memory.
    """
    asked = 90 * content.count(b"[") + 250 * content.count(b"{") + 70 * content.count(b",")
    if asked > ROOM + 3 * len(content):
        raise ValueError(f"its values would fill {asked >> 20} MB of memory")
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("it nests too deep") from None


def read_tensors(path: Path, expected: Mapping[str, tuple[Shape, str]], most: int) -> dict[str, Tensor]:
    """The tensors of a safetensors file: those of `expected` (name -> shape, dtype), all of them finite, and no other.

    None in a shape is any number. They are mapped from the file, read-only, so processes that load it share its pages.

    Raises ModelError, naming the tensor that is not as expected.
    """
    from safetensors import SafetensorError, safe_open

    _check_plain(path, most)
    try:
        with safe_open(path, framework="np") as file:  # it checks that one tensor follows another, to the file's end
            parts = {name: file.get_slice(name) for name in file.offset_keys()}
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()}
        mapped = np.asarray(np.memmap(path, np.uint8, "r"))
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch the model anew") from error
    if strange := sorted(found.keys() ^ expected.keys()):
        raise ModelError(f"{path}: {strange[0]!r:.60} is missing or not expected; fetch the model anew")
    tensors, place = {}, 8 + int.from_bytes(mapped[:8].tobytes(), "little")  # behind the header and its length
    for name, (shape, dtype) in found.items():
        wanted, kind = expected[name][0], np.dtype(expected[name][1])
        size = kind.itemsize * math.prod(shape)
        fits = len(shape) == len(wanted) and all(w in (None, n) for w, n in zip(wanted, shape, strict=True))
        if fits and dtype == f"{kind.kind.upper()}{8 * kind.itemsize}":
            tensors[name] = np.require(mapped[place : place + size].view(kind).reshape(shape), requirements="A")
        if name not in tensors or not np.isfinite(tensors[name]).all():
            raise ModelError(f"{path}: {name} must be finite, {kind} of shape {wanted}; fetch the model anew")
        place += size
    return tensors


def read_about(path: Path, form: str, most: int) -> dict[str, Any]:
    """The JSON object that a safetensors file has under "about" beside its tensors, of this format.

    Raises ModelError.
    """
    from safetensors import SafetensorError, safe_open

    _check_plain(path, most)
    try:
        with safe_open(path, framework="np") as file:
            about = parse((file.metadata() or {})["about"].encode())
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch the model anew") from error
    if not isinstance(about, dict) or about.get("format") != form:
        raise ModelError(f"{path}: it does not say that its format is {form}; update capthemes, or fetch it anew")
    return about


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r:.60} stands twice in one object")
    return found


def _finite(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise ValueError(f"{digits:.60} is too large a number")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
