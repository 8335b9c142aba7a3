"""Kills: runs are killed at random moments and given again; what they leave is compared with an undisturbed run's."""

import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.sheet import filled
from capthemes import annotations, batches, corpus
from capthemes.errors import CapthemesError
from capthemes.labelling import label_corpus

SHEET = Path(__file__).parent / "resume.md"
RESULTS = Path(__file__).parent / "results" / "resume.json"
ROWS, SHARDS = 600, 12
TARGETS = {1: ("parent",), 2: ("parent", "worker", "both")}  # by workers
ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
PATIENCE = 600.0  # seconds until a run that does not end is taken for hung


@dataclass(slots=True)
class Tally:
    """What came of the kills of one kind."""

    kills: int = 0
    amid: int = 0  # kills that met a run which was still at it
    runs: int = 0
    parts: Counter[int] = field(default_factory=Counter)  # how many kills found how many parts standing
    other: int = 0  # runs whose bytes were in the end not those of the undisturbed run
    lost: int = 0
    doubled: int = 0


def run(kills: int, seed: int = 0) -> None:
    """Kill `kills` times, in equal shares by workers and by what is killed, and render the table."""
    kinds = [(workers, target) for workers, targets in TARGETS.items() for target in targets]
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        trials = Trials(Path(name), random.Random(seed))
        for number, (workers, target) in enumerate(kinds):
            share = kills // len(kinds) + (number < kills % len(kinds))
            tally = trials.tally(workers, target, share)
            rows[f"{workers}, {target}"] = {**asdict(tally), "parts": dict(sorted(tally.parts.items()))}
    RESULTS.write_text(json.dumps({"seed": seed, "rows": ROWS, "shards": SHARDS, "kinds": rows}, indent=1) + "\n")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(sheet: str) -> str:
    """The sheet with the table of what was measured last."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = ["| workers, killed | kills | amid the work | runs until whole | other bytes | lost | doubled |"]
    lines.append("|---" * 7 + "|")
    for name, row in {**results["kinds"], "all": _sum(results["kinds"].values())}.items():
        cells = [f"{row[key]:,}" for key in ("kills", "amid", "runs", "other", "lost", "doubled")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return filled(sheet, {"kills": lines})


def _sum(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    whole: Counter[str] = Counter()
    for row in rows:
        whole.update({key: value for key, value in row.items() if key != "parts"})
    return whole


class Trials:
    """A corpus, its undisturbed run, and runs of it that are killed."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.input = folder / "语料 corpus.jsonl"
        rows = [p for p in annotations.paragraphs("written", "train") if len(p.text) < 1000][:ROWS]
        lines = [json.dumps({"id": p.id, "text": p.text}, ensure_ascii=False) + "\n" for p in rows]
        self.input.write_text("".join(lines), encoding="utf-8")
        self.ids = [p.id for p in rows]
        corpus.SHARD_BYTES = self.input.stat().st_size // SHARDS + 1
        batches.loaded("fast").predict(["ready"])  # a child that is forked has the model
        self.seconds: dict[int, float] = {}
        self.expected = b""

    def undisturbed(self, workers: int) -> float:
        """The seconds of a run that nothing disturbs."""
        if workers not in self.seconds:
            began = time.monotonic()
            output = self.folder / f"undisturbed-{workers}"
            if os.waitstatus_to_exitcode(os.waitpid(self.start(output, workers), 0)[1]) != 0:
                raise RuntimeError("the undisturbed run failed")
            self.seconds[workers] = time.monotonic() - began
            self.expected = self.expected or content(output)
            if content(output) != self.expected:
                raise RuntimeError("workers change the bytes")
        return self.seconds[workers]

    def start(self, output: Path, workers: int) -> int:
        """A run in a process of its own."""
        if pid := os.fork():
            return pid
        status = 1
        with suppress(CapthemesError), open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
            label_corpus([self.input], output, model="fast", workers=workers)
            status = 0
        os._exit(status)

    def tally(self, workers: int, target: str, kills: int) -> Tally:
        """Kill runs of `workers` until `kills` have been made, one to three in each run's folder."""
        found = Tally()
        seconds = self.undisturbed(workers)
        while found.kills < kills:
            output = self.folder / f"run-{workers}-{target}-{found.kills}"
            for _ in range(min(self.chance.randint(1, 3), kills - found.kills)):
                found.runs += 1
                found.kills += 1
                found.amid += self.kill(self.start(output, workers), output, target, seconds / SHARDS)
                found.parts[len(list(output.glob("part-*")))] += 1
            found.runs += 1
            self.finish(output, workers)
            self.compare(output, found)
        return found

    def kill(self, pid: int, output: Path, target: str, each: float) -> bool:
        """Kill a run, a worker of it, or both, at a random moment; whether the run was still at it.

        The moment is drawn among the parts that may stand by then, and within the time that `each` part takes, since
        most of a short run is its start.
        """
        standing = self.chance.randrange(SHARDS)
        while len(list(output.glob("part-*"))) < standing and not os.waitid(os.P_PID, pid, ENDED):
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0, each))
        victims = list(children(pid)) if target != "parent" else []
        chosen = [self.chance.choice(victims)] if victims else []
        for victim in [pid] * (target != "worker") + chosen:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return os.waitstatus_to_exitcode(wait(pid)) != 0

    def finish(self, output: Path, workers: int) -> None:
        """Give the command again until it ends well; once is enough, unless what was killed holds the run still."""
        began = time.monotonic()
        while os.waitstatus_to_exitcode(wait(self.start(output, workers))) != 0:
            if time.monotonic() - began > PATIENCE:
                raise RuntimeError(f"{output}: does not end")

    def compare(self, output: Path, found: Tally) -> None:
        """Count what differs from the undisturbed run."""
        if content(output) == self.expected:
            return
        import pyarrow.parquet

        found.other += 1
        parts = sorted(output.glob("part-*"))
        ids = Counter(id for path in parts for id in pyarrow.parquet.read_table(path)["id"].to_pylist())
        found.lost += sum(id not in ids for id in self.ids)
        found.doubled += sum(count - 1 for count in ids.values())


def content(folder: Path) -> bytes:
    """The names and bytes of all files of a run but its locks."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("lock"))
    return b"".join(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() for path in files)


def children(pid: int) -> Iterator[int]:
    """A run's workers."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            tracker = b"resource_tracker" in (status.parent / "cmdline").read_bytes()
            if not tracker and int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(status.parent.name)


def wait(pid: int) -> int:
    """A process's end; one that does not end is a fault."""
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() - began > PATIENCE:
            os.kill(pid, signal.SIGKILL)
            raise RuntimeError(f"run {pid} hangs")
        time.sleep(0.005)
