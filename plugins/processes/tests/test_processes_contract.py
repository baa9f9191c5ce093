"""The executor ``processes`` does what every executor must."""

from __future__ import annotations

from seisproc_core.execution.executor import Executor
from seisproc_core.testing.executor import ExecutorSuite
from seisproc_processes.executor import Processes


class TestProcesses(ExecutorSuite):
    id = "processes"

    def make(self, target: str, grace_s: float) -> Executor:
        return Processes(grace_s=grace_s, target=target)
