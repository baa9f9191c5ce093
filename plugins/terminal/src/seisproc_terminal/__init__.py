"""The terminal front end: a lazy group of sub-commands that plugins provide."""

from __future__ import annotations

__version__ = "0.1.0"
