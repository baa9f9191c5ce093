"""The conformance suite: whether what a distribution offers keeps the contract, as tests that pytest collects."""

from __future__ import annotations

from seisproc_core.testing.conformance.collected import suite

__all__ = ["suite"]
