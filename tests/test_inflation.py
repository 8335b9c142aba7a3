import gzip
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from capthemes import annotations, inflation
from capthemes.corpus import split
from capthemes.errors import InputError


def test_honest_files_come_out_whole(tmp_path, monkeypatch):
    texts = [f"{i % 100} {'x' * 1000}" for i in range(20_000)]
    table = pyarrow.table({"text": texts, "n": list(range(20_000)), "none": [None] * 20_000})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7000)
    monkeypatch.setattr(inflation, "PIECE", 1 << 20)
    found = list(inflation.batches(tmp_path / "a.parquet", 4096))
    assert max(batch.nbytes for batch in found) < 2 << 20
    assert pyarrow.Table.from_batches(found) == table
    assert next(inflation.batches(tmp_path / "a.parquet", 4096, [1]))["n"][0].as_py() == 7000


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string()])
@pytest.mark.parametrize("column", ["text", "other"])
def test_a_string_in_a_dictionary_is_not_laid_out_a_million_times(tmp_path, column, kind):
    path = tmp_path / "a.parquet"
    long = pyarrow.array(["x" * 1_000_000], kind)
    once = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1_000_000, pyarrow.int32()), long)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"] * 1_000_000} | {column: once}), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"a\.parquet: comes out at .* more than 1000 times its size"):
        for shard in split([path]):
            for _ in shard.read():
                pass


def nested(once: pyarrow.Array, kind: str) -> pyarrow.Array:
    """One row for each value, within a list, a struct or a map."""
    offsets = pyarrow.array(range(len(once) + 1), pyarrow.int32())
    if kind == "map":
        return pyarrow.MapArray.from_arrays(offsets, pyarrow.array(["k"] * len(once)), once)
    return (
        pyarrow.ListArray.from_arrays(offsets, once) if kind == "list" else pyarrow.StructArray.from_arrays([once], "a")
    )


