"""The manifest: what a model's folder holds, checked before any of it is used."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.store import fingerprint_bytes, fingerprint_file
from capthemes.untrusted import read_bytes, read_json

FORMAT = 1
MANIFEST = "model.json"
CARD = "README.md"
CODEBOOK = "codebook.md"
MISTAKES = "mistakes.md"
UNREAD = {MANIFEST, CARD, "golden.json", MISTAKES}  # beside the files that answers depend on; never read by load
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
KINDS = {"format": int, "name": str, "family": str, "codebook": int, "themes": list, "stances": list, "voices": list}
SEAL = "seal"
UNSEALED = "0" * 64
LARGEST = 4 << 20  # bytes of a manifest, a decision or a codebook
MOST_FILES = 100
# What a model's files may end in, all of them data, with the most bytes that are read of such a file.
ENDINGS = {".json": 64 << 20, ".md": LARGEST, ".safetensors": 8 << 30, ".onnx": 2 << 30, ".skops": 2 << 30}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked content of a model's model.json.

    A manifest that bears a seal must be, byte for byte, what was sealed; one without it (saved before there were
    seals) is held to the files and the codebook alone. Raises ModelError.
    """
    path = folder / MANIFEST
    manifest = read_json(path, LARGEST)
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int or manifest["format"] < 1:
        raise ModelError(f"{path}: no format number; this is not a model's manifest")
    if manifest["format"] > FORMAT:
        raise ModelError(f"{path}: format {manifest['format']} is newer than {FORMAT}; update capthemes")
    kinds = {**KINDS, "about": dict, "files": dict}
    for key, kind in kinds.items():
        if not isinstance(manifest.get(key), kind):
            raise ModelError(
                f"{path}: {key!r} is {manifest.get(key)!r:.60}, needs a {kind.__name__}; fetch the model anew"
            )
    if strange := sorted(manifest.keys() - kinds.keys() - {SEAL}):
        raise ModelError(f"{path}: has {strange[0]!r:.60}, which no manifest has; fetch the model anew")
    if not manifest["name"].isprintable() or len(manifest["name"]) > 200:
        raise ModelError(f"{path}: {manifest['name']!r:.60} is no name that can be shown; fetch the model anew")
    if SEAL in manifest and _seal(read_bytes(path, LARGEST), manifest[SEAL]) != manifest[SEAL]:
        raise ModelError(f"{path}: not the file that was saved (its seal does not fit); fetch the model anew")
    return manifest


def rendered(manifest: Mapping[str, Any]) -> str:
    """The text of model.json. Its seal is the SHA-256 of all else: of the text with 64 noughts in the seal's place."""
    text = json.dumps({**manifest, SEAL: UNSEALED}, indent=2, ensure_ascii=False) + "\n"
    before, _, after = text.rpartition(UNSEALED)
    return before + fingerprint_bytes(text.encode()) + after


def described(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a folder, as a manifest lists them."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": fingerprint_file(path)} for path in sorted(folder.iterdir())
    }


def check_files(folder: Path, files: Mapping[str, Any]) -> None:
    """Raise ModelError where a folder does not hold, byte for byte, the files that its manifest lists, or holds more.

    A file is plain data, in the folder itself: no path, no link, no other kind of file.
    """
    unlisted = {path.name for path in folder.iterdir()} - files.keys() - UNREAD
    if len(files) + len(unlisted) > MOST_FILES:
        raise ModelError(f"{folder}: more than {MOST_FILES} files; a model has a handful: fetch it anew")
    for name, expected in {"decision.json": None, **dict.fromkeys(unlisted), **files}.items():
        path = folder / name
        if not PLAIN_NAME.fullmatch(name) or not isinstance(expected, dict) or name in UNREAD:
            raise ModelError(
                f"{folder / MANIFEST}: file {name!r:.60} is not listed as it should be; fetch the model anew"
            )
        if path.suffix not in ENDINGS:
            raise ModelError(f"{path}: no model has such a file, only {', '.join(ENDINGS)}; fetch the model anew")
        if path.is_symlink() or not path.is_file():
            raise ModelError(f"{path}: missing from the model's folder, or a link; fetch the model anew")
        size = path.stat().st_size
        if size > ENDINGS[path.suffix]:
            raise ModelError(f"{path}: {size:,} bytes, at most {ENDINGS[path.suffix]:,} are read; fetch the model anew")
        if size != expected.get("bytes") or fingerprint_file(path) != expected.get("sha256"):
            raise ModelError(f"{path}: not the file that was saved (size or SHA-256 differs); fetch the model anew")


def codebook(folder: Path, manifest: Mapping[str, Any]) -> Codebook:
    """A model's codebook, its own or the built-in one. Raises ModelError where the manifest has other labels."""
    own = folder / CODEBOOK if CODEBOOK in manifest["files"] else None
    found = Codebook.load(own)
    for key, have in (
        ("codebook", found.version),
        ("themes", list(found.names)),
        ("stances", list(found.stances)),
        ("voices", list(found.voices)),
    ):
        if manifest[key] != have:
            raise ModelError(
                f"{folder / MANIFEST}: {key} {manifest[key]!r:.200} is not the codebook's ({have!r:.200}); "
                "use the capthemes version that the model was made with, or train it anew"
            )
    return found


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """Of what the answers depend on: family, labels and files; not of name, scores or card."""
    parts = {key: manifest[key] for key in ("family", "codebook", "themes", "stances", "voices", "files")}
    return fingerprint_bytes(json.dumps(parts, sort_keys=True).encode())


def _seal(content: bytes, seal: object) -> str | None:
    """What a manifest's seal should be, None where it is no seal or does not stand there once."""
    if not isinstance(seal, str) or not re.fullmatch("[0-9a-f]{64}", seal) or content.count(seal.encode()) != 1:
        return None
    return fingerprint_bytes(content.replace(seal.encode(), UNSEALED.encode()))
