"""The command line: parse, run a command, explain its errors."""

import argparse
import sys
from collections.abc import Callable, Sequence

from capthemes.commands import (
    agree,
    calibrate,
    compare,
    evaluate,
    exchange,
    explain,
    label,
    prevalence,
    queue,
    report,
    sample,
    show,
    train,
)
from capthemes.errors import CapthemesError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 where it went well, 1 for an error that is explained, 130 for Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], None] = options.run
        run(options)
    except CapthemesError as error:
        sys.stderr.write(f"capthemes: {error}\n")
        return 1
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"capthemes: {str(stopped) or 'stopped'}\n")
        return 130
    except OSError as error:
        sys.stderr.write(f"capthemes: {error.filename or 'input or output'}: {error.strerror or error}\n")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="capthemes", description="Themes, stances and voices of paragraphs about Chinese industry."
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for module in (
        label,
        explain,
        report,
        evaluate,
        train,
        queue,
        exchange,
        agree,
        compare,
        sample,
        prevalence,
        calibrate,
        show,
    ):
        module.add(commands)
    return whole


if __name__ == "__main__":
    sys.exit(main())
