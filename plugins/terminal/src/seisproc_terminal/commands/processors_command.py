"""``seisproc processors``: the steps a flow may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from seisproc_core.plugins import Described, registry
from seisproc_terminal import output
from seisproc_terminal.options import json_option


@click.command(short_help="List processors, or explain one.")
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the parameters.")
@json_option
def command(name: str | None, schema: bool, as_json: bool) -> None:
    """List all installed processors, or explain the processor NAME and its parameters.

    \b
    Examples:
      seisproc processors
      seisproc processors agc
      seisproc processors agc --schema
    """
    known = registry()
    entries = known.of("processors") if name is None else [known.find("processors", name)]
    if schema:
        schemas = {entry.id: entry.spec["schema"] for entry in entries}
        output.document(schemas if name is None else schemas[name])
    elif as_json:
        facts = [_facts(entry) for entry in entries]
        output.document({"processors": facts} if name is None else facts[0])
    elif name is None:
        rows = [(e.id, e.spec["scope"], e.distribution, e.spec["summary"]) for e in entries]
        output.table(("processor", "works on", "from", "what it does"), rows)
    else:
        _explain(entries[0])


def _facts(entry: Described) -> dict[str, Any]:
    keys = ("summary", "doc", "scope", "version", "kernels", "saves", "schema")
    return {"id": entry.id, "distribution": entry.distribution, **{key: entry.spec[key] for key in keys}}


def _explain(entry: Described) -> None:
    output.show(f"{entry.id}  (works on one {entry.spec['scope']} at a time; from {entry.distribution})")
    output.show()
    for line in entry.spec["doc"].splitlines():
        output.show(line)
    schema = entry.spec["schema"]
    if schema["properties"]:
        output.show()
        rows = [parameter_row(name, item, name in schema["required"]) for name, item in schema["properties"].items()]
        output.table(("parameter", "type", "default", "unit", "range", "what it is"), rows)
    for name in entry.spec["saves"]:
        output.show()
        output.show(f'Side output: save.{name} = "{name}.seis"')
    output.show()
    output.show("In a flow:")
    output.show()
    for line in example(entry.id, schema):
        output.show(f"  {line}")


def parameter_row(name: str, item: Mapping[str, Any], required: bool) -> tuple[object, ...]:
    """Name, type, default, unit, range and meaning of a parameter, from its entry in the schema."""
    default = "required" if required else _toml(item["default"]) if "default" in item else "none"
    return name, _type(item), default, item.get("unit", ""), _range(item), item.get("description", "")


def _type(item: Mapping[str, Any]) -> str:
    if "enum" in item:
        return " or ".join(map(str, item["enum"]))
    if "oneOf" in item:
        return "table"
    if "anyOf" in item:
        return " or ".join(dict.fromkeys(map(_type, item["anyOf"])))
    if item.get("format") == "survey":
        return "survey"
    if item["type"] == "array":
        return f"list of {_type(item['items'])}"
    names = {"object": "named values", "integer": "whole number", "string": "text", "boolean": "true or false"}
    return names.get(item["type"], str(item["type"]))


def _range(item: Mapping[str, Any]) -> str:
    bounds = (("> ", "exclusiveMinimum"), (">= ", "minimum"), ("<= ", "maximum"))
    return ", ".join(f"{sign}{item[key]:g}" for sign, key in bounds if key in item)


def example(name: str, schema: Mapping[str, Any]) -> list[str]:
    """A step as it would stand in a flow: what is required, and the first other parameters.

    Of those without a default only the first is shown, and only where nothing is required: some step takes one of
    several, as a mute its table or its velocity.
    """
    lines = ["[[step]]", f'use = "{name}"']
    properties = schema["properties"]
    chosen = [key for key in properties if key in schema["required"]]
    without = [key for key, item in properties.items() if "default" not in item]
    # No text and no count is valid everywhere: they speak of the data.
    shown = [key for key in without if not chosen and properties[key].get("type") not in ("string", "integer")][:1]
    left_out = set(without) - set(shown)
    optional = [key for key in properties if key not in left_out and key not in chosen]
    chosen += optional[: max(0, 3 - len(chosen))]
    return lines + [f"{key} = {_toml(_sample(properties[key]))}" for key in chosen]


def _sample(item: Mapping[str, Any]) -> Any:
    """A value that a parameter accepts, to show its form."""
    if "default" in item:
        return item["default"]
    if "enum" in item:
        return item["enum"][0]
    if "oneOf" in item:
        columns = item["oneOf"][0]["required"]
        return {
            column: [2000, 2500] if column.endswith("m_per_s") else [100 * (n + 1), 200 * (n + 1)]
            for n, column in enumerate(columns)
        }
    if "anyOf" in item:
        return _sample(item["anyOf"][0])
    if item.get("format") == "survey":
        return "model.seis"
    kind = item["type"]
    if kind == "array":
        first = _sample(item["items"])
        return [first * n for n in (1, 2, 4, 5)] if isinstance(first, (int, float)) else [first]
    if kind == "object":  # by header word; a list is its lowest and highest value
        inner = _sample(item["additionalProperties"])
        return {"offset": inner[:2] if isinstance(inner, list) else inner}
    if kind in ("number", "integer"):
        low, high = item.get("minimum", item.get("exclusiveMinimum", 0)), item.get("maximum")
        return min(low + 10, high) if high is not None else low + 10
    return {"boolean": True}.get(kind, "text")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
