"""capthemes sample."""

import argparse
import json
from pathlib import Path
from typing import Any

from capthemes.commands.terminal import Commands, open_console, plain_table


def add(commands: Commands) -> None:
    sample = commands.add_parser("sample", help="draw a sample of a run to label by hand", description=_sample.__doc__)
    add = sample.add_argument
    add("run_path", metavar="RUN", help="a run's folder, or the parquet file that capthemes label wrote")
    add("-n", type=int, default=300, help="how many paragraphs (default: 300)")
    add("-o", "--output", type=Path, metavar="JSONL", help="the file to label: one object a paragraph, labels null")
    add("--theme", help="draw by the probability of this theme, for shares of a rare one")
    add("--documents", action="store_true", help="draw whole documents, for shares of documents and for calibrate")
    add("--document", metavar="COLUMN", help="with --documents: what a paragraph is from (default: document)")
    add("--seed", type=int, default=0, help="of what is drawn at random (default: 0)")
    add("--power", type=float, metavar="WIDTH", help="say how many labels an interval of this width takes, as 0.04")
    sample.set_defaults(run=_sample)


def _sample(options: argparse.Namespace) -> None:
    """Draw paragraphs to label by hand, by strata of predicted probability and in random order, with their weights."""
    from capthemes.errors import InputError
    from capthemes.runs import open_run
    from capthemes.sampling import draw, each_alone, power
    from capthemes.store import write_text

    console, run = open_console(), open_run(options.run_path)
    document = options.document or "document"
    if options.power is not None:
        table = plain_table()
        for column in ("theme", "share", "labels", "by hand alone", "with predictions"):
            table.add_column(column, justify="left" if column == "theme" else "right")
        for one in power(run, options.power):
            powered = "-" if one.powered is None else f"{one.powered:,}"
            table.add_row(one.theme, f"{one.share:.1%}", f"{one.labels:,}", f"{one.by_hand:,}", powered)
        console.print(table, markup=False)
        console.print(
            "labels of a simple random sample, if the model's probabilities are right; whole documents take more",
            highlight=False,
        )
    elif options.output is None:
        raise InputError("no file to write the sample into; name one with -o sample.jsonl, or ask --power WIDTH")
    elif options.output.exists():
        raise InputError(f"{options.output} exists and may hold labels; choose another name")
    if options.document and not options.documents:
        raise InputError("--document says what whole documents are drawn by; add --documents, or leave it out here")
    if options.output is not None:
        rows = draw(
            run,
            options.n,
            theme=options.theme,
            documents=document if options.documents else None,
            seed=options.seed,
        )
        write_text(options.output, "".join(json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows))
        console.print(f"wrote {options.output}, {len(rows):,} paragraphs to label", highlight=False, soft_wrap=True)
        if options.documents and (alone := each_alone(run, document)):
            console.print(alone, highlight=False, markup=False, soft_wrap=True)


def _plain(value: Any) -> str:
    """Dates and the like, as a run's own columns may hold them."""
    return str(value)
