"""A processor under test, run as a job would run it but without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.errors import UsageError
from seisproc_core.plugins import Registry, registry
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.processing.processor import Processor
from seisproc_core.specs import KernelSpec, resolve
from seisproc_core.testing.conformance.data import copied
from seisproc_core.testing.conformance.elsewhere import Elsewhere

REFERENCE = "reference"
RELATIVE_RMS = 1e-5
SHARE_BEYOND = 1e-4  # of the samples of a thresholded step


class Refused(Exception):
    """The processor's own `check` does not want these data or parameters."""


def _alone(subject: Subject) -> Elsewhere:
    return Elsewhere([subject.cls])


@attrs.frozen(eq=False)
class Subject:
    """A processor class with the implementations of its kernels, by name and backend."""

    cls: type[Processor]
    kernels: Mapping[str, Mapping[str, Callable[..., Any]]] = attrs.field(factory=dict)
    elsewhere: Elsewhere = attrs.field(default=attrs.Factory(_alone, takes_self=True))

    @property
    def backends(self) -> list[str]:
        """Backends beside the reference that any of its kernels has."""
        return sorted({backend for forms in self.kernels.values() for backend in forms} - {REFERENCE})

    @property
    def default(self) -> str:
        """The backend that is looked at where one is enough."""
        return self.backends[0] if self.cls.claims.slow_reference and self.backends else REFERENCE

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The claimed examples; none would leave nothing to test."""
        examples = [dict(example) for example in self.cls.claims.examples]
        assert examples, f"{self.cls.id} claims no examples"
        return examples

    def make(self, parameters: Mapping[str, Any], gather: Gather) -> Processor:
        """The processor, checked against these data; `Refused` where it does not take them."""
        try:
            built: Processor = build(self.cls, self.cls.id, parameters)
            made = built.resolve(gather.layout)
            made.check(gather.layout)
        except UsageError as error:
            raise Refused(str(error)) from error
        return made

    def context(
        self, backend: str | None = None, flag: np.ndarray | None = None, saving: frozenset[str] = frozenset()
    ) -> Context:
        """What the processor is handed; kernels without this backend run as their reference."""
        backend = backend or self.default
        found = {name: forms.get(backend) or forms[REFERENCE] for name, forms in self.kernels.items()}
        return Context(found, flag=flag, saving=saving)

    def run(self, parameters: Mapping[str, Any], gather: Gather, backend: str | None = None) -> Gather:
        """Apply it to a copy of `gather`; the result is a copy too, as pools use memory again."""
        made: Gather = self.make(parameters, gather).apply(copied(gather), self.context(backend))
        assert isinstance(made, Gather), f"apply returned {type(made).__name__}, not a Gather"
        return copied(made)


def subject(cls: type[Processor], known: Registry | None = None, elsewhere: Elsewhere | None = None) -> Subject:
    """The processor with the kernels that are installed for it and whose backend works here."""
    from seisproc_core.processing.kernels import usable_backends

    known = known or registry()
    usable = usable_backends(known)
    kernels: dict[str, dict[str, Callable[..., Any]]] = {name: {} for name in cls.kernels}
    for entry in known.of("kernels"):
        name, backend = entry.spec["name"], entry.spec["backend"]
        if name in kernels and backend in usable:
            kernels[name][backend] = resolve(entry.spec["impl"])
    for name, forms in kernels.items():
        assert REFERENCE in forms, f"kernel '{name}' of {cls.id} has no reference form"
    return Subject(cls, kernels, elsewhere) if elsewhere else Subject(cls, kernels)


def subject_of(cls: type[Processor], kernels: list[KernelSpec]) -> Subject:
    """The processor with kernels that are not installed."""
    found = {name: {spec.backend: resolve(spec.impl) for spec in kernels if spec.name == name} for name in cls.kernels}
    return Subject(cls, found)


def digest(gather: Gather) -> str:
    """SHA-256 of samples, header words and sampling."""
    import hashlib

    made = hashlib.sha256(gather.traces.tobytes())
    for name in sorted(gather.headers):
        made.update(name.encode() + gather.headers.column(name).tobytes())
    made.update(repr(gather.sampling).encode() + gather.gather_starts.tobytes())
    return made.hexdigest()


def rms(values: np.ndarray) -> float:
    """Root of the mean square, in float64."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0


def relative_rms(found: np.ndarray, expected: np.ndarray) -> float:
    """rms of the difference over rms of `expected`; 0 where both are 0."""
    difference = rms(np.subtract(found, expected, dtype=np.float64))
    return difference / max(rms(expected), 1e-30) if difference else 0.0


def disagreement(cls: type[Processor], found: Gather, expected: Gather) -> str:
    """How two results that should be equal but for rounding differ; empty where they do not."""
    if found.traces.shape != expected.traces.shape:
        return f"shape {found.traces.shape}, not {expected.traces.shape}"
    for name in expected.headers:
        a, b = found.headers.column(name), expected.headers.column(name)
        if not (np.array_equal(a, b) if a.dtype.kind in "iu" else np.allclose(a, b, rtol=1e-5)):
            return f"header word '{name}' is {_first_difference(a, b)}"
    error = relative_rms(found.traces, expected.traces)
    if error <= RELATIVE_RMS:
        return ""
    if cls.claims.thresholded:
        scale = max(rms(expected.traces), 1e-30)
        share = float(np.mean(np.abs(np.subtract(found.traces, expected.traces)) > RELATIVE_RMS * scale * 10))
        return f"{share:.1e} of the samples differ, at most {SHARE_BEYOND:g} may" if share > SHARE_BEYOND else ""
    return f"relative rms of the difference {error:.1e}, at most {RELATIVE_RMS:g} may be"


def _first_difference(a: np.ndarray, b: np.ndarray) -> str:
    row = int(np.flatnonzero(a != b)[0])
    return f"{a[row]}, not {b[row]}, at trace {row}"
