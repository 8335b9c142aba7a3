"""capthemes agreement and capthemes adjudicate: where annotators differ, and one set of labels from all of them."""

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.commands.terminal import Commands, check_new, open_console, plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from capthemes.agreement import Agreement, Difference

MOST = 20  # rows of a table of differences


def add(commands: Commands) -> None:
    agreement = commands.add_parser("agreement", help="how far annotators agree", description=_agreement.__doc__)
    files = "labelled jsonl files; a row without annotator is its file's"
    agreement.add_argument("files", nargs="+", metavar="FILE", help=files)
    agreement.add_argument("--codebook", type=Path, help="another codebook than the built-in one")
    agreement.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    agreement.set_defaults(run=_agreement)

    adjudicate = commands.add_parser(
        "adjudicate", help="write disagreements out, read decisions back", description=_adjudicate.__doc__
    )
    add = adjudicate.add_argument
    add("files", nargs="+", metavar="FILE", help=files)
    add(
        "--decisions", type=Path, metavar="FILE", help="the disputes that were written before, with decisions filled in"
    )
    out = "the disputes (.csv or .jsonl), or with --decisions the labelled jsonl"
    add("-o", "--output", required=True, type=Path, metavar="OUT", help=out)
    add("--codebook", type=Path, help="another codebook than the built-in one")
    adjudicate.set_defaults(run=_adjudicate)


def _agreement(options: argparse.Namespace) -> None:
    """Krippendorff's alpha by theme, stance and voice with 95% intervals over documents, and who differs on what."""
    from capthemes import rounds
    from capthemes.agreement import agreement, differences
    from capthemes.codebook import Codebook
    from capthemes.records import Paragraph, unit

    console, codebook = open_console(), Codebook.load(options.codebook)
    records = rounds.read(options.files, codebook)
    annotators, readings = rounds.by_annotator(records), rounds.readings(records)
    documents = {record.id: unit(Paragraph(record.id, record.text, None, record.meta)) for record in records}
    found = agreement(list(annotators.values()), codebook, documents, options.seed, list(readings.values()))
    console.print(
        f"{found.paragraphs:,} paragraphs read by at least two of {len(annotators)} annotators", highlight=False
    )
    given = rounds.theme_counts(record for record in records if len(record.annotators) > 1)
    for table in (_alphas(found, given), *_differences(list(differences(annotators, readings)))):
        console.print(table, highlight=False)


def _adjudicate(options: argparse.Namespace) -> None:
    """Write what annotators dispute, with the rules that name the themes; or read the decisions back into one set."""
    from capthemes import adjudication, rounds
    from capthemes.codebook import Codebook

    console, codebook = open_console(), Codebook.load(options.codebook)
    check_new(options.output)
    records = rounds.read(options.files, codebook)
    if options.decisions is None:
        disputes = adjudication.disputes(records, codebook)
        adjudication.write(disputes, options.output)
        disputed = len({dispute.id for dispute in disputes})
        line = f"wrote {options.output}: {len(disputes):,} disputes in {disputed:,} of {len(records):,} paragraphs; "
        line += f"fill in 'decision' with a label or '{rounds.NO_THEME}', and give it to --decisions"
    else:
        settled = adjudication.settle(records, adjudication.read_decisions(options.decisions, codebook), codebook)
        rounds.write(settled.records, options.output)
        line = f"wrote {options.output}: {len(settled.records):,} paragraphs"
        if settled.undecided:
            line += f"; left out {len(settled.undecided):,} that are not decided yet ({settled.undecided[0]} ...)"
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _alphas(found: "Agreement", given: Mapping[str, int]) -> "Table":
    """Alpha by theme, with how many paragraphs were given it; "-" where there is nothing to agree on."""
    table = plain_table()
    for column in ("theme", "paragraphs", "alpha"):
        table.add_column(column, justify="left" if column == "theme" else "right")
    for name, score in found.themes.items():
        table.add_row(name, f"{given[name]:,}", str(score) if given[name] and not math.isnan(score.value) else "-")
    table.add_section()
    for name, score in (("all themes", found.theme), ("stance", found.stance), ("voice", found.voice)):
        table.add_row(name, "", "-" if math.isnan(score.value) else str(score))
    return table


def _differences(found: "Sequence[Difference]") -> "Iterator[Table]":
    """How often each two annotators differ, and on what most."""
    if not found:
        return
    parts = ("theme", "stance", "voice")
    pairs = Counter((x.one, x.other, x.part) for x in found)
    table = plain_table()
    table.add_column("who differs from whom", overflow="fold")
    for part in parts:
        table.add_column(part, justify="right")
    who = sorted({(x.one, x.other) for x in found}, key=lambda pair: -sum(pairs[*pair, part] for part in parts))
    for one, other in who[:MOST]:
        table.add_row(f"{one}, {other}", *(f"{pairs[one, other, part]:,}" for part in parts))
    yield table
    table = plain_table()
    for column in ("on what", "one", "other", "times"):
        table.add_column(column, justify="right" if column == "times" else "left", overflow="fold")
    answers = Counter((x.part, f"{x.one}: {x.given}", f"{x.other}: {x.instead}") for x in found)
    for (part, given, instead), times in answers.most_common(MOST):
        table.add_row(part, given, instead, f"{times:,}")
    yield table
