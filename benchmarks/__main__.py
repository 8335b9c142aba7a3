"""python -m benchmarks data|noise [--real FOLDER]: measure the annotated sets; list the likeliest label errors."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import data, noise
from capthemes import annotations


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["data", "noise"])
    parser.add_argument(
        "--real", type=Path, help="folder of published text (pool.jsonl, dev.jsonl); without it those figures stay"
    )
    parser.add_argument("-n", type=int, default=150, help="how many suspects (default: 150)")
    options = parser.parse_args()
    if options.name == "data":
        data.run(options.real)
        return
    gold = annotations.paragraphs("written")
    if options.real is not None:
        gold += annotations.hydrate(options.real / "pool.jsonl").paragraphs
    for paragraph, doubtful in noise.suspects(gold, options.n):
        sys.stdout.write(json.dumps({"id": paragraph.id, "doubtful": doubtful}) + "\n")


if __name__ == "__main__":
    main()
