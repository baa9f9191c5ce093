"""Signal processors: gains, filters, mutes, trace edits and combination."""

from __future__ import annotations

__version__ = "0.1.0"
