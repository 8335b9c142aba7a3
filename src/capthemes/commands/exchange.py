"""capthemes export and capthemes import: to annotation tools and back."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.commands.terminal import Commands, check_new, open_console

if TYPE_CHECKING:
    from capthemes.codebook import Codebook
    from capthemes.rounds import Record

FORMATS = ("labelstudio", "doccano", "argilla", "csv")


def add(commands: Commands) -> None:
    out = commands.add_parser("export", help="write paragraphs for an annotation tool", description=_export.__doc__)
    add = out.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="labelled or queued jsonl files, or a run (parquet)")
    add("-f", "--format", required=True, choices=FORMATS)
    add("-o", "--output", required=True, type=Path, metavar="OUT", help="the tool's file")
    add("--setup", type=Path, metavar="FOLDER", help="write what sets up the tool's project there")
    add("--codebook", type=Path, help="another codebook than the built-in one")
    out.set_defaults(run=_export)

    back = commands.add_parser("import", help="read what an annotation tool exported", description=_import.__doc__)
    add = back.add_argument
    add("inputs", nargs="+", metavar="FILE", help="what the tool exported; where it names nobody, the file names whom")
    add("-f", "--format", required=True, choices=FORMATS)
    add("-o", "--output", required=True, type=Path, metavar="OUT", help="a jsonl file, a row for each annotator")
    add("--codebook", type=Path, help="another codebook than the built-in one")
    back.set_defaults(run=_import)


def _export(options: argparse.Namespace) -> None:
    """Write paragraphs for an annotation tool, what a model says of them as suggestions."""
    from capthemes import formats
    from capthemes.codebook import Codebook

    console, codebook = open_console(), Codebook.load(options.codebook)
    check_new(options.output)
    records = _read(options.inputs, codebook)
    formats.write(records, options.output, options.format, codebook)
    console.print(f"wrote {options.output}: {_told(records)}", highlight=False, markup=False, soft_wrap=True)
    if options.setup:
        for path in formats.write_setup(options.setup, options.format, codebook):
            console.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)


def _import(options: argparse.Namespace) -> None:
    """Read what an annotation tool exported and write labelled jsonl, a row for each annotator of a paragraph."""
    from capthemes import formats, rounds
    from capthemes.codebook import Codebook

    console, codebook = open_console(), Codebook.load(options.codebook)
    check_new(options.output)
    records = formats.read(options.inputs, options.format, codebook)
    rounds.write([record for record in records if record.annotators], options.output)
    console.print(f"wrote {options.output}: {_told(records)}", highlight=False, markup=False, soft_wrap=True)
    if unread := sum(1 for record in records if not record.annotators):
        console.print(f"left out {unread} that nobody has read", highlight=False)


def _read(inputs: Sequence[str], codebook: "Codebook") -> "list[Record]":
    """The records of jsonl files and runs. Raises InputError for a run whose themes are not the codebook's."""
    from capthemes import rounds
    from capthemes.errors import InputError
    from capthemes.queue import everything
    from capthemes.runs import open_run

    found = rounds.read([path for path in inputs if Path(path).suffix == ".jsonl"], codebook)
    for path in inputs:
        if Path(path).suffix == ".jsonl":
            continue
        run = open_run(path)
        if other := [theme for theme in run.themes if theme not in codebook.names]:
            raise InputError(
                f"{path}: the codebook has no theme {other[0]!r}; give the codebook of {run.model} (--codebook)"
            )
        found += everything(run)
    return rounds.merge(found)


def _told(records: "Sequence[Record]") -> str:
    names = {name for record in records for name in record.annotators}
    suggested = sum(1 for record in records if record.suggested is not None)
    return f"{len(records):,} paragraphs, {len(names)} annotators, {suggested:,} with a suggestion"
