"""Results of processors in another process, with another hash seed: one child for all processors of a suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seisproc_core.processing.processor import Processor
    from seisproc_core.testing.conformance.subject import Subject

CHILD = "from seisproc_core.testing.conformance import elsewhere; elsewhere.answer()"


class Elsewhere:
    """Another process, started when first asked, that answers for all of these processors."""

    def __init__(self, classes: list[type[Processor]]) -> None:
        self._references = [f"{cls.__module__}:{cls.__qualname__}" for cls in classes]
        self._answers: dict[str, Any] | None = None

    def answers(self, subject: Subject) -> list[str]:
        """What `conduct.answers` gives there."""
        if self._answers is None:
            self._answers = self._ask()
        answer = self._answers[f"{subject.cls.__module__}:{subject.cls.__qualname__}"]
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


def answer() -> None:
    """The other process: print the answers of the processors named on stdin, or why one fails."""
    from seisproc_core.specs import resolve
    from seisproc_core.testing.conformance.conduct import answers
    from seisproc_core.testing.conformance.subject import subject

    out, sys.stdout = sys.stdout, sys.stderr  # processors may print
    made: dict[str, Any] = {}
    for reference in json.load(sys.stdin):
        try:
            made[reference] = answers(subject(resolve(reference)))
        except Exception as error:  # whatever a processor raises is its answer
            made[reference] = f"{type(error).__name__}: {error}"
    json.dump(made, out)
