"""Discovery of plugins: an index that is made once per set of installed distributions, and isolation of broken ones.

Making the index imports every plugin's light module and its processors once; after that listings, help and planning
read the index, and only what a job uses is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distributions, requires, version
from pathlib import Path
from typing import Any

import attrs

from seisproc_core.errors import PluginError, UsageError
from seisproc_core.hookspecs import API_VERSION, ENTRY_POINT_GROUP
from seisproc_core.places import cache_folder
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
    resolve,
)

INDEX_VERSION = 2
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_KINDS: dict[str, type] = {
    "kernels": KernelSpec,
    "backends": BackendSpec,
    "storage": StorageSpec,
    "executors": ExecutorSpec,
    "job_stores": JobStoreSpec,
    "commands": CommandSpec,
    "observers": ObserverSpec,
    "alert_rules": AlertRuleSpec,
    "alert_channels": AlertChannelSpec,
}
_BUILTIN_STEPS = ("sort",)
_CORE = "seisproc-core"


@attrs.frozen(kw_only=True)
class Described:
    """One description in the index: who provides it, under which id, and the description itself."""

    kind: str
    id: str
    distribution: str
    spec: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class PluginStatus:
    """One installed plugin: ``error`` is empty when it works."""

    name: str
    distribution: str
    version: str
    module: str
    error: str = ""


@attrs.frozen(kw_only=True)
class Registry:
    """All that installed plugins describe."""

    plugins: tuple[PluginStatus, ...]
    entries: tuple[Described, ...]
    _known: dict[str, dict[str, Described]] = attrs.field(init=False, eq=False, repr=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        for entry in self.entries:
            self._known.setdefault(entry.kind, {})[entry.id] = entry

    def of(self, kind: str) -> list[Described]:
        """All descriptions of a kind, by id."""
        return sorted((e for e in self.entries if e.kind == kind), key=lambda e: e.id)

    def find(self, kind: str, id: str) -> Described:
        """The description of that kind and id; `UsageError` with the nearest names when there is none."""
        known = self._known.get(kind, {})
        if id in known:
            return known[id]
        import difflib

        near = difflib.get_close_matches(id, known, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"installed: {', '.join(sorted(known)) or 'none'}"
        what = {
            "processors": "processor",
            "executors": "executor",
            "storage": "format",
            "alert_rules": "rule",
            "alert_channels": "channel",
        }.get(kind, kind)
        raise UsageError(f"no {what} named '{id}'; {hint}")

    def load(self, kind: str, id: str) -> Any:
        """The implementation behind a description."""
        return resolve(self.find(kind, id).spec["impl"])

    def best(self, kind: str) -> Described | None:
        """The description of the highest rank, or None when there is none of that kind."""
        return max(self.of(kind), key=lambda e: e.spec["rank"], default=None)

    def code_of(self, distribution: str) -> str:
        """Installed version of a distribution, for plugins and the core with a hash of their code; "" without one."""
        try:
            installed = version(distribution)
        except PackageNotFoundError:
            installed = ""
        modules = {p.module for p in self.plugins if p.distribution == distribution}
        if distribution == _CORE:
            modules = {__name__}
        if not modules:
            return installed
        digest = hashlib.sha256()
        for root, path in sorted(file for module in modules for file in _files(module)):
            digest.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return f"{installed} (code {digest.hexdigest()[:12]})"


_registries: dict[Hashable, Registry] = {}


def registry() -> Registry:
    """The registry of this environment, from the cached index where that is still true.

    ``SEISPROC_PLUGINS`` (comma-separated distribution names) limits which plugins are loaded; empty means none.

    A process asks what is installed again only after a change of the folders that modules are found in: code edited
    under it would not be imported again either.
    """
    where = (os.environ.get("SEISPROC_PLUGINS"), *((entry, _changed_at(entry)) for entry in sys.path))
    if where not in _registries:
        points = list(_entry_points())
        key = _fingerprint(points)
        found = _read_index(key)
        if found is None:
            found = build(points)
            _write_index(key, found)
        _registries[where] = found
    return _registries[where]


def _changed_at(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def _entry_points() -> Iterator[tuple[EntryPoint, Distribution]]:
    allowed = os.environ.get("SEISPROC_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    seen = set()
    for distribution in distributions():
        points = distribution.entry_points.select(group=ENTRY_POINT_GROUP)
        # One may be found twice, on the path and below it: as for imports, the first counts.
        if points and distribution.name not in seen and (names is None or distribution.name in names):
            seen.add(distribution.name)
            yield from ((point, distribution) for point in points)


def _fingerprint(points: list[tuple[EntryPoint, Distribution]]) -> str:
    """Changes with any installed plugin, its version, its code, and what is installed beside it."""
    parts = [f"{INDEX_VERSION} {API_VERSION} {sys.version}"]
    paths = {path for _, path in _files(__name__)}
    for point, distribution in points:
        parts.append(f"{distribution.name} {distribution.version} {point.name} {point.value}")
        paths.update(path for _, path in _files(point.value))
        paths.add(Path(str(distribution.locate_file(""))))  # a plugin set aside may only have lacked a library
    for path in sorted(filter(Path.exists, paths)):
        status = path.stat()
        parts.append(f"{path} {status.st_mtime_ns} {status.st_size}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def requirements(distribution: str) -> set[str]:
    """Names of the distributions that one needs, extras left out."""
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return set()
    return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in lines if "extra ==" not in line}


def _files(module: str) -> list[tuple[Path, Path]]:
    """Code of the package that a module belongs to: the folder that holds it, and each file."""
    try:
        spec = importlib.util.find_spec(module.partition(":")[0].partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [(Path(spec.origin).parent, Path(spec.origin))] if spec.has_location and spec.origin else []
    roots = map(Path, spec.submodule_search_locations)
    return [
        (root, path) for root in roots for path in root.rglob("*") if path.suffix in (".py", ".so") and path.is_file()
    ]


def _cache_path(key: str) -> Path:
    return cache_folder() / f"plugins-{key[:24]}.json"


def _read_index(key: str) -> Registry | None:
    try:
        plain = json.loads(_cache_path(key).read_text("utf-8"))
        return Registry(
            plugins=tuple(PluginStatus(**p) for p in plain["plugins"]),
            entries=tuple(Described(**e) for e in plain["entries"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_index(key: str, registry: Registry) -> None:
    """Best effort: without a writable cache the index is made again by each process."""
    path = _cache_path(key)
    plain = {
        "plugins": [attrs.asdict(p) for p in registry.plugins],
        "entries": [attrs.asdict(e) for e in registry.entries],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            json.dump(plain, file)
        os.replace(file.name, path)
    except OSError:
        return


def build(points: list[tuple[EntryPoint, Distribution]]) -> Registry:
    """Import every plugin once and collect its descriptions; a plugin that fails is set aside whole."""
    statuses: list[PluginStatus] = []
    owners: dict[tuple[str, str], Described] = {}
    for entry in _own():
        _claim(owners, entry)
    for point, distribution in sorted(points, key=lambda p: (p[1].name, p[0].name)):
        error = ""
        try:
            for entry in _describe(point, distribution.name):
                json.dumps(entry.spec)  # the index is kept as JSON
                _claim(owners, entry)
        except (Exception, SystemExit) as problem:
            error = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
            owners = {key: e for key, e in owners.items() if e.distribution != distribution.name}
        statuses.append(
            PluginStatus(
                name=point.name,
                distribution=distribution.name,
                version=distribution.version,
                module=point.value,
                error=error,
            )
        )
    return Registry(plugins=tuple(statuses), entries=tuple(owners.values()))


def _own() -> Iterator[Described]:
    """What the core itself provides, described as any plugin would."""
    memory = StorageSpec(id="memory", suffixes=(), impl="seisproc_core.data.survey:MemoryStorage")
    in_process = ExecutorSpec(
        id="in-process",
        impl="seisproc_core.execution.executor:InProcess",
        summary="one segment after the other in this process, for debugging and embedding",
    )
    yield Described(kind="storage", id=memory.id, distribution=_CORE, spec=attrs.asdict(memory))
    threads = ExecutorSpec(
        id="threads",
        impl="seisproc_core.execution.threads:Threads",
        summary="threads of this process, for kernels that release Python's lock",
    )
    for executor in (in_process, threads):
        yield Described(kind="executors", id=executor.id, distribution=_CORE, spec=attrs.asdict(executor))


def _claim(owners: dict[tuple[str, str], Described], entry: Described) -> None:
    other = owners.get((entry.kind, entry.id))
    if other is not None:
        raise PluginError(
            f"{entry.kind} '{entry.id}' is provided by {other.distribution} and by {entry.distribution}; uninstall one"
        )
    owners[entry.kind, entry.id] = entry


def _describe(point: EntryPoint, distribution: str) -> Iterator[Described]:
    """Call every hook of one plugin in a plugin manager of its own, and check what comes back."""
    import pluggy

    from seisproc_core import hookspecs

    module = point.load()
    wanted = getattr(module, "SEISPROC_API", API_VERSION)
    if wanted != API_VERSION:
        raise PluginError(f"made for plugin API {wanted}, this is {API_VERSION}")
    manager = pluggy.PluginManager("seisproc")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=distribution)
    manager.check_pending()
    for (described,) in _results(manager.hook.seisproc_processors):
        yield _described_processor(described, distribution)
    for kind, type_ in _KINDS.items():
        for (spec,) in _results(getattr(manager.hook, f"seisproc_{kind}")):
            if not isinstance(spec, type_):
                raise PluginError(f"seisproc_{kind} returned {spec!r}, not a {type_.__name__}")
            plain: dict[str, Any] = attrs.asdict(spec)  # type: ignore[arg-type]
            id_ = f"{plain['name']}.{plain['backend']}" if kind == "kernels" else plain.get("id") or plain["name"]
            yield Described(kind=kind, id=id_, distribution=distribution, spec=plain)


def _results(hook: Callable[[], list[Any]]) -> Iterator[tuple[Any]]:
    for result in hook():
        if not isinstance(result, (list, tuple)):
            raise PluginError(f"a hook returned {type(result).__name__}, not a list")
        yield from ((item,) for item in result)


def _described_processor(described: Any, distribution: str) -> Described:
    from seisproc_core.processing.params import json_schema
    from seisproc_core.processing.processor import Processor

    cls = resolve(described) if isinstance(described, str) else described
    if not (isinstance(cls, type) and issubclass(cls, Processor) and cls.id):
        raise PluginError(f"seisproc_processors returned {described!r}, not a class made with @processor")
    if not _ID.fullmatch(cls.id) or cls.id in _BUILTIN_STEPS:
        raise PluginError(f"'{cls.id}' cannot be a processor's id: lower case letters, digits, _ and -, not reserved")
    text = inspect.cleandoc(cls.__doc__ or "")
    spec = {
        "impl": f"{cls.__module__}:{cls.__qualname__}",
        "summary": text.split("\n")[0],
        "doc": text,
        "scope": cls.scope,
        "kernels": list(cls.kernels),
        "saves": list(cls.saves),
        "version": cls.version,
        "schema": json_schema(cls, cls.id),
    }
    return Described(kind="processors", id=cls.id, distribution=distribution, spec=spec)
