"""python -m benchmarks data [--real FOLDER]: measure the annotated sets and render the data sheet's tables."""

import argparse
from pathlib import Path

from benchmarks import data


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["data"])
    parser.add_argument(
        "--real", type=Path, help="folder of published text (pool.jsonl, dev.jsonl); without it those figures stay"
    )
    options = parser.parse_args()
    data.run(options.real)


if __name__ == "__main__":
    main()
