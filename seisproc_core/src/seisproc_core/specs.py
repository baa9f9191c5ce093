"""What plugins return from their hooks: frozen descriptions that name their implementation by a string.

``"package.module:name"`` is resolved only where the work is done, so describing a plugin imports nothing heavy.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import attrs

from seisproc_core.errors import PluginError


def resolve(reference: str) -> Any:
    """The object behind ``"package.module:name"``."""
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # an import may raise anything
        raise PluginError(f"cannot load {reference}: {type(error).__name__}: {error}") from error


@attrs.frozen(kw_only=True)
class KernelSpec:
    """One implementation of a kernel.

    Attributes
    ----------
    name
        The kernel, as processors ask for it (``"agc"``).
    backend
        ``"reference"``, or the id of a backend (``"numba"``).
    impl
        A function; all implementations of one kernel take the same arguments.
    """

    name: str
    backend: str
    impl: str


@attrs.frozen(kw_only=True)
class BackendSpec:
    """A way to run kernels. `impl` is a function without arguments that returns a description of the backend in
    use (version, device) or raises `PluginError` saying why it cannot be used here. Higher `rank` is preferred."""

    id: str
    impl: str
    rank: int = 0


@attrs.frozen(kw_only=True)
class StorageSpec:
    """A file format: `impl` is a class that implements `seisproc_core.data.survey.Storage`.
    `working` formats can hold the intermediate stages of a job; `suffix_options` are options that the name of an output
    stands for, ``{".su": {"kind": "su"}}``; `marks` are first bytes, in hexadecimal, by which a file is known whose
    suffix names no format."""

    id: str
    suffixes: tuple[str, ...]
    impl: str
    summary: str = ""
    working: bool = False
    suffix_options: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    marks: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ExecutorSpec:
    """A way to run segments: `impl` is a class that implements `seisproc_core.execution.executor.Executor`.
    The installed executor of the highest rank is the default."""

    id: str
    impl: str
    rank: int = 0
    summary: str = ""


@attrs.frozen(kw_only=True)
class JobStoreSpec:
    """A durable store of jobs: `impl` is a class that implements `seisproc_core.jobs.store.JobStore`."""

    id: str
    impl: str
    rank: int = 0


@attrs.frozen(kw_only=True)
class CommandSpec:
    """A sub-command of the terminal front end: `impl` is a click command."""

    name: str
    impl: str
    help: str


@attrs.frozen(kw_only=True)
class ObserverSpec:
    """Somebody who wants to hear what happens to jobs: `impl` is a class as `seisproc_core.jobs.events.Observer`
    describes; one is made for every engine that starts."""

    id: str
    impl: str


@attrs.frozen(kw_only=True)
class AlertRuleSpec:
    """A condition that people should hear of: `impl` is an attrs class whose fields are the settings of the rule, with
    defaults, and whose method `check` says where the condition holds."""

    id: str
    impl: str
    summary: str


@attrs.frozen(kw_only=True)
class AlertChannelSpec:
    """A way to tell people: `impl` is a class, made without arguments, whose method `send` takes an alert or raises
    `PluginError` saying why it cannot; with `default` it is used unless switched off."""

    id: str
    impl: str
    summary: str
    default: bool = False
