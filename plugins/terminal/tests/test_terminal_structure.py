"""Every command is made alike, and finding one imports nothing heavy."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from seisproc_core.errors import Damaged, Incomplete
from seisproc_core.plugins import registry
from seisproc_core.specs import resolve
from seisproc_terminal.main import STANDARD_PLUGINS, explain

HEAVY = {"numpy", "rich", "numba", "zarr", "pyarrow", "scipy", "matplotlib", "asyncio", "sqlite3"}


def _commands() -> Iterator[tuple[str, click.Command]]:
    for entry in registry().of("commands"):
        if entry.distribution not in STANDARD_PLUGINS:
            continue
        command = resolve(entry.spec["impl"])
        yield entry.id, command
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                yield f"{entry.id} {name}", inner


COMMANDS = dict(_commands())


def test_all_commands_of_the_brief_are_there() -> None:
    wanted = ["info", "headers", "import", "run", "export", "verify", "resume", "plot", "processors", "plugins", "jobs"]
    assert set(wanted) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_json_and_examples(name: str) -> None:
    command = COMMANDS[name]
    if not isinstance(command, click.Group) or command.invoke_without_command:  # else alone it prints its help only
        assert "--json" in {text for option in command.params for text in option.opts}
    assert command.help and command.help.split("\n")[0].strip()
    assert "Examples:" in command.help
    assert f"seisproc {name}" in command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help or isinstance(option.type, click.Choice), f"{name} {option.opts} is not explained"


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["import", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        f"import sys; from seisproc_terminal.main import run; code = run({words}); "
        "print(code, *sys.modules, file=sys.stderr)"
    )
    for _ in range(2):  # the first may have to make the index of plugins
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code_, *modules = done.stderr.split()
    assert code_ == "0"
    assert not HEAVY & {module.partition(".")[0] for module in modules}
    for entry in registry().of("commands") if words == ["--help"] else ():
        assert entry.id in done.stdout


def test_unknown_command_suggests() -> None:
    code = "import sys; from seisproc_terminal.main import run; sys.exit(run(['exprot']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "export" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "x"), 77),
        (OSError(errno.EROFS, "Read-only file system"), 77),
        (OSError(errno.ENOSPC, "No space left on device"), 73),
        (OSError(errno.EIO, "Input/output error"), 74),
        (Damaged("x"), 4),
        (Incomplete("x"), 3),
        (MemoryError(), 71),
        (ZeroDivisionError("x"), 70),
        (click.UsageError("Bad."), 2),
    ],
)
def test_exit_code_and_one_line(error: Exception, code: int) -> None:
    message, found = explain(error)
    assert found == code
    assert message and "\n" not in message
