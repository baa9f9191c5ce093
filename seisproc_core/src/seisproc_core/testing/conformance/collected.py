"""The suite as pytest sees it: a class with one test per promise and thing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from seisproc_core.plugins import Described, Registry, registry
from seisproc_core.testing.conformance import checks, conduct
from seisproc_core.testing.conformance.checks import Check
from seisproc_core.testing.conformance.elsewhere import Elsewhere
from seisproc_core.testing.conformance.subject import subject

CHECKS: dict[str, Check] = {
    "shape": checks.check_shape,
    "headers": checks.check_headers,
    "units": conduct.check_units,
    "repeatable": conduct.check_repeatable,
    "batches": checks.check_batches,
    "state": checks.check_state,
    "input": checks.check_input,
    "parameters": conduct.check_parameters,
    "exceptions": conduct.check_exceptions,
    "cancel": conduct.check_cancel,
    "memory": conduct.check_memory,
    "nan": checks.check_nan,
    "edges": checks.check_edges,
    "saves": checks.check_saves,
    "backends": checks.check_backends,
    "linear": checks.check_linear,
}


def suite(distribution: str, known: Registry | None = None) -> type:
    """The conformance suite of everything that an installed distribution offers to seisproc.

    Put it into a test module, and pytest runs it::

        from seisproc_core.testing.conformance import suite

        TestConformance = suite("seisproc-spikes")

    Parameters
    ----------
    distribution
        Its name, as its ``pyproject.toml`` gives it.
    known
        The installed plugins, where not all of this environment are meant.

    Raises
    ------
    ValueError
        No such plugin is installed, or it was set aside; says why.
    """
    known = known or registry()
    name = re.sub(r"[-_.]+", "-", distribution).lower()
    status = next((p for p in known.plugins if re.sub(r"[-_.]+", "-", p.distribution).lower() == name), None)
    if status is None or status.error:
        raise ValueError(f"{distribution}: {status.error if status else 'no installed plugin of that name'}")
    mine = [entry for entry in known.entries if entry.distribution == status.distribution]
    return type("TestConformance", (), _tests(known, mine))


def _tests(known: Registry, mine: list[Described]) -> dict[str, Any]:
    processors = [entry for entry in mine if entry.kind == "processors"]
    found: dict[str, Any] = {"__doc__": "What this distribution offers keeps the contract of seisproc."}
    if processors:
        loaded = {entry.id: known.load("processors", entry.id) for entry in processors}
        classes = {name: cls for name, cls in loaded.items() if not cls.claims.beyond_suite}
        elsewhere = Elsewhere(list(classes.values()))

        @pytest.mark.parametrize("check", CHECKS)
        @pytest.mark.parametrize("name", classes)
        def test_processor(self: object, name: str, check: str) -> None:
            CHECKS[check](subject(classes[name], known, elsewhere))

        found["test_processor"] = test_processor
    return found
