"""A short run of the fuzzer, and that it would notice."""

import json
import random

import pytest
from benchmarks import fuzz

from capthemes.families import FAMILIES


def test_mutated_inputs_end_in_an_answer_or_an_error(tiny_encoder):
    found = fuzz.outcomes(400, seed=7, encoder=tiny_encoder)
    assert found["findings"] == []
    assert found["families"] == sorted(FAMILIES)
    assert found["largest"] > 0
    assert sum(found["outcomes"].values()) == 400
    outcomes = {key.rpartition(": ")[2] for key in found["outcomes"]}
    assert outcomes == {"answer", "error"}
    assert {key.rpartition(": ")[0] for key in found["outcomes"]} >= {
        "model transformer",
        "corpus .parquet",
        "codebook",
    }


def test_what_became_of_them_is_stored(monkeypatch, tmp_path, capsys):
    told = {"cases": 1, "outcomes": {}, "findings": []}
    monkeypatch.setattr(fuzz, "RESULTS", tmp_path / "fuzz.json")
    monkeypatch.setattr(fuzz, "outcomes", lambda *given: told)
    with pytest.raises(SystemExit):
        fuzz.run(1, 0, None)
    assert (
        json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8")) == told == json.loads(capsys.readouterr().out)
    )


def test_mutations_change_bytes_and_come_again_by_their_seed():
    content = b'{"a": 1, "b": [2, 3]}' * 20
    made = [fuzz.mutated(content, random.Random(i)) for i in range(50)]
    assert made == [fuzz.mutated(content, random.Random(i)) for i in range(50)]
    assert sum(one != content for one in made) > 45


def test_crashes_hangs_and_greed_are_findings(monkeypatch, tmp_path):
    """The worker is run with a reader that misbehaves in each of these ways."""
    harmful = """
import os, sys, time
from pathlib import Path
from benchmarks import fuzz
fuzz.SECONDS = 1
ways = [lambda: None, lambda: 1 / 0, lambda: bytearray(200 << 20), lambda: {how}]
fuzz.case = lambda folder, work, seed, number: (work.mkdir(exist_ok=True), ("odd", ways[number]))[1]
fuzz._use = lambda folder: None
fuzz.work(Path(sys.argv[1]), 0, 0, 4)
"""
    import os
    import subprocess
    import sys

    for kind in ("models", "corpora"):
        (tmp_path / kind).mkdir()
    for how in ("time.sleep(60)", "os.abort()"):
        code = harmful.replace("{how}", how)
        run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True,
                             env=os.environ | fuzz.QUIET)  # fmt: skip
        told = [json.loads(line) for line in run.stdout.splitlines()]
        assert [case["outcome"] for case in told] == ["answer", "finding", "finding"], run.stderr
        assert [case.get("error", "").split(":")[0] for case in told] == ["", "ZeroDivisionError", "MemoryError"]
        assert run.returncode < 0
