import json

import pytest

import capthemes
from capthemes.codebook import Codebook
from capthemes.errors import ModelError, TextTypeError
from capthemes.training import train

TEXTS = [
    "Steel mills were told to cut output because supply far exceeds demand.",
    "各地不得违规出台招商引资优惠政策。",
    "The choir sang.",
]


@pytest.fixture
def folder(tmp_path, land_codebook, land_paragraphs):
    train({"land": land_paragraphs}, name="land", family="linear", codebook=Codebook.load(land_codebook)).save(
        tmp_path / "land"
    )
    return tmp_path / "land"


def test_the_default_reads_both_languages(fast):
    result = fast.predict(TEXTS)
    assert len(result) == 3
    label = result[0][0]
    assert label.theme == "overcapacity"
    assert label.stance in Codebook.load().stances
    assert label.voice in Codebook.load().voices
    assert 0 < label.probability <= 1
    assert "unified_market" in [x.theme for x in result[1]]


def test_odd_texts_are_answered_one_by_one(fast):
    odd = ["", "x" * 1_000_000, "产" * 350_000, "😀", "\ud800", "\x00", "שלום", "a\u202eb"]
    assert len(fast.predict(odd)) == len(odd)
    assert len(fast.predict([])) == 0
    assert fast.predict(iter(TEXTS))[0] == fast.predict(TEXTS)[0]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one string", r"predict\(\[text\]\)"),
        (b"bytes", r"not one bytes"),
        (None, "not NoneType"),
        (["fine", None], "text 1 .* is None, a NoneType"),
        (["fine", "fine", 3.5], "text 2 .* is 3.5, a float"),
        ([["nested"]], "text 0 .* a list"),
    ],
)
def test_what_is_no_list_of_strings_is_refused(fast, texts, message):
    with pytest.raises(TextTypeError, match=message) as caught:
        fast.predict(texts)
    assert isinstance(caught.value, TypeError)


def test_a_saved_model_answers_as_before_and_brings_its_codebook(folder, land_codebook, land_paragraphs):
    model = capthemes.load(folder)
    assert model.codebook == Codebook.load(land_codebook)
    assert (folder / "codebook.md").read_text(encoding="utf-8") == land_codebook.read_text(encoding="utf-8")
    before = [p.labels[0].theme for p in land_paragraphs if p.labels]
    texts = [p.text for p in land_paragraphs if p.labels]
    assert [labels[0].theme for labels in model.predict(texts)] == before
    model.save(folder.parent / "again")
    again = capthemes.load(folder.parent / "again")
    assert again.fingerprint == model.fingerprint
    assert again.about == model.about


def test_the_bundled_model_has_no_copy_of_the_codebook(fast):
    assert not (capthemes.store.home("models") / "fast" / "codebook.md").exists()
    assert fast.id == f"fast@{fast.fingerprint[:12]}"


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ModelError, match="no model 'slow'; bundled: accurate, fast"):
        capthemes.load("slow")


def test_saving_over_something_else_is_refused(fast, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ModelError, match="holds other things than a model"):
        fast.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_every_damaged_file_is_refused(folder):
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        if path.name == "README.md":
            continue
        for damaged in (whole[:-1], whole[: len(whole) // 2], bytes([whole[0] ^ 1]) + whole[1:], None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            if path.name == "model.json" and damaged == whole[:-1]:
                continue  # the manifest's last byte is a line end
            with pytest.raises(ModelError):
                capthemes.load(folder)
        path.write_bytes(whole)
    capthemes.load(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, "format 2 is newer than 1; update capthemes"),
        ("format", "1", "no format number"),
        ("name", 5, "'name' is 5, needs a str"),
        ("family", "magic", "no family 'magic'"),
        ("themes", ["industrial_land"], "themes .* is not the codebook's"),
        ("codebook", 9, "codebook 9 is not the codebook's"),
        ("files", {"../x": {}}, r"file '\.\./x' is not listed as it should be"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(folder, key, value, message):
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    del manifest["seal"]
    if key == "files":
        value = {**manifest["files"], **value}
    (folder / "model.json").write_text(json.dumps({**manifest, key: value}), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        capthemes.load(folder)


def test_a_linked_file_is_refused(folder):
    (folder / "decision.json").rename(folder.parent / "elsewhere.json")
    (folder / "decision.json").symlink_to(folder.parent / "elsewhere.json")
    with pytest.raises(ModelError, match="missing from the model's folder"):
        capthemes.load(folder)


def test_a_model_prints_in_one_line(fast):
    assert repr(fast) == f"Model({fast.id}, linear, 16 themes)"
