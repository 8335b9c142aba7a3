"""Runs that are broken off, shared, or begun with something else end with the bytes of one that nothing disturbed."""

import builtins
import errno
import io
import itertools
import json
import os
import random
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet
import pytest
from benchmarks import cluster, resume, scale
from joblib.externals.loky import get_reusable_executor

import capthemes
from capthemes import corpus, labelling, workers
from capthemes.cli import main
from capthemes.corpus import Rows
from capthemes.errors import InputError, RunError
from capthemes.labelling import label_corpus
from capthemes.runs import RunFolder, open_run


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A jsonl of 30 rows in 6 shards, whose columns change from row to row."""
    rows = [
        {"id": i, "text": f"Overcapacity in steel, case {i}: mills must cut output.", "n": i if i > 20 else None}
        | ({"odd": "x"} if i == 7 else {"odd": 1.5} if i == 23 else {})
        for i in range(30)
    ]
    path = tmp_path / "行业 in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr(corpus, "SHARD_BYTES", path.stat().st_size // 6 + 1)
    return path


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_run_is_one_dataset_under_one_schema(many, tmp_path):
    label_corpus([many], tmp_path / "run")
    parts = sorted((tmp_path / "run").glob("part-*.parquet"))
    assert [path.name for path in parts] == [f"part-{n:05d}.parquet" for n in range(6)]
    schemas = [pyarrow.parquet.read_schema(path) for path in parts]
    assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
    whole = pyarrow.parquet.read_table(tmp_path / "run")
    assert whole["id"].to_pylist() == [str(i) for i in range(30)]
    assert whole["n"].to_pylist() == [None] * 21 + list(range(21, 30))
    assert (whole["odd"][7].as_py(), whole["odd"][23].as_py(), whole["odd"][0].as_py()) == ("x", "1.5", None)
    assert json.loads(whole.schema.metadata[b"themes"])[0] == "overcapacity"
    label_corpus([many], tmp_path / "one.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "one.parquet").equals(whole)


def test_the_folder_opens_as_it_stands(many, tmp_path):
    datasets, duckdb, pandas, polars = map(pytest.importorskip, ("datasets", "duckdb", "pandas", "polars"))
    run = str(tmp_path / "run")
    label_corpus([many], run)
    assert len(pandas.read_parquet(run)) == 30
    assert polars.read_parquet(f"{run}/*.parquet").height == 30
    assert duckdb.sql(f"select count(*) from '{run}/*.parquet'").fetchall() == [(30,)]
    assert len(datasets.load_dataset(run, split="train", cache_dir=str(tmp_path / "cache"))) == 30


def test_jsonl_parts_hold_the_same(many, tmp_path):
    datasets = pytest.importorskip("datasets")
    label_corpus([many], tmp_path / "run", parts="jsonl")
    label_corpus([many], tmp_path / "one.jsonl")
    parts = sorted((tmp_path / "run").glob("part-*.jsonl"))
    assert len(parts) == 6
    assert b"".join(path.read_bytes() for path in parts) == (tmp_path / "one.jsonl").read_bytes()
    assert not (tmp_path / "run" / ".run" / "parts").exists()
    few = Rows(f"Case {i}." for i in range(9))
    label_corpus(few, tmp_path / "few", parts="jsonl")
    found = datasets.load_dataset(str(tmp_path / "few"), split="train", cache_dir=str(tmp_path / "cache"))
    assert found["text"][:2] == ["Case 0.", "Case 1."]


@pytest.mark.parametrize("parts", ["parquet", "jsonl"])
def test_workers_and_ranks_make_the_same_bytes(many, tmp_path, parts):
    alone = label_corpus([many], tmp_path / "run", parts=parts)
    expected = bytes_of(tmp_path / "run")
    for rank in (2, 0, 1):
        told = label_corpus([many], tmp_path / "ranks", parts=parts, rank=rank, world=3)
    assert bytes_of(tmp_path / "ranks") == expected
    assert told == alone
    if parts == "parquet":
        assert label_corpus([many], tmp_path / "two", workers=2) == alone
        assert bytes_of(tmp_path / "two") == expected
        with pytest.raises(InputError, match="give its name or folder"):
            label_corpus([many], tmp_path / "no", model=capthemes.load(), workers=2)


def test_ctrl_c_says_how_to_go_on_and_nothing_is_done_twice(many, tmp_path, monkeypatch, capsys):
    label_corpus([many], tmp_path / "whole")
    run, labelled = tmp_path / "run", []
    real = workers.label_shard

    def third_time_unlucky(job, number, *rest):
        if len(labelled) == 3:
            raise KeyboardInterrupt
        labelled.append(number)
        return real(job, number, *rest)

    monkeypatch.setattr(workers, "label_shard", third_time_unlucky)
    assert main(["label", str(many), "-o", str(run)]) == 130
    assert f"stopped; 3 of 6 parts stand in {run}: give the same command again to go on" in capsys.readouterr().err
    with pytest.raises(RunError, match="is not finished"):
        open_run(run)
    monkeypatch.setattr(
        workers, "label_shard", lambda job, number, *rest: labelled.append(number) or real(job, number, *rest)
    )
    told = []
    summary = label_corpus([many], run, resume=True, progress=lambda done, found: told.append((done, found.paragraphs)))
    assert labelled == [0, 1, 2, 3, 4, 5]
    assert told[0][0] > 0.5
    assert told[0][1] > 15
    assert summary.paragraphs == 30
    assert bytes_of(run) == bytes_of(tmp_path / "whole")
    assert label_corpus([many], run) == summary
    assert labelled == [0, 1, 2, 3, 4, 5]


def test_ctrl_c_before_any_part_says_how_to_go_on(many, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(labelling, "fingerprint_file", interrupted)
        assert main(["label", str(many), "-o", str(tmp_path / "run")]) == 130
    shown = capsys.readouterr().err
    assert shown == "capthemes: stopped while the input was read through; give the same command again\n"
    assert label_corpus([many], tmp_path / "run").paragraphs == 30
    monkeypatch.setattr("capthemes.report.page.write_report", interrupted)
    assert main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "o.html")]) == 130
    assert capsys.readouterr().err == "capthemes: stopped\n"


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows cannot hold signals back")
def test_processes_that_start_are_not_told_of_ctrl_c(monkeypatch):
    monkeypatch.setattr(workers, "_in_worker", blocked)
    get_reusable_executor().shutdown()
    assert list(workers._side_by_side(None, [None], [0], 2)) == [{signal.SIGINT}]
    assert blocked() == set()


def blocked(*_: object) -> set[signal.Signals]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_an_input_that_changes_between_stop_and_resume_is_refused(many, tmp_path, monkeypatch):
    label_corpus([many], tmp_path / "whole")
    before, run = many.read_bytes(), tmp_path / "run"
    real = workers.label_shard
    with monkeypatch.context() as patch:
        patch.setattr(workers, "label_shard", lambda job, n, *rest: interrupted() if n == 2 else real(job, n, *rest))
        with pytest.raises(KeyboardInterrupt, match="2 of 6 parts stand"):
            label_corpus([many], run)
    for changed in (before + b'{"text": "more"}\n', before[:-30]):
        many.write_bytes(changed)
        with pytest.raises(
            RunError, match=r"begun with something else: the input \(行业 in.jsonl had .* and its SHA-256"
        ):
            label_corpus([many], run)
    many.write_bytes(before)
    label_corpus([many], run)
    assert bytes_of(run) == bytes_of(tmp_path / "whole")


def test_what_a_killed_process_left_beside_the_output_goes(many, tmp_path):
    for name in (
        ".o.csv.abcd_123.tmp",
        ".o.csv.rejects.jsonl.abcd_123.tmp",
        ".o.csv.notes.tmp",
        ".o.csv.x.abcd_123.tmp",
    ):
        (tmp_path / name).write_text("x")
    label_corpus([many], tmp_path / "o.csv")
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".o.csv.notes.tmp", ".o.csv.x.abcd_123.tmp"]


def test_a_rank_that_fails_leaves_the_parts_of_others(many, tmp_path, monkeypatch):
    lines = many.read_text(encoding="utf-8").splitlines(keepends=True)
    many.write_text("".join([*lines[:6], "broken\n", *lines[6:]]), encoding="utf-8")
    real = labelling.label_shards

    def meanwhile(*given):
        monkeypatch.setattr(labelling, "label_shards", real)
        label_corpus([many], tmp_path / "o.csv", rank=0, world=2)
        real(*given)

    monkeypatch.setattr(labelling, "label_shards", meanwhile)
    with pytest.raises(InputError, match="not JSON"):
        label_corpus([many], tmp_path / "o.csv", rank=1, world=2)
    assert len(list((tmp_path / ".o.csv.run").glob("part-*"))) >= 3


def test_ranks_that_finish_at_once_make_one_file(many, tmp_path, monkeypatch):
    real, others = RunFolder.gather, []
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "gather", interrupted)
        with pytest.raises(KeyboardInterrupt):
            label_corpus([many], tmp_path / "o.csv")

    def gather(*given):
        if not others:
            others.append(pool.submit(label_corpus, [many], tmp_path / "o.csv", rank=1, world=2))
            time.sleep(1)
        real(*given)

    monkeypatch.setattr(RunFolder, "gather", gather)
    with ThreadPoolExecutor() as pool:
        told = label_corpus([many], tmp_path / "o.csv", rank=0, world=2)
        assert others[0].result() == told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.csv", many.name]


def test_a_first_part_without_rows_is_opened(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("text,n\n")
    (tmp_path / "in" / "b.csv").write_text("text,n\nOvercapacity in steel.,1\n")
    for name in ("run", "o.parquet"):
        assert main(["label", str(tmp_path / "in"), "-o", str(tmp_path / name)]) == 0
        assert main(["report", str(tmp_path / name), "-o", str(tmp_path / f"{name}.html")]) == 0
    (tmp_path / "run" / ".run" / "run.json").unlink()
    assert open_run(tmp_path / "run").model == capthemes.load().id


def test_a_file_system_without_locks_is_named(many, tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def absent(file, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", absent)
    with pytest.raises(RunError, match="has no locks"):
        label_corpus([many], tmp_path / "run")


def test_a_dry_run_counts_no_more_workers_than_shards(many, tmp_path, capsys):
    for asked, shown in (("4", "4"), ("8", "6")):
        assert main(["label", str(many), "-o", str(tmp_path / "run"), "--dry-run", "--workers", asked]) == 0
        assert f"by {shown} worker(s)" in capsys.readouterr().out
    assert main(["label", str(many), "-o", str(tmp_path / "run"), "--workers", "2", "--trusted", "x"]) == 1
    assert "--trusted is for one process: leave --workers out" in capsys.readouterr().err


def test_rejects_of_odd_names_and_of_all_rows_are_written(tmp_path):
    odd = tmp_path / os.fsdecode(b"n\xff.jsonl")
    odd.write_text('{"text": "fine"}\n{"\\ud800": 1}\n')
    summary = label_corpus([odd], tmp_path / "o.parquet", on_error="skip")
    (line,) = (tmp_path / "o.parquet.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert (json.loads(line)["file"], summary.rejected) == ("n?.jsonl", {"n?.jsonl": 1})
    odd.write_text("broken\nbroken\n")
    with pytest.raises(InputError, match=r"2 rows were rejected; .*p\.parquet\.rejects\.jsonl has the reasons"):
        label_corpus([odd], tmp_path / "p.parquet", on_error="skip")
    assert len((tmp_path / "p.parquet.rejects.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert not list(tmp_path.glob(".*"))


def test_a_single_file_goes_on_too(many, tmp_path, monkeypatch):
    label_corpus([many], tmp_path / "whole.csv")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "gather", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt, match="6 of 6 parts stand"):
            label_corpus([many], tmp_path / "o.csv")
    assert not (tmp_path / "o.csv").exists()
    label_corpus([many], tmp_path / "o.csv", resume=True)
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    with pytest.raises(InputError, match=r"no run was begun for .*leave --resume out"):
        label_corpus([many], tmp_path / "p.csv", resume=True)


def test_a_run_begun_with_something_else_is_refused_by_name(
    many, tmp_path, monkeypatch, land_codebook, land_paragraphs
):
    run, before = tmp_path / "run", many.read_bytes()
    label_corpus([many], run)

    def refused(message, **options):
        with pytest.raises(RunError, match=f"begun with something else: {message}.*--overwrite"):
            label_corpus([many], run, **options)

    many.write_bytes(before + b'{"text": "more"}\n')
    refused(r"the input \(行业 in.jsonl had [\d,]+ bytes, now [\d,]+, and its SHA-256\)")
    many.write_bytes(before[:-30])
    refused(r"the input \(行业 in.jsonl had")
    many.write_bytes(before)
    refused("the option lang", lang="en")
    refused("how the input is read", source=corpus.Source(text="text", encoding="gb18030"))
    refused("the model, fast@, was never saved", model=replace(capthemes.load(), fingerprint=""))
    book = capthemes.Codebook.load(land_codebook)
    mine = capthemes.train({"land": land_paragraphs}, name="mine", family="linear", codebook=book)
    refused(r"the model \('fast@.*, now 'mine@", model=mine)
    with monkeypatch.context() as patch:
        patch.setattr("capthemes.labelling.SCHEMA", 3)
        refused(r"the output's schema \(2, now 3\)")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
    refused(r"the version of capthemes \('\d.+', now '9.9'\)")
    label_corpus([many], run, overwrite=True)
    assert RunFolder(run).about()["capthemes"] == "9.9"


def test_an_input_that_changes_while_it_is_read_is_noticed(many, tmp_path):
    def grow(done, summary):
        if done == 0.5:
            with many.open("ab") as file:
                file.write(b"\n")

    with pytest.raises(RunError, match=r"changed while it was read.*6 of 6 parts stand"):
        label_corpus([many], tmp_path / "run", progress=grow)


def test_the_second_of_two_runs_is_refused(many, tmp_path):
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    with run.held():
        with pytest.raises(RunError, match=r"another run is writing into .*run; let it end, or stop it"):
            label_corpus([many], run.path)
        with pytest.raises(RunError, match="another run"):
            label_corpus([many], run.path, rank=1, world=2)
    with run.held(0, 2), run.held(1, 2), pytest.raises(RunError, match="another run"):
        label_corpus([many], run.path, rank=1, world=2)
    label_corpus([many], run.path)


def test_a_folder_of_other_things_is_let_be(many, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="is no run's folder"):
        label_corpus([many], tmp_path / "mine", overwrite=True)
    with pytest.raises(InputError, match="is one of the inputs"):
        label_corpus([tmp_path], tmp_path / "within")
    assert not (tmp_path / "within").exists()
    assert main(["label", str(many), "-o", "/proc/run"]) == 1
    assert "capthemes: /proc/run: No such file or directory" in capsys.readouterr().err


def test_rejects_are_kept_with_their_reasons_and_counted(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "Overcapacity."}\n{"text": 5}\nnot json\n')
    (tmp_path / "in" / "b.csv").write_text('text,n\nok,1\nshort\n"open,2\n')
    (tmp_path / "in" / "c.txt").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "in" / "d.txt").write_text("Fine.")
    (tmp_path / "in" / "e.jsonl").write_text("")
    (tmp_path / "in" / "f.parquet").write_bytes(b"PAR1 no")
    table = pyarrow.table({"text": ["one", None, "three"]})
    pyarrow.parquet.write_table(table, tmp_path / "in" / "g.parquet")
    for output in ("run", "o.jsonl"):
        assert main(["label", str(tmp_path / "in"), "-o", str(tmp_path / output), "--on-error", "skip"]) == 0
        shown = capsys.readouterr().out
        assert "rejected 2 of a.jsonl, with the reasons in " in shown
        assert "(a file, or a shard of one, that cannot be read at all counts once)" in shown
        lines = (tmp_path / f"{output}.rejects.jsonl").read_text(encoding="utf-8").splitlines()
        reasons = [json.loads(line)["reason"] for line in lines]
        for place in (
            "a.jsonl:2: 'text' is 5",
            "a.jsonl:3: not JSON",
            "b.csv:3: 1 cells",
            "b.csv:4: not csv",
            "c.txt: not",
        ):
            assert sum(place in reason for reason in reasons) == 1, place
        assert sum("e.jsonl is empty" in reason for reason in reasons) == 1
        assert sum("f.parquet: not a parquet file" in reason for reason in reasons) == 1
        assert sum("g.parquet:2: 'text' is None" in reason for reason in reasons) == 1
    texts = pyarrow.parquet.read_table(tmp_path / "run")["text"].to_pylist()
    assert texts == ["Overcapacity.", "ok", "Fine.", "one", "three"]
    counted = RunFolder(tmp_path / "run").about()["summary"]["rejected"]
    assert (counted["a.jsonl"], counted["b.csv"], counted["g.parquet"], sum(counted.values())) == (2, 2, 1, 8)


class Disk:
    """A disk whose n-th write, copy, fsync, rename or new folder fails, under one folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, fails: int, code: int) -> None:
        self.folder, self.fails, self.code, self.count = str(folder), fails, code, 0
        self.open, real = io.open, {name: getattr(os, name) for name in ("fsync", "replace", "mkdir", "sendfile")}
        for name, call in real.items():
            patch.setattr(os, name, lambda *given, _call=call, **options: (self.step(), _call(*given, **options))[1])
        for module in (io, builtins):
            patch.setattr(module, "open", self.opened)

    def step(self) -> None:
        self.count += 1
        if self.count == self.fails:
            raise OSError(self.code, os.strerror(self.code))

    def opened(self, file, mode="r", *given, **options):
        if not str(file).startswith(self.folder) or not set(mode) & set("w+"):
            return self.open(file, mode, *given, **options)
        disk = self

        class Failing(io.FileIO):
            def write(self, data):
                disk.step()
                return super().write(data)

        binary = io.BufferedWriter(Failing(file, mode.replace("b", "").replace("r+", "r+")))
        return binary if "b" in mode else io.TextIOWrapper(binary, *given[1:], **options)


