"""capthemes compare."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capthemes.commands.terminal import ANSWERERS, Commands, add_data, open_console, plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from capthemes.records import Label, Paragraph
    from capthemes.scoring import Comparison, Differing

OPENING = 300  # characters of a paragraph that are shown


def add(commands: Commands) -> None:
    compare = commands.add_parser(
        "compare",
        help="test whether one model is better than another",
        description=_compare.__doc__,
        usage="%(prog)s A B DATA [options]",
    )
    add = compare.add_argument
    add("a", metavar="A", help=ANSWERERS)
    add("b", metavar="B", help="another")
    add("--show", type=int, default=5, metavar="N", help="how many paragraphs that they part on (default: 5)")
    add_data(compare)
    compare.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    """Test whether B is better than A on the same paragraphs: differences with 95% intervals of a paired bootstrap over
    documents, p-values of a permutation test, corrected by Holm's method; and the paragraphs that they part on."""
    from capthemes.codebook import Codebook
    from capthemes.scoring import compare

    console = open_console()
    found = compare(
        options.a,
        options.b,
        options.data,
        texts=options.texts,
        codebook=Codebook.load(options.codebook) if options.codebook else None,
        seed=options.seed,
        trusted=options.trusted,
    )
    for line in found.left_out:
        sys.stderr.write(f"capthemes: {line}\n")
    console.print(_differences(found), highlight=False)
    console.print(f"\n{found.paragraphs:,} paragraphs scored", highlight=False)
    console.print(f"A {found.a}, B {found.b}; they part on {len(found.differing):,} paragraphs", highlight=False)
    for differing in found.differing[: options.show]:
        console.print(f"\n{_opening(differing.paragraph, console.encoding)}", highlight=False, markup=False)
        console.print(_side_by_side(differing), highlight=False)
    console.print()
    for signature in found.signatures:
        console.print(str(signature), highlight=False, markup=False, soft_wrap=True)


def _differences(found: "Comparison") -> "Table":
    table = plain_table()
    for column in ("", "A", "B", "B - A", "p", "p, Holm"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, d in found.differences.items():
        interval = f"{d.value:+.2f} [{d.low:+.2f}, {d.high:+.2f}]"
        table.add_row(name, f"{d.a:.2f}", f"{d.b:.2f}", interval, _chance(d.p), _chance(d.corrected))
    return table


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _side_by_side(differing: "Differing") -> "Table":
    """A row for each theme that anyone sees in the paragraph."""
    table = plain_table()
    sides = [_told(differing.paragraph.labels or ()), _told(differing.a), _told(differing.b)]
    for column in ("theme", "gold", "A", "B"):
        table.add_column(column)
    for theme in sorted({theme for side in sides for theme in side}):
        table.add_row(theme, *(side.get(theme, "-") for side in sides))
    return table


def _opening(paragraph: "Paragraph", encoding: str) -> str:
    text = " ".join(f"{paragraph.id}: {paragraph.text}".split())
    opening = text[:OPENING] + ("..." if len(text) > OPENING else "")
    return "".join(char for char in opening.encode(encoding, "replace").decode(encoding) if char.isprintable())


def _told(labels: Sequence["Label"]) -> dict[str, str]:
    return {x.theme: ", ".join(filter(None, (x.stance, x.voice))) or "yes" for x in labels}
