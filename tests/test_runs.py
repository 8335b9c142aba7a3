"""Runs: one file, a folder of parts, and what is neither."""

import json

import pyarrow
import pyarrow.parquet
import pytest

import capthemes
from capthemes.errors import InputError
from capthemes.runs import open_run


def test_a_file_and_a_folder_of_parts(articles, tmp_path, fast):
    capthemes.label_corpus([articles], tmp_path / "one.parquet", model=fast)
    one = open_run(tmp_path / "one.parquet")
    assert (one.model, one.themes, one.about) == (fast.id, fast.codebook.names, {})
    assert one.stances == tuple(fast.codebook.stances)
    (tmp_path / "run").mkdir()
    for part in range(2):
        (tmp_path / "run" / f"part-{part}.parquet").write_bytes((tmp_path / "one.parquet").read_bytes())
    (tmp_path / "run" / "run.json").write_text(json.dumps({"rejects": 3}), encoding="utf-8")
    both = open_run(tmp_path / "run")
    assert both.about == {"rejects": 3}
    rows = [sum(batch.num_rows for batch in run.batches(["id"])) for run in (one, both)]
    assert rows[1] == 2 * rows[0] > 0


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run at"):
        open_run(tmp_path)
    pyarrow.parquet.write_table(pyarrow.table({"model": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="not labelled by capthemes"):
        open_run(tmp_path / "x.parquet")
