"""What a processor's docstring owes the reader: a formula, when not to use it, where it is from."""

from __future__ import annotations

import re

import pytest

from seisproc_core.plugins import Described, registry

PROCESSORS = registry().of("processors")
FORMULA = re.compile(r"[=^]|\bsum\b|[<>] |\|\w")


@pytest.mark.parametrize("entry", PROCESSORS, ids=[entry.id for entry in PROCESSORS])
def test_every_processor_says_how_when_not_and_from_where(entry: Described) -> None:
    paragraphs = entry.spec["doc"].split("\n\n")
    assert FORMULA.search(entry.spec["doc"]), "no formula"
    assert any(text.startswith("Not ") for text in paragraphs), 'no paragraph that begins with "Not", for when not to'
    sources = [text for text in paragraphs if re.match("Sources?:", text)]
    assert len(sources) == 1, 'one paragraph begins with "Source:" or "Sources:"'
    assert re.search(r"\b(19|20)\d\d\b|Seismic Unix|`\w+`", sources[0]), "the source has no year, program or step"
