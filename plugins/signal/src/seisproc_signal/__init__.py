"""Processors of single traces: gains, filters, deconvolution, wavelets, resampling, mutes and edits."""

from __future__ import annotations

__version__ = "0.1.0"
