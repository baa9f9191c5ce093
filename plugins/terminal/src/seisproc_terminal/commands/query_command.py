"""``seisproc query``: questions about trace headers, in SQL."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.data.formats import open_survey
from seisproc_core.errors import PluginError, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.data.headers import Headers

_SHOWN = 200
_CONFIGURATION: dict[str, Any] = {
    "enable_external_access": "false",  # no file, no network, no extension
    "python_enable_replacements": "false",  # no variable of this program as a table
    "autoload_known_extensions": "false",
    "memory_limit": "2GB",
    "max_temp_directory_size": "0KB",
    "lock_configuration": "true",  # and no statement can change any of it
}


@click.command(short_help="Ask about trace headers, in SQL.")
@click.argument("survey", type=click.Path(path_type=Path))
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
def command(survey: Path, sql: str, as_csv: bool, as_json: bool) -> None:
    """Answer one SELECT over the table `headers` of SURVEY: a row per trace in stored order, header words as stored.

    OFFSET is a word of SQL too; where SQL cannot mean its own, the header word is taken ("offset" always is). DuckDB
    answers (install seisproc-terminal[query]). Only words that the query names are read; nothing is changed, and no
    file but the survey can be reached.

    \b
    Examples:
      seisproc query line.seis "select cdp, count(*) as fold from headers group by cdp order by cdp"
      seisproc query line.seis "select max(abs(offset)) from headers where dead = 0" --json
    """
    names, rows = answer(open_survey(survey).headers(), sql)
    if as_json:
        output.document({"path": str(survey), "columns": names, "rows": rows})
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([names, *([output.clean(v) for v in r] for r in rows)])
    else:
        output.table(names, rows[:_SHOWN])
        if len(rows) > _SHOWN:
            output.remark(f"{len(rows) - _SHOWN} more rows; --csv prints all")


def answer(headers: Headers, sql: str) -> tuple[list[str], list[list[Any]]]:
    """Names of the columns and rows of the result.

    Raises
    ------
    PluginError
        DuckDB is not installed.
    UsageError
        It is not one SELECT, or DuckDB refuses it.
    """
    try:
        import duckdb
        import pyarrow as pa
    except ImportError:
        raise PluginError("queries need DuckDB; install it with: pip install 'seisproc-terminal[query]'") from None
    columns = {name: headers.column(name) for name in _named(sql, list(headers))}
    with duckdb.connect(":memory:", config=_CONFIGURATION) as connection:
        try:
            try:
                statements = duckdb.extract_statements(sql)
            except duckdb.ParserException:
                statements = duckdb.extract_statements(_with_offset(sql))
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError("a query is one SELECT")
            connection.register("headers", pa.table(columns))
            result = connection.execute(statements[0])
            return [column[0] for column in result.description or ()], [list(row) for row in result.fetchall()]
        except (duckdb.Error, OverflowError) as error:
            message = " ".join(str(error).split())
            raise UsageError(f"the query cannot be answered: {message[:300]}") from None


def _with_offset(sql: str) -> str:
    """The query with the header word ``offset`` in quotes, but where a number follows, as in LIMIT 5 OFFSET 5."""
    parts = re.split(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")", sql)
    parts[::2] = [re.sub(r"\boffset\b(?!\s+\d)", '"offset"', part, flags=re.IGNORECASE) for part in parts[::2]]
    return "".join(parts)


def _named(sql: str, words: list[str]) -> list[str]:
    """Words that the query speaks of; all where it asks for ``*``."""
    if "*" in re.sub(r"count\s*\(\s*\*\s*\)", "", sql, flags=re.IGNORECASE):
        return words
    spoken = set(re.findall(r"\w+", sql.lower()))
    found = [word for word in words if word.lower() in spoken or not re.fullmatch(r"\w+", word)]
    return found or words[:1]
