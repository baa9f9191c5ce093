"""Variables of a flow: ``${line}`` in its values, declared with defaults in the table ``[variables]``.

A value that is nothing but ``"${window_ms}"`` becomes the variable's own value, a number or a list; inside other text
the variable's text is put. ``$${`` stands for ``${``. Nothing is computed, and what is put in is not looked at again.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seisproc_core.errors import FlowError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_USE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")  # an escape, a use, an opening that is never closed
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def declared(plain: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The variables of a flow file's tables with their defaults.

    Raises
    ------
    FlowError
        The table is none, or holds a name or value that cannot be one.
    """
    table = plain.get("variables", {})
    if not isinstance(table, Mapping):
        raise FlowError(f"{where}: variables must be a table of names and defaults")
    for name, value in table.items():
        if not _NAME.fullmatch(name):
            raise FlowError(f"{where}, [variables]: '{name}' is no name; use letters, digits, _ and -")
        if not _is_plain(value):
            raise FlowError(f"{where}, [variables] {name}: must be text, a number, true or false, a list or a table")
        if any("${" in text for text in _texts(value)):
            raise FlowError(f"{where}, [variables] {name}: the value of a variable cannot name others")
    return dict(table)


def value_of(text: str, default: object) -> Any:
    """A variable's value as typed on a command line or in a table, of the type of its default.

    Raises
    ------
    FlowError
        It is of another type; the message begins with "must".
    """
    if isinstance(default, str):
        return text
    text = text.strip()
    if isinstance(default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise FlowError(f"must be true or false, not '{text}'")
        return text.lower() in _TRUE
    if isinstance(default, (int, float)):
        return _number(text)
    kind = "a table" if isinstance(default, Mapping) else "a list"
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, type(default)) or not _is_plain(value):
        raise FlowError(f"must be {kind} as TOML writes it, not '{text}'")
    return value


def substituted(plain: Mapping[str, Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The tables of a flow file with every variable replaced, ``[variables]`` left out.

    Parameters
    ----------
    values
        A value for every variable that is declared.
    where
        The flow, for messages.

    Raises
    ------
    FlowError
        An unknown variable, or a ``${`` that is not closed; names file, table and entry.
    """
    made: dict[str, Any] = {}
    for key, owner, value in _entries(plain):

        def put(text: str, place: str = owner) -> Any:
            return _put(text, values, f"{where}, {place}")

        made[key] = _mapped(value, put)
    steps = plain.get("step")
    if isinstance(steps, list):
        made["step"] = [made.pop(f"step {number}") for number in range(1, len(steps) + 1)]
    return made


def uses(plain: Mapping[str, Any]) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Where variables stand: table (``source``, ``sink``, or what a step uses), entry, and their names."""
    for _, owner, table in _entries(plain):
        if isinstance(table, Mapping):
            short = str(table.get("use", "")) or owner.strip("[]")
            for key, value in table.items():
                names = {found for text in _texts(value) for found in _USE.findall(text) if found}
                if names:
                    yield short, key, frozenset(names)


def unknown_variable(name: str, known: Mapping[str, Any]) -> str:
    """Why a name is no variable, with the nearest one that is."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"[variables] declares {', '.join(known) or 'none'}"
    return f"there is no variable '{name}'; {hint}"


def _entries(plain: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """The tables of a flow file but ``[variables]``: key, name for people, content; every step by itself."""
    for key, value in plain.items():
        if key == "step" and isinstance(value, list):
            for number, step in enumerate(value, 1):
                use = step.get("use") if isinstance(step, Mapping) else None
                yield f"step {number}", f"step {number}{f' ({use})' if isinstance(use, str) else ''}", step
        elif key != "variables":
            yield key, f"[{key}]" if isinstance(value, Mapping) else key, value


def _put(text: str, values: Mapping[str, Any], where: str) -> Any:
    def value(found: re.Match[str]) -> Any:
        name = found[1]
        if name is None:
            if found[0] == "$${":
                return "${"
            raise FlowError(f"{where}: '{text}' opens a variable and does not close it; write ${{name}}, or $${{")
        if name not in values:
            raise FlowError(f"{where}: {unknown_variable(name, values)}")
        return values[name]

    def as_text(found: re.Match[str]) -> str:
        put = value(found)
        if isinstance(put, (list, Mapping)):
            raise FlowError(f"{where}: '{text}': the variable '{found[1]}' is a list or table: it can only stand alone")
        return str(put).lower() if isinstance(put, bool) else str(put)

    whole = _USE.fullmatch(text)
    return value(whole) if whole is not None else _USE.sub(as_text, text)


def _mapped(value: Any, put: Callable[[str], Any]) -> Any:
    if isinstance(value, str):
        return put(value)
    if isinstance(value, list):
        return [_mapped(item, put) for item in value]
    if isinstance(value, Mapping):
        return {key: _mapped(item, put) for key, item in value.items()}
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FlowError(f"must be a number, not '{text}'")
    return number
