"""The commands together, and how they end: exit codes and one-line errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from codesign.cli import bits, build, design, device, explore, map, run, sc
from hdl.params.errors import NervureError

__all__ = ["app", "main"]

app = typer.Typer(
    name="nervure",
    help="From trained spiking models to verified neuromorphic hardware.",
    epilog="Start with: nervure compile MODEL -o DIR; nervure verify DIR; nervure synth DIR",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"nervure {version('nervure')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of errors (any place in the line).")
    ] = False,
) -> None:
    """Compiles trained spiking models to verified Verilog.

    Exit codes: 0 done, 1 a check failed, 2 wrong input, 3 a tool is missing.
    """


for module in (design, run, build, map, explore, bits, sc, device):
    module.register(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit code and never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    if debug:
        arguments.remove("--debug")
        if not arguments:
            arguments = ["--help"]
    try:
        code = app(arguments, prog_name="nervure", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except NervureError as error:
        if debug:
            raise
        return _fail(str(error), error.exit_code, arguments)
    except KeyboardInterrupt:
        return _fail("interrupted", 130, arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of Typer
            return _usage(error, arguments)
        if type(error).__name__ == "Abort":
            return _fail("interrupted", 130, arguments)
        if debug:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(
            f"this is a defect of nervure ({what}); please report it with the output of the same "
            "command and --debug",
            1,
            arguments,
        )


def _usage(error: Any, arguments: Sequence[str]) -> int:
    """A usage error as one line that ends with where to look."""
    message = " ".join(error.format_message().split())
    if not message:  # no_args_is_help printed the help
        return int(error.exit_code)
    path = getattr(getattr(error, "ctx", None), "command_path", "nervure")
    return _fail(f"{message.rstrip('.')}; see {path} --help", 2, arguments)


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    """Says what is wrong on stderr, and on stdout too for who asked for JSON."""
    head = typer.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
    print(f"{head} {message}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({"error": message, "exit_code": code}))
    return code
