"""Parameters of a processor: declared once, they drive flow files, command line, JSON Schema, docs and provenance."""

from __future__ import annotations

import difflib
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union

import attrs

from seisproc_core.data.survey import Survey
from seisproc_core.data.tables import Table, read_table
from seisproc_core.errors import ParameterError, UsageError

_META = "seisproc"


@attrs.frozen
class ParamInfo:
    """What a parameter declares beside its type and default."""

    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    gaps: bool = False


@attrs.frozen
class SurveyRef:
    """A further survey that a step reads, as the value of a parameter; `Context.input` gives its traces.

    Attributes
    ----------
    path
        Where it lies, absolute; what a survey in memory is called.
    survey
        An open survey, where it lives in this process.
    """

    path: str
    survey: Survey | None = attrs.field(default=None, eq=False)


def param(
    default: Any = attrs.NOTHING,
    *,
    help: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    columns: tuple[str, ...] = (),
    keys: tuple[str, ...] = (),
    gaps: bool = False,
) -> Any:
    """Declare a parameter of a processor.

    Parameters
    ----------
    default
        Value when the flow does not give one; without a default it must be given.
    help
        One sentence for people.
    unit
        Unit of a number; the parameter's name should end in it (``window_ms``, ``low_hz``).
    minimum, maximum, above
        Inclusive bounds, and an exclusive lower bound.
    columns, keys
        For a `Table`: the columns it must have, and header words that may key it (``"*"``: any columns).
    gaps
        For a `SurveyRef`: traces of the data may have no partner in it; they get a dead trace of zeros.
    """
    info = ParamInfo(help, unit, minimum, maximum, above, columns, keys, gaps)
    return attrs.field(default=default, metadata={_META: info}, kw_only=True)


def fields_of(cls: type) -> dict[str, tuple[attrs.Attribute[Any], Any, ParamInfo]]:
    """Attribute, resolved type and declaration of every parameter of a processor class."""
    hints = typing.get_type_hints(cls)
    return {
        field.name: (field, hints[field.name], field.metadata[_META])
        for field in attrs.fields(cls)
        if _META in field.metadata
    }


def build(cls: type, owner: str, values: Mapping[str, Any], base: Path | None = None) -> Any:
    """Make a processor from the plain values of a flow file; strict: nothing is coerced but int to float.

    Raises
    ------
    ParameterError
        Unknown, missing, of the wrong type or out of its declared range; names owner and parameter.
    """
    known = fields_of(cls)
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else f"; it has: {', '.join(known) or 'none'}"
            raise ParameterError(owner, name, f"is not known{hint}")
    made = {}
    for name, (field, type_, info) in known.items():
        if name in values:
            made[name] = _convert(owner, name, type_, info, values[name], base)
        elif field.default is attrs.NOTHING:
            raise ParameterError(owner, name, f"is required: {info.help}")
        else:
            made[name] = _as_declared(type_, field.default)
    return cls(**made)


