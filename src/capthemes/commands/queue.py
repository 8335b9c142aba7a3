"""capthemes queue and capthemes suspects: what to label next, and which labels to read again."""

import argparse
import json
import sys
from pathlib import Path

from capthemes.commands.terminal import Commands, add_texts, check_new, open_console, plain_table

STRATEGIES = ("uncertainty", "diversity", "thin", "mixed", "random")


def add(commands: Commands) -> None:
    queue = commands.add_parser("queue", help="pick what to label next", description=_queue.__doc__)
    add = queue.add_argument
    add("run_", metavar="RUN", help="a corpus labelled into parquet: a file, or a folder of parts")
    add("-n", type=int, default=100, metavar="N", help="how many paragraphs (default: 100)")
    add("--strategy", choices=STRATEGIES, default=STRATEGIES[0], help=f"(default: {STRATEGIES[0]})")
    labelled = "jsonl files that are labelled already: left out, and counted for which themes are thin"
    add("--labelled", nargs="+", default=[], metavar="JSONL", help=labelled)
    add("--codebook", type=Path, help="another codebook than the built-in one")
    add("--seed", type=int, default=0, help="of what is drawn at random (default: 0)")
    add("-o", "--output", required=True, type=Path, metavar="OUT", help="a jsonl file, for capthemes export")
    queue.set_defaults(run=_queue)

    suspects = commands.add_parser("suspects", help="list likely label errors", description=_suspects.__doc__)
    add = suspects.add_argument
    add("data", nargs="+", metavar="DATA", help="labelled jsonl files, or annotated sets as written/train")
    add_texts(suspects)
    add("--codebook", type=Path, help="another codebook than the built-in one")
    add("--family", default="linear", help="of the model that doubts (default: linear)")
    add("-n", type=int, default=50, metavar="N", help="how many at most (default: 50)")
    add("--seed", type=int, default=0, help="of what is drawn at random (default: 0)")
    add("-o", "--output", type=Path, metavar="OUT", help="write them to a jsonl file with their labels")
    suspects.set_defaults(run=_suspects)


def _queue(options: argparse.Namespace) -> None:
    """Pick the paragraphs of a labelled corpus that are most worth labelling next."""
    from capthemes import rounds
    from capthemes.codebook import Codebook
    from capthemes.queue import queue
    from capthemes.runs import open_run

    console, codebook = open_console(), Codebook.load(options.codebook)
    check_new(options.output)
    labelled = rounds.read(options.labelled, codebook)
    run = open_run(options.run_)
    found = queue(run, options.n, strategy=options.strategy, labelled=labelled, seed=options.seed)
    rounds.write(found, options.output)
    themes = {label.theme for record in found for label in record.suggested or ()}
    line = f"wrote {options.output}: {len(found):,} paragraphs, {len(themes)} themes suggested by {run.model}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _suspects(options: argparse.Namespace) -> None:
    """List the paragraphs whose labels are likeliest to be wrong, by a model that has not seen them (cleanlab)."""
    from capthemes.codebook import Codebook
    from capthemes.rounds import label_rows
    from capthemes.store import write_text
    from capthemes.suspects import suspects
    from capthemes.training import gather

    console, codebook = open_console(), Codebook.load(options.codebook)
    if options.output:
        check_new(options.output)
    data, left_out = gather(options.data, options.texts, codebook)
    for line in left_out:
        sys.stderr.write(f"capthemes: {line}\n")
    gold = [paragraph for part in data.values() for paragraph in part]
    found = suspects(gold, codebook, family=options.family, seed=options.seed)
    table = plain_table()
    for column in ("paragraph", "labelled", "in doubt"):
        table.add_column(column, overflow="fold")
    for suspect in found[: options.n]:
        given = ", ".join(label.theme for label in suspect.paragraph.labels or ())
        doubts = ", ".join(f"{theme} {p:.2f}" for theme, p in suspect.doubtful.items())
        table.add_row(suspect.paragraph.id, given or "-", doubts)
    console.print(table, highlight=False, markup=False)
    console.print(f"{len(found):,} of {len(gold):,} paragraphs are suspect", highlight=False)
    if options.output:
        shown = [(suspect.paragraph, suspect.doubtful) for suspect in found[: options.n]]
        rows = [
            {"id": p.id, "text": p.text, **p.meta, "labels": label_rows(p.labels or ()), "doubtful": doubtful}
            for p, doubtful in shown
        ]
        write_text(options.output, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rows))
        console.print(f"wrote {options.output}", highlight=False, markup=False, soft_wrap=True)
