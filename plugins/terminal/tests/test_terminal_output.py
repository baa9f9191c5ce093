"""What is printed: no control characters, aligned tables, valid JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import UsageError
from seisproc_terminal import output
from seisproc_terminal.options import rows_of, words_of
from seisproc_terminal.watching import columns_for
from seisproc_terminal.yaml_text import yaml_lines

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["on", "x_1"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_yaml_is_read_back_the_same(value: object) -> None:
    yaml = pytest.importorskip("yaml")
    lines = list(yaml_lines(value))
    assert all(line.isprintable() for line in lines)
    assert yaml.safe_load("\n".join(lines)) == value


@given(st.text())
def test_clean_text_is_printable(text: str) -> None:
    cleaned = output.clean(text)
    assert all(character.isprintable() or character.isspace() for character in cleaned)
    assert not any(character in cleaned for character in "\x1b\r\n\t\x00\x7f\x9b\u202e\u2028")
    cleaned.encode("utf-8")


@pytest.mark.parametrize("text", ["plain", "Würzburg 50 °C", "日本", "a b"])
def test_clean_keeps_what_is_harmless(text: str) -> None:
    assert output.clean(text) == text


def test_table_aligns(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "count"), [("a\x1b[31m", 5), ("bc", np.int32(1200))])
    assert capsys.readouterr().out.splitlines() == ["name       count", "a\\x1b[31m      5", "bc          1200"]


def test_empty_table_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "count"), [])
    assert capsys.readouterr().out == "name  count\n"


def test_document_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"a": np.float32(1.5), "b": np.arange(2), "c": float("nan"), "d": [np.inf], "e": "\x1b", "f": None})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": 1.5, "b": [0, 1], "c": None, "d": [None], "e": "\x1b", "f": None}
    assert "\x1b" not in text


def test_rows_and_words() -> None:
    assert rows_of("0:20", 7) == slice(0, 7)
    assert rows_of("3", 7) == slice(3, 4)
    assert rows_of(":", 7) == slice(0, 7)
    assert words_of("fldr, cdp") == ("field_record", "cdp")
    for bad in ("x", "5:3", "-1:3", "9:12"):
        with pytest.raises(UsageError):
            rows_of(bad, 7)
    with pytest.raises(UsageError):
        words_of(" , ")


@pytest.mark.parametrize(("count", "text"), [(12, "12 bytes"), (2048, "2.0 KiB"), (3 << 40, "3.0 TiB")])
def test_size(count: int, text: str) -> None:
    assert output.size(count) == text


def test_a_narrow_screen_keeps_what_one_types_and_looks_for() -> None:
    assert columns_for(200) == ["job", "since", "name", "state", "pri", "progress", "%", "why"]
    assert columns_for(60) == ["job", "name", "state", "%"]
    assert columns_for(20) == ["job", "name", "state", "%"]
    for width in range(20, 200):
        shown = columns_for(width)
        assert {"job", "name", "state", "%"} <= set(shown)
        assert set(shown) <= set(columns_for(width + 1))
