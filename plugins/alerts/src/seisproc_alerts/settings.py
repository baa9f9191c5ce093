"""Rules and channels as this user wants them: ``alerts.toml`` in the state folder, over the defaults of plugins."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from seisproc_alerts.rules import Rule, Severity, checked
from seisproc_core.errors import PluginError, SeisprocError, UsageError
from seisproc_core.places import state_folder
from seisproc_core.plugins import Registry

if TYPE_CHECKING:
    import cattrs

_MAX_BYTES = 1 << 20


@attrs.frozen(kw_only=True)
class Settings:
    """Rules by id, those switched off too, and the ids of the channels that are used. `problems` tells of rules that
    plugins describe and that cannot be used."""

    rules: Mapping[str, Rule]
    channels: tuple[str, ...]
    problems: tuple[str, ...] = ()


def settings_path() -> Path:
    """Where the settings are kept; the file need not be there."""
    return state_folder() / "alerts.toml"


def load(known: Registry, path: Path | None = None) -> Settings:
    """The settings in force: those of a file, ``alerts.toml`` of the state folder unless another one is given.

    Raises
    ------
    UsageError
        The file cannot be read, names a rule, setting or channel that is not there, or has a value that does not fit.
    """
    path = path or settings_path()
    return _settings(known, path, _read(path))


def defaults(known: Registry) -> Settings:
    """The settings of somebody who has changed none."""
    return _settings(known, settings_path(), {})


def _settings(known: Registry, path: Path, plain: dict[str, Any]) -> Settings:
    _check_names(path, "", plain, ("rules", "channels"))
    tables, switches = (_table(path, key, plain.get(key, {})) for key in ("rules", "channels"))
    _check_names(path, "rules.", tables, [entry.id for entry in known.of("alert_rules")])
    channels = {entry.id: bool(entry.spec["default"]) for entry in known.of("alert_channels")}
    _check_names(path, "channels.", switches, channels)
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise UsageError(f"{path}: channels.{name} must be true or false, not {switch!r}")
    rules, problems = {}, []
    for entry in known.of("alert_rules"):
        try:
            kind = _rule_class(known, entry.id)
        except SeisprocError as problem:
            problems.append(f"rule '{entry.id}' of {entry.distribution}: {problem}")
            continue
        rules[entry.id] = _rule(path, entry.id, kind, _table(path, f"rules.{entry.id}", tables.get(entry.id, {})))
    used = tuple(name for name, switch in {**channels, **switches}.items() if switch)
    return Settings(rules=rules, channels=used, problems=tuple(problems))


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.exists():
            return {}
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path} is not a settings file: too large, or no file at all")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {' '.join(str(error).split())}") from error


def _table(path: Path, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{path}: {key} must be a table, written [{key}]")
    return value


def _check_names(path: Path, where: str, given: Collection[str], names: Collection[str]) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(names)) or 'none'}"
            raise UsageError(f"{path}: {where}{name} is not known; {hint}")


def _rule_class(known: Registry, name: str) -> type[Rule]:
    kind = known.load("alert_rules", name)
    if not (isinstance(kind, type) and issubclass(kind, Rule)):
        raise PluginError(f"{kind!r} is not a class derived from seisproc_alerts.rules.Rule")
    bare = [field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING]
    if bare:
        raise PluginError(f"its setting {bare[0]} has no default")
    try:
        checked(kind())
    except Exception as error:
        raise PluginError(f"its defaults do not work: {type(error).__name__}: {error}") from error
    return kind


def _rule(path: Path, name: str, kind: type[Rule], table: dict[str, Any]) -> Rule:
    where = f"rules.{name}"
    _check_names(path, f"{where}.", table, [field.name for field in attrs.fields(kind)])
    if not table:
        return kind()
    import cattrs

    try:
        return checked(_converter().structure(table, kind))
    except cattrs.BaseValidationError as error:
        raise UsageError(f"{path}: {where}{_first(error)}") from error
    except Exception as error:  # a rule's own check, of any plugin
        raise UsageError(f"{path}: {where}: {error}") from error


def _first(error: BaseException) -> str:
    """Where, below the table, and what is wrong first."""
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())
    if not inner:
        return f": {' '.join(str(error.args[0] if error.args else error).split())}"
    notes = [note.name for note in getattr(inner[0], "__notes__", ()) if hasattr(note, "name")]
    return "".join(f".{name}" for name in notes) + _first(inner[0])


def _converter() -> cattrs.Converter:
    """Takes values as they are: nothing becomes a number or a text that is none."""
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)

    def exactly(type_: type, what: str) -> None:
        def take(value: Any, _: Any) -> Any:
            if type(value) is not type_:
                raise ValueError(f"must be {what}, not {value!r}")
            return value

        converter.register_structure_hook(type_, take)

    def number(value: Any, _: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"must be a number, not {value!r}")
        return float(value)

    def severity(value: Any, _: Any) -> Severity:
        if value not in list(Severity):
            raise ValueError(f"must be one of {', '.join(Severity)}, not {value!r}")
        return Severity(value)

    exactly(bool, "true or false")
    exactly(int, "a whole number")
    exactly(str, "a text")
    converter.register_structure_hook(float, number)
    converter.register_structure_hook(Severity, severity)
    return converter
