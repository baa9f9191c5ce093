"""What a step works out of the headers of a survey, once: its check, its notes and its plan ask for the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from seisproc_core.data.headers import Headers
from seisproc_core.processing.processor import Processor

T = TypeVar("T")


def once(step: Processor, what: str, headers: Headers, make: Callable[[], T]) -> T:
    """What `make` returns for these headers; what it returned the last time if they are the same object.

    Parameters
    ----------
    step
        Where the last result is kept; steps are immutable, so that nothing else decides it.
    what
        Which of the step's results.
    headers
        Immutable, too: compared by identity.
    """
    name = f"_once_{what}"
    held: tuple[Headers, T] | None = getattr(step, name, None)
    if held is None or held[0] is not headers:
        held = headers, make()
        object.__setattr__(step, name, held)
    return held[1]
