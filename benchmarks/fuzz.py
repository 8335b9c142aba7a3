"""Fuzzing: model folders and corpora, mutated by the thousand, end in an answer or in one clear error.

A worker reads case after case with its address space held to what it had before plus three times the size of the
input plus 64 MB; a case that ends otherwise than in an answer or an error of capthemes, or not within ten seconds, is
a finding. Three quarters of the mutated models have their manifest sealed anew, so that the readers behind it are
reached. Case `i` of a seed is the same on every machine.
"""

import gzip
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import capthemes
from capthemes import annotations, manifest
from capthemes.annotations import hydrate
from capthemes.codebook import Codebook
from capthemes.corpus import split
from capthemes.errors import CapthemesError
from capthemes.families import family_class
from capthemes.model import Model
from capthemes.records import Label, Paragraph

RESULTS = Path(__file__).parent / "results" / "fuzz.json"
SECONDS = 10  # a case may take
CHUNK = 2000  # cases of one worker
ROOM = 64 << 20
WORDS = [b"\0", b"\xff" * 4, b"[" * 999, b'{"a":' * 999, b"1e999", b"NaN", b"9" * 400, b"../x", b"\x80" * 9]
TOKEN = re.compile(rb'"[^"\n]{0,200}"|-?[0-9][0-9.e-]*|true|null')
VALUES = [
    *(b"null", b"true", b"[]", b"{}", b"[[[]]]", b'{"a": 1}', b"-1", b"0", b"7", b"1e308", b"18446744073709551616"),
    *(b'""', b'"x"', b'"\\ud800"', b'"\\u0000"', b'"../../x"', f'"{"产" * 5000}"'.encode()),
]
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system",
         "MALLOC_ARENA_MAX": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}  # fmt: skip

CODEBOOK = """# Fuzz, version 1

### Stance
- `for`: it is for it.

### Voice
- `author`: the writer.

| theme | Chinese | what it covers | stance target |
|---|---|---|---|
| `land` | 土地 | Land for plants | giving it |
| `water` | 水 | Rivers and wells | saving it |

## Rules for themes
1. A plot is `land`.
"""


def run(inputs: int, seed: int, encoder: str | None) -> None:
    """Read mutated models and corpora, print and store what became of them; the exit status tells of findings."""
    found = outcomes(inputs, seed, encoder)
    told = json.dumps(found, indent=2) + "\n"
    RESULTS.write_text(told, encoding="utf-8")
    sys.stdout.write(told)
    sys.exit(1 if found["findings"] else 0)


