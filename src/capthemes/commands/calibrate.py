"""capthemes calibrate."""

import argparse
import sys
from pathlib import Path

from capthemes.commands.terminal import Commands, add_texts, add_trusted, open_console, plain_table


def add(commands: Commands) -> None:
    calibrate = commands.add_parser(
        "calibrate", help="fit a model's guarantees on labelled paragraphs of your own", description=_calibrate.__doc__
    )
    add = calibrate.add_argument
    add("data", metavar="DATA", help="a labelled jsonl file, or an annotated set, that the model was not trained on")
    add("-m", "--model", default=None, help="a bundled model's name or a model's folder (default: fast)")
    add_texts(calibrate)
    add("--document", metavar="COLUMN", help="what a paragraph is from (default: what sample --documents drew by)")
    add("--recall", type=float, default=0.9, help="of which to show where it will hold (default: 0.9)")
    add("-o", "--output", required=True, type=Path, metavar="FOLDER", help="the new model's folder")
    add_trusted(calibrate)
    calibrate.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> None:
    """Save a model with the numbers that predict(texts, recall=0.9) and precision=0.7 rest on, from your labels."""
    from capthemes.model import DEFAULT, check_folder, load
    from capthemes.training import gather

    console = open_console()
    check_folder(options.output)
    model = load(options.model or DEFAULT, trusted=options.trusted)
    data, left_out = gather([options.data], options.texts, model.codebook)
    for line in left_out:
        sys.stderr.write(f"capthemes: {line}\n")
    fitted = model.calibrated(data[options.data], options.output.resolve().name, options.document)
    held_out = fitted.held_out
    bounds = held_out.guarantee(fitted.decision, options.recall, None).bounds if held_out else ()
    fitted.save(options.output)
    table = plain_table()
    for column in ("theme", "language", "documents", "threshold", f"recall {options.recall} holds"):
        table.add_column(column)
    for bound in bounds:
        table.add_row(bound.theme, bound.language, str(bound.documents), f"{bound.threshold:.3f}", bound.holds)
    console.print(table, markup=False)
    console.print(f"saved {options.output}", highlight=False, markup=False, soft_wrap=True)
