"""The core of seisproc. The public names live in `seisproc_core.api` and are loaded when first used."""

from __future__ import annotations

from seisproc_core.api import __all__, __dir__, __getattr__

__version__ = "0.1.0"
__all__ = [*__all__]  # noqa: PLE0604 - the list of public names is kept in one place

_ = (__dir__, __getattr__)
