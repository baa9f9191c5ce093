"""Flow files and tables with values that make no sense are refused in one line, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seisproc_core import Flow, Processor, param, processor
from seisproc_core.data.tables import Table, read_table
from seisproc_core.errors import FlowError, ParameterError, UsageError
from seisproc_core.processing.params import build

FORMAT = """
    from seisproc_core import hookimpl
    from seisproc_core.specs import StorageSpec

    @hookimpl
    def seisproc_storage():
        return [StorageSpec(id="disk", suffixes=(), impl="nowhere:Nothing")]
"""
ENDS = '[source]\ndisk = "a"\n[sink]\ndisk = "b"\n'
HUGE = "1" + "0" * 400


@processor("numbers", scope="trace")
class Numbers(Processor):
    """Takes numbers."""

    real: float = param(1.0, help="a real number", minimum=-1e300)
    whole: int = param(1, help="a whole number")
    table: Table | None = param(None, help="a table", columns=("time_ms",))


@pytest.mark.parametrize("value", [10**400, -(10**400), 1 << 63, float("inf"), float("-inf"), float("nan"), True, "1"])
@pytest.mark.parametrize("name", ["real", "whole"])
def test_numbers(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=f"numbers: parameter '{name}'"):
        build(Numbers, "numbers", {name: value})


@pytest.mark.parametrize(
    "column",
    [[10**400], ["1", "2"], "1", [True], [[1], [2, 3]], [[1, 2]], [None], {"a": 1}, [], [float("nan")], [2**64]],
)
def test_table_columns(column: object) -> None:
    with pytest.raises(ParameterError, match="table"):
        build(Numbers, "numbers", {"table": {"time_ms": column}})


@pytest.mark.parametrize("path", ["", ".", "..", "/", "a\0b", "x" * 5000, "missing"])
def test_table_paths(path: str, tmp_path: Path) -> None:
    for base in (tmp_path, Path()):
        with pytest.raises(ParameterError, match="table"):
            build(Numbers, "numbers", {"table": path}, base)


@pytest.mark.parametrize("text", ["", "a,b\n1\n", "a\nx\n", f"a\n{'9' * 200_000}\n", "a\n\0\n"])
def test_table_files(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError, match=r"t\.csv"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "text",
    [
        f"x = {'1' * 5000}",
        "x = " + "[" * 100_000,
        'source = 3\n[sink]\ndisk = "b"',
        '[source]\ndisk = "a\\u0000b"\n[sink]\ndisk = "b"',
        "step = 3\n" + ENDS,
        "import = 3\n" + ENDS,
        ENDS + "index = 3",
        ENDS + "index = [3]",
        ENDS + "index = [[3]]",
        ENDS + '[[step]]\nuse = "agc"\nbackend = []',
    ],
)
@pytest.mark.parametrize(
    "overrides", [(), ("agc.window_ms=1",), ("source.gather=1",), (f"sink.index={'[' * 100_000}",)]
)
def test_flow_files(text: str, overrides: tuple[str, ...], tmp_path: Path, install: Callable[[str, str], Path]) -> None:
    install("test-format", FORMAT)
    (tmp_path / "flow.toml").write_text(text)
    with pytest.raises((FlowError, ParameterError)):
        Flow.load(tmp_path / "flow.toml", overrides)


def test_an_index_may_be_words_or_lists_of_words(tmp_path: Path, install: Callable[[str, str], Path]) -> None:
    install("test-format", FORMAT)
    (tmp_path / "flow.toml").write_text(ENDS + 'index = ["fldr", ["cdp", "offset"]]')
    assert Flow.load(tmp_path / "flow.toml").sink.index == (("field_record",), ("cdp", "offset"))
