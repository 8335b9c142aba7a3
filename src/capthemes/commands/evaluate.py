"""capthemes evaluate."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.commands.terminal import Commands, add_trust, data_name, open_console, plain_table

if TYPE_CHECKING:
    from rich.table import Table


def add(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="score models on labelled paragraphs", description=_evaluate.__doc__
    )
    add = evaluate.add_argument
    add("data", metavar="DATA", help="a labelled jsonl file, or an annotated set as written/test")
    add("--model", action="append", default=[], help="a bundled model or a model's folder; may be given again")
    add("--texts", type=Path, nargs="+", default=[], metavar="JSONL", help="the texts of a set by reference")
    add("--seed", type=int, default=0, help="of the bootstrap")
    add_trust(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    """Score models on labelled paragraphs: overall, by language and by theme, with 95% intervals over documents."""
    from capthemes.errors import ModelError
    from capthemes.evaluation import scores
    from capthemes.model import DEFAULT, load
    from capthemes.training import gather

    console = open_console()
    models = [load(name, trusted=options.trust) for name in options.model or [DEFAULT]]
    for model in models[1:]:
        if model.codebook != models[0].codebook:
            raise ModelError(f"{models[0].id} and {model.id} have different codebooks; evaluate them one by one")
    data, left_out = gather([options.data], options.texts, models[0].codebook)
    for line in left_out:
        sys.stderr.write(f"capthemes: {line}\n")
    name = data_name(options.data)
    signatures = []
    for model in models:
        entries = scores(model, data[options.data], name, options.seed)
        for table in _score_tables(model.id, entries):
            console.print(table, highlight=False)
        signatures += [entry["signature"] for entry in entries]
    for signature in signatures:
        console.print(signature, highlight=False, markup=False, soft_wrap=True)


def _score_tables(model: str, entries: Sequence[Mapping[str, Any]]) -> Iterator["Table"]:
    """A model's scores, a column for each language, and by theme on all paragraphs."""
    from capthemes.card import OVERALL, interval

    overall = plain_table()
    overall.add_column(model)
    for entry in entries:
        data = entry["data"].removeprefix(f"{entries[0]['data']}, ")
        overall.add_column(f"{data}\n{entry['paragraphs']} paragraphs", overflow="fold")
    for part, title in OVERALL.items():
        overall.add_row(title, *(interval(entry[part]) for entry in entries))
    overall.add_row("ECE", *(f"{entry['ece']:.2f}" for entry in entries), end_section=True)
    yield overall
    themes = plain_table()
    for column in ("theme", "gold", "precision", "recall", "F1", "AP", "ECE"):
        themes.add_column(column, justify="left" if column == "theme" else "right", no_wrap=True)
    for theme, s in entries[0]["themes"].items():
        parts = [f"{s[part]:.2f}" for part in ("precision", "recall", "average_precision", "ece")]
        themes.add_row(theme, str(s["support"]), *parts[:2], interval(s["f1"]), *parts[2:])
    yield themes
