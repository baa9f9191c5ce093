"""The conformance suite finds every fault that it is there for, with the very check that is for it."""

from __future__ import annotations

import attrs
import pytest
from faulty_processors import FAULTS, Right, TwoForms

from seisproc_core import KernelSpec, Processor
from seisproc_core.errors import SeisprocError
from seisproc_core.processing.claims import Claims
from seisproc_core.testing.conformance import suite
from seisproc_core.testing.conformance.collected import CHECKS
from seisproc_core.testing.conformance.elsewhere import Elsewhere
from seisproc_core.testing.conformance.subject import Subject, subject_of

ELSEWHERE = Elsewhere(list(FAULTS))
FORMS = [
    KernelSpec(name="double", backend=backend, impl=f"faulty_processors:{name}")
    for backend, name in (("reference", "double"), ("rounded", "nearly_double"))
]


def failing(subject: Subject) -> set[str]:
    """Names of the checks that a processor fails."""
    found = set()
    for name, check in CHECKS.items():
        try:
            check(subject)
        except Exception:
            found.add(name)
    return found


@pytest.mark.parametrize("cls", FAULTS, ids=lambda cls: cls.id)
def test_each_fault_is_found_by_its_check_alone(cls: type[Processor]) -> None:
    assert failing(Subject(cls, {}, ELSEWHERE)) == FAULTS[cls]


def test_a_backend_that_differs_is_found() -> None:
    with pytest.raises(AssertionError, match="rounded differs from the reference: relative rms"):
        CHECKS["backends"](subject_of(TwoForms, FORMS))


def test_examples_that_are_refused_or_missing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for examples, message in (((), "claims no examples"), (({"taper_ms": -1},), "is refused")):
        monkeypatch.setattr(Right, "claims", Claims(examples=examples))
        with pytest.raises(AssertionError, match=message):
            CHECKS["shape"](Subject(Right))


def test_inert_parameters_need_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    cls = next(cls for cls in FAULTS if cls.id == "ignored_parameter")
    monkeypatch.setattr(cls, "claims", attrs.evolve(cls.claims, inert={"strength": "kept for old flows"}))
    CHECKS["parameters"](Subject(cls))


def test_only_installed_distributions_are_tested() -> None:
    with pytest.raises((ValueError, SeisprocError), match="no installed plugin"):
        suite("seisproc-that-is-not-there")
