"""Questions about headers in SQL: right answers, and nothing else that SQL could do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seisproc_core.data.headers import Headers
from seisproc_core.errors import UsageError

pytest.importorskip("duckdb", reason="DuckDB is an extra")

from seisproc_terminal.commands.query_command import answer


@pytest.fixture
def headers() -> Headers:
    count = 120
    columns = {
        "cdp": (np.arange(count) // 12).astype(np.int32),
        "offset": (25 * (np.arange(count) % 12)).astype(np.int32),
        "pick": np.linspace(0, 1, count),
    }
    return Headers(columns, count)


def test_answers(headers: Headers) -> None:
    names, rows = answer(headers, "select cdp, count(*) as fold from headers group by cdp order by cdp")
    assert names == ["cdp", "fold"]
    assert rows == [[k, 12] for k in range(10)]
    assert answer(headers, 'select max("offset") from headers where cdp = 3') == (['max("offset")'], [[275]])
    assert len(answer(headers, "select * from headers limit 5")[0]) == 3


def test_offset_is_a_header_word_where_sql_cannot_mean_its_own(headers: Headers) -> None:
    for sql in (
        "select max(offset) from headers where cdp = 3",
        "select offset from headers order by OFFSET desc limit 1",
    ):
        assert answer(headers, sql)[1] == [[275]]
    sql = "select distinct offset, 'an offset' from headers where offset >= 100 order by offset limit 1 offset 2"
    assert answer(headers, sql)[1] == [[150, "an offset"]]
    assert answer(headers, "select cdp from headers order by cdp limit 1 offset 13")[1] == [[1]]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')", "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')", "copy headers to 'x.csv'", "copy (select 1) to 'x.parquet'", "attach 'x.db'",
        "set enable_external_access = true", "set lock_configuration = false", "install httpfs", "load httpfs",
        "export database 'x'", "import database 'x'", "create table x as select 1", "drop view headers",
        "select 1; select 2", "select * from sys", "select * from columns", "insert into headers values (1)",
        "pragma database_list", "select getenv('HOME')", "update headers set cdp = 1", "", "select",
        "select 1 --\n; drop x",
        "select nothing from headers", "with x as (select * from read_blob('/etc/shadow')) select * from x",
    ],
)  # fmt: skip
def test_what_is_refused(headers: Headers, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        answer(headers, sql)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
