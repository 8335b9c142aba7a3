import json
import os
from mmap import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from capthemes.errors import ModelError
from capthemes.untrusted import parse, read_bytes, read_json, read_tensors

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_what_json_writes_is_read_back(value):
    try:
        content = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate
        content = json.dumps(value).encode()
    assert parse(content) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice in one object"),
        (b"[NaN]", "NaN is no number"),
        (b"-Infinity", "-Infinity is no number"),
        (b'{"a":1e999}', "1e999 is too large a number"),
        (b"[-1e999]", "-1e999 is too large a number"),
        (b"[" * 100_000, "nests too deep"),
        (b'{"a":' * 100_000, "nests too deep"),
        (b"[" + b"[]," * 2_000_000 + b"[]]", "its values would fill 305 MB of memory"),
        (b"9" * 5000, "4300 digits"),
        (b"\xff", "can't decode byte"),
        (b"", "Expecting value"),
    ],
)
def test_json_of_doubtful_meaning_or_size_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        parse(content)


def test_only_plain_files_of_a_known_size_are_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1]")
    assert read_json(path, 3) == [1]
    with pytest.raises(ModelError, match=r"a\.json: 3 bytes, at most 2 are read"):
        read_bytes(path, 2)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none", "."):
        with pytest.raises(ModelError, match="missing, or a link, or no plain file"):
            read_bytes(tmp_path / name, 10)
    path.write_bytes(b"{")
    with pytest.raises(ModelError, match=r"a\.json: cannot be read \(Expecting"):
        read_json(path, 10)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": np.zeros((2, 3), "float16")}, "'b' is missing or not expected"),
        ({"a": np.zeros((2, 3), "float16"), "b": np.zeros(2, "float32"), "c": np.zeros(1)}, "'c' is missing or not"),
        (
            {"a": np.zeros((3, 2), "float16"), "b": np.zeros(2, "float32")},
            r"a must be finite, float16 of shape \(2, 3\)",
        ),
        ({"a": np.zeros((2, 3), "float32"), "b": np.zeros(2, "float32")}, "a must be finite, float16"),
        ({"a": np.zeros((2, 3), "float16"), "b": np.array([0, np.inf], "float32")}, "b must be finite"),
        ({"a": np.full((2, 3), np.nan, "float16"), "b": np.zeros(2, "float32")}, "a must be finite"),
    ],
)
def test_tensors_are_those_expected_and_finite(tmp_path, tensors, message):
    expected = {"a": ((2, 3), "float16"), "b": ((2,), "float32")}
    path = tmp_path / "a.safetensors"
    save_file({"a": np.ones((2, 3), "float16"), "b": np.ones(2, "float32")}, path)
    assert read_tensors(path, expected, 1000)["b"].tolist() == [1, 1]
    save_file(tensors, path)
    with pytest.raises(ModelError, match=message):
        read_tensors(path, expected, 1000)


def test_tensors_are_mapped_and_outlive_the_files_replacement(tmp_path):
    path, numbers = tmp_path / "a.safetensors", np.arange(6, dtype=np.float32).reshape(2, 3)
    save_file({"a": numbers}, path)
    mapped = read_tensors(path, {"a": ((2, None), "float32")}, 1000)["a"]
    base = mapped
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base.base, mmap) and not mapped.flags.writeable
    save_file({"a": numbers + 1}, tmp_path / "fresh")
    (tmp_path / "fresh").replace(path)
    assert (mapped == numbers).all()


def test_tensors_at_odd_places_are_read(tmp_path):
    path, numbers = tmp_path / "a.safetensors", np.arange(3, dtype=np.float64)
    header = b'{"a":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}}'
    header += b" " * (1 - len(header) % 2)  # of an odd length, which no writer makes and no reader forbids
    path.write_bytes(len(header).to_bytes(8, "little") + header + numbers.tobytes())
    read = read_tensors(path, {"a": ((None,), "float64")}, 1000)["a"]
    assert len(header) % 2 == 1 and (read == numbers).all() and read.flags.aligned
