"""capthemes codebook and capthemes models: what the labels mean, what is bundled."""

import argparse
from pathlib import Path

from capthemes.commands.terminal import Commands, open_console, plain_table


def add(commands: Commands) -> None:
    codebook = commands.add_parser("codebook", help="show what the labels mean", description=_codebook.__doc__)
    codebook.add_argument("theme", nargs="?", help="one theme, with the rules that name it")
    codebook.add_argument("--file", type=Path, help="another codebook than the built-in one")
    codebook.set_defaults(run=_codebook)

    models = commands.add_parser("models", help="list the bundled models and their scores", description=_models.__doc__)
    models.set_defaults(run=_models)


def _codebook(options: argparse.Namespace) -> None:
    """Show all themes, or one theme with its stance target and the rules that name it."""
    from capthemes.codebook import Codebook

    console, codebook = open_console(), Codebook.load(options.file)
    table = plain_table(show_header=options.theme is None)
    if options.theme is None:
        for column in ("theme", "", "stance toward"):
            table.add_column(column)
        for theme in codebook.themes:
            table.add_row(theme.name, theme.chinese, theme.target)
        console.print(table)
        console.print(
            f"codebook version {codebook.version}; what a theme covers, with its rules: capthemes codebook THEME",
            highlight=False,
        )
        return
    theme = codebook.theme(options.theme)
    table.add_row("theme", f"{theme.name}  {theme.chinese}")
    table.add_row("covers", theme.covers)
    table.add_row("stance toward", theme.target)
    for part, values in (("stance", codebook.stances), ("voice", codebook.voices)):
        for value, meaning in values.items():
            table.add_row(f"{part} {value}", meaning)
    for rule in codebook.rules_about(theme.name):
        table.add_row(f"rule {rule.part} {rule.number}", rule.text)
    console.print(table, markup=False)


def _models(options: argparse.Namespace) -> None:
    """List the bundled models with what they were trained on and how well they score."""
    from capthemes.manifest import read_manifest
    from capthemes.model import names
    from capthemes.store import home

    console = open_console()
    table = plain_table()
    for column in ("model", "scored on", "micro-F1", "macro-F1", "stance", "voice"):
        table.add_column(column, overflow="fold", justify="left" if column in ("model", "scored on") else "right")
    for name in names():
        manifest = read_manifest(home("models") / name)
        for place, entry in enumerate(e for e in manifest["about"].get("scores", []) if e["model"] == name):
            parts = (entry["micro_f1"], entry["macro_f1"], entry["stance_macro_f1"], entry["voice_macro_f1"])
            cells = [f"{part['value']:.2f}" if part else "-" for part in parts]
            table.add_row(f"{name} ({manifest['family']})" if place == 0 else "", entry["data"], *cells)
    console.print(table)
    console.print(
        f"of themes; of stance and voice given the theme, macro-F1; more in {home('models')}/NAME/README.md",
        highlight=False,
        soft_wrap=True,
    )