def outcomes(count: int, seed: int = 0, encoder: str | None = None) -> dict[str, Any]:
    """Read `count` mutated inputs and return what became of them: counts by kind and outcome, and the findings.

    With a small `encoder` (a folder) models of the families that need one are among them. `largest` is the bytes of
    the largest input before it is mutated.
    """
    found: dict[str, Any] = {"cases": count, "seed": seed, "outcomes": Counter(), "findings": []}
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), encoder)
        found["families"] = sorted(path.name for path in Path(folder, "models").iterdir())
        found["largest"] = max(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        start = 0
        while start < count:
            stop = min(start + CHUNK, count)
            last = start - 1
            for case in _worker(Path(folder), seed, start, stop):
                last = case["case"]
                found["outcomes"][f"{case['kind']}: {case['outcome']}"] += 1
                if case["outcome"] == "finding":
                    found["findings"].append(case)
            if last < stop - 1:  # the worker died or hung in the case after the last
                found["findings"].append({"case": last + 1, "kind": "crash or hang", "error": f"after case {last}"})
                found["outcomes"]["crash or hang"] += 1
                stop = last + 2
            start = stop
    return found | {"outcomes": dict(sorted(found["outcomes"].items()))}


def _worker(folder: Path, seed: int, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """What a process of its own tells of the cases from `start` to `stop`; it is ended where one takes too long."""
    command = [sys.executable, "-m", "benchmarks.fuzz", str(folder), str(seed), str(start), str(stop)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | QUIET)
    assert process.stdout is not None  # noqa: S101
    with process.stdout as told:
        yield from map(json.loads, told)
    process.wait()


def make(folder: Path, encoder: str | None) -> None:
    """The inputs that are mutated: a model of each family that is data, and a corpus of each format."""
    import pyarrow
    import pyarrow.parquet

    (folder / "book.md").write_text(CODEBOOK, encoding="utf-8")
    book = Codebook.load(folder / "book.md")
    paragraphs = [
        Paragraph(str(i), text, (Label(theme, "for", "author"),))
        for i in range(4)
        for text, theme in ((f"Plot {i} for a plant.", "land"), (f"第{i}条河流得到保护。", "water"))
    ]
    for family, options in _families(encoder):
        fitted = family_class(family).fit(paragraphs, book, 0, **options)
        Model(family, family, fitted, capthemes.Decision.plain(book.names), book).save(folder / "models" / family)
    rows = [
        {"id": p.id, "text": p.text, "year": 2000, "tags": ["a"], "labels": [{"theme": "land"}]} for p in paragraphs
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "corpora").mkdir()
    for name, content in {
        "a.txt": "One line.\n\nAnother, 第二段。\n",
        "a.md": "---\nfront: matter\n---\n# Title\n\n- a list\n\n> said\n",
        "a.jsonl": lines,
        "a.csv": 'id,text,year\n1,"one, ""two""",2000\n2,三,2001\n',
        "a.tsv": "id\ttext\n1\tone\n",
    }.items():
        (folder / "corpora" / name).write_text(content, encoding="utf-8")
    table = pyarrow.Table.from_pylist(rows)
    (folder / "corpora" / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pyarrow.parquet.write_table(table, folder / "corpora" / "a.parquet", row_group_size=4, compression="zstd")
    pyarrow.parquet.write_table(table, folder / "corpora" / "b.parquet", compression="snappy", use_dictionary=False)


def _families(encoder: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    yield "linear", {}
    yield "joint", {}
    yield "keywords", {}
    yield "pipeline", {"estimator": make_pipeline(CountVectorizer(), OneVsRestClassifier(LogisticRegression()))}
    yield "zeroshot", {"encoder": "nowhere/none"}
    if encoder is not None:
        yield "transformer", {"encoder": encoder}
        yield "fewshot", {"encoder": encoder}
        yield "ensemble", {"encoder": encoder}


def mutated(content: bytes, draw: random.Random) -> bytes:
    """The bytes with one to four values of JSON exchanged, or runs of bytes changed, lost, doubled, moved or put in."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        place = draw.randrange(len(content) + 1)
        length = min(draw.choice((1, 1, 2, 8, 64, 1000)), len(content) - place)
        run = content[place : place + length]
        if draw.random() < 0.4 and (found := list(TOKEN.finditer(content[:100_000]))):
            token = draw.choice(found)
            content = content[: token.start()] + draw.choice(VALUES) + content[token.end() :]
            continue
        instead = draw.choice(
            (
                bytes(byte ^ (1 << draw.randrange(8)) for byte in run),
                bytes(draw.randrange(256) for _ in run),
                b"",
                run * draw.choice((2, 50)),
                draw.choice(WORDS) + run,
                content[(other := draw.randrange(len(content) + 1)) : other + length],
            )
        )
        content = content[:place] + instead + content[place + length :]
        if draw.random() < 0.03:
            content = content[:place]
    return content


def case(folder: Path, work: Path, seed: int, number: int) -> tuple[str, Any]:
    """Lay out case `number` in `work`: its kind, and the call that reads it."""
    draw = random.Random(f"{seed}:{number}")
    shutil.rmtree(work, ignore_errors=True)
    source = draw.choice(sorted((folder / "models").iterdir()) * 2 + sorted((folder / "corpora").iterdir()))
    if source.is_dir():
        shutil.copytree(source, work)
        names = [path.name for path in sorted(work.iterdir()) if path.name != manifest.CARD]
        for name in draw.sample(names, draw.choice((1, 1, 2))):
            (work / name).write_bytes(mutated((work / name).read_bytes(), draw))
        if draw.random() < 0.75:
            _seal(source, work)
        return f"model {source.name}", lambda: _use(work)
    work.mkdir()
    path = work / source.name
    path.write_bytes(mutated(source.read_bytes(), draw))
    if path.suffix == ".jsonl" and draw.random() < 0.5:
        return "annotations", lambda: (
            annotations.paragraphs(path, codebook=Codebook.load(folder / "book.md")),
            hydrate(path),
        )
    if path.suffix == ".md" and draw.random() < 0.5:
        path.write_bytes(mutated((folder / "book.md").read_bytes(), draw))
        return "codebook", lambda: Codebook.load(path)
    return f"corpus {path.suffix}", lambda: [paragraph for shard in split([path]) for paragraph in shard.read()]


def _use(folder: Path) -> None:
    model = capthemes.load(folder, trusted=["nowhere/none"])
    if model.family_name != "zeroshot":
        found = model.predict(["Plot 3 for a plant, 土地。", ""])
        if not np.isfinite(found.probabilities.theme).all():
            raise ArithmeticError("a probability is not finite")


def _seal(source: Path, work: Path) -> None:
    """Describe and seal what lies in `work`, as a forger would; from the sound manifest where it was mutated."""
    content = manifest.read_manifest(source)
    content.pop("seal", None)
    files = {path.name: path for path in sorted(work.iterdir()) if path.name not in manifest.UNREAD}
    content["files"] = {
        name: {"bytes": path.stat().st_size, "sha256": manifest.fingerprint_file(path)} for name, path in files.items()
    }
    (work / manifest.MANIFEST).write_text(manifest.rendered(content), encoding="utf-8")


def work(folder: Path, seed: int, start: int, stop: int) -> None:
    """A worker: one line of JSON for each case."""
    import signal

    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a hang ends the worker
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"
        for path in sorted((folder / "models").iterdir()):  # what is imported and cached counts before, not after
            shutil.copytree(path, work)
            _use(work)
            shutil.rmtree(work)
        for path in sorted((folder / "corpora").iterdir()):
            list(split([path])[0].read())
        before = _address_space()
        for number in range(start, stop):
            kind, read = case(folder, work, seed, number)
            size = sum(path.stat().st_size for path in work.iterdir())
            resource.setrlimit(resource.RLIMIT_AS, (before + 3 * size + ROOM, resource.RLIM_INFINITY))
            signal.alarm(SECONDS)
            told: dict[str, Any] = {"case": number, "kind": kind, "outcome": "answer"}
            try:
                read()
            except CapthemesError:
                told["outcome"] = "error"
            except BaseException as error:
                told |= {"outcome": "finding", "error": f"{type(error).__name__}: {error}"[:300]}
            signal.alarm(0)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(json.dumps(told), flush=True)


def _address_space() -> int:
    """Bytes of address space that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    work(Path(sys.argv[1]), *map(int, sys.argv[2:]))
