"""python -m benchmarks NAME: what is measured of the annotated sets, of the models and of the tools."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    ablation,
    characters,
    cluster,
    coverage,
    data,
    engines,
    faithfulness,
    fewshot,
    fuzz,
    models,
    queue,
    resume,
    scale,
    speed,
    standings,
    sure,
)

REAL = {"type": Path, "metavar": "FOLDER", "help": "folder of published text; without it its figures stay"}
NEEDED = {**REAL, "required": True, "help": "folder of published text"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="NAME")

    def add(name: str, run: Callable[..., None], **options: dict[str, Any]) -> None:
        """A measurement whose options are the parameters of `run`."""
        command = commands.add_parser(name, help=(run.__doc__ or "").partition(". ")[0].removesuffix("."))
        for option, settings in options.items():
            command.add_argument(f"--{option}", **settings)
        command.set_defaults(run=run)

    add("ablation", ablation.run, real=NEEDED)
    add("ablation-encoder", ablation.run_encoder, real=NEEDED)
    add("ablation-ensemble", ablation.run_ensemble, real=NEEDED)
    add("characters", characters.run)
    add("cluster", cluster.run, rows={"type": int, "default": 200_000, "help": "how many (default: 200,000)"})
    add("coverage", coverage.run, runs={"type": int, "default": coverage.RUNS, "help": "of each cell"})
    add("data", data.run, real=REAL)
    add(
        "faithfulness",
        faithfulness.run,
        real=REAL,
        models={"nargs": "+", "default": ["fast", "accurate"], "help": "the models to explain"},
        limit={"type": int, "help": "at most so many paragraphs of a set"},
    )
    add(
        "fewshot",
        fewshot.run,
        themes={"type": int, "default": 16, "help": "how many themes (default: all 16)"},
        seeds={"type": int, "default": 3, "help": "draws of each (default: 3)"},
        test={"type": int, "default": 528, "help": "paragraphs to score on (default: 528)"},
    )
    add(
        "fuzz",
        fuzz.run,
        inputs={"type": int, "default": 100_000, "help": "how many mutated folders and corpora (default: 100,000)"},
        seed={"type": int, "default": 0, "help": "of the mutations"},
        encoder={"help": "a small encoder's folder, to mutate a transformer model, too"},
    )
    add("models", models.run)
    add(
        "quality",
        standings.run,
        real=REAL,
        only={"nargs": "+", "default": [], "metavar": "PEER", "help": "the peers to measure; the rest stay"},
        peer={
            "nargs": "+",
            "type": Path,
            "default": [],
            "metavar": "FOLDER",
            "help": "only these, which stand elsewhere",
        },
        nli={"metavar": "MODEL", "help": "a language-inference model: a folder or a Hub name"},
    )
    reduced = {"action": "store_true", "help": "a small pool and two seeds"}
    add("queue", queue.run, real=REAL, reduced=reduced)
    add("resume", resume.run, kills={"type": int, "default": 300, "help": "how many (default: 300)"})
    size = {"type": int, "default": 2_000_000, "help": "how many (default: 2,000,000)"}
    add("scale", scale.run, paragraphs=size, workers={"type": int, "default": 1, "help": "processes (default: 1)"})
    add("engines", engines.run, real=REAL)
    add("speed", speed.run, real=REAL)
    add("sure", sure.run, real=NEEDED)
    options = vars(parser.parse_args())
    options.pop("run")(**options)


if __name__ == "__main__":
    main()
