"""python -m benchmarks NAME [--real FOLDER]: what is measured of the annotated sets and of the models."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import ablation, data, fuzz, models, noise
from benchmarks.sheet import sources
from capthemes import annotations


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["ablation", "ablation-encoder", "data", "fuzz", "models", "noise"])
    parser.add_argument(
        "--real", type=Path, help="folder of published text (pool.jsonl, dev.jsonl); without it those figures stay"
    )
    parser.add_argument("-n", type=int, default=150, help="how many suspects or mutated inputs (default: 150)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--encoder", help="a small encoder's folder, to mutate a transformer model, too")
    options = parser.parse_args()
    if options.name == "data":
        data.run(options.real)
        return
    if options.name == "fuzz":
        found = fuzz.run(options.n, options.seed, options.encoder)
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        sys.exit(1 if found["findings"] else 0)
    if options.name == "models":
        models.run()
        return
    if options.name.startswith("ablation"):
        if options.real is None:
            parser.error("the ablation is measured on published text: --real FOLDER")
        (ablation.run if options.name == "ablation" else ablation.run_encoder)(options.real)
        return
    gold = annotations.paragraphs("written")
    if options.real is not None:
        gold += annotations.hydrate(sources(options.real)).paragraphs
    for paragraph, doubtful in noise.suspects(gold, options.n):
        sys.stdout.write(json.dumps({"id": paragraph.id, "doubtful": doubtful}) + "\n")


if __name__ == "__main__":
    main()
