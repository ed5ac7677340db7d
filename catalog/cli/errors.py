"""Which errors are the user's to mend, and how they are told: one line on stderr, exit code 2."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from catalog.cli.console import plain

EXIT_FAILED, EXIT_DIFFERS, EXIT_INTERRUPTED = 2, 1, 130

_PACKAGES = ("multipliers", "surrogate", "catalog")


class CommandError(ValueError):
    """Arguments of a command that do not fit together, or a file that it cannot use."""


def is_expected(error: BaseException) -> bool:
    """Whether an error is about what the user gave: one of this project's own classes, or of the operating system."""
    return isinstance(error, OSError) or any(c.__module__.split(".")[0] in _PACKAGES for c in type(error).__mro__)


def message(error: BaseException) -> str:
    """Return an error as one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return plain(" ".join(text.split()) or type(error).__name__)


def report(error: BaseException, about: str = "") -> None:
    """Print ``error: ...`` on stderr."""
    typer.echo(f"error: {plain(about) + ': ' if about else ''}{message(error)}", err=True)


class Commands(TyperGroup):
    """The group of all commands: expected errors become one line, an interrupt exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except Exception as error:
            if ctx.params.get("debug") or not is_expected(error) or isinstance(error, BrokenPipeError):
                raise
            report(error)
            raise typer.Exit(EXIT_FAILED) from None


@contextmanager
def users_code(spec: str) -> Iterator[None]:
    """Run code of the user's module, where ``spec`` is ``module:function``.

    What it prints goes to stderr, so that stdout holds the command's own output only; what it raises becomes a
    `CommandError` that says where.
    """
    with redirect_stdout(sys.stderr):
        try:
            yield
        except Exception as error:
            module = spec.partition(":")[0]
            frames = [
                (frame, line)
                for frame, line in traceback.walk_tb(error.__traceback__)
                if frame.f_globals.get("__name__") == module
            ]
            if is_expected(error) or ":" not in spec or not (frames or isinstance(error, SyntaxError)):
                raise
            where = f" ({Path(frames[-1][0].f_code.co_filename).name}, line {frames[-1][1]})" if frames else ""
            raise CommandError(
                f"{spec}: its code raised {type(error).__name__}: {error}{where}; axsurrogate --debug shows more"
            ) from error
