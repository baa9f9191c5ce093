"""Writing a chosen value back into a flow file: everything else in it - comments, layout, order - stays."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seisproc_core.errors import FlowError, StorageError, UsageError
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.planning import plan_flow


def edited(path: Path, places: Mapping[tuple[int, str], Any]) -> str:
    """The text of a flow file with other values of some parameters, checked on the flow's own source.

    Parameters
    ----------
    places
        Plain values by position of the step and name of the parameter.

    Raises
    ------
    UsageError
        A value does not suit the step or the data; the file is not touched.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        with path.open(encoding="utf-8", newline="") as file:
            document = tomlkit.parse(file.read())
    except (OSError, ValueError, TOMLKitError) as error:
        raise FlowError(f"cannot read flow {path}: {error}") from error
    steps: Any = document["step"]
    for (position, parameter), value in places.items():
        _set(steps[position], parameter, value)
    text = tomlkit.dumps(document)
    _check(Flow.parse(tomllib.loads(text), base=path.parent, name=path.stem))
    return text


def _set(step: Any, parameter: str, value: Any) -> None:
    """Change a value in place; a new one goes below the last of the step, not behind the blank lines that end it."""
    from tomlkit.items import AoT, Table

    item = _inline(value)
    if parameter in step or not isinstance(step, Table):
        step[parameter] = item
        return
    last = [entry for _, entry in step.items() if not isinstance(entry, (AoT, Table))][-1]
    last.trivia.trail += f"{last.trivia.indent}{parameter} = {item.as_string()}\n"


def _inline(value: Any) -> Any:
    """A table stands on one line, as flows write them."""
    import tomlkit

    if not isinstance(value, Mapping):
        return tomlkit.item(value)
    table = tomlkit.inline_table()
    table.update(value)
    return table


def _check(flow: Flow) -> None:
    """Refuse what planning refuses."""
    known = registry()
    survey = known.load("storage", flow.source.storage)().open(flow.source.paths, flow.source.options)
    plan_flow(flow, known, survey)


def difference(path: Path, text: str) -> str:
    """What would change, as a unified diff; "" where nothing does."""
    old = path.read_text("utf-8").splitlines()
    lines = difflib.unified_diff(old, text.splitlines(), f"{path} as it is", f"{path} chosen", lineterm="")
    return "\n".join(lines)


def write(path: Path, text: str) -> Path:
    """Replace the flow file, whole or not at all; the old one is kept beside it as ``NAME.toml.bak``, the result."""
    backup = path.with_name(f"{path.name}.bak")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if os.path.lexists(backup) and not backup.is_file():
            raise UsageError(f"{backup} is in the way of the copy of the old flow")
        old = path.read_bytes()
        for target, content in ((backup, old), (path, text.encode())):
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if target == path:
                fresh.chmod(path.stat().st_mode & 0o777)
            os.replace(fresh, target)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise StorageError.from_os(error, f"cannot write {path}") from error
    return backup
