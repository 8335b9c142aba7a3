import gzip
import subprocess
import sys

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
