"""Files as they are read: plain or packed (gz, zst), line by line from a byte on, decoded."""

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from capthemes.errors import InputError
from capthemes.inflation import check

Reject: TypeAlias = Callable[[Path, str], None]  # what becomes of a broken row or file: its file, and the reason

PACKED = (".gz", ".zst")
CHUNK = 1 << 20
LONGEST_LINE = 16 << 20  # bytes


@dataclass(slots=True)
class _Unpacking:
    """A packed file that is being read: where it stands, and up to which byte all lines that begin there are read.

    `state` tells it from another file of its name.
    """

    path: Path
    state: tuple[int, ...]
    file: BinaryIO
    at: int = 0
    until: int = 0


_last: list[_Unpacking] = []  # at most one, so that a process unpacks a file once, whichever of its shards it reads


def is_packed(path: Path) -> bool:
    """Whether a file is unpacked while it is read."""
    return path.suffix.lower() in PACKED


def size(path: Path) -> int:
    """Bytes of a file, unpacked. Raises InputError for a packed file that is damaged, or comes out far larger."""
    if not is_packed(path):
        return path.stat().st_size
    whole = 0
    with _damage(path), _unpacked(path) as file:
        while chunk := file.read(CHUNK):
            whole += len(chunk)
            check(path, whole)
    return whole


def lines(
    path: Path, start: int = 0, stop: int | None = None, reject: Reject | None = None
) -> Iterator[tuple[int, bytes]]:
    """The lines that begin from byte `start` up to byte `stop` (exclusive), each with its first byte.

    Raises InputError for a line that is too long, unless `reject` takes it: then it is empty.
    """
    if is_packed(path):
        yield from _packed_lines(path, start, stop, reject)
        return
    with path.open("rb") as file:
        at = start
        if start:
            file.seek(start - 1)
            at += _rest(file, stop and stop - start + 1) - 1
        while stop is None or at < stop:
            line, length = _line(file, path, at, stop and stop - at, reject)
            if not length:
                break
            yield at, line
            at += length


def _packed_lines(path: Path, start: int, stop: int | None, reject: Reject | None) -> Iterator[tuple[int, bytes]]:
    with _damage(path):
        reading, state = _last.pop() if _last else None, _state(path)
        if reading is None or (reading.path, reading.state) != (path, state) or start < reading.until or not start:
            reading = _Unpacking(path, state, _unpacked(path))
        while reading.at < start - 1:
            reading.at += len(_some(reading.file, start - 1 - reading.at, path))
        if reading.at < start:
            reading.at += _rest(reading.file)
        while stop is None or reading.at < stop:
            line, length = _line(reading.file, path, reading.at, None, reject)
            if not length:
                break
            at = reading.at
            reading.at += length
            yield at, line
        reading.until = reading.at if stop is None else stop
        _last[:] = [reading]


def _line(file: BinaryIO, path: Path, at: int, most: int | None, reject: Reject | None) -> tuple[bytes, int]:
    """The next line and its length; of one that was rejected at least the first `most` bytes are passed over."""
    line = file.readline(LONGEST_LINE + 1)
    if len(line) <= LONGEST_LINE:
        return line, len(line)
    told = f"{path}: the line at byte {at:,} has more than {LONGEST_LINE:,} bytes; mend or remove it"
    if reject is None:
        raise InputError(told)
    reject(path, told)
    return b"", LONGEST_LINE + 1 + _rest(file, most)


def _state(path: Path) -> tuple[int, ...]:
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _rest(file: BinaryIO, most: int | None = None) -> int:
    """The bytes to the end of a line, read; no more than about `most` of them."""
    found = 0
    while (most is None or found < most) and (part := file.readline(CHUNK)):
        found += len(part)
        if part.endswith(b"\n"):
            break
    return found


def _some(file: BinaryIO, most: int, path: Path) -> bytes:
    if not (data := file.read(min(CHUNK, most))):
        raise InputError(f"{path} is shorter than it was; let it be while it is read")
    return data


def _unpacked(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    import pyarrow

    return cast(BinaryIO, io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What an unpacker says of a damaged file, with its name."""
    try:
        yield
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: a damaged {path.suffix} file ({error}); pack it anew") from None


def line_of(path: Path, offset: int) -> int:
    """The number of the line that begins at a byte, from 1."""
    number, at = 1, 0
    with _unpacked(path) if is_packed(path) else path.open("rb") as file:
        while at < offset and (chunk := file.read(min(CHUNK, offset - at))):
            number += chunk.count(b"\n")
            at += len(chunk)
    return number


def decode(data: bytes, path: Path, encoding: str, offset: int = 0) -> str:
    """The text of bytes that begin at `offset` of a file; a byte-order mark at its beginning goes."""
    try:
        utf8 = codecs.lookup(encoding).name == "utf-8"
        return data.decode("utf-8-sig" if utf8 and offset == 0 else encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not {encoding} at byte {offset + error.start}; name its encoding, as --encoding gb18030 "
            "for older Chinese files"
        ) from None
    except LookupError:
        raise InputError(f"no encoding {encoding!r}; try utf-8, gb18030 or big5") from None


def is_ascii_based(encoding: str) -> bool:
    """Whether the bytes of an encoding can be cut at line ends: quotes and line ends are what they are in ASCII."""
    signs = '",\t\r\n'
    try:
        return signs.encode(encoding) == signs.encode("ascii")
    except LookupError:
        return True  # said when the file is read
