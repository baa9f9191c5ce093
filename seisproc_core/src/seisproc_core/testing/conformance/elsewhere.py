"""Results of processors in another process, with another hash seed: one child for all processors of a suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from seisproc_core.processing.processor import Processor

CHILD = "from seisproc_core.testing.conformance.answering import answer; answer()"


class Elsewhere:
    """Another process, started when first asked, that answers for all of these processors."""

    def __init__(self, classes: list[type[Processor]]) -> None:
        self._references = [_reference(cls) for cls in classes]
        self._answers: dict[str, Any] | None = None

    def answers(self, cls: type[Processor]) -> list[str]:
        """What `conduct.answers` gives there for one of them."""
        if self._answers is None:
            self._answers = self._ask()
        answer = self._answers[_reference(cls)]
        assert isinstance(answer, list), f"fails in another process: {answer}"
        return answer

    def _ask(self) -> dict[str, Any]:
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=json.dumps(self._references),
            env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": path},
            check=False, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"another process ends with {done.returncode}: {done.stderr[-500:]}"
        answers: dict[str, Any] = json.loads(done.stdout)
        return answers


def _reference(cls: type[Processor]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
