"""capthemes label."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capthemes.commands.terminal import Commands, Progress, add_trust, open_console, plain_table

if TYPE_CHECKING:
    from rich.console import Console

    from capthemes.labelling import Summary

OPENING = 72  # characters of a paragraph shown as its opening


def add(commands: Commands) -> None:
    label = commands.add_parser("label", help="label files or folders and write a table", description=_label.__doc__)
    add = label.add_argument
    formats = ["txt", "md", "jsonl", "csv", "tsv", "parquet"]
    add("inputs", nargs="+", metavar="INPUT", help=f"{', '.join(formats)}; a folder of them; - for standard input")
    add("-o", "--output", required=True, metavar="OUT", help=".parquet or .jsonl (labels nested), .csv (a row a label)")
    add("-m", "--model", default=None, help="a bundled model's name or a model's folder (default: fast)")
    add("--text", default="text", metavar="COLUMN", help="the column that holds the text (default: text)")
    add("--cut", action="store_true", help="cut each row's text into paragraphs (txt and md always are)")
    add("--lang", default="auto", choices=["auto", "en", "zh"], help="what to write as lang (default: found by script)")
    add("--encoding", default="utf-8", help="of text files (default: utf-8), e.g. gb18030")
    add("--format", choices=formats, help="the inputs' format, where the ending does not tell")
    add("--overwrite", action="store_true", help="replace OUT if it exists")
    add_trust(label)
    label.set_defaults(run=_label)


def _label(options: argparse.Namespace) -> None:
    """Label every paragraph of the inputs, write one table, and show what was found."""
    from capthemes.corpus import Source
    from capthemes.labelling import label_corpus
    from capthemes.model import load

    console = open_console()
    model = load(*([] if options.model is None else [options.model]), trusted=options.trust)
    with Progress() as progress:
        summary = label_corpus(
            options.inputs,
            options.output,
            model=model,
            source=Source(options.text, options.encoding, options.cut, options.format),
            lang=options.lang,
            overwrite=options.overwrite,
            progress=progress,
        )
    _print_summary(console, summary, list(model.codebook.stances))
    console.print(f"wrote {options.output} with model {model.id}", highlight=False, markup=False, soft_wrap=True)


def _print_summary(console: "Console", summary: "Summary", stances: Sequence[str]) -> None:
    """The small table at the end of a run."""
    from rich.text import Text

    share = summary.labelled / summary.paragraphs
    console.print(
        f"{summary.paragraphs:,} paragraphs, {summary.labelled:,} with a theme ({share:.0%})", highlight=False
    )
    if not summary.stances:
        return
    table = plain_table()
    table.add_column("theme")
    for column in ("paragraphs", "share", *stances):
        table.add_column(column, justify="right")
    for theme, counts in sorted(summary.stances.items(), key=lambda item: (-item[1].total(), item[0])):
        cells = [str(counts[stance]) if counts[stance] else "." for stance in stances]
        table.add_row(theme, f"{counts.total():,}", f"{counts.total() / summary.paragraphs:.0%}", *cells)
    console.print(table)
    console.print("strongest:")
    for label, paragraph in summary.strongest:
        what = " ".join(filter(None, (label.theme, label.stance, label.voice)))
        opening = " ".join(paragraph.text[: 2 * OPENING].split())[:OPENING]
        line = f"  {label.probability:.2f} {what}: {opening} ({paragraph.id})".encode(console.encoding, "replace")
        shown = "".join(char for char in line.decode(console.encoding) if char.isprintable())
        console.print(Text(shown), soft_wrap=True)
