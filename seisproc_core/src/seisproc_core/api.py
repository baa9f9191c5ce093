"""The public names of seisproc, each loaded from its module when first used.

Everything that is not listed here may change between minor versions.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "Claims": "processing.claims",
    "Context": "processing.context",
    "Engine": "jobs.engine",
    "Flow": "processing.flow",
    "Job": "jobs.model",
    "MemorySurvey": "data.survey",
    "Progress": "jobs.handle",
    "Source": "processing.flow",
    "State": "jobs.states",
    "Step": "processing.flow",
    "Survey": "data.survey",
    "SurveyProcessor": "processing.survey_scope",
    "SurveyRef": "processing.params",
    "Target": "processing.flow",
    "export_survey": "transfers",
    "import_survey": "transfers",
    "process": "transfers",
    "Gather": "data.gather",
    "Headers": "data.headers",
    "Layout": "data.gather",
    "Processor": "processing.processor",
    "Sampling": "data.sampling",
    "Table": "data.tables",
    "hookimpl": "hookspecs",
    "mute_outside": "data.gather",
    "param": "processing.params",
    "processor": "processing.processor",
    "KernelSpec": "specs",
    "BackendSpec": "specs",
    "CommandSpec": "specs",
    "ExecutorSpec": "specs",
    "JobStoreSpec": "specs",
    "StorageSpec": "specs",
    "SeisprocError": "errors",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'seisproc_core' has no attribute '{name}'")
    return getattr(importlib.import_module(f"seisproc_core.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
