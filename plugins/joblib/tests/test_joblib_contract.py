"""The executor ``joblib`` does what every executor must."""

from __future__ import annotations

from seisproc_core.execution.executor import Executor
from seisproc_core.testing.executor import ExecutorSuite
from seisproc_joblib.executor import Loky


class TestLoky(ExecutorSuite):
    id = "joblib"

    def make(self, target: str, grace_s: float) -> Executor:
        return Loky(grace_s=grace_s, target=target)
