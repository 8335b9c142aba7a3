"""capthemes evaluate."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.commands.terminal import ANSWERERS, Commands, add_data, open_console, plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from capthemes.metrics import Evaluation, Score
    from capthemes.scoring import Report

WIDE = 130  # columns of a terminal that hold the table of themes with all its intervals
TITLES = {
    "micro_f1": "theme micro-F1",
    "macro_f1": "theme macro-F1",
    "average_precision": "mean average precision",
    "exact": "exact set of themes",
    "theme_stance_f1": "theme and stance, F1",
    "theme_voice_f1": "theme and voice, F1",
    "stance_macro_f1": "stance given theme, macro-F1",
    "stance_accuracy": "stance given theme, accuracy",
    "voice_macro_f1": "voice given theme, macro-F1",
    "ece": "ECE",
    "brier": "Brier",
}


def add(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="score models on labelled paragraphs",
        description=_evaluate.__doc__,
        usage="%(prog)s [MODEL ...] DATA [options]",
    )
    add = evaluate.add_argument
    add("models", metavar="MODEL", nargs="*", help=f"{ANSWERERS}; the default model where none is named")
    add("--model", action="append", default=[], help="one more MODEL; may be given again")
    add("-o", "--output", type=Path, metavar="JSON", help="also write all scores with their signatures")
    add("--plots", type=Path, metavar="FOLDER", help="also draw pictures: F1 by theme, calibration, stances")
    add("--plot-labels", choices=["en", "zh"], default="en", help="the themes' names in pictures (default: en)")
    add_data(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    """Score models on labelled paragraphs: overall, by theme, language, register, translation, year and length, and
    among the annotators, with 95% intervals over documents."""
    from dataclasses import asdict

    from capthemes.answers import answerer
    from capthemes.codebook import Codebook
    from capthemes.model import DEFAULT
    from capthemes.scoring import annotators_of, check_codebooks, gold_of, report
    from capthemes.store import data_name, write_text

    console, book = open_console(), Codebook.load(options.codebook)
    named = [*options.models, *options.model] or [DEFAULT]
    asked = [answerer(name, book, trusted=options.trusted) for name in named]
    check_codebooks(asked)
    gold, left_out = gold_of(options.data, options.texts, asked[0].codebook)
    for line in left_out:
        sys.stderr.write(f"capthemes: {line}\n")
    by_annotator = annotators_of(options.data, asked[0].codebook)
    reports = [report(who, gold, data_name(options.data), options.seed, by_annotator, left_out) for who in asked]
    for found in reports:
        for table in _tables(found, console.width):
            console.print(table, highlight=False)
            console.print()
    for found in reports:
        console.print(str(found.slices["all"].signature), highlight=False, markup=False, soft_wrap=True)
    if options.output:
        rows = [asdict(found) for found in reports]
        write_text(options.output, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    if options.plots:
        from capthemes.plots import draw

        for path in draw(
            {r.name: r.evaluation for r in reports}, options.plots, asked[0].codebook, options.plot_labels
        ):
            console.print(f"drew {path}", highlight=False, markup=False, soft_wrap=True)


def _tables(report: "Report", width: int) -> Iterator["Table"]:
    yield _overall(report)
    yield _by_theme(report.evaluation, width)
    if len(report.slices) > 1 or report.small_slices:
        yield _by_slice(report)
    if report.standing:
        yield _standing(report)


def _overall(report: "Report") -> "Table":
    """All scores; those that nothing tells are left out."""
    found = report.evaluation
    table = plain_table()
    table.add_column(report.name, overflow="fold")
    table.add_column(f"{report.data}, {found.paragraphs:,} paragraphs", overflow="fold")
    for part, title in TITLES.items():
        if getattr(found, part) is not None:
            table.add_row(title, str(getattr(found, part)))
    return table


def _by_theme(found: "Evaluation", width: int) -> "Table":
    """All scores with intervals where the console is so wide, else those of F1 alone."""
    table = _columns("theme", "gold", "precision", "recall", "F1", "AP", "ECE")
    shown = _shown if width >= WIDE else _value
    for theme, s in found.themes.items():
        values = [shown(s.precision), shown(s.recall), str(s.f1), shown(s.average_precision), shown(s.ece)]
        table.add_row(theme, str(s.support), *values)
    if width < WIDE:
        table.caption = f"all with intervals on a terminal of {WIDE} columns, and in -o"
        table.caption_justify = "left"
    return table


def _by_slice(report: "Report") -> "Table":
    from capthemes.slices import LEAST

    table = _columns("slice", "paragraphs", "theme micro-F1", "theme and stance, F1")
    for name, scored in report.slices.items():
        end_to_end = scored.evaluation.theme_stance_f1
        table.add_row(name, f"{scored.evaluation.paragraphs:,}", str(scored.evaluation.micro_f1), _shown(end_to_end))
    if report.small_slices:
        table.add_row(f"{report.small_slices} slice{'s' * (report.small_slices > 1)} below {LEAST} left out")
    return table


def _standing(report: "Report") -> "Table":
    """Raters in rows, best first, annotators in columns."""
    annotators = sorted({other for against in report.standing.values() for other in against})
    table = _columns("themes, micro-F1 against", *annotators)
    means = {rater: sum(s.value for s in got.values()) / len(got) for rater, got in report.standing.items()}
    for rater in sorted(means, key=lambda rater: -means[rater]):
        table.add_row(rater, *(_shown(report.standing[rater].get(other)) for other in annotators))
    return table


def _columns(first: str, *others: str) -> "Table":
    table = plain_table()
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _shown(score: "Score | None") -> str:
    return "-" if score is None else str(score)


def _value(score: "Score | None") -> str:
    return "-" if score is None else f"{score.value:.2f}"
