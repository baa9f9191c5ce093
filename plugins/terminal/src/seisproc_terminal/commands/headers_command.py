"""``seisproc headers``: trace headers as a table, or their ranges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.data.formats import format_of, function_of, open_survey
from seisproc_core.errors import UsageError
from seisproc_terminal import output
from seisproc_terminal.options import given, json_option, reading_options, rows_of, words_of

if TYPE_CHECKING:
    import numpy as np

_USUAL = (
    "field_record", "channel", "source_station", "cdp", "offset", "inline", "crossline", "source_x", "source_y",
    "receiver_x", "receiver_y", "trace_type", "fold",
)  # fmt: skip


@click.command(short_help="List trace headers, or their ranges.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--words", metavar="WORD,WORD", help="Words to show, or 'all'.  [default: the usual ones in use]")
@click.option("--rows", default="0:20", show_default=True, metavar="FIRST:END", help="Traces to show, from 0.")
@click.option("--stats", is_flag=True, help="Range and number of different values of each word, over all traces.")
@click.option("--where", metavar="EXPRESSION", help="Only traces for which this holds, as 'abs(offset) < 500'.")
@click.option("--compute", "computed", multiple=True, metavar="WORD=EXPRESSION",
              help="Compute a word from others and show it too. May be repeated.")  # fmt: skip
@reading_options
@json_option
def command(
    file: Path,
    words: str | None,
    rows: str,
    stats: bool,
    where: str | None,
    computed: tuple[str, ...],
    as_json: bool,
    **overrides: Any,
) -> None:
    """List the trace headers of FILE: values as stored, one line per trace.

    Words go by name (field_record), SU key (fldr) or segyio name (FieldRecord).

    \b
    Examples:
      seisproc headers shots.sgy
      seisproc headers shots.sgy --words fldr,tracf,offset --rows 0:96
      seisproc headers line.seis --stats
      seisproc headers line.seis --where "abs(offset) < 100 and channel > 4"
      seisproc headers shots.sgy --compute "midpoint = (source_x + receiver_x) / 2" --words channel,midpoint

    Expressions see words in SI units (metres, seconds); the table shows them as stored.
    """
    options = given(overrides)
    chosen = None if words in (None, "all") else words_of(str(words))
    if where or computed:
        _show_chosen(file, chosen, rows, stats, where, computed, options, as_json=as_json)
        return
    if stats:
        found = _statistics(file, chosen or (), options)
        _print_statistics(file, found, as_json=as_json)
        return
    asked, columns = _columns(file, chosen, rows, options)
    if words is None:
        columns = {name: columns[name] for name in _USUAL if name in columns} or columns
    _print_rows(file, range(asked.start, asked.stop), columns, as_json=as_json)


def _print_rows(file: Path, numbers: Sequence[int], columns: dict[str, np.ndarray], *, as_json: bool) -> None:
    if as_json:
        output.document({"path": str(file), "rows": list(numbers), "words": columns})
    else:
        output.table(("trace", *columns), zip(numbers, *columns.values(), strict=True))


def _print_statistics(file: Path, found: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.document({"path": str(file), "words": found})
    else:
        keys = ("first", "last", "min", "max", "n_unique")
        output.table(("word", *keys), [(name, *(entry[key] for key in keys)) for name, entry in found.items()])


def _show_chosen(
    file: Path,
    words: tuple[str, ...] | None,
    rows: str,
    stats: bool,
    where: str | None,
    computed: tuple[str, ...],
    options: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """The traces that an expression chooses, with computed words; `rows` counts among them."""
    import numpy as np

    from seisproc_core.data.expressions import Expression, assignment

    survey = open_survey(file, options)
    headers = survey.headers()
    made = []
    for text in computed:
        name, expression = assignment(text)
        headers = headers.assign(name, expression.evaluate(headers))
        made.append(name)
    chosen = np.arange(len(headers)) if where is None else np.flatnonzero(Expression.parse(where).condition(headers))
    if not chosen.size:
        raise UsageError(f"no trace of {file} has {where}")
    shown = headers.take(chosen)
    names = words or (tuple(headers) if stats else tuple(dict.fromkeys((*(w for w in _USUAL if w in shown), *made))))
    if stats:
        found = {name: _statistics_of(shown.column(name)) for name in names}
        _print_statistics(file, {n: s for n, s in found.items() if words or s["min"] or s["max"]}, as_json=as_json)
        return
    if not as_json:
        output.remark(f"{chosen.size:,} of {survey.n_traces:,} traces")
    asked = slice(0, min(20, chosen.size)) if rows == "0:20" else rows_of(rows, chosen.size)
    columns = {name: shown.column(name)[asked] for name in names}
    if words is None:
        columns = {name: column for name, column in columns.items() if column.any() or name in made}
    _print_rows(file, chosen[asked].tolist(), columns, as_json=as_json)


def _columns(
    file: Path, words: tuple[str, ...] | None, rows: str, options: dict[str, Any]
) -> tuple[slice, dict[str, np.ndarray]]:
    """Stored values of some rows; of the words that are not all zero there, when none are named."""
    entry = format_of(file)
    describe, header_table = function_of(entry, "describe"), function_of(entry, "header_table")
    if describe is not None and header_table is not None:
        asked = rows_of(rows, int(describe(str(file), **options)["traces"]))
        return asked, header_table(str(file), words or (), asked.start, asked.stop, **options)
    survey = open_survey(file, options)
    asked = rows_of(rows, survey.n_traces)
    headers = survey.headers()
    found = {name: headers.column(name)[asked] for name in words or headers}
    return asked, {name: column for name, column in found.items() if words or column.any()}


def _statistics(file: Path, words: tuple[str, ...], options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    statistics = function_of(format_of(file), "word_statistics")
    if statistics is not None:
        found: dict[str, dict[str, Any]] = statistics(str(file), words, **options)
        return found
    headers = open_survey(file, options).headers()
    made = {}
    for name in words or headers:
        column = headers.column(name)
        if words or column.any():
            made[name] = _statistics_of(column)
    return made


def _statistics_of(column: np.ndarray) -> dict[str, Any]:
    import numpy as np

    different = np.unique(column)
    return {
        "first": column[0], "last": column[-1], "min": different[0], "max": different[-1], "n_unique": len(different),
    }  # fmt: skip
