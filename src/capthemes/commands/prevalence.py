"""capthemes prevalence."""

import argparse
import sys
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.commands.terminal import Commands, open_console, plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from capthemes.prevalence import Estimate, Prevalence
    from capthemes.runs import Run

MEASURES = ("paragraphs", "documents", "stance", "voice", "balance")


def add(commands: Commands) -> None:
    prevalence = commands.add_parser(
        "prevalence", help="shares of themes, stances and voices, with intervals", description=_prevalence.__doc__
    )
    add = prevalence.add_argument
    add("run_path", metavar="RUN", help="a run's folder, or the parquet file that capthemes label wrote")
    add("--by", metavar="COLUMN", help="shares in each group of a column as well, as year or lang")
    add(
        "--sample",
        type=Path,
        metavar="JSONL",
        help="the sample of capthemes sample, labelled by hand, in part at least",
    )
    add("--document", default="document", metavar="COLUMN", help="what a paragraph is from (default: document)")
    add("--measure", choices=MEASURES, default="paragraphs", help="what to show (default: paragraphs)")
    add("--codebook", type=Path, help="the run's codebook, where it is not the built-in one")
    add("-o", "--output", type=Path, metavar="CSV", help="write all estimates of all measures")
    prevalence.set_defaults(run=_prevalence)


def _prevalence(options: argparse.Namespace) -> None:
    """Shares as counted, adjusted by the model's errors, and prediction-powered by a hand-labelled sample.

    Intervals are of 95% and hold for the corpus as it stands; without a sample there are none.
    """
    from capthemes import cells
    from capthemes.prevalence import Estimate, estimate
    from capthemes.runs import open_run
    from capthemes.sampling import read_sample

    console, run = open_console(), open_run(options.run_path)
    sample, unread = read_sample(options.sample, options.codebook) if options.sample else ([], 0)
    if unread:
        sys.stderr.write(f"capthemes: {unread} of the sample's paragraphs are not labelled yet: left out\n")
    found = estimate(run, by=options.by, sample=sample, document=options.document, rates=_rates(run))
    console.print(_table(found, options.measure), markup=False)
    for note in dict.fromkeys(e.note for e in found.estimates if e.measure == options.measure and e.group is None):
        if note and not note.startswith("of hand labels"):
            console.print(note, highlight=False, markup=False)
    if options.output:
        header = [field.name for field in fields(Estimate)]
        cells.write(options.output, header, map(astuple, found.estimates))
        console.print(f"wrote {options.output}", highlight=False, markup=False, soft_wrap=True)


def _table(found: "Prevalence", measure: str) -> "Table":
    """A row for each share, its three ways side by side."""
    from capthemes.prevalence import WAYS

    table = plain_table()
    valued = measure in ("stance", "voice")
    for column in ("theme", *(["value"] if valued else []), *([found.by] if found.by else [])):
        table.add_column(column)
    for way in WAYS:
        table.add_column(way, justify="right", no_wrap=True)
    for one in found.estimates:
        if one.measure == measure and one.way == "counted":
            ways = {e.way: e for e in found.of(one.theme, measure, one.value, one.group)}
            names = [one.theme, *([one.value] if valued else []), *([one.group or "all"] if found.by else [])]
            table.add_row(*names, *(_cell(ways.get(way)) for way in WAYS))
    return table


def _cell(estimate: "Estimate | None") -> str:
    if estimate is None or estimate.share is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.share:.1%}"
    return f"{estimate.share:.1%} [{estimate.low:.1%}, {estimate.high:.1%}]"


def _rates(run: "Run") -> dict[str, tuple[float, float]] | None:
    """The error rates of the run's model on its held-out paragraphs, where it is at hand and the same."""
    from capthemes.errors import ModelError
    from capthemes.model import load

    try:
        model = load(run.model.split("@")[0])
    except ModelError:
        return None
    return model.held_out.rates(model.decision) if model.held_out is not None and model.id == run.model else None
