"""The whole plugin contract.

A plugin is a distribution with one entry point in the group ``seisproc.plugins``. The entry point names a light module
with functions marked `hookimpl`; each returns a list of descriptions and is called once, when the index of
installed plugins is made - never per trace, never with an array. All hooks are optional:

=======================  ============================================================================
hook                     returns a list of
=======================  ============================================================================
seisproc_processors      processors: classes, or strings ``"package.module:Class"``
seisproc_kernels         `KernelSpec`: implementations of kernels, reference or accelerated
seisproc_backends        `BackendSpec`: ways to run accelerated kernels
seisproc_storage         `StorageSpec`: file formats to read, write, or both
seisproc_executors       `ExecutorSpec`: ways to run segments
seisproc_job_stores      `JobStoreSpec`: durable stores of jobs
seisproc_commands        `CommandSpec`: sub-commands of the terminal
seisproc_observers       `ObserverSpec`: classes that are told what happens to jobs
seisproc_alert_rules     `AlertRuleSpec`: conditions of machine and jobs that people should hear of
seisproc_alert_channels  `AlertChannelSpec`: ways to tell them
=======================  ============================================================================

Ids are unique over all installed distributions: a clash is an error that names both. A plugin that raises, returns
anything else, or asks for another ``SEISPROC_API`` than `API_VERSION` (a module constant, optional) is set aside whole;
``seisproc plugins doctor`` says why.

The objects behind the descriptions implement protocols: `Processor` (processing/processor.py), `Storage`
(data/survey.py), `Executor` (execution/executor.py), `JobStore` (jobs/store.py), `Observer` (jobs/events.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from seisproc_core.processing.processor import Processor
    from seisproc_core.specs import (
        AlertChannelSpec,
        AlertRuleSpec,
        BackendSpec,
        CommandSpec,
        ExecutorSpec,
        JobStoreSpec,
        KernelSpec,
        ObserverSpec,
        StorageSpec,
    )

API_VERSION = 1
ENTRY_POINT_GROUP = "seisproc.plugins"

hookspec = pluggy.HookspecMarker("seisproc")
hookimpl = pluggy.HookimplMarker("seisproc")


@hookspec
def seisproc_processors() -> list[type[Processor] | str]:
    """Processors for flows; their ids are the names in ``use = "..."``."""
    raise NotImplementedError


@hookspec
def seisproc_kernels() -> list[KernelSpec]:
    """Kernels behind processors; (name, backend) is the id."""
    raise NotImplementedError


@hookspec
def seisproc_backends() -> list[BackendSpec]:
    """Backends that kernels may name; ``reference`` is the core's own."""
    raise NotImplementedError


@hookspec
def seisproc_storage() -> list[StorageSpec]:
    """Formats in which surveys are read and written."""
    raise NotImplementedError


@hookspec
def seisproc_executors() -> list[ExecutorSpec]:
    """Executors beside the core's ``in-process``."""
    raise NotImplementedError


@hookspec
def seisproc_job_stores() -> list[JobStoreSpec]:
    """Job stores beside the core's in-memory one."""
    raise NotImplementedError


@hookspec
def seisproc_commands() -> list[CommandSpec]:
    """Sub-commands of ``seisproc``."""
    raise NotImplementedError


@hookspec
def seisproc_observers() -> list[ObserverSpec]:
    """Observers of jobs: they get events on a queue of their own and hold nothing up."""
    raise NotImplementedError


@hookspec
def seisproc_alert_rules() -> list[AlertRuleSpec]:
    """Rules for alerts; the ids are their names in the settings."""
    raise NotImplementedError


@hookspec
def seisproc_alert_channels() -> list[AlertChannelSpec]:
    """Channels that alerts go to; the ids are their names in the settings."""
    raise NotImplementedError
