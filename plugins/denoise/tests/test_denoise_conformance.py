"""What this distribution offers keeps the contract of seisproc."""

from seisproc_core.testing.conformance import suite

TestConformance = suite("seisproc-denoise")