def as_declared(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that `build` accepts, with numbers and lists of the declared types; names of files stay names.

    Two ways of writing one value, 500 and 500.0, become one.
    """
    known = fields_of(cls)
    return {name: _as_declared(known[name][1], value) for name, value in values.items()}


def _as_declared(type_: Any, value: Any) -> Any:
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if value is None:
        return None
    if origin in (Union, types.UnionType):
        return _as_declared(_alternative(args, value), value)
    if origin is tuple:
        return tuple(_as_declared(args[0], item) for item in value)
    if origin is dict:
        return {str(key): _as_declared(args[1], item) for key, item in value.items()}
    if type_ is Table and isinstance(value, Mapping):
        return Table(value)
    return float(value) if type_ is float else value


def _convert(owner: str, name: str, type_: Any, info: ParamInfo, value: Any, base: Path | None) -> Any:
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(owner, name, _alternative(args, value), info, value, base)
    if origin is Literal:
        if value not in args:
            raise ParameterError(owner, name, f"must be one of {', '.join(map(str, args))}, not {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ParameterError(owner, name, f"must be a list, not {value!r}")
        return tuple(_convert(owner, name, args[0], info, item, base) for item in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ParameterError(owner, name, f"must be a table of key = value, not {value!r}")
        return {str(key): _convert(owner, f"{name}.{key}", args[1], info, item, base) for key, item in value.items()}
    if type_ is Table:
        return _table(owner, name, info, value, base)
    if type_ is Path:
        if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
            raise ParameterError(owner, name, f"must be the path of a file, not {value!r}")
        return Path(os.path.abspath((base or Path()) / value))
    if type_ is SurveyRef:
        return _survey(owner, name, value, base)
    return _scalar(owner, name, type_, info, value)


def _alternative(args: tuple[Any, ...], value: Any) -> Any:
    """Which of the types of ``A | str | None`` or ``A | Path | None`` a value is meant as: text is text or a path."""
    types_ = [a for a in args if a is not type(None)]
    texts = [a for a in types_ if a in (str, Path)]
    return texts[0] if texts and isinstance(value, (str, Path)) else types_[0]


def _scalar(owner: str, name: str, type_: Any, info: ParamInfo, value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise ParameterError(owner, name, "is too large a number")
    if type_ is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type_:
        raise ParameterError(owner, name, f"must be {_TYPE_NAMES.get(type_, type_.__name__)}, not {value!r}")
    if type_ in (int, float):
        unit = f" {info.unit}" if info.unit else ""
        if not math.isfinite(value):
            raise ParameterError(owner, name, f"must be a finite number, not {value}")
        if info.above is not None and not value > info.above:
            raise ParameterError(owner, name, f"must be above {info.above:g}{unit}, not {value:g}")
        if info.minimum is not None and value < info.minimum:
            raise ParameterError(owner, name, f"must be at least {info.minimum:g}{unit}, not {value:g}")
        if info.maximum is not None and value > info.maximum:
            raise ParameterError(owner, name, f"must be at most {info.maximum:g}{unit}, not {value:g}")
    return value


def _table(owner: str, name: str, info: ParamInfo, value: Any, base: Path | None) -> Table:
    try:
        if isinstance(value, Table):
            table = value
        elif isinstance(value, str):
            table = read_table((base or Path()) / value)
        elif isinstance(value, Mapping):
            table = Table(value)
        else:
            raise UsageError("must be a table of columns or the path of one")
    except UsageError as error:
        raise ParameterError(owner, name, str(error)) from error
    missing = [c for c in info.columns if c not in table]
    any_column = "*" in info.keys
    extra = [c for c in table.columns if not any_column and c not in info.columns and c not in info.keys]
    if missing or extra:
        problem = f"lacks column {missing[0]}" if missing else f"has an unknown column {extra[0]}"
        keys = f", optionally keyed by {', '.join(info.keys)}" if info.keys else ""
        raise ParameterError(owner, name, f"{problem}; it needs {', '.join(info.columns)}{keys}")
    return table


def _survey(owner: str, name: str, value: Any, base: Path | None) -> SurveyRef:
    if isinstance(value, SurveyRef):
        return value
    if isinstance(value, str) and value and "\0" not in value:
        return SurveyRef(os.path.abspath((base or Path()) / value))
    if isinstance(value, Survey):
        return SurveyRef("memory", value)
    raise ParameterError(owner, name, f"must be the path of a survey, not {value!r}")


_TYPE_NAMES = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
_JSON_TYPES = {float: "number", int: "integer", str: "string", bool: "boolean"}


def to_plain(instance: Any) -> dict[str, Any]:
    """The parameters of a processor as plain values that `build` takes back."""
    out = {}
    for name in fields_of(type(instance)):
        value = getattr(instance, name)
        if value is not None:
            out[name] = plain_value(value)
    return out


def plain_value(value: Any) -> Any:
    """The value of a parameter as JSON has it."""
    if isinstance(value, Table):
        return value.to_json()
    if isinstance(value, SurveyRef):
        return value.path
    if isinstance(value, Survey):
        return "memory"
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [plain_value(item) for item in value]
    return {key: plain_value(item) for key, item in value.items()} if isinstance(value, dict) else value


def survey_refs(instance: Any) -> dict[str, tuple[SurveyRef, ParamInfo]]:
    """The further surveys that a processor reads, by parameter."""
    values = {name: (getattr(instance, name), info) for name, (_, _, info) in fields_of(type(instance)).items()}
    return {name: (value, info) for name, (value, info) in values.items() if isinstance(value, SurveyRef)}


def tables_of(instance: Any) -> dict[str, dict[str, str]]:
    """File name and checksum of every table of a processor that was read from a file, by parameter."""
    values = {name: getattr(instance, name) for name in fields_of(type(instance))}
    return {
        name: {"file": Path(value.source).name, "sha256": value.checksum}
        for name, value in values.items()
        if isinstance(value, Table) and value.source
    }


def json_schema(cls: type, title: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a processor's parameters, ranges and units included."""
    properties = {}
    required = []
    for name, (field, type_, info) in fields_of(cls).items():
        entry = _type_schema(type_, info) | {"description": info.help}
        if info.unit:
            entry["unit"] = info.unit
        if field.default is attrs.NOTHING:
            required.append(name)
        elif field.default is not None:
            default = field.default
            entry["default"] = list(default) if isinstance(default, tuple) else default
        properties[name] = entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _type_schema(type_: Any, info: ParamInfo) -> dict[str, Any]:
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in (Union, types.UnionType):
        entries = [_type_schema(a, info) for a in args if a is not type(None)]
        return entries[0] if len(entries) == 1 else {"anyOf": entries}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _type_schema(args[0], info)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type_schema(args[1], info)}
    if type_ is Table:
        column = {"type": "array", "items": {"type": "number"}, "minItems": 1}
        inline = {
            "type": "object",
            "properties": dict.fromkeys((*(key for key in info.keys if key != "*"), *info.columns), column),
            "required": list(info.columns),
            "additionalProperties": column if "*" in info.keys else False,
        }
        return {"oneOf": [inline, {"type": "string", "format": "path"}]}
    if type_ is Path:
        return {"type": "string", "format": "path"}
    if type_ is SurveyRef:
        return {"type": "string", "format": "survey"}
    entry: dict[str, Any] = {"type": _JSON_TYPES[type_]}
    for key, bound in (("minimum", info.minimum), ("maximum", info.maximum), ("exclusiveMinimum", info.above)):
        if bound is not None and type_ in (int, float):
            entry[key] = bound
    return entry