@pytest.mark.parametrize(
    ("code", "output", "parts", "shards"),
    [
        (errno.ENOSPC, "run", "parquet", 2),
        (errno.EIO, "run", "parquet", 2),
        (errno.ENOSPC, "run", "jsonl", 2),
        (errno.EIO, "run", "jsonl", 2),
        (errno.ENOSPC, "o.csv", "parquet", 2),
        (errno.EIO, "o.csv", "parquet", 2),
        (errno.ENOSPC, "o.parquet", "parquet", 1),
    ],
)
def test_a_disk_that_fails_at_any_write_loses_nothing(tmp_path, monkeypatch, code, output, parts, shards):
    text = "".join(json.dumps({"text": f"Case {i}.", "n": i if i else None}) + "\n" for i in range(4))
    source = Rows([json.loads(line) for line in text.splitlines()])
    monkeypatch.setattr(corpus, "SHARD_BYTES", len(text) // shards + shards % 2)
    (tmp_path / "whole").mkdir()
    label_corpus(source, tmp_path / "whole" / output, parts=parts)
    expected, fails = bytes_of(tmp_path / "whole"), 0
    while True:
        fails += 1
        folder = tmp_path / f"trial-{fails}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            disk = Disk(folder, patch, fails, code)
            try:
                label_corpus(source, folder / output, parts=parts)
                stopped = False  # a folder that was there already need not be made
            except (OSError, RunError) as error:
                stopped = True
                assert os.strerror(code) in str(error)
                assert not list(folder.rglob("*.tmp"))
        if disk.count < fails:
            break
        if stopped:
            label_corpus(source, folder / output, parts=parts)
        assert bytes_of(folder) == expected
    assert fails > (40 if shards == 2 else 25)


def test_a_disk_that_fails_while_a_dataset_is_copied_loses_nothing(tmp_path, monkeypatch):
    rows = pytest.importorskip("datasets").Dataset.from_list([{"text": f"Case {i}."} for i in range(4)])
    label_corpus([rows], tmp_path / "whole.csv")
    for fails in itertools.count(1):
        folder, stopped = tmp_path / f"trial-{fails}", False
        folder.mkdir()
        with monkeypatch.context() as patch:
            disk = Disk(folder, patch, fails, errno.ENOSPC)
            try:
                label_corpus([rows], folder / "o.csv")
            except (OSError, RunError) as error:
                stopped = "No space left" in str(error)
                assert stopped
        if disk.count < fails:
            break
        if stopped:
            label_corpus([rows], folder / "o.csv")
        assert (folder / "o.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert fails > 25


@pytest.mark.parametrize("code", [errno.EIO, 0])
def test_a_file_that_is_stopped_while_it_tidies_up_is_whole(tmp_path, monkeypatch, code):
    output, rows = tmp_path / "o.csv", Rows(["Overcapacity."])
    real = {name: getattr(os, name) for name in ("unlink", "rmdir", "replace", "mkdir")}
    label_corpus(rows, tmp_path / "whole.csv")
    for fails in itertools.count(1):
        steps = itertools.count(1)

        def step(call, *given, _fails=fails, _steps=steps, **options):
            if output.exists() and next(_steps) == _fails:
                raise OSError(code, os.strerror(code)) if code else KeyboardInterrupt
            return call(*given, **options)

        stopped = ""
        with monkeypatch.context() as patch:
            for name, call in real.items():
                patch.setattr(os, name, partial(step, call))
            try:
                label_corpus(rows, output)
            except (RunError, KeyboardInterrupt) as error:
                stopped = str(error)
        if next(steps) <= fails:
            break
        told = "1 of 1 parts stand" if fails < 3 else "the output is whole: give the same command again to remove"
        assert not stopped or told in stopped
        try:
            assert label_corpus(rows, output).paragraphs == 1
        except InputError as error:
            assert "o.csv exists" in str(error)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["o.csv", "whole.csv"]
        assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
        output.unlink()
    assert fails > 5


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_nothing_can_be_written_into(many, tmp_path, monkeypatch, capsys, code):
    def refused(path, *_, **__):
        raise OSError(code, os.strerror(code), str(path))

    for output in ("run", "o.csv"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "mkdir", refused)
            assert main(["label", str(many), "-o", str(tmp_path / output)]) == 1
        assert re.search(rf"capthemes: .*{re.escape(output)}.*: {os.strerror(code)}\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == [many]


def test_ranks_that_copy_the_same_rows_leave_each_other_be(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "SHARD_BYTES", 40)
    texts = [f"Overcapacity, case {i}." for i in range(9)]
    label_corpus(Rows(texts), tmp_path / "whole")

    def meanwhile(rows, run):
        others = []

        def label_too(done, summary):
            if not others:
                others.append(label_corpus(Rows(rows), run, rank=1, world=2))

        return label_too

    label_corpus(Rows(texts), tmp_path / "run", rank=0, world=2, progress=meanwhile(texts, tmp_path / "run"))
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")

    def other(done, summary):
        with pytest.raises(RunError, match="begun with something else"):
            label_corpus(Rows([*texts, "x"]), tmp_path / "two", rank=1, world=2)

    label_corpus(Rows(texts), tmp_path / "two", rank=1, world=2)
    with pytest.raises(RunError, match="an input changed while it was read"):
        label_corpus(Rows(texts), tmp_path / "two", rank=0, world=2, progress=other)


def test_a_ranks_progress_is_of_its_own_shards(many, tmp_path):
    told = []
    for rank in (0, 1):
        label_corpus([many], tmp_path / "run", rank=rank, world=2, progress=lambda done, _: told.append(round(done, 2)))
    assert told == [0.33, 0.67, 1.0] * 2


@pytest.mark.parametrize("parts", ["parquet", "jsonl"])
def test_a_part_that_is_gone_is_missed(many, tmp_path, parts):
    label_corpus([many], tmp_path / "run", parts=parts)
    (tmp_path / "run" / f"part-00003.{parts}").unlink()
    with pytest.raises(RunError, match=rf"part-00003\.{parts} is gone.*into another folder$"):
        label_corpus([many], tmp_path / "run", parts=parts)
    if parts == "parquet":
        with pytest.raises(RunError, match=r"part-00003\.parquet is gone"):
            open_run(tmp_path / "run")


def test_a_full_disk_says_how_to_go_on(many, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        Disk(tmp_path, patch, 25, errno.ENOSPC)
        assert main(["label", str(many), "-o", str(tmp_path / "run")]) == 1
    shown = capsys.readouterr().err
    assert re.search(r"No space left on device; [1-5] of 6 parts stand in .*: give the same command again", shown)


def test_a_worker_that_is_killed_for_memory_stops_the_run_cleanly(many, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_in_worker", killed)
        with pytest.raises(RunError, match=r"a worker was killed, .*fewer --workers; 0 of 6 parts stand"):
            label_corpus([many], tmp_path / "run", workers=2)
    assert label_corpus([many], tmp_path / "run").paragraphs == 30


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_clock_that_jumps_changes_nothing(many, tmp_path, monkeypatch):
    label_corpus([many], tmp_path / "whole")
    moments = itertools.cycle((0.0, 4e9, 1.0))
    monkeypatch.setattr(time, "time", lambda: next(moments))
    label_corpus([many], tmp_path / "run")
    os.utime(many, (0, 0))
    label_corpus([many], tmp_path / "run")
    assert bytes_of(tmp_path / "run") == bytes_of(tmp_path / "whole")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the workers of a run")
def test_killed_runs_end_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "SHARD_BYTES", corpus.SHARD_BYTES)  # the trials set it
    monkeypatch.setattr(resume, "ROWS", 240)
    trials = resume.Trials(tmp_path, random.Random(0))
    tallies = [trials.tally(1, "parent", 6), trials.tally(2, "both", 1)]
    assert sum(tally.amid for tally in tallies) > 0
    assert {(tally.other, tally.lost, tally.doubled) for tally in tallies} == {(0, 0, 0)}


@pytest.mark.parametrize("measured", [cluster, resume, scale])
def test_the_tables_show_what_was_measured_last(measured):
    sheet = measured.SHEET.read_text(encoding="utf-8")
    assert measured.rendered(sheet) == sheet


def test_open_run_reads_folders_and_files_alike(many, tmp_path):
    label_corpus([many], tmp_path / "run")
    label_corpus([many], tmp_path / "o.parquet")
    folder, file = open_run(tmp_path / "run"), capthemes.open_run(str(tmp_path / "o.parquet"))
    assert (folder.about["state"], file.about) == ("finished", {})
    for run in (folder, file):
        assert (run.model, run.themes[0]) == (capthemes.load().id, "overcapacity")
        assert (run.stances, run.voices) == (("supportive", "critical", "mixed", "neutral"), ("author", "attributed"))
        batches = list(run.batches(["id", "labels"]))
        assert [id for batch in batches for id in batch["id"].to_pylist()] == [str(i) for i in range(30)]
        assert batches[0].schema.names == ["id", "labels"]
        with pytest.raises(InputError, match="no column 'date'; it has: id, text"):
            next(run.batches(["date"]))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x"]}), tmp_path / "plain.parquet")
    label_corpus([many], tmp_path / "o.jsonl")
    label_corpus([many], tmp_path / "lines", parts="jsonl")
    for path, message in (
        (tmp_path / "plain.parquet", "not labelled by"),
        (tmp_path / "none", "neither a run's"),
        (tmp_path / "o.jsonl", "o.jsonl is not parquet, .* label its input with -o NAME.parquet"),
        (tmp_path / "lines", "lines is not parquet, .* label its input with -o NAME.parquet"),
    ):
        with pytest.raises(InputError, match=message):
            open_run(path)
