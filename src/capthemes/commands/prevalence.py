"""capthemes prevalence."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.commands.terminal import Commands, check_new, open_console, plain_table, say_unread

if TYPE_CHECKING:
    from rich.table import Table

    from capthemes.prevalence import Estimate, Prevalence
    from capthemes.runs import Run

WIDE = 120  # characters of the table, whatever the terminal has: names and intervals stay whole
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
    of = "what a paragraph is from (default: what the sample was drawn by, else document)"
    add("--document", metavar="COLUMN", help=of)
    add("--measure", choices=MEASURES, default="paragraphs", help="what to show (default: paragraphs)")
    add("--codebook", type=Path, help="the run's codebook, where it is not the built-in one")
    add("-o", "--output", type=Path, metavar="CSV", help="write all estimates of all measures")
    prevalence.set_defaults(run=_prevalence)


def _prevalence(options: argparse.Namespace) -> None:
    """Shares as counted, adjusted by the model's errors, and prediction-powered by a hand-labelled sample.

    Intervals are of 95% and hold for the corpus as it stands; without a sample there are none. The powered one is of
    kind ppi where predictions have a part in it, else of kind wilson, of the hand labels alone: then it says about how
    many more labels change that, ? where that cannot be told yet. Of a balance it does not say so.
    """
    from capthemes.codebook import Codebook
    from capthemes.prevalence import estimate
    from capthemes.runs import open_run
    from capthemes.sampling import document_column, each_alone, read_sample

    if options.output:
        check_new(options.output)
    console, run = open_console(), open_run(options.run_path)
    book = Codebook.load(options.codebook)
    sample, unread = read_sample(options.sample, book) if options.sample else ([], 0)
    say_unread(unread)
    found = estimate(run, by=options.by, sample=sample, document=options.document, rates=_rates(run))
    console.width = max(console.width, WIDE)
    console.print(_table(found, options.measure), markup=False)
    for note in dict.fromkeys(e.note for e in found.estimates if e.measure == options.measure and e.group is None):
        if note and not note.startswith("of hand labels"):
            console.print(note, highlight=False, markup=False)
    if alone := each_alone(run, document_column(sample, options.document) or "document"):
        console.print(alone, highlight=False, markup=False, soft_wrap=True)
    if options.output:
        _write(found, options.output)
        console.print(f"wrote {options.output}", highlight=False, markup=False, soft_wrap=True)


def _write(found: "Prevalence", path: Path) -> None:
    """Every estimate as csv, safe to open in a spreadsheet."""
    from dataclasses import astuple, fields

    from capthemes import cells
    from capthemes.prevalence import Estimate

    cells.write(path, [field.name for field in fields(Estimate)], map(astuple, found.estimates))


def _table(found: "Prevalence", measure: str) -> "Table":
    """A row for each share, its three ways side by side; with a sample, the kind of the last and what it lacks."""
    from capthemes.prevalence import WAYS, Estimate

    table, valued = plain_table(), measure in ("stance", "voice")
    for column in ("theme", *(["value"] if valued else []), *([found.by] if found.by else [])):
        table.add_column(column)
    for column in (*WAYS, *(["kind", "more labels"] if found.labelled else [])):
        table.add_column(column, justify="right", no_wrap=True)
    shares: dict[tuple[str, str, str | None], dict[str, Estimate]] = {}
    for one in found.estimates:
        if one.measure == measure:
            shares.setdefault((one.theme, one.value, one.group), {})[one.way] = one
    for (theme, value, group), ways in shares.items():
        names = [theme, *([value] if valued else []), *([group or "all"] if found.by else [])]
        lacks = _lacks(ways.get("powered")) if found.labelled else []
        table.add_row(*names, *(_cell(ways.get(way)) for way in WAYS), *lacks)
    return table


def _lacks(powered: "Estimate | None") -> list[str]:
    """The kind of an interval, and how many more labels it takes until predictions have a part in it."""
    if powered is None or not powered.kind:
        return ["-", "-"]
    if powered.kind == "ppi" or not powered.note:
        return [powered.kind, "-"]
    return [powered.kind, "?" if powered.needed is None else f"{powered.needed:,}"]


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
