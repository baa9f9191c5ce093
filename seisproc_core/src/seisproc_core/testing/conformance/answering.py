"""The other process that `Elsewhere` asks."""

from __future__ import annotations

import json
import sys
from typing import Any

from seisproc_core.specs import resolve
from seisproc_core.testing.conformance.conduct import answers
from seisproc_core.testing.conformance.subject import subject


def answer() -> None:
    """Print the answers of the processors named on stdin, or why one fails."""
    out, sys.stdout = sys.stdout, sys.stderr  # processors may print
    made: dict[str, Any] = {}
    for reference in json.load(sys.stdin):
        try:
            made[reference] = answers(subject(resolve(reference)))
        except Exception as error:  # whatever a processor raises is its answer
            made[reference] = f"{type(error).__name__}: {error}"
    json.dump(made, out)
