"""capthemes label."""

import argparse
import csv
import json
import random
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.cells import long_cells
from capthemes.commands.terminal import Commands, Progress, add_trusted, duration, open_console, plain_table
from capthemes.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from capthemes.corpus import Source
    from capthemes.drift import Drift, Profile
    from capthemes.model import Model
    from capthemes.summary import Summary

OPENING = 72  # characters of a paragraph shown as its opening
LOOKED_AT = 1000  # paragraphs that tell whether the text is the model's kind
PASSED = ("lang", "parts", "workers", "rank", "world", "on_error", "resume", "overwrite")


def add(commands: Commands) -> None:
    label = commands.add_parser("label", help="label files or folders and write a table", description=_label.__doc__)
    add = label.add_argument
    formats = ["txt", "md", "jsonl", "csv", "tsv", "parquet"]
    add("inputs", nargs="+", metavar="INPUT", help=f"{', '.join(formats)}; a folder of them; - for standard input")
    add(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="one file: .parquet or .jsonl (labels nested), .csv (a row a label); no ending: a folder of parts",
    )
    add("-m", "--model", default=None, help="a bundled model's name or a model's folder (default: fast)")
    add("--text", default="text", metavar="COLUMN", help="the column that holds the text (default: text)")
    add("--cut", action="store_true", help="cut each row's text into paragraphs (txt and md always are)")
    add("--lang", default="auto", choices=["auto", "en", "zh"], help="what to write as lang (default: found by script)")
    add("--encoding", default="utf-8", help="of text files (default: utf-8), e.g. gb18030")
    add("--format", choices=formats, help="of files and standard input, where the ending does not tell")
    add(
        "--parts",
        default="parquet",
        choices=["parquet", "jsonl"],
        help="what a folder's parts are (default: parquet, one dataset as it stands)",
    )
    add("--workers", type=int, default=1, metavar="N", help="processes that label side by side (default: 1)")
    add("--rank", type=int, default=0, metavar="R", help="label only every W-th shard, from the R-th on (from 0)")
    add("--world", type=int, default=1, metavar="W", help="how many ranks share the run, as tasks of a Slurm job do")
    add("--on-error", default="stop", choices=["stop", "skip"], help="skip: broken rows go to OUT.rejects.jsonl")
    add("--resume", action="store_true", help="go on with the run in OUT, as is done anyway; refuse if there is none")
    add("--overwrite", action="store_true", help="replace OUT if it exists, or a run of something else")
    add("--dry-run", action="store_true", help="show the plan, the columns and the time it will take; write nothing")
    add_trusted(label)
    label.set_defaults(run=_label)


def _label(options: argparse.Namespace) -> None:
    """Label every paragraph of the inputs, write one table or a folder of parts, and show what was found.

    What was broken off goes on where it stood when the same command is given again.
    """
    from capthemes.batches import loaded
    from capthemes.corpus import Source
    from capthemes.labelling import label_corpus
    from capthemes.model import DEFAULT, load

    console = open_console()
    source = Source(options.text, options.encoding, options.cut, options.format)
    if options.trusted and options.workers > 1:
        raise InputError("--trusted is for one process: leave --workers out")
    name = options.model or DEFAULT
    model = load(name, trusted=options.trusted) if options.trusted else loaded(name)
    if options.dry_run:
        _print_plan(console, options, model, source)
        return
    with Progress() as progress:
        summary = label_corpus(
            options.inputs,
            options.output,
            model=model if options.trusted else options.model,
            source=source,
            progress=progress,
            **{name: getattr(options, name) for name in PASSED},
        )
    _print_summary(console, summary, list(model.codebook.stances))
    for file, count in sorted(summary.rejected.items()):
        _say(console, f"rejected {count:,} of {file}, with the reasons in {options.output}.rejects.jsonl")
    if summary.rejected:
        _say(console, "(a file, or a shard of one, that cannot be read at all counts once)")
    _print_end(console, options, model, summary)


def _say(console: "Console", line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_end(console: "Console", options: argparse.Namespace, model: "Model", summary: "Summary") -> None:
    """What was written and what kind of text it is, or, of a rank that is done before the others, what stands."""
    from capthemes.labelling import Target
    from capthemes.runs import BEGUN

    run = Target.of(Path(options.output), options.parts).run
    about = run.about()
    if about.get("state") == BEGUN:
        standing = f"{run.done(about['shards'])} of {about['shards']} parts stand"
        _say(console, f"rank {options.rank} of {options.world} is done: {standing} in {run.path}")
    else:
        _say(console, f"wrote {options.output} with model {model.id}")
        if model.profile is not None and summary.paragraphs:
            drift = _drift(Path(options.output), model.profile)
            _say(console, drift.warning or str(drift))


def _drift(output: Path, profile: "Profile") -> "Drift":
    """How far what was labelled is from the model's kind of text, by paragraphs of the output drawn at random."""
    from capthemes.drift import PARTS, of_run
    from capthemes.runs import open_run

    if output.suffix.lower() == ".parquet" or any(output.glob("part-*.parquet")):
        return of_run(open_run(output), profile, most=LOOKED_AT)
    parts = sorted(output.glob("part-*.jsonl")) if output.is_dir() else [output]
    texts = (text for part in parts[:: -(-len(parts) // PARTS)] for text in _texts(part) if text)
    draw = random.Random(0)
    kept = nsmallest(LOOKED_AT, ((draw.random(), text) for text in texts), key=itemgetter(0))
    return profile.compare([text for _, text in kept])


def _texts(path: Path) -> Iterator[str]:
    """The texts of a jsonl or csv output, one for each paragraph."""
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            long_cells()
            for _, rows in groupby(csv.DictReader(file), key=itemgetter("id")):
                yield next(rows)["text"]
        else:
            yield from (json.loads(line)["text"] for line in file)


def _print_plan(console: "Console", options: argparse.Namespace, model: "Model", source: "Source") -> None:
    """What a run would do."""
    from capthemes.labelling import Target
    from capthemes.planning import plan_corpus
    from capthemes.reading import halt
    from capthemes.workers import Rejects
    from capthemes.writing import written

    target = Target.of(Path(options.output), options.parts)
    target.check(options.resume, options.overwrite)
    rejects = Rejects()
    skip = options.on_error == "skip"
    plan = plan_corpus(options.inputs, model, source, lang=options.lang, reject=rejects.take if skip else halt)
    _say(console, f"{plan.files:,} files of {plan.bytes:,} bytes, in {plan.shards:,} shards")
    _say(console, f"to {options.output} with model {model.id}; nothing was written")
    share = min(options.workers * options.world, plan.shards)
    _say(
        console,
        f"about {plan.paragraphs:,} paragraphs in {duration(plan.seconds / share)} by {share} worker(s) "
        f"(from a sample of {plan.sampled:,})",
    )
    for line in rejects.lines:
        _say(console, f"rejected: {line['reason']}")
    table = plain_table()
    table.add_column("column")
    table.add_column("type")
    for name, kind in written(plan.columns, target.form or target.run.parts).items():
        table.add_row(name, kind)
    console.print(table)


def _print_summary(console: "Console", summary: "Summary", stances: Sequence[str]) -> None:
    """The small table at the end of a run."""
    from rich.text import Text

    share = summary.labelled / max(summary.paragraphs, 1)
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
