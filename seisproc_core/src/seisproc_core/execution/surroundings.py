"""A worker's surroundings: what plugins may change around them, put back before the next segment."""

from __future__ import annotations

import locale
import os
import signal
import sys
from pathlib import Path

import numpy as np

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Surroundings:
    """What belongs to the process and not to the segment: taken once, restored after every segment.

    Working directory, environment, module search path, Python's standard streams, mask of file modes, floating-point
    error handling, locale, timers, signal mask and the signal handlers that Python knows of.
    """

    def __init__(self) -> None:
        self._directory = _directory()
        self._environment = dict(os.environ)
        self._path = list(sys.path)
        self._mask = os.umask(0o077)
        os.umask(self._mask)
        self._float_errors = np.geterr()
        self._locale = locale.setlocale(locale.LC_ALL)
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._handlers = [(number, signal.getsignal(number)) for number in signal.valid_signals()]
        self._printing = sys.stdout, sys.stderr
        self._streams = _streams()

    def restore(self) -> bool:
        """Put back what was changed.

        Returns
        -------
        False when that cannot be done, or when the standard streams are not the same files any more: what is printed
        then goes anywhere. The process had better be replaced.
        """
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        for number, handler in self._handlers:
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        os.umask(self._mask)
        np.seterr(**self._float_errors)
        sys.path[:] = self._path
        sys.stdout, sys.stderr = self._printing
        if os.environ != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
        if _directory() != self._directory:
            try:
                os.chdir(self._directory)
            except OSError:
                return False
        return _streams() == self._streams


def _directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""


def _streams() -> list[tuple[int, int] | None]:
    """Which files standard input, output and error are."""
    found: list[tuple[int, int] | None] = []
    for number in range(3):
        try:
            status = os.fstat(number)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found
