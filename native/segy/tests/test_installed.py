"""Whether the package under test is there at all."""

from __future__ import annotations

import pytest


def test_the_package_is_installed() -> None:
    native = pytest.importorskip("seisproc_native_segy", reason="not built: no Rust toolchain; its tests are not run")
    assert native.SegyFile is not None
