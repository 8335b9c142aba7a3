"""Scale: a corpus made by repetition is labelled by the command, and its time and largest memory are measured."""

import json
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from benchmarks.sheet import filled
from capthemes import annotations
from capthemes.runs import RunFolder

SHEET = Path(__file__).parent / "resume.md"
RESULTS = Path(__file__).parent / "results" / "scale.json"
MEASURED = (  # the command in a process that waits for it, and then says what the largest of its processes took
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def run(paragraphs: int, workers: int) -> None:
    """Label so many paragraphs to a folder of parts, and put the figures into the table."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        corpus, output = Path(name) / "corpus.jsonl", Path(name) / "run"
        texts = [paragraph.text for paragraph in annotations.paragraphs("written")]
        with corpus.open("w", encoding="utf-8") as file:
            for number, text in enumerate(islice(cycle(texts), paragraphs)):
                file.write(json.dumps({"id": f"p{number}", "text": text}, ensure_ascii=False) + "\n")
        command = [sys.executable, "-m", "capthemes.cli", "label", str(corpus), "-o", str(output)]
        began = time.monotonic()
        told = subprocess.run(
            [sys.executable, "-c", MEASURED, *command, "--workers", str(workers)], check=True, capture_output=True
        )
        seconds = time.monotonic() - began
        about = RunFolder(output).about()
        results[f"{paragraphs}, {workers}"] = {
            "paragraphs": about["summary"]["paragraphs"],
            "workers": workers,
            "bytes": corpus.stat().st_size,
            "parts": about["shards"],
            "model": about["model"],
            "seconds": round(seconds),
            "largest": int(told.stdout.split()[-1]) * 1024,
        }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(sheet: str) -> str:
    """The sheet with the table of what was measured last."""
    lines = ["| paragraphs | workers | input | parts | model | time | largest process |", "|---" * 7 + "|"]
    for row in json.loads(RESULTS.read_text(encoding="utf-8")).values():
        lines.append(
            f"| {row['paragraphs']:,} | {row['workers']} | {row['bytes'] / 1e9:.2f} GB | {row['parts']} | "
            f"`{row['model']}` | {row['seconds']:,} s | {row['largest'] / 1e6:.0f} MB |"
        )
    return filled(sheet, {"scale": lines})
