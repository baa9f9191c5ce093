"""The executors of the core do what every executor must."""

from __future__ import annotations

from seisproc_core.execution.executor import Executor, InProcess
from seisproc_core.execution.threads import Threads
from seisproc_core.testing.executor import ExecutorSuite


class TestInProcess(ExecutorSuite):
    id = "in-process"
    in_process = True
    workers = 1

    def make(self, target: str, grace_s: float) -> Executor:
        return InProcess(grace_s=grace_s)


class TestThreads(ExecutorSuite):
    id = "threads"
    in_process = True

    def make(self, target: str, grace_s: float) -> Executor:
        return Threads(grace_s=grace_s)
