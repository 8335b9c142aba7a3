"""capthemes report."""

import argparse
from pathlib import Path

from capthemes.commands.terminal import Commands, add_trusted, open_console, say_unread


def add(commands: Commands) -> None:
    report = commands.add_parser("report", help="write a page on a labelled run", description=_report.__doc__)
    add = report.add_argument
    add("input", metavar="RUN", help="a run's folder, or a labelled .parquet file")
    add("-o", "--output", required=True, type=Path, metavar="OUT", help="the page, .html")
    by = "columns to break shares down by: years or dates become trends, any other a table"
    add("--by", nargs="+", default=[], metavar="COLUMN", help=by)
    document = "whose values are drawn together in intervals (default: what the sample was drawn by, else document)"
    add("--document", metavar="COLUMN", help=document)
    add("-m", "--model", default=None, help="the model that labelled the run, where it is not a bundled one")
    sample = "the sample of capthemes sample, labelled by hand: estimates beside the counted shares"
    add("--sample", type=Path, metavar="JSONL", help=sample)
    add("--codebook", type=Path, help="the sample's codebook (default: the model's, else the built-in one)")
    add("--title", help="the page's heading (default: the run's name)")
    add("--overwrite", action="store_true", help="replace OUT if it exists")
    add_trusted(report)
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    """Write one page of HTML on what a run found: shares, trends, stances, voices, the clearest paragraphs, methods."""
    from capthemes.codebook import Codebook
    from capthemes.model import load
    from capthemes.report.page import write_report
    from capthemes.sampling import read_sample

    console = open_console()
    model = load(options.model, trusted=options.trusted) if options.model else None
    book = model.codebook if model is not None and options.codebook is None else Codebook.load(options.codebook)
    sample, unread = read_sample(options.sample, book) if options.sample else ([], 0)
    say_unread(unread)
    lacks = write_report(
        options.input,
        options.output,
        by=options.by,
        document=options.document,
        model=model,
        sample=sample,
        title=options.title,
        overwrite=options.overwrite,
    )
    for line in [*lacks, f"wrote {options.output}"]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
