"""python -m benchmarks NAME [--real FOLDER]: what is measured of the annotated sets and of the models."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import ablation, coverage, data, models, noise, sure
from benchmarks.sheet import sources
from capthemes import annotations


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["ablation", "ablation-encoder", "coverage", "data", "models", "noise", "sure"])
    parser.add_argument(
        "--real", type=Path, help="folder of published text (pool.jsonl, dev.jsonl); without it those figures stay"
    )
    parser.add_argument("-n", type=int, help="how many suspects (default: 150), or runs of each cell (default: 2,000)")
    options = parser.parse_args()
    if options.name == "data":
        data.run(options.real)
        return
    if options.name == "coverage":
        coverage.run(options.n or coverage.RUNS)
        return
    if options.name == "models":
        models.run()
        return
    if options.name == "sure" or options.name.startswith("ablation"):
        if options.real is None:
            parser.error(f"{options.name} is measured on published text: --real FOLDER")
        if options.name == "sure":
            sure.run(options.real)
            return
        (ablation.run if options.name == "ablation" else ablation.run_encoder)(options.real)
        return
    gold = annotations.paragraphs("written")
    if options.real is not None:
        gold += annotations.hydrate(sources(options.real)).paragraphs
    for paragraph, doubtful in noise.suspects(gold, options.n or 150):
        sys.stdout.write(json.dumps({"id": paragraph.id, "doubtful": doubtful}) + "\n")


if __name__ == "__main__":
    main()
