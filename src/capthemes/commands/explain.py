"""capthemes explain."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.commands.terminal import Commands, add_trusted, open_console

if TYPE_CHECKING:
    from rich.console import Console

    from capthemes.model import Model
    from capthemes.records import Label, Paragraph

COLOURS = ("yellow", "cyan", "magenta", "green", "blue", "red")


def add(commands: Commands) -> None:
    explain = commands.add_parser("explain", help="show what speaks for each label", description=_explain.__doc__)
    add = explain.add_argument
    add("input", metavar="TEXT|FILE", help="a paragraph in quotes, a file or folder as label reads them, or -")
    add("-m", "--model", default=None, help="a bundled model's name or a model's folder (default: fast)")
    add("--text", default="text", metavar="COLUMN", help="the column that holds the text (default: text)")
    add("--html", type=Path, metavar="OUT", help="write a page of HTML in place of the terminal")
    add("--overwrite", action="store_true", help="replace OUT if it exists")
    add_trusted(explain)
    explain.set_defaults(run=_explain)


def _explain(options: argparse.Namespace) -> None:
    """Show the labels of each paragraph with the words that speak for them, and their weights in log-odds."""
    from capthemes.errors import InputError
    from capthemes.model import DEFAULT, load

    console = open_console()
    if options.html is not None and (options.html.is_dir() or (options.html.exists() and not options.overwrite)):
        raise InputError(f"{options.html} exists; choose another name or overwrite it (--overwrite)")
    paragraphs = _paragraphs(options.input, options.text)
    model = load(options.model or DEFAULT, trusted=options.trusted)
    if options.html is not None:
        _write_page(options.html, model, paragraphs)
        console.print(f"wrote {options.html} with model {model.id}", highlight=False, markup=False, soft_wrap=True)
        return
    for paragraph in paragraphs:
        _show(console, paragraph.text, model.explain(paragraph.text))


def _paragraphs(given: str, column: str) -> list["Paragraph"]:
    """The paragraphs of a file, or the one given; what looks like a file's name is one."""
    from capthemes.corpus import ENDINGS, Source, split
    from capthemes.files import decode
    from capthemes.records import Paragraph
    from capthemes.text import paragraphs

    named = not any(char.isspace() for char in given) and os.path.splitext(given)[1].lower() in ENDINGS  # noqa: PTH122
    if given == "-":
        text = decode(sys.stdin.buffer.read(), Path("standard input"), "utf-8")
        return [Paragraph(f"stdin#{n}", paragraph) for n, paragraph in enumerate(paragraphs(text))]
    if named or os.path.exists(given):  # noqa: PTH110, a Path cannot be asked of a long text
        return [paragraph for shard in split([given], Source(column)) for paragraph in shard.read()]
    return [Paragraph("text", given)]


def _show(console: "Console", text: str, labels: Sequence["Label"]) -> None:
    """A paragraph with coloured spans, the lighter first, and a line for each label that quotes them."""
    from rich.text import Text

    plain = text.encode(console.encoding, "replace").decode(console.encoding)
    shown = Text("".join(char if char.isprintable() or char == "\n" else " " for char in plain))
    styles = {label.theme: f"bold {colour}" for label, colour in zip(labels, COLOURS * len(labels), strict=False)}
    spans = [(span, styles[label.theme]) for label in labels for span in label.evidence]
    for span, style in sorted(spans, key=lambda pair: pair[0].weight):
        shown.stylize(style, span.start, span.end)
    console.print(shown)
    for label in labels:
        what = " ".join(filter(None, (label.theme, label.stance, label.voice)))
        console.print(Text(f"  {label.probability:.2f} {what}", style=styles[label.theme]))
        for span in sorted(label.evidence, key=lambda span: -span.weight):
            console.print(Text(f"       {span.weight:+.2f} {shown.plain[span.start : span.end]}"), soft_wrap=True)
    if not labels:
        console.print("  no theme")
    console.print()


def _write_page(output: Path, model: "Model", paragraphs: Sequence["Paragraph"]) -> None:
    from capthemes.report.page import renderer
    from capthemes.store import write_text
    from capthemes.text import script

    render = renderer()
    rows = [(p.id, p.text, script(p.text), model.explain(p.text)) for p in paragraphs]
    write_text(output, render("explain.html", model=model.id, paragraphs=rows))
