"""The two exceptions of the readers, with the names of the native library."""

from __future__ import annotations


class SegyError(ValueError):
    """The file or an argument cannot be used as asked: what was found, where, what to try."""


class Cancelled(Exception):
    """The flag was raised during a long loop."""
