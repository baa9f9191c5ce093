"""All cases, and which processors have none."""

from __future__ import annotations

from functools import cache

from benchmarks.processors import edits, filters, gathers, geometry, modes, operators, statics, velocity
from benchmarks.processors.case import Case
from seisproc_core.plugins import registry

FAMILIES = (edits, filters, operators, statics, velocity, gathers, modes, geometry)


@cache
def cases() -> dict[str, Case]:
    """All cases by name, in the order of the table."""
    made = [case for family in FAMILIES for case in family.CASES]
    named = {case.name: case for case in made}
    if len(named) != len(made):
        raise AssertionError("two cases have one name: give them labels")
    return named


def without_case() -> list[str]:
    """Registered processors that no case measures."""
    measured = {case.use for case in cases().values()}
    return sorted(entry.id for entry in registry().of("processors") if entry.id not in measured)
