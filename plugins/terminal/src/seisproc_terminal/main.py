"""The `seisproc` program: finds sub-commands by name, runs one, turns every error into one line and an exit code."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

import click

from seisproc_core.errors import SeisprocError, StorageError
from seisproc_core.plugins import registry
from seisproc_terminal import __version__, output

STANDARD_PLUGINS = (
    "seisproc", "seisproc-alerts", "seisproc-denoise", "seisproc-geometry", "seisproc-joblib", "seisproc-jobstore",
    "seisproc-numba", "seisproc-processes", "seisproc-ray", "seisproc-seg2", "seisproc-segy", "seisproc-signal",
    "seisproc-terminal", "seisproc-velocity", "seisproc-zarr",
)  # fmt: skip
INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h


class Commands(click.Group):
    """A group whose sub-commands are those in the plugin index; one is imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [entry.id for entry in registry().of("commands")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = registry()
        if not any(entry.id == cmd_name for entry in known.of("commands")):
            return None
        command: click.Command = known.load("commands", cmd_name)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], names, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "seisproc --help lists the commands"
            raise click.UsageError(f"there is no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(entry.id, output.clean(entry.spec["help"])) for entry in registry().of("commands")]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _safe_mode(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    # Eager, because it must come before anything that reads the plugin index.
    if value:
        os.environ["SEISPROC_PLUGINS"] = ",".join(STANDARD_PLUGINS)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
@click.option(
    "--safe-mode", is_flag=True, is_eager=True, expose_value=False, callback=_safe_mode,
    help="Load no plugins but the standard ones.",
)  # fmt: skip
@click.version_option(__version__, prog_name="seisproc")
def program(debug: bool) -> None:
    """Seismic processing, from field SEG-Y to processed sections.

    \b
    Examples:
      seisproc info shots.sgy
      seisproc import shots/*.sgy line.seis --gather cdp
      seisproc run stack.toml
      seisproc COMMAND --help
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line `arguments`; returns the exit code."""
    debug = "--debug" in arguments
    try:
        if "--json" in arguments:
            _reserve_stdout()
        code = program.main(args=list(arguments), prog_name="seisproc", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (click.Abort, KeyboardInterrupt):
        return _refuse("cancelled", 130, arguments)
    except BrokenPipeError:
        # Whoever read our output has enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _refuse(*explain(error), arguments)


def explain(error: Exception) -> tuple[str, int]:
    """One line for people, and the exit code."""
    if isinstance(error, SeisprocError):
        return str(error), error.exit_code
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "seisproc"
        message = _sentence(error.format_message())
        return message if "--help" in message else f"{message} ({command} --help)", 2
    if isinstance(error, click.ClickException):
        return _sentence(error.format_message()), error.exit_code
    if isinstance(error, OSError):
        refused = StorageError.from_os(error, "the operating system refused")
        return str(refused), refused.exit_code
    if isinstance(error, MemoryError):
        return "not enough memory; use fewer --workers", 71
    return f"internal error: {type(error).__name__}: {error} (run again with seisproc --debug ...)", INTERNAL_ERROR


def _sentence(message: str) -> str:
    message = " ".join(message.split()).rstrip(".")
    return message[:1].lower() + message[1:]


def _refuse(message: str, code: int, arguments: Sequence[str]) -> int:
    output.remark(message)
    if "--json" in arguments:
        output.document({"error": output.clean(message), "exit_code": code})
    return code


def _reserve_stdout() -> None:
    """Keep stdout for the one JSON document: what plugins and libraries print goes to stderr instead."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    output.reserve_stdout(stream)


def _remark_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A library's warning as a remark, without the source line that issued it."""
    output.remark(f"warning: {message}")


def main() -> NoReturn:
    """Entry point of the `seisproc` script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _remark_warning
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
