"""Expressions on the command line: words computed at import and on show, traces chosen by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal_kit import Ran, Run, needs_formats

from seisproc_core.plugins import registry

pytestmark = pytest.mark.skipif(
    not any(entry.id == "header_math" for entry in registry().of("processors")), reason="seisproc-geometry is missing"
)


def refused(ran: Ran, code: int, *parts: str) -> None:
    assert ran.code == code, ran.err
    for part in parts:
        assert part in ran.err


@needs_formats
def test_import_computes_words_and_keeps_the_samples(run: Run, segy: Path, tmp_path: Path) -> None:
    more = ("--compute", "cdp = field_record * 100 + channel", "--compute", "late = channel > 20", "--gather", "cdp")
    assert run("import", segy, "a.seis", *more, "--executor", "in-process").code == 0
    shown = run("headers", "a.seis", "--words", "cdp,late", "--rows", "23:25", "--json").document["words"]
    assert shown == {"cdp": [124, 201], "late": [1, 0]}
    assert run("export", "a.seis", "a.sgy", "--executor", "in-process").code == 0
    one, two = segy.read_bytes(), (tmp_path / "a.sgy").read_bytes()
    header, stride = 240, (len(one) - 3600) // 240
    for at in range(3600, len(one), stride):
        assert one[at + header : at + stride] == two[at + header : at + stride]
        assert one[at : at + 20] + one[at + 24 : at + header] == two[at : at + 20] + two[at + 24 : at + header]
    broken = run("import", segy, "b.seis", "--compute", "cdp = 1 / (channel - 3)", "--executor", "in-process")
    refused(broken, 2, "column 1: division by zero at trace 3 (field_record 1, channel 3)")
    assert not list(tmp_path.glob("b.seis*"))


@needs_formats
def test_headers_by_expression(run: Run, segy: Path) -> None:
    choice = ("--where", "channel == 3 and field_record <= 2", "--compute", "twice = channel * 2", "--json")
    shown = run("headers", segy, "--words", "fldr,channel,twice", *choice).document
    assert shown["rows"] == [2, 26]
    assert shown["words"] == {"field_record": [1, 2], "channel": [3, 3], "twice": [6, 6]}
    stats = run("headers", segy, "--stats", "--words", "channel", "--where", "channel > 20", "--json").document
    assert stats["words"]["channel"]["min"] == 21
    refused(run("headers", segy, "--where", "channel.__class__"), 2, "an attribute (.) is not allowed")
    refused(run("headers", segy, "--where", "channel == 99"), 2, "no trace")
