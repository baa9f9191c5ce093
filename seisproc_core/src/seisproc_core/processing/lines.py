"""One flow for many lines: a table with a row per line, its columns the variables of the flow."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from seisproc_core.errors import FlowError, ParameterError, SeisprocError
from seisproc_core.processing.flow import Flow
from seisproc_core.processing.variables import declared, unknown_variable, uses, value_of

MAX_TABLE_BYTES = 4 << 20
MAX_LINES = 10_000


@attrs.frozen(kw_only=True)
class Line:
    """A row of the table.

    Attributes
    ----------
    row
        Where it stands in the file, the header line being row 1.
    name
        Its first cell.
    flow
        The flow with the row's values in it.
    """

    row: int
    name: str
    flow: Flow


@attrs.frozen
class LineTable:
    """Lines of a flow, in the order of the file.

    Attributes
    ----------
    path
        The table.
    lines
        At least one; no two write one output, and none reads what another one writes.
    """

    path: Path
    lines: tuple[Line, ...]
    _columns: Sequence[str]
    _uses: Sequence[tuple[str, str, frozenset[str]]]

    def refusal(self, row: int, name: str, error: SeisprocError, place: str = "") -> SeisprocError:
        """An error of the flow of a line, with its row and the columns that it may come from.

        Parameters
        ----------
        place
            ``source`` or ``sink``, where the error is known to come from there; a `ParameterError` says so itself.
        """
        if isinstance(error, ParameterError):
            names = [n for owner, key, n in self._uses if (owner, key) == (error.owner, error.name)]
        else:
            names = [n for owner, _, n in self._uses if owner == place]
        columns = [column for column in self._columns if any(column in n for n in names)]
        error.args = (f"{_place(self.path, row, columns)} ({name}): {error}",)
        return error


def read_lines(
    path: Path, plain: Mapping[str, Any], *, base: Path, name: str, given: Mapping[str, Any] | None = None
) -> LineTable:
    """Read a table of lines.

    Parameters
    ----------
    path
        CSV with one header line: every column is a variable of the flow. An empty cell is the variable's default.
        Lines that begin with ``#`` are skipped.
    plain
        The tables of the flow file; see `seisproc_core.processing.flow.read_tables`.
    base, name
        Of the flow, as for `Flow.parse`.
    given
        Values for variables that have no column.

    Raises
    ------
    FlowError
        The table cannot be read; a column is no variable; a cell is no value for it; the flow makes no sense with a
        row's values; two rows write one output. Names row and column.
    """
    defaults = {**declared(plain, f"flow {name}"), **(given or {})}
    rows = _rows(path)
    header, columns = next(rows, (0, []))
    columns = [column.strip() for column in columns]
    if not columns:
        raise FlowError(f"{path} is empty: write a header line with variables of the flow, then a row per line")
    for column in columns:
        if column not in defaults:
            raise FlowError(f"{path}, column '{column}': flow {name}: {unknown_variable(column, defaults)}")
        if columns.count(column) > 1:
            raise FlowError(f"{path}: there are two columns '{column}'")
        if column in (given or {}):
            raise FlowError(f"{path}, column '{column}': the same variable is given on the command line")
    table = LineTable(path, (), columns, tuple(uses(plain)))
    lines = tuple(_lines(table, rows, columns, plain, defaults, base, name))
    if not lines:
        raise FlowError(f"{path} has no row but its header line (row {header})")
    _check_outputs(table, lines)
    return attrs.evolve(table, lines=lines)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with their number in the file; empty ones and comments are skipped."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise FlowError(f"{path} is larger than {MAX_TABLE_BYTES >> 20} MiB: not a table of lines")
        text = path.read_text("utf-8-sig")
        for number, cells in enumerate(csv.reader(text.splitlines()), 1):
            if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
                yield number, cells
    except OSError as error:
        raise FlowError(f"cannot read the table of lines {path}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise FlowError(f"the table of lines {path} is no CSV file: {error}") from error


def _lines(
    table: LineTable,
    rows: Iterator[tuple[int, list[str]]],
    columns: Sequence[str],
    plain: Mapping[str, Any],
    defaults: Mapping[str, Any],
    base: Path,
    name: str,
) -> Iterator[Line]:
    for count, (row, cells) in enumerate(rows, 1):
        if count > MAX_LINES:
            raise FlowError(f"{table.path} has more than {MAX_LINES:,} rows")
        if len(cells) != len(columns):
            raise FlowError(f"{_place(table.path, row)}: {len(cells)} cells, but {len(columns)} columns")
        values = dict(defaults)
        for column, cell in zip(columns, cells, strict=True):
            if cell.strip():
                try:
                    values[column] = value_of(cell.strip(), defaults[column])
                except FlowError as error:
                    raise FlowError(f"{_place(table.path, row, [column])}: {error}") from None
        line = cells[0].strip() or str(values[columns[0]])
        try:
            flow = Flow.parse(plain, base=base, name=name, variables=values)
        except SeisprocError as error:
            raise table.refusal(row, line, error) from None
        yield Line(row=row, name=line, flow=flow)


def _check_outputs(table: LineTable, lines: Sequence[Line]) -> None:
    """Refuse lines that write one output, or read what another one writes: their order would decide."""
    writes: dict[str, Line] = {}
    for line in lines:
        other = writes.setdefault(os.path.realpath(line.flow.sink.path), line)
        if other is not line:
            error = FlowError(f"writes {line.flow.sink.path}, as row {other.row} ({other.name}) does")
            raise table.refusal(line.row, line.name, error, "sink")
    for line in lines:
        for path in line.flow.source.paths:
            other = writes.get(os.path.realpath(path), line)
            if other is not line:
                error = FlowError(f"reads {path}, which row {other.row} ({other.name}) writes")
                raise table.refusal(line.row, line.name, error, "source")


def _place(path: Path, row: int, columns: Sequence[str] = ()) -> str:
    named = ", ".join(f"'{column}'" for column in columns)
    return f"{path}, row {row}" + (f", column {named}" if columns else "")
