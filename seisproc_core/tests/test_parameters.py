"""Parameters: strict, with errors that name owner and parameter, and one schema that says it all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from seisproc_core import Gather, Processor, Table, param, processor
from seisproc_core.errors import ParameterError
from seisproc_core.processing.params import build, json_schema, to_plain


@processor("example", scope="trace")
class Example(Processor):
    """Has a parameter of every type."""

    window_ms: float = param(500, help="window", unit="ms", above=0, maximum=5000)
    order: int = param(4, help="order", minimum=1)
    kind: Literal["rms", "gaussian"] = param("rms", help="kind")
    channels: tuple[int, ...] = param((), help="channels")
    low_hz: float | None = param(None, help="low corner", unit="Hz", minimum=0)
    where: dict[str, tuple[float, ...]] = param({}, help="ranges")
    velocity: Table = param(help="velocities", columns=("time_ms", "rms_m_per_s"), keys=("cdp",))

    def apply_gather(self, gather: Gather, context: object) -> Gather:
        return gather


GOOD = {"velocity": {"time_ms": [0, 1000], "rms_m_per_s": [1500, 2500]}}


def test_round_trip() -> None:
    made = build(Example, "example", {**GOOD, "window_ms": 300, "channels": [1, 2], "where": {"cdp": [1, 9]}})
    assert (made.window_ms, made.channels, made.low_hz) == (300.0, (1, 2), None)
    assert build(Example, "example", to_plain(made)) == made


def test_a_default_is_of_the_declared_type_too() -> None:
    for given in (GOOD, {**GOOD, "window_ms": 500}):
        assert type(to_plain(build(Example, "example", given))["window_ms"]) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_ms": 0}, "'window_ms' must be above 0 ms, not 0"),
        ({"window_ms": 9e9}, "'window_ms' must be at most 5000 ms"),
        ({"window_ms": "300"}, "'window_ms' must be a number, not '300'"),
        ({"window_ms": True}, "must be a number, not True"),
        ({"window_ms": float("nan")}, "not nan"),
        ({"order": 2.5}, "'order' must be a whole number"),
        ({"kind": "max"}, "must be one of rms, gaussian"),
        ({"windw_ms": 3}, "'windw_ms' is not known .did you mean 'window_ms'"),
        ({"channels": 3}, "must be a list"),
        ({"channels": [1.5]}, "whole number"),
        ({"velocity": {"time_ms": [0]}}, "lacks column rms_m_per_s"),
        ({"velocity": {"time_ms": [0], "rms_m_per_s": [1, 2]}}, "same length"),
        ({"velocity": {"time_ms": [0], "rms_m_per_s": [1], "x": [1]}}, "unknown column x"),
        ({"velocity": {"time_ms": [0], "rms_m_per_s": ["fast"]}}, "not a list of numbers"),
        ({"velocity": "missing"}, "not found"),
    ],
)
def test_refusals(values: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        build(Example, "example", {**GOOD, **values})


def test_a_required_parameter() -> None:
    with pytest.raises(ParameterError, match="'velocity' is required"):
        build(Example, "example", {})


def test_a_table_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "vel.csv").write_text(
        "# picked\ncdp,time_ms,rms_m_per_s\n1,0,1500\n1,1000,2500\n9,0,1600\n9,1000,2600\n"
    )
    made = build(Example, "example", {"velocity": "vel"}, tmp_path)
    assert [key for key, _ in made.velocity.groups("cdp")] == [1.0, 9.0]
    assert made.velocity == Table(made.velocity.to_json())


def test_the_schema_carries_ranges_units_and_defaults() -> None:
    schema = json_schema(Example, "example")
    assert schema["properties"]["window_ms"] == {
        "type": "number", "description": "window", "unit": "ms", "default": 500, "exclusiveMinimum": 0, "maximum": 5000,
    }  # fmt: skip
    assert schema["required"] == ["velocity"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["kind"]["enum"] == ["rms", "gaussian"]
