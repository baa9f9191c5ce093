"""Saying what a cancel waits for, where segments run in threads: nobody can kill those."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping

from seisproc_core.jobs.control import Control

_POLL_S = 0.1

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def told_when_overdue(control: Control, under_way: Mapping[int, int], grace_s: float) -> Iterator[None]:
    """Warn, while the block runs on though the control byte left "run": after `grace_s` seconds, then ever more rarely.

    Parameters
    ----------
    under_way
        The segment that each slot is busy with; looked at when the time comes.
    """
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(control, under_way, grace_s, over), name="seisproc-overdue")
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(control: Control, under_way: Mapping[int, int], grace_s: float, over: threading.Event) -> None:
    raised, next_s = 0.0, grace_s
    while not over.wait(min(_POLL_S, grace_s)):
        if not control.command:
            continue
        raised = raised or time.monotonic()
        waited = time.monotonic() - raised
        if waited >= next_s:
            for segment in list(under_way.values()):
                logger.warning(
                    "segment %d goes on %.1f s after the job was told to stop: a step in a thread cannot be killed, "
                    "the job ends when it does",
                    segment,
                    waited,
                )
            next_s *= 2
