"""The command line: parse, one library call, print."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.errors import CapthemesError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from capthemes.labelling import Summary

OPENING = 72  # characters of a paragraph shown as its opening
QUIET_SECONDS = 1.0  # a progress bar appears only on work longer than this


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 where it went well, 1 for an error that is explained, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], None] = options.run
        run(options)
    except CapthemesError as error:
        sys.stderr.write(f"capthemes: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("capthemes: stopped\n")
        return 130
    except OSError as error:
        sys.stderr.write(f"capthemes: {error.filename or 'input or output'}: {error.strerror or error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="capthemes", description="Themes, stances and voices of paragraphs about Chinese industry."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_label(
        commands.add_parser("label", help="label files or folders and write a table", description=_label.__doc__)
    )
    _add_evaluate(
        commands.add_parser("evaluate", help="score models on labelled paragraphs", description=_evaluate.__doc__)
    )
    _add_train(commands.add_parser("train", help="train a model on labelled paragraphs", description=_train.__doc__))

    codebook = commands.add_parser("codebook", help="show what the labels mean", description=_codebook.__doc__)
    codebook.add_argument("theme", nargs="?", help="one theme, with the rules that name it")
    codebook.add_argument("--file", type=Path, help="another codebook than the built-in one")
    codebook.set_defaults(run=_codebook)

    models = commands.add_parser("models", help="list the bundled models and their scores", description=_models.__doc__)
    models.set_defaults(run=_models)
    return parser


def _add_label(label: argparse.ArgumentParser) -> None:
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
    label.set_defaults(run=_label)


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    add = evaluate.add_argument
    add("data", metavar="DATA", help="a labelled jsonl file, or an annotated set as written/test")
    add("--model", action="append", default=[], help="a bundled model or a model's folder; may be given again")
    add("--texts", type=Path, nargs="+", default=[], metavar="JSONL", help="the texts of a set by reference")
    add("--seed", type=int, default=0, help="of the bootstrap")
    evaluate.set_defaults(run=_evaluate)


def _add_train(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    sets = "annotated sets' names, as written or written/train; folders of splits, or labelled jsonl files"
    add("--data", required=True, nargs="+", metavar="SET", help=sets)
    add("--dev", nargs="+", default=[], metavar="SET", help="sets to fit the decision on, in place of cross-validation")
    texts = "jsonl files with the texts of sets by reference; without them those sets are left out"
    add("--texts", type=Path, nargs="+", default=[], metavar="JSONL", help=texts)
    add("--family", default="linear", help="linear, transformer, zeroshot or keywords (default: linear)")
    encoder = "a folder or a Hub name: what transformer begins from (default: all-MiniLM-L6-v2), or what zeroshot asks"
    add("--encoder", metavar="ENCODER", help=encoder)
    add("--codebook", type=Path, help="another codebook than the built-in one")
    add("--seed", type=int, default=0)
    add("--measure", metavar="SET", help="a set or labelled jsonl to score the model on, apart from all above")
    add("-o", "--output", required=True, type=Path, metavar="FOLDER", help="the model's folder; its name is its name")
    train.set_defaults(run=_train)


def _label(options: argparse.Namespace) -> None:
    """Label every paragraph of the inputs, write one table, and show what was found."""
    from capthemes.corpus import Source
    from capthemes.labelling import label_corpus
    from capthemes.model import load

    console = _console()
    model = load(*([] if options.model is None else [options.model]))
    with _Progress() as progress:
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


def _codebook(options: argparse.Namespace) -> None:
    """Show all themes, or one theme with its stance target and the rules that name it."""
    from rich.table import Table

    from capthemes.codebook import Codebook

    console, codebook = _console(), Codebook.load(options.file)
    table = Table(box=None, show_header=options.theme is None, pad_edge=False, padding=(0, 2, 0, 0))
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
    from rich.table import Table

    from capthemes.model import names, read_manifest
    from capthemes.store import home

    console = _console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
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


def _evaluate(options: argparse.Namespace) -> None:
    """Score models on labelled paragraphs: overall, by language and by theme, with 95% intervals over documents."""
    from capthemes.errors import ModelError
    from capthemes.evaluation import scores
    from capthemes.model import DEFAULT, load
    from capthemes.training import gather

    console = _console()
    models = [load(name) for name in options.model or [DEFAULT]]
    for model in models[1:]:
        if model.codebook != models[0].codebook:
            raise ModelError(f"{models[0].id} and {model.id} have different codebooks; evaluate them one by one")
    data, left_out = gather([options.data], options.texts, models[0].codebook)
    for line in left_out:
        sys.stderr.write(f"capthemes: {line}\n")
    name = _data_name(options.data)
    signatures = []
    for model in models:
        entries = scores(model, data[options.data], name, options.seed)
        for table in _score_tables(model.id, entries):
            console.print(table, highlight=False)
        signatures += [entry["signature"] for entry in entries]
    for signature in signatures:
        console.print(signature, highlight=False, markup=False, soft_wrap=True)


def _score_tables(model: str, entries: Sequence[Mapping[str, Any]]) -> Iterator["Table"]:
    """A model's scores, a column for each language, and by theme on all paragraphs."""
    from rich.table import Table

    from capthemes.card import OVERALL, interval

    overall = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    overall.add_column(model)
    for entry in entries:
        data = entry["data"].removeprefix(f"{entries[0]['data']}, ")
        overall.add_column(f"{data}\n{entry['paragraphs']} paragraphs", overflow="fold")
    for part, title in OVERALL.items():
        overall.add_row(title, *(interval(entry[part]) for entry in entries))
    overall.add_row("ECE", *(f"{entry['ece']:.2f}" for entry in entries), end_section=True)
    yield overall
    themes = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("theme", "gold", "precision", "recall", "F1", "AP", "ECE"):
        themes.add_column(column, justify="left" if column == "theme" else "right", no_wrap=True)
    for theme, s in entries[0]["themes"].items():
        parts = [f"{s[part]:.2f}" for part in ("precision", "recall", "average_precision", "ece")]
        themes.add_row(theme, str(s["support"]), *parts[:2], interval(s["f1"]), *parts[2:])
    yield themes


