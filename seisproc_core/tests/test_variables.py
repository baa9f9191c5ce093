"""Variables of flows, and tables of lines: what is put where, and what is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core import Flow
from seisproc_core.errors import ParameterError, SeisprocError
from seisproc_core.processing.flow import read_tables, typed_variables
from seisproc_core.processing.lines import LineTable, read_lines
from seisproc_core.processing.variables import substituted, uses, value_of

FLOW = """
name = "gain of ${line}"

[variables]
line = "L1"
window_ms = 500
files = ["a.seis", "b.seis"]
strict = true

[source]
memory = "${files}"
gather = ["cdp"]

[[step]]
use = "agc"
window_ms = "${window_ms}"
kind = "rms"

[[step]]
use = "note"
text = "$${line} of ${line} at ${window_ms}: ${strict}"
nested = { list = ["${line}"] }

[sink]
memory = "${line}_${window_ms}.seis"
"""


def load(folder: Path, text: str = FLOW, **values: Any) -> Flow:
    path = folder / "gain.toml"
    path.write_text(text)
    return Flow.load(path, variables=values)


def test_defaults_are_put_in_whole_or_as_text(tmp_path: Path) -> None:
    flow = load(tmp_path)
    assert flow.name == "gain of L1"
    assert [Path(path).name for path in flow.source.paths] == ["a.seis", "b.seis"]
    assert flow.steps[0].parameters == {"window_ms": 500, "kind": "rms"}
    assert flow.steps[1].parameters == {"text": "${line} of L1 at 500: true", "nested": {"list": ["L1"]}}
    assert flow.sink.path == str(tmp_path / "L1_500.seis")
    assert flow.variables == {"line": "L1", "window_ms": 500, "files": ["a.seis", "b.seis"], "strict": True}
    assert Flow.from_json(flow.to_json()) == flow


def test_given_values_win_and_are_not_looked_at_again(tmp_path: Path) -> None:
    flow = load(tmp_path, line="${window_ms}", window_ms=2.5)
    assert flow.sink.path.endswith("/${window_ms}_2.5.seis")
    assert flow.steps[0].parameters["window_ms"] == 2.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "rms"', 'kind = "${lin}"', r"gain, step 1 \(agc\): there is no variable 'lin'; did you mean 'line'"),
        ('"${line}_${window_ms}.seis"', '"${line"', r"gain, \[sink\]: '\$\{line' opens a variable"),
        ('"${line}_${window_ms}.seis"', '"${files}.seis"', r"\[sink\].*'files' is a list or table"),
        ('line = "L1"', 'line = "${window_ms}"', r"\[variables\] line: .* cannot name others"),
        ('line = "L1"', "line = 1979-05-27", r"\[variables\] line: must be text, a number"),
        ('line = "L1"', "line = nan", r"\[variables\] line: must be text, a number"),
        ('line = "L1"', '"a b" = "L1"', r"\[variables\]: 'a b' is no name"),
        ("[variables]", "[[variables]]", "variables must be a table"),
    ],
)
def test_refusals_name_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(SeisprocError, match=message):
        load(tmp_path, FLOW.replace(old, new))


def test_an_unknown_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeisprocError, match="gain: there is no variable 'lines'; did you mean 'line'"):
        load(tmp_path, lines="L2")


def test_text_becomes_what_the_default_is(tmp_path: Path) -> None:
    load(tmp_path)
    plain = read_tables(tmp_path / "gain.toml")
    typed = typed_variables(plain, "gain", ["line=007", "window_ms=2.5", 'files=["c"]', "strict=No"])
    assert typed == {"line": "007", "window_ms": 2.5, "files": ["c"], "strict": False}
    for wrong in ("window_ms=two", "window_ms=inf", "files=c", "files=3", "strict=maybe", "line", "lin=L2"):
        with pytest.raises(SeisprocError, match=wrong.partition("=")[0]):
            typed_variables(plain, "gain", [wrong])


PIECES = st.one_of(st.text(st.characters(exclude_characters="${}")), st.sampled_from(["${v}", "$${", "$", "{", "}"]))


@given(st.lists(PIECES), st.text())
def test_text_is_put_together_piece_by_piece(pieces: list[str], value: str) -> None:
    text = "".join(pieces)
    if text.replace("$${", "").replace("${v}", "").count("${"):  # pieces that make a use when they meet
        return
    made = substituted({"source": {"x": text}}, {"v": value}, "flow")
    # Split at what is replaced; what stands between stays, whatever was put in.
    parts = re.split(r"(\$\$\{|\$\{v\})", text)
    assert made["source"]["x"] == "".join({"$${": "${", "${v}": value}.get(part, part) for part in parts)


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text()))
def test_values_survive_being_written(value: Any) -> None:
    assert value_of(str(value), value) == value


def test_where_variables_stand(tmp_path: Path) -> None:
    load(tmp_path)
    found = set(uses(read_tables(tmp_path / "gain.toml")))
    assert ("agc", "window_ms", frozenset({"window_ms"})) in found
    assert ("sink", "memory", frozenset({"line", "window_ms"})) in found
    assert ("note", "nested", frozenset({"line"})) in found


# -- tables of lines


def table_of(folder: Path, text: str, **given_values: Any) -> LineTable:
    load(folder)
    (folder / "lines.csv").write_text(text, "utf-8-sig")
    plain = read_tables(folder / "gain.toml")
    return read_lines(folder / "lines.csv", plain, base=folder, name="gain", given=given_values)


def test_a_row_is_a_line(tmp_path: Path) -> None:
    table = table_of(tmp_path, "line, window_ms\n# no line\nL1,100\n\nL2,\n", strict=False)
    assert [(line.row, line.name) for line in table.lines] == [(3, "L1"), (5, "L2")]
    assert [line.flow.variables["window_ms"] for line in table.lines] == [100, 500]  # empty: the default
    assert not table.lines[0].flow.variables["strict"]
    assert [Path(line.flow.sink.path).name for line in table.lines] == ["L1_100.seis", "L2_500.seis"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lines.csv is empty"),
        ("line\n", "no row but its header line"),
        ("lin\nL1\n", "column 'lin': .* did you mean 'line'"),
        ("line,line\nL1,L2\n", "two columns 'line'"),
        ("line,window_ms\nL1,100\nL2,wide\n", "row 3, column 'window_ms': must be a number, not 'wide'"),
        ("line,window_ms\nL1\n", "row 2: 1 cells, but 2 columns"),
        ("line,window_ms\nL1,100\nL1,1e2\n", None),
        ("line\nL1\nL2\nL1\n", r"row 4, column 'line' \(L1\): writes .*L1_500.seis, as row 2 \(L1\) does"),
        ('line,files\nL1,"[""a.seis""]"\nL2,"[""L1_500.seis""]"\n', r"row 3, column 'files' \(L2\): reads .*row 2"),
        ("strict\nno\n", r"column 'strict': the same variable is given"),
    ],
)
def test_bad_tables_are_refused_with_row_and_column(tmp_path: Path, text: str, message: str | None) -> None:
    if message is None:
        assert len(table_of(tmp_path, text).lines) == 2
        return
    with pytest.raises(SeisprocError, match=message):
        table_of(tmp_path, text, strict=True)


def test_an_error_of_a_flow_names_the_columns_behind_it(tmp_path: Path) -> None:
    table = table_of(tmp_path, "line,window_ms\nL1,100\n")
    line = table.lines[0]
    error = table.refusal(line.row, line.name, ParameterError("agc", "window_ms", "must be above 0"))
    assert str(error).endswith("lines.csv, row 2, column 'window_ms' (L1): agc: parameter 'window_ms' must be above 0")
    other = table.refusal(line.row, line.name, ParameterError("agc", "kind", "must be one of"))
    assert "row 2 (L1): agc" in str(other)
    assert "column 'line', 'window_ms' (L1)" in str(table.refusal(line.row, line.name, SeisprocError("x"), "sink"))
