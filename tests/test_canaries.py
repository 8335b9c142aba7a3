"""Files made to run code, to be read twice over or to fill the memory: none is run, each ends in one clear error.

The payloads are made here and do no more than make a folder, by which the tests see that they ran.
"""

import json
import os
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import capthemes
from capthemes import annotations, manifest, model
from capthemes.cli import main
from capthemes.codebook import Codebook
from capthemes.errors import CapthemesError, ModelError
from capthemes.families import FAMILIES, family_class
from capthemes.records import Paragraph
from conftest import CODEBOOK


class Payload:
    """Makes the folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def ran(tmp_path):
    """A folder that is there once a payload ran; the test fails if it is there at its end."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists()


def test_the_payload_would_run(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


@pytest.fixture(scope="module")
def transformer(tmp_path_factory, options, land_paragraphs) -> Path:
    """The folder of a transformer model of the land codebook, fitted once."""
    folder = tmp_path_factory.mktemp("transformer")
    (folder / "land.md").write_text(CODEBOOK, encoding="utf-8")
    book, options = Codebook.load(folder / "land.md"), options["transformer"]
    return saved(folder / "land", "transformer", book, few(land_paragraphs), **options)


def few(paragraphs: list[Paragraph]) -> list[Paragraph]:
    """Some of the paragraphs, shortened, for families that are slow to fit."""
    return [replace(p, text=p.text[:20]) for p in paragraphs[:8]]


def saved(folder: Path, family: str, book: Codebook, paragraphs, **options) -> Path:
    fitted = family_class(family).fit(paragraphs, book, seed=0, **options)
    model.Model("land", family, fitted, capthemes.Decision.plain(book.names), book).save(folder)
    return folder


def sealed(folder: Path) -> Path:
    """The folder with a manifest that lists what it holds now: a forger can hash, too."""
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    fresh = folder.parent / "described"
    shutil.copytree(folder, fresh, ignore=lambda *_: [*manifest.UNREAD], symlinks=True)
    files = manifest.described(fresh)
    shutil.rmtree(fresh)
    content.pop("seal")
    (folder / "model.json").write_text(manifest.rendered({**content, "files": files}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_pickles_in_the_place_of_any_file_are_not_read(family, ran, tmp_path, land_codebook, land_paragraphs, request):
    own = {"zeroshot": {"encoder": "someone/else"}}
    if family in ("ensemble", "fewshot", "joint", "pipeline"):
        own[family] = request.getfixturevalue("options")[family]
    if family == "ensemble":
        land_paragraphs = few(land_paragraphs)
    if family == "transformer":
        folder = Path(shutil.copytree(request.getfixturevalue("transformer"), tmp_path / "land"))
    else:
        folder = saved(tmp_path / "land", family, Codebook.load(land_codebook), land_paragraphs, **own.get(family, {}))
    harmful = pickle.dumps(Payload(ran))
    trusted = {"trusted": ["someone/else"]}
    capthemes.load(folder, **trusted)
    for path in [p for p in sorted(folder.iterdir()) if p.name not in manifest.UNREAD]:
        whole = path.read_bytes()
        path.write_bytes(harmful)
        for resealed in (False, True):
            with pytest.raises(CapthemesError) as caught:
                capthemes.load(sealed(folder) if resealed else folder, **trusted)
            assert "\n" not in str(caught.value)
        path.write_bytes(whole)
        sealed(folder)
    for name in ("model_head.pkl", "model.joblib", "pytorch_model.bin", "weights.npy", "head.pt"):
        (folder / name).write_bytes(harmful)
        for resealed in (False, True):
            with pytest.raises(ModelError, match=f"'{name}' is not listed|{name}: no model has such a file"):
                capthemes.load(sealed(folder) if resealed else folder, **trusted)
        (folder / name).unlink()
    (folder / "model.json").write_bytes(harmful)
    with pytest.raises(ModelError, match=r"model\.json: cannot be read"):
        capthemes.load(folder)


def skops_file(path: Path, *states: dict) -> None:
    """A skops archive of a list of objects in the states given."""
    wrapped = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": 1, "content": states}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps({**wrapped, "protocol": 2, "_skops_version": "0.13"}))


def node(module: str, name: str, loader: str, id: int, **rest) -> dict:
    return {"__module__": module, "__class__": name, "__loader__": loader, "__id__": id, **rest}


def text(value: str, id: int) -> dict:
    return node("builtins", "str", "JsonNode", id, content=json.dumps(value), is_json=True)


def arguments(values: list, id: int) -> dict:
    return node("builtins", "tuple", "TupleNode", id, content=values)


@pytest.mark.parametrize(
    "attack",
    [
        # CVE-2025-54412: the type that is shown is not the one that is run.
        lambda ran: node("builtins", "int", "OperatorFuncNode", 2, attrs=arguments([text(ran, 4)], 3)),
        lambda ran: node("operator", "methodcaller", "OperatorFuncNode", 2, attrs=arguments([text(ran, 4)], 3)),
        # CVE-2025-54413: a method of an object of another type than is shown.
        lambda ran: node(
            "builtins", "int", "MethodNode", 2,
            content={"func": "mkdir", "obj": node("pathlib", "Path", "ObjectNode", 3, content=text(ran, 4))},
        ),
        lambda ran: node("os", "mkdir", "FunctionNode", 2, content={"module_path": "os", "function": "mkdir"}),
        lambda ran: node("os", "mkdir", "TypeNode", 2, content={"__module__": "os", "__class__": "mkdir"}),
        lambda ran: node(
            "functools", "partial", "PartialNode", 2,
            content={
                "func": node("os", "mkdir", "FunctionNode", 3, content={"module_path": "os", "function": "mkdir"}),
                "args": arguments([text(ran, 5)], 4),
                "kwds": node("builtins", "dict", "DictNode", 6, content={}, key_types=arguments([], 7)),
                "namespace": node("builtins", "dict", "DictNode", 8, content={}, key_types=arguments([], 9)),
            },
        ),
        lambda ran: node("pathlib", "Path", "ReduceNode", 2, content={"reduce": ran}),
    ],
)  # fmt: skip
def test_attacks_on_skops_are_not_run(attack, ran, tmp_path, land_codebook):
    pytest.importorskip("skops")
    path = tmp_path / "pipeline.skops"
    skops_file(path, attack(str(ran)))
    with pytest.raises(ModelError, match=r"pipeline\.skops: (asks for types that are not trusted|cannot be read)"):
        family_class("pipeline").load(tmp_path, Codebook.load(land_codebook))


def test_archives_that_are_pickles_or_inflate_are_refused(ran, tmp_path, land_codebook):
    pytest.importorskip("skops")
    path, book = tmp_path / "pipeline.skops", Codebook.load(land_codebook)
    path.write_bytes(pickle.dumps(Payload(ran)))  # CVE-2025-54886: what is no archive was given to joblib
    with pytest.raises(ModelError, match="cannot be read"):
        family_class("pipeline").load(tmp_path, book)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (50 << 20))
    with pytest.raises(ModelError, match="it is compressed"):
        family_class("pipeline").load(tmp_path, book)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", b"[" * 100_000)
    with pytest.raises(ModelError, match="nests too deep"):
        family_class("pipeline").load(tmp_path, book)


def hostile(encoder: str, folder: Path, ran: Path, **changes) -> str:
    """A copy of an encoder whose configuration points to code that lies beside it."""
    shutil.copytree(encoder, folder)
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(ran)!r})\nclass Evil: pass\n")
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({**content, **changes.get(name, {})}), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"config.json": {"auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}}},
        {"config.json": {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}},
        {"config.json": {"auto_map": {"AutoModelForSequenceClassification": "evil.Evil"}}},
        {"config.json": {"attn_implementation": "evil/kernel"}},
        {"config.json": {"towers": [[{"auto_map": {"AutoModel": "evil.Evil"}}]]}},
        {"tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}},
    ],
)
def test_an_encoder_that_brings_code_is_refused(changes, ran, tmp_path, options, land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    with pytest.raises(ModelError, match="brings code of its own"):
        encoder = hostile(options["transformer"]["encoder"], tmp_path / "a", ran, **changes)
        family_class("transformer").fit(land_paragraphs, book, 0, encoder=encoder)
    with pytest.raises(ModelError, match="brings code of its own"):
        encoder = hostile(options["zeroshot"]["encoder"], tmp_path / "b", ran, **changes)
        family_class("zeroshot").fit([], book, 0, encoder=encoder).predict_proba(["a"])


def test_weights_that_are_pickles_are_refused(ran, tmp_path, options, land_codebook, land_paragraphs):
    """As a SetFit repository has them: a body in PyTorch's pickles, and a head in model_head.pkl."""
    book = Codebook.load(land_codebook)
    for name, use in (("transformer", lambda f: f), ("zeroshot", lambda f: f.predict_proba(["a"]))):
        encoder = Path(shutil.copytree(options[name]["encoder"], tmp_path / name))
        (encoder / "model.safetensors").unlink()
        for file in ("pytorch_model.bin", "model_head.pkl"):
            (encoder / file).write_bytes(pickle.dumps(Payload(ran)))
        with pytest.raises(ModelError, match="cannot be loaded"):
            use(family_class(name).fit(land_paragraphs, book, 0, encoder=str(encoder)))
    with pytest.raises(ModelError, match=r"model\.json: missing"):
        capthemes.load(encoder)


def test_a_pointer_to_another_model_is_followed_only_with_a_word_of_trust(tmp_path, land_codebook, capsys):
    folder = saved(tmp_path / "z", "zeroshot", Codebook.load(land_codebook), [], encoder="someone/else")
    with pytest.raises(ModelError, match=r"points to the model 'someone/else', .* trusted=\['someone/else'\]"):
        capthemes.load(folder)
    (tmp_path / "a.txt").write_text("A plant.")
    label = ["label", str(tmp_path / "a.txt"), "-o", str(tmp_path / "o.csv"), "-m", str(folder)]
    assert main(label) == 1
    assert "--trusted" in capsys.readouterr().err
    assert capthemes.load(folder, trusted=["someone/else"]).family.encoder == "someone/else"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("transformer.json", lambda c: {**c, "encoder": {**c["encoder"], "auto_map": {"A": "x.Y"}}}, "auto_map"),
        ("transformer.json", lambda c: {**c, "encoder": {**c["encoder"], "hidden_size": 2**40}}, "cannot be built"),
        ("tokenizer.json", lambda c: {**c, "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False,
        }}, "not known to be linear"),
        ("tokenizer.json", lambda c: {**c, "normalizer": {
            "type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100_000,
        }}, "at most one character"),
        ("tokenizer.json", lambda c: {**c, "padding": {
            "strategy": {"Fixed": 2**31}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        }}, None),
    ],
)  # fmt: skip
def test_a_transformers_files_cannot_ask_for_code_time_or_room(name, change, message, tmp_path, transformer):
    folder = Path(shutil.copytree(transformer, tmp_path / "land"))
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps(change(content)), encoding="utf-8")
    sealed(folder)
    if message is None:
        assert len(capthemes.load(folder).predict(["a plant"])) == 1
        return
    with pytest.raises(ModelError, match=message):
        capthemes.load(folder, engine="torch").predict(["a"])


def test_nests_without_end_are_named(tmp_path):
    for name, content in (("a.jsonl", b'{"text": ' + b"[" * 100_000), ("b.jsonl", b"[" * 100_000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CapthemesError, match=rf"{name}:1: not JSON"):
            annotations.paragraphs(tmp_path / name)
        with pytest.raises(CapthemesError, match=rf"{name}:1: not"):
            annotations.hydrate(tmp_path / name)
        with pytest.raises(CapthemesError, match=rf"{name}:1: not JSON"):
            capthemes.label_corpus([tmp_path / name], tmp_path / "o.csv", model=None)
