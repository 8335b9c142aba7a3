import json
import os
import random
import shutil

import pytest

import capthemes
from capthemes import manifest, model
from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.families.keywords import Keywords
from capthemes.store import home

PLAIN = {
    "format": 1, "name": "产能", "family": "keywords", "codebook": 1, "themes": [], "stances": [], "voices": [],
    "about": {"sha256": "0" * 64, "p": 0.1}, "files": {},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, land_codebook):
    """A small model that nothing had to be learned for."""
    book = Codebook.load(land_codebook)
    decision = capthemes.Decision.plain(book.names)
    model.Model("land", "keywords", Keywords(book), decision, book).save(tmp_path / "land")
    return tmp_path / "land"


def flipped(content: bytes, place: int, bits: int) -> bytes:
    return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]


def test_every_change_of_a_byte_of_a_sealed_manifest_is_refused(tmp_path):
    content = manifest.rendered(PLAIN).encode()
    path = tmp_path / "model.json"
    path.write_bytes(content)
    assert {**manifest.read_manifest(tmp_path), "seal": ""} == {**PLAIN, "seal": ""}
    for place in range(len(content)):
        for bits in (1, 4, 32):
            path.write_bytes(flipped(content, place, bits))
            with pytest.raises(ModelError):
                manifest.read_manifest(tmp_path)


def test_a_manifest_without_a_seal_is_read_as_before(folder):
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    before = capthemes.load(folder).fingerprint
    del content["seal"]
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    assert capthemes.load(folder).fingerprint == before


@pytest.mark.parametrize("name", model.names())
def test_changed_bytes_of_a_shipped_model_are_refused_or_change_no_answer(name, tmp_path):
    source, copy = home("models") / name, tmp_path / name
    shutil.copytree(source, copy)
    listed = manifest.read_manifest(source)["files"]
    before, random_ = manifest.fingerprint(manifest.read_manifest(source)), random.Random(name)
    for path in sorted(copy.iterdir()):
        if path.name in listed:
            size = path.stat().st_size
            for place in {0, size - 1, *(random_.randrange(size) for _ in range(min(20, 1 + 2**26 // size)))}:
                with path.open("r+b") as file:
                    file.seek(place)
                    byte = file.read(1)
                    file.seek(place)
                    file.write(bytes([byte[0] ^ (1 << random_.randrange(8))]))
                    file.flush()
                    with pytest.raises(ModelError, match=f"{path.name}: not the file that was saved"):
                        manifest.check_files(copy, {path.name: listed[path.name], **listed})
                    file.seek(place)
                    file.write(byte)
    content, path = (source / "model.json").read_bytes(), copy / "model.json"
    for _ in range(100):
        path.write_bytes(flipped(content, random_.randrange(len(content)), 1 << random_.randrange(8)))
        try:
            changed = manifest.read_manifest(copy)
            if changed["files"] != listed:
                manifest.check_files(copy, changed["files"])
            manifest.codebook(copy, changed)
            capthemes.families.family_class(changed["family"])
        except ModelError:
            continue
        assert "seal" not in changed  # saved before there were seals: then nothing that answers depend on has changed
        assert manifest.fingerprint(changed) == before


def test_what_is_not_listed_is_not_read(folder):
    before = capthemes.load(folder).predict(["farmland"])[0]
    for name in ("README.md", "golden.json", "mistakes.md"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("/nowhere")
    assert capthemes.load(folder).predict(["farmland"])[0] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pickle": 1}, "has 'pickle', which no manifest has"),
        ({"name": "\x1b[2Jcleared"}, "is no name that can be shown"),
        ({"name": "a" * 201}, "is no name that can be shown"),
        ({"files": {"model.json": {}}}, "file 'model.json' is not listed as it should be"),
        ({"files": {"head.pkl": {}}}, r"head\.pkl: no model has such a file, only \.json"),
        ({"files": {f"{i}.json": {} for i in range(200)}}, "more than 100 files"),
    ],
)
def test_what_no_model_has_is_refused(folder, change, message):
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    del content["seal"]
    files = {**content["files"], **change.get("files", {})}
    (folder / "model.json").write_text(manifest.rendered({**content, **change, "files": files}), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        capthemes.load(folder)


def test_a_manifest_of_another_kind_of_file_is_refused(folder):
    whole = (folder / "model.json").read_bytes()
    (folder / "model.json").write_bytes(whole + b" " * manifest.LARGEST)
    with pytest.raises(ModelError, match="at most 4,194,304 are read"):
        capthemes.load(folder)
    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")
    with pytest.raises(ModelError, match="no plain file"):
        manifest.read_manifest(folder)
