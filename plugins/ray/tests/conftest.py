"""What the tests of this distribution share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A local Ray outlives the test that started it; when the module is done nothing of it is left."""
    from seisproc_ray import bridge, session

    os.environ["SEISPROC_RAY_KEEP_S"] = "120"
    yield
    del os.environ["SEISPROC_RAY_KEEP_S"]
    started = list(bridge._bridges.values())
    bridge.close()
    for each in started:
        assert session.members(each.pid) == []
        assert not each.folder.exists()