@pytest.mark.parametrize("kind", ["bytes", "list", "struct", "map"])
def test_a_string_in_a_dictionary_is_counted_wherever_it_stands(tmp_path, kind):
    path = tmp_path / "a.parquet"
    long = pyarrow.array(["x" * 1_000_000], pyarrow.binary() if kind == "bytes" else pyarrow.string())
    once = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000, pyarrow.int32()), long)
    column = once if kind == "bytes" else nested(once, kind)
    table = pyarrow.table({"text": ["a"] * 20_000, "other": column})
    pyarrow.parquet.write_table(table, path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1 << 20
    code = f"""
import resource
from pathlib import Path
from capthemes.inflation import batches
batches_of = batches(Path({str(path)!r}), 16_384)
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
list(batches_of)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "comes out at" in run.stderr, run.stderr


def test_every_kind_of_column_comes_out_as_it_went_in(tmp_path, monkeypatch):
    table = pyarrow.table({
        "text": ["a", "b", "a", None, "c"],
        "bytes": pyarrow.array([b"x", None, b"y", b"x", b"x"]),
        "tags": [["a", "b"], None, [], ["a", None], ["b"]],
        "deep": [[["a"], ["b", "c"]], [], None, [None, ["a"]], [["a"]]],
        "struct": [{"u": "x", "n": 1}, None, {"u": None, "n": 2}, {"u": "x", "n": None}, {"u": "y", "n": 3}],
        "labels": [[{"theme": "t", "p": 0.5}], [], None, [{"theme": None, "p": None}, None], [{"theme": "t", "p": 1}]],
        "map": pyarrow.array([[("a", "b")], [], None, [("k", None)], [("a", "c")]],
                             pyarrow.map_(pyarrow.string(), pyarrow.string())),
        "pair": pyarrow.array([["a", "b"], ["a", "b"], None, ["c", "d"], ["a", "a"]],
                              pyarrow.list_(pyarrow.string(), 2)),
        "large": pyarrow.array([[b"a"], None, [], [b"a", None], [b"b"]], pyarrow.large_list(pyarrow.binary())),
        "view": pyarrow.array(["a"] * 5, pyarrow.string_view()),
        "dictionary": pyarrow.array(["a"] * 5).dictionary_encode(),
        "decimal": pyarrow.array([1, 2, 3, 4, None], pyarrow.decimal128(10, 2)),
        "fixed": pyarrow.array([b"abcd"] * 5, pyarrow.binary(4)),
        "none": pyarrow.nulls(5),
    })  # fmt: skip
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    for rows, piece in ((1, 1000), (1000, 1000), (1000, 4)):
        monkeypatch.setattr(inflation, "PIECE", piece)
        found = pyarrow.Table.from_batches(list(inflation.batches(tmp_path / "a.parquet", rows)))
        found.validate(full=True)
        assert found == table
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    assert pyarrow.Table.from_batches(list(inflation.batches(tmp_path / "a.parquet", 1000))) == table
    words = [f"{i} {'x' * 400}" for i in range(20_000)]  # more than a dictionary holds
    many = pyarrow.table({"text": words, "tags": [[word, words[0]] for word in words], "n.o": words})
    pyarrow.parquet.write_table(many, tmp_path / "c.parquet", row_group_size=15_000)
    for rows in (999, 16_384):
        assert pyarrow.Table.from_batches(list(inflation.batches(tmp_path / "c.parquet", rows))) == many
    pyarrow.parquet.write_table(table.slice(0, 0), tmp_path / "b.parquet")
    assert sum(batch.num_rows for batch in inflation.batches(tmp_path / "b.parquet", 5)) == 0


def test_a_row_of_a_hundred_million_numbers_and_cells_of_a_megabyte_are_refused_unread(tmp_path):
    path = tmp_path / "a.parquet"
    many = pyarrow.ListArray.from_arrays([0, 20_000_000], pyarrow.array(np.zeros(20_000_000, "int64")))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "many": many}), path, compression="zstd")
    with pytest.raises(InputError, match="comes out at 320,"):
        next(split([path])[0].read())
    once = pyarrow.array([b"x" * 1_000_000] * 200, pyarrow.binary(1_000_000))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"] * 200, "wide": once}), path, compression="zstd")
    with pytest.raises(InputError, match="comes out at 200,"):
        next(split([path])[0].read())


def test_packed_lines_that_come_out_far_larger_are_refused(tmp_path):
    path = tmp_path / "texts.jsonl.zst"
    with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
        for _ in range(120):
            file.write(b'{"text": "fine"}\n' * 60_000)
    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match=r"texts\.jsonl\.zst: comes out at .* more than 1000 times its size"):
        split([path])


def test_pages_of_noughts_are_refused_by_what_they_say(tmp_path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["\0" * 100_000_000]}), path, compression="zstd", use_dictionary=False,
        write_statistics=False,
    )  # fmt: skip
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="comes out at 100,"):
        next(split([path])[0].read())


def test_a_line_of_gzip_that_never_ends_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "texts.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"text": "fine"}\n{"text": "')
        for _ in range(30):
            file.write(b"x" * (10 << 20))
    with pytest.raises(InputError, match=r"texts\.jsonl\.gz: the line at byte 17 has more than 16,777,216 bytes"):
        annotations.hydrate(path)
    code = f"""
import resource
from pathlib import Path
from capthemes.files import lines
resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
list(lines(Path({str(path)!r})))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "InputError" in run.stderr


def test_a_damaged_gzip_is_named(tmp_path):
    path = tmp_path / "texts.jsonl.gz"
    whole = gzip.compress(b'{"text": "fine"}\n' * 100)
    for damaged in (whole[:-9], whole[:12] + b"\xff" + whole[13:], b"no gzip"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"texts\.jsonl\.gz"):
            annotations.hydrate(path)


def test_no_byte_of_a_footer_ends_the_process(tmp_path):
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": ["a", "b"], "tags": [["x"], ["y", "z"]], "n": [[1], [2, 3]]})
    pyarrow.parquet.write_table(table, path)
    code = f"""
from pathlib import Path
from capthemes.errors import InputError
from capthemes.inflation import footer
path = Path({str(path)!r})
whole, ends = path.read_bytes(), set()
for place in range(len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole)):
    for flipped in (2, 128):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1:])
        try:
            footer(path)
            ends.add("answer")
        except InputError:
            ends.add("error")
print(sorted(ends))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "['answer', 'error']", done.stderr[-500:]
