"""What the commands share of the terminal: a console, a progress bar, a plain table."""

import argparse
import os
import sys
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from capthemes.labelling import Summary

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
QUIET_SECONDS = 1.0  # a progress bar appears only on work longer than this


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
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: float, summary: "Summary") -> None:
        if self._bar is None:
            if not sys.stderr.isatty() or done == 1 or time.monotonic() - self._began < QUIET_SECONDS:
                return
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("labelling", total=1.0)
            self._bar.start()
        self._bar.update(self._task, completed=done, description=f"labelling: {summary.paragraphs:,} paragraphs")


def add_trust(command: argparse.ArgumentParser) -> None:
    """The option by which a user says what a model may bring that is no data."""
    shown = "a type that a model's pipeline asks for, or the model that it points to, as the error names it"
    command.add_argument("--trust", action="append", default=[], metavar="NAME", help=f"{shown}; may be given again")


def plain_table(**options: Any) -> "Table":
    """A table without lines."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), **options)


def data_name(data: str) -> str:
    """What signatures call a set or file: its last two parts, without an ending."""
    return "/".join(PurePath(data.removesuffix(".jsonl")).parts[-2:]) or data
