"""What the commands share of the terminal: a console, a progress bar, a plain table."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from capthemes.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from capthemes.summary import Summary

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
QUIET_SECONDS = 1.0  # a progress bar appears only on work longer than this
ANSWERERS = (
    "a bundled model, a model's folder, module:function (texts to labels), a jsonl file of predictions (id, labels), "
    "or a model of transformers: its folder, or hf:NAME"
)


def open_console() -> "Console":
    """Standard output, quiet where its reader goes away."""
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            """The reader of our output went away: no error."""
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0)

    return Quiet()


class Progress:
    """A progress bar on standard error, on a terminal only, once the work has taken a second."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._start: tuple[float, float, int] | None = None
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: float, summary: "Summary") -> None:
        now = time.monotonic()
        if self._start is None:
            self._start = (now, done, summary.paragraphs)  # a run that goes on has done some already
            return
        if self._bar is None:
            if not sys.stderr.isatty() or done == 1 or now - self._began < QUIET_SECONDS:
                return
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("labelling", total=1.0)
            self._bar.start()
        self._bar.update(self._task, completed=done, description=progress_line(self._start, now, done, summary))


def progress_line(start: tuple[float, float, int], now: float, done: float, summary: "Summary") -> str:
    """Paragraphs, the share that has a theme, the rate, and the time left; `start` is seconds, share, paragraphs."""
    seconds, share = max(now - start[0], 1e-9), max(done - start[1], 1e-9)
    rate, left = (summary.paragraphs - start[2]) / seconds, (1 - done) * seconds / share
    themed = summary.labelled / max(summary.paragraphs, 1)
    return f"{summary.paragraphs:,} paragraphs, {themed:.0%} with a theme, {rate:,.0f}/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def add_trusted(command: argparse.ArgumentParser) -> None:
    """The option by which a user says what a model may bring that is no data."""
    shown = "types that a saved pipeline may load, or the model that a zeroshot one points to, as the error names them"
    command.add_argument("--trusted", nargs="+", default=[], metavar="NAME", help=shown)


def plain_table(**options: Any) -> "Table":
    """A table without lines."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), **options)


def check_new(path: Path) -> None:
    """Raise InputError where a file would be overwritten that may hold a person's work."""
    if path.exists():
        raise InputError(f"{path} exists; choose another name, or remove it")


def say_unread(count: int) -> None:
    """Say on standard error that some of a sample waits for its labels."""
    if count:
        sys.stderr.write(f"capthemes: {count} of the sample's paragraphs are not labelled yet: left out\n")


def add_texts(command: argparse.ArgumentParser) -> None:
    """The argument of commands that read annotated sets, some of which are by reference."""
    told = "texts of sets by reference: jsonl, or a folder of checkouts; what has none there is left out"
    command.add_argument("--texts", type=Path, nargs="+", default=[], metavar="TEXTS", help=told)


def add_data(command: argparse.ArgumentParser) -> None:
    """The arguments that evaluate and compare share."""
    add = command.add_argument
    add("data", metavar="DATA", help="a labelled jsonl file, or an annotated set as written/test")
    add("--codebook", type=Path, help="for a MODEL that has none of its own")
    add("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_texts(command)
    add_trusted(command)
