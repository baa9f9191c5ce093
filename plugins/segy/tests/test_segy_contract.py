"""SEG-Y does what every storage format must."""

from __future__ import annotations

from seisproc_core.testing.storage import StorageSuite
from seisproc_segy.storage import SegyStorage


class TestSegyStorage(StorageSuite):
    storage = SegyStorage()
    name = "line.sgy"
