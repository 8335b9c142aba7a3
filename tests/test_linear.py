"""The linear family: its n-grams, the kernel that computes them, and what it learns."""

import subprocess
import sys
import unicodedata
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from benchmarks import characters as maker
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

import capthemes
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.families import kernel, linear
from capthemes.families.linear import FILE, Linear
from capthemes.families.ngrams import characters, ngrams

ALPHABET = "aB9é ßİı Ａ１ 中国产能過剩\U00020000\U0001f600\u0301\u200d’'-.,\n\t𝐀가あ\x00"


def compiled(data: bytes) -> list[int]:
    """The hashes as the kernel writes them, from the middle of a buffer."""
    around = np.frombuffer(b"\xe4a" + data + b"\xb8\xadb", dtype=np.uint8)
    out = np.zeros(3 * len(data) + 2, dtype=np.uint64)
    n = kernel.hashes(around, 2, 2 + len(data), *characters(), out)
    return out[:n].tolist()


def covered(text: str) -> list[str]:
    data = text.encode()
    return [data[gram.start : gram.stop].decode() for gram in ngrams(data)]


def test_ngrams_of_both_scripts():
    assert covered("Made in China's 2025产能过剩!") == [
        "Made", "in", "Made in", "China", "in China", "s", "China's", "2025", "s 2025",
        "产", "能", "产能", "过", "能过", "产能过", "剩", "过剩", "能过剩",
    ]  # fmt: skip


def test_ngrams_of_one_reading_are_one():
    for one, other in (
        ("Steel MILLS", "steel mills"),
        ("Ｓｔｅｅｌ", "steel"),
        ("產能過剩", "产能过剩"),
        ("state-owned", "state owned"),
        ("na\u00efve", "NA\u00cfVE"),
        ("a\u200db", "ab"),
    ):
        assert [g.hash for g in ngrams(one.encode())] == [g.hash for g in ngrams(other.encode())], one
    assert covered("产、能") == ["产", "能"]  # what a mark parts is no pair
    assert len({g.hash for g in ngrams("ab ba a b 产能 能产".encode())}) == 11


@settings(max_examples=500, deadline=None)
@given(st.text(st.one_of(st.sampled_from(ALPHABET), st.characters(codec="utf-8")), max_size=60))
def test_the_kernel_is_the_reference_on_any_text(text):
    assert compiled(text.encode()) == [gram.hash for gram in ngrams(text.encode())]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=6), st.sampled_from([c.encode() for c in ALPHABET]))).map(b"".join))
def test_the_kernel_is_the_reference_on_any_bytes(data):
    assert compiled(data) == [gram.hash for gram in ngrams(data)]


@pytest.mark.parametrize("text", ["a" * 1_000_000, "产能" * 50_000])
def test_a_word_without_end_is_read_by_the_kernel_as_by_the_reference(text):
    assert compiled(text.encode()) == [gram.hash for gram in ngrams(text.encode())]


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="the table is of Python 3.11's Unicode")
def test_the_table_of_characters_is_what_is_made():
    made = maker.table()
    assert all((one == other).all() for one, other in zip(made, characters(), strict=True))


@pytest.fixture
def fitted(land_codebook, land_paragraphs) -> Linear:
    return Linear.fit(land_paragraphs, Codebook.load(land_codebook), 0)


def test_plain_python_and_the_kernel_give_the_same_bits(fitted, land_paragraphs, monkeypatch):
    texts = [p.text for p in land_paragraphs] + ["", "產能 plots", "\ud800 plot"]
    plain = fitted.predict_proba(texts)
    monkeypatch.setattr(linear, "SMALL", 0)
    monkeypatch.setattr(linear, "PORTION", 3)
    for threads in (1, 2, 5):
        threaded = Linear(fitted.codebook, fitted.tensors, threads).predict_proba(texts)
        assert (threaded.theme == plain.theme).all()
        assert (threaded.stance == plain.stance).all()
        assert (threaded.voice == plain.voice).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.one_of(st.sampled_from(ALPHABET), st.characters(codec="utf-8")), max_size=80), max_size=6))
