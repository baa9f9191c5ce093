"""The executor ``ray`` does what every executor must."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("ray", reason="Ray (distribution seisproc-ray) is not installed")

from seisproc_core.execution.executor import Executor
from seisproc_core.testing.executor import ExecutorSuite
from seisproc_ray.executor import RayActors

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc"),
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.timeout(120),
]


class TestRay(ExecutorSuite):
    id = "ray"

    def make(self, target: str, grace_s: float) -> Executor:
        return RayActors(grace_s=grace_s, target=target)
