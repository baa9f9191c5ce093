"""Which implementation of each kernel a step uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seisproc_core.errors import PluginError
from seisproc_core.plugins import Registry
from seisproc_core.specs import resolve

REFERENCE = "reference"


def usable_backends(registry: Registry) -> dict[str, str]:
    """Backends that work here with what they say of themselves, preferred first; the reference comes last."""
    usable = {}
    for entry in sorted(registry.of("backends"), key=lambda e: -e.spec["rank"]):
        try:
            usable[entry.id] = str(resolve(entry.spec["impl"])())
        except Exception:  # whatever ails it, the reference is still there
            continue
    usable[REFERENCE] = "NumPy/SciPy"
    return usable


def choose(registry: Registry, kernels: tuple[str, ...], forced: str | None, owner: str) -> dict[str, str]:
    """The backend for each kernel of a step.

    Parameters
    ----------
    forced
        The backend the user asked for; refused with a reason where it cannot be had.
    owner
        The step, for messages.
    """
    backends = usable_backends(registry)
    if forced is not None and forced not in backends:
        raise PluginError(f"{owner}: backend '{forced}' cannot be used here; usable: {', '.join(backends)}")
    chosen = {}
    for name in kernels:
        have = {e.spec["backend"] for e in registry.of("kernels") if e.spec["name"] == name}
        wanted = [forced] if forced else [b for b in backends if b in have]
        if not wanted or wanted[0] not in have:
            raise PluginError(f"{owner}: kernel '{name}' has no {forced or 'usable'} form; it has: {', '.join(have)}")
        chosen[name] = wanted[0]
    return chosen


def load(registry: Registry, chosen: Mapping[str, str]) -> dict[str, Any]:
    """The functions behind a choice; `PluginError` where this process lacks one."""
    return {name: registry.load("kernels", f"{name}.{backend}") for name, backend in chosen.items()}