def _data_name(data: str) -> str:
    """What signatures call a set or file: its last two parts, without an ending."""
    return "/".join(Path(data.removesuffix(".jsonl")).parts[-2:]) or data


def _train(options: argparse.Namespace) -> None:
    """Train a model: cross-validate, fit its decision on unseen predictions, refit on all, save it with its card."""
    from dataclasses import replace

    from capthemes.codebook import Codebook
    from capthemes.model import check_folder
    from capthemes.training import check_apart, gather, measure, train

    console, codebook = _console(), Codebook.load(options.codebook)
    name = options.output.resolve().name
    check_folder(options.output)
    data, left_out = gather(options.data, options.texts, codebook)
    dev, left_out_of_dev = gather(options.dev, options.texts, codebook) if options.dev else ({}, [])
    gold, left_out_of_gold = gather([options.measure], options.texts, codebook) if options.measure else ({}, [])
    for part in gold.values():
        check_apart([p for trained in (data, dev) for found in trained.values() for p in found], part, options.measure)
    for line in left_out + left_out_of_dev + left_out_of_gold:
        sys.stderr.write(f"capthemes: {line}\n")
    own = {"encoder": options.encoder} if options.encoder else {}
    model = train(data, name=name, family=options.family, dev=dev, codebook=codebook, seed=options.seed, **own)
    if options.measure:
        model = measure(model, gold[options.measure], _data_name(options.measure), options.seed)
    command = ["capthemes", "train", "--family", options.family, "--seed", str(options.seed)]
    for option in ("encoder", "codebook", "data", "dev", "texts", "measure"):
        if value := getattr(options, option):
            command += [f"--{option}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    replace(model, about={**model.about, "command": shlex.join([*command, "-o", f"models/{name}"])}).save(
        options.output
    )
    for entry in model.about["scores"]:
        line = "{data}, {model}: theme micro-F1 {micro_f1[value]:.2f} [{micro_f1[low]:.2f}, {micro_f1[high]:.2f}]"
        console.print(line.format(**entry), highlight=False, markup=False)
    console.print(f"saved {options.output}", highlight=False, markup=False, soft_wrap=True)


def _console() -> "Console":
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            """The reader of our output went away: no error."""
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0)

    return Quiet()


def _print_summary(console: "Console", summary: "Summary", stances: Sequence[str]) -> None:
    """The small table at the end of a run."""
    from rich.table import Table
    from rich.text import Text

    share = summary.labelled / summary.paragraphs
    console.print(
        f"{summary.paragraphs:,} paragraphs, {summary.labelled:,} with a theme ({share:.0%})", highlight=False
    )
    if not summary.stances:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
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


class _Progress:
    """A progress bar on standard error, on a terminal only, once the work has taken a second."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: float, summary: "Summary") -> None:
        if self._bar is None:
            if not sys.stderr.isatty() or done == 1 or time.monotonic() - self._began < QUIET_SECONDS:
                return
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("labelling", total=1.0)
            self._bar.start()
        self._bar.update(self._task, completed=done, description=f"labelling: {summary.paragraphs:,} paragraphs")


if __name__ == "__main__":
    sys.exit(main())