def test_the_kernel_sums_as_plain_python_does_whatever_the_texts(texts):
    shipped = capthemes.load("fast").family
    plain, compiled = Linear(shipped.codebook, shipped.tensors), Linear(shipped.codebook, shipped.tensors, 1)
    compiled.plain = linear.SMALL
    for one, other in zip(plain._sums(*linear._utf8(texts)), compiled._sums(*linear._utf8(texts)), strict=True):
        assert (one == other).all()


def test_many_small_calls_come_to_the_kernel_and_to_the_same_bits(fitted, land_paragraphs, monkeypatch):
    texts = [p.text for p in land_paragraphs]
    plain = [fitted.predict_proba([text]).theme for text in texts]
    monkeypatch.setattr(linear, "SMALL", 200)
    family = Linear(fitted.codebook, fitted.tensors)
    assert all((family.predict_proba([text]).theme == theme).all() for text, theme in zip(texts, plain, strict=True))
    assert "_tables" in vars(family)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_arrow_is_read_where_it_lies(fitted, land_paragraphs, kind):
    texts = [p.text for p in land_paragraphs]
    array = pa.array(["before", *texts, "after"], kind)[1:-1]
    assert (fitted.predict_proba(array).theme == fitted.predict_proba(texts).theme).all()
    bare = pa.Array.from_buffers(kind, 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")])
    assert len(fitted.predict_proba(pa.array([], kind))) == len(fitted.predict_proba(bare)) == 0


def test_a_few_texts_need_no_compiler(land_codebook, land_paragraphs, tmp_path):
    Linear.fit(land_paragraphs, Codebook.load(land_codebook), 0).save(tmp_path)
    code = f"""
import sys
from pathlib import Path
from capthemes.codebook import Codebook
from capthemes.families.linear import Linear
Linear.load(Path({str(tmp_path)!r}), Codebook.load(Path({str(land_codebook)!r}))).predict_proba(["one plot"] * 9)
print([name for name in ("numba", "sklearn", "scipy", "pyarrow") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_linear_learns_themes_stance_and_voice(land_codebook, land_paragraphs):
    codebook = Codebook.load(land_codebook)
    found = Linear.fit(land_paragraphs, codebook, 0).predict_proba(
        [
            "Plot 77 for a plant was sold cheaply and it helps.",
            "A plant got plot 5, which critics call waste.",
            "这块耕地得到保护。",
        ]
    )
    assert (found.theme > 0.5).tolist() == [[True, False], [True, False], [False, True]]
    assert found.stance.argmax(axis=2)[[0, 1], 0].tolist() == [0, 1]
    assert found.voice.argmax(axis=2)[[0, 1], 0].tolist() == [0, 1]


def test_linear_needs_two_paragraphs_and_stands_a_single_class(land_codebook, land_paragraphs):
    codebook = Codebook.load(land_codebook)
    with pytest.raises(AnnotationError, match="1 labelled"):
        Linear.fit(land_paragraphs[:1], codebook, 0)
    with pytest.raises(AnnotationError, match="no word"):
        Linear.fit([replace(p, text="...") for p in land_paragraphs], codebook, 0)
    found = Linear.fit(land_paragraphs[3::4], codebook, 0).predict_proba(["anything"])
    assert (found.theme < 0.1).all()
    assert np.isfinite(found.stance).all()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("keys", lambda keys: keys[::-1]),
        ("keys", lambda keys: keys[:0]),
        ("rows", lambda rows: rows[:-1]),
        ("rows", lambda rows: rows.astype(np.int16)),
        ("squares", lambda squares: -squares),
        ("bias", lambda bias: bias * np.nan),
        ("voice_bias", None),
    ],
)
def test_tensors_that_do_not_fit_are_refused(fitted, tmp_path, name, damage):
    fitted.save(tmp_path)
    tensors = load((tmp_path / FILE).read_bytes())
    tensors = {**tensors, name: damage(tensors[name])} if damage else {k: v for k, v in tensors.items() if k != name}
    (tmp_path / FILE).write_bytes(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
    with pytest.raises(ModelError, match="fetch the model anew"):
        Linear.load(tmp_path, fitted.codebook)


def test_a_file_that_is_no_safetensors_is_refused(fitted, tmp_path):
    (tmp_path / FILE).write_bytes(b"x" * 80)
    with pytest.raises(ModelError, match="cannot be read"):
        Linear.load(tmp_path, fitted.codebook)
