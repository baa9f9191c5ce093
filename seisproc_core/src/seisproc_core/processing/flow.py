"""Flows: a source, a chain of steps, a sink - as written in a TOML file or built in Python."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from seisproc_core.data.formats import implied_options
from seisproc_core.data.survey import Survey
from seisproc_core.data.words import canonical
from seisproc_core.errors import FlowError, ParameterError, check_no_secret
from seisproc_core.plugins import Registry, registry
from seisproc_core.processing.params import plain_value
from seisproc_core.processing.variables import declared, substituted, unknown_variable, value_of

MAX_FLOW_BYTES = 4 << 20


@attrs.frozen(kw_only=True)
class Source:
    """Where traces come from, and how they are gathered and sorted.

    Attributes
    ----------
    storage
        Id of the format (``survey``, ``segy``, ``memory``).
    paths
        Absolute paths; several files make one survey where the format allows it.
    gather, sort
        Header words; ``-word`` sorts descending. Ties are broken by `trace_id`, so that the order is total.
    options
        The format's own options.
    survey
        An open survey, for ``memory``.
    """

    storage: str
    paths: tuple[str, ...] = ()
    gather: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    survey: Survey | None = None


@attrs.frozen(kw_only=True)
class Step:
    """One processor of the chain with its parameters.

    Attributes
    ----------
    backend
        Forces how its kernels run.
    match
        Header words by which traces of its further inputs belong to those of the data; none: `trace_id`.
    save
        Its side outputs: absolute path of the survey that each becomes, by name.
    """

    use: str
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    backend: str | None = None
    match: tuple[str, ...] = ()
    save: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Target:
    """Where the result goes.

    Attributes
    ----------
    storage, path
        Format and absolute path.
    index
        Gather indexes to build.
    options
        The format's own options.
    sidecar
        Whether a single file gets its provenance record beside it, ``NAME.provenance.json``; folders hold theirs.
    """

    storage: str
    path: str = ""
    index: tuple[tuple[str, ...], ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    sidecar: bool = False


@attrs.frozen(kw_only=True)
class Flow:
    """A flow.

    Attributes
    ----------
    base
        Folder that relative paths of tables are taken from.
    import_options
        The ``[import]`` table: how the source is read when it is first imported (custom header words, overrides).
    variables
        The variables that were put into its values, as they were: for people and provenance.
    written
        The steps as somebody wrote them, where `steps` has every parameter that a job filled in: only the history of
        the output asks for them. None where both are the same.
    """

    source: Source
    steps: tuple[Step, ...] = ()
    sink: Target = Target(storage="memory")
    name: str = "flow"
    base: Path = attrs.field(factory=Path)
    import_options: Mapping[str, Any] = attrs.field(factory=dict)
    variables: Mapping[str, Any] = attrs.field(factory=dict)
    written: tuple[Step, ...] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether it reads a survey that lives in this process."""
        values = [value for step in self.steps for value in step.parameters.values()]
        return self.source.storage == "memory" or any(isinstance(value, Survey) for value in values)

    def without_saves(self) -> Flow:
        """The same flow without side outputs; the result does not change."""
        return attrs.evolve(self, steps=tuple(attrs.evolve(step, save={}) for step in self.steps))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        overrides: Sequence[str] = (),
        variables: Mapping[str, Any] | None = None,
    ) -> Flow:
        """Read a flow file.

        Parameters
        ----------
        path
            A TOML file of at most 4 MiB.
        overrides
            ``"agc.window_ms=300"``: step (or ``source``, ``sink``), parameter, and value as TOML writes it.
        variables
            Values for variables of the flow, instead of their defaults; `typed_variables` reads them from text.

        Raises
        ------
        FlowError
            The file cannot be read, or does not make sense; says where.
        """
        path = Path(path)
        return cls.parse(read_tables(path, overrides), base=path.parent, name=path.stem, variables=variables)

    @classmethod
    def parse(
        cls,
        plain: Mapping[str, Any],
        *,
        base: Path = Path(),
        name: str = "flow",
        variables: Mapping[str, Any] | None = None,
    ) -> Flow:
        """A flow from the tables of a flow file, its variables replaced by their values."""
        unknown = set(plain) - {"import", "name", "sink", "source", "step", "variables"}
        if unknown:
            raise FlowError(
                f"flow {name}: unknown table '{min(unknown)}'; a flow has name, variables, import, source, step, sink"
            )
        values = _values(plain, name, variables or {})
        plain = substituted(plain, values, f"flow {name}")
        source, sink = plain.get("source"), plain.get("sink")
        steps = plain.get("step", [])
        if not isinstance(source, Mapping) or not isinstance(sink, Mapping) or not isinstance(steps, list):
            raise FlowError(f"flow {name}: needs a [source] table, a [sink] table and [[step]] tables")
        known = registry()
        storage, paths, rest = _address(known, source, base, f"flow {name}, [source]")
        gather = word_list(f"flow {name}, [source]", "gather", rest.pop("gather", []))
        sort = word_list(f"flow {name}, [source]", "sort", rest.pop("sort", []))
        sink_storage, sink_paths, sink_rest = _address(known, sink, base, f"flow {name}, [sink]")
        if len(sink_paths) != 1:
            raise FlowError(f"flow {name}, [sink]: one path, not {len(sink_paths)}")
        sink_rest = {**implied_options(known.find("storage", sink_storage), Path(sink_paths[0])), **sink_rest}
        index, sidecar = sink_rest.pop("index", []), sink_rest.pop("sidecar", False)
        if not isinstance(sidecar, bool):
            raise FlowError(f"flow {name}, [sink]: sidecar must be true or false, not {sidecar!r}")
        if not isinstance(index, list):
            raise FlowError(f"flow {name}, [sink]: index must be a list of lists of header words, not {index!r}")
        if not isinstance(plain.get("import", {}), Mapping):
            raise FlowError(f"flow {name}: import must be a table")
        keys = tuple(word_list(f"flow {name}, [sink]", "index", words) for words in index)
        return cls(
            source=Source(storage=storage, paths=paths, gather=gather, sort=sort, options=rest),
            steps=tuple(_step(item, f"flow {name}, step {number}", base) for number, item in enumerate(steps, 1)),
            sink=Target(storage=sink_storage, path=sink_paths[0], index=keys, options=sink_rest, sidecar=sidecar),
            name=str(plain.get("name", name)),
            base=base.absolute(),
            import_options=dict(plain.get("import", {})),
            variables=values,
        )

    def to_json(self) -> dict[str, Any]:
        """The flow as plain JSON values: what job store, working folder and provenance keep."""
        source, sink = self.source, self.sink
        return {
            "name": self.name,
            "base": str(self.base),
            **({"variables": dict(self.variables)} if self.variables else {}),
            "source": {
                "storage": source.storage,
                "paths": list(source.paths),
                "gather": list(source.gather),
                "sort": list(source.sort),
                "options": dict(source.options),
            },
            "steps": [_plain_step(step) for step in self.steps],
            **({} if self.written is None else {"written": [_plain_step(step) for step in self.written]}),
            "sink": {
                "storage": sink.storage,
                "path": sink.path,
                "index": [list(keys) for keys in sink.index],
                "options": dict(sink.options),
                "sidecar": sink.sidecar,
            },
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Flow:
        """The flow that `to_json` described.

        Raises
        ------
        FlowError
            It is none.
        """
        try:
            source, sink = plain["source"], plain["sink"]
            return cls(
                source=Source(
                    storage=str(source["storage"]),
                    paths=tuple(map(str, source["paths"])),
                    gather=tuple(map(str, source["gather"])),
                    sort=tuple(map(str, source["sort"])),
                    options=dict(source["options"]),
                ),
                steps=tuple(map(_step_from, plain["steps"])),
                written=tuple(map(_step_from, plain["written"])) if "written" in plain else None,
                sink=Target(
                    storage=str(sink["storage"]),
                    path=str(sink["path"]),
                    index=tuple(tuple(map(str, keys)) for keys in sink["index"]),
                    options=dict(sink["options"]),
                    sidecar=bool(sink.get("sidecar", False)),
                ),
                name=str(plain["name"]),
                base=Path(plain["base"]),
                variables=dict(plain.get("variables", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FlowError(f"the description of a flow cannot be read: {error!r}") from error


def _plain_step(step: Step) -> dict[str, Any]:
    return {
        "use": step.use,
        "backend": step.backend,
        "match": list(step.match),
        **({"save": dict(step.save)} if step.save else {}),
        "parameters": {name: plain_value(value) for name, value in step.parameters.items()},
    }


def _step_from(plain: Mapping[str, Any]) -> Step:
    return Step(
        use=str(plain["use"]),
        backend=plain["backend"],
        match=tuple(map(str, plain.get("match", ()))),
        save={str(name): str(path) for name, path in plain.get("save", {}).items()},
        parameters=dict(plain["parameters"]),
    )


def read_tables(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The tables of a flow file as they are written, with overrides; see `Flow.load`."""
    try:
        if path.stat().st_size > MAX_FLOW_BYTES:
            raise FlowError(f"{path} is larger than {MAX_FLOW_BYTES >> 20} MiB: not a flow")
        plain = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FlowError(f"cannot read flow {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of thousands of digits
        raise FlowError(f"{path} is not a TOML file: {str(error).splitlines()[0]}") from error
    for override in overrides:
        _override(plain, override)
    return plain


def load_typed(path: Path, overrides: Sequence[str] = (), variables: Sequence[str] = ()) -> Flow:
    """`Flow.load` with variables as a command line gives them, ``line=L12``."""
    plain = read_tables(path, overrides)
    values = typed_variables(plain, path.stem, variables)
    return Flow.parse(plain, base=path.parent, name=path.stem, variables=values)


def typed_variables(plain: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Variables of a flow from ``line=L12``, each of the type of its default.

    Raises
    ------
    FlowError
        The flow declares no such variable, or the text is no value for it.
    """
    defaults, values = declared(plain, f"flow {name}"), {}
    for text in texts:
        variable, equals, value = text.partition("=")
        if not equals:
            raise FlowError(f"variable {text}: write name=value, e.g. line=L12")
        _check_variable(variable.strip(), defaults, name)
        try:
            values[variable.strip()] = value_of(value, defaults[variable.strip()])
        except FlowError as error:
            raise FlowError(f"variable {variable.strip()} {error}") from None
    return values


def _values(plain: Mapping[str, Any], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = declared(plain, f"flow {name}")
    for variable in given:
        _check_variable(variable, defaults, name)
    return {**defaults, **given}


def _check_variable(variable: str, defaults: Mapping[str, Any], name: str) -> None:
    if variable not in defaults:
        raise FlowError(f"flow {name}: {unknown_variable(variable, defaults)}")


def _address(
    known: Registry, table: Mapping[str, Any], base: Path, where: str
) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """Format, absolute paths and remaining options of a [source] or [sink] table."""
    ids = [entry.id for entry in known.of("storage")]
    named = [key for key in table if key in ids]
    if len(named) != 1:
        raise FlowError(f"{where}: name one of {', '.join(f'{i} = ...' for i in ids) or 'no installed format'}")
    value = table[named[0]]
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not paths or not all(isinstance(p, str) and p and "\0" not in p for p in paths):
        raise FlowError(f"{where}: {named[0]} must be a path or a list of paths, not {value!r}")
    for path in paths:
        check_no_secret(path)
    rest = {key: item for key, item in table.items() if key != named[0]}
    return named[0], tuple(os.path.abspath(base / path) for path in paths), rest


def word_list(where: str, key: str, words: Any) -> tuple[str, ...]:
    """Canonical header words of a ``gather = ...`` or ``sort = ...`` entry; a leading ``-`` stays."""
    words = [words] if isinstance(words, str) else words
    if not isinstance(words, (list, tuple)) or not all(isinstance(w, str) for w in words):
        raise FlowError(f"{where}: {key} must be a list of header words, not {words!r}")
    return tuple(("-" if w.startswith("-") else "") + canonical(w.removeprefix("-")) for w in words)


def _step(item: Any, where: str, base: Path) -> Step:
    if not isinstance(item, Mapping) or not isinstance(item.get("use"), str):
        raise FlowError(f'{where} needs use = "processor"')
    if not isinstance(item.get("backend", ""), str):
        raise FlowError(f"{where}: backend must be the name of one, not {item['backend']!r}")
    match = word_list(where, "match", item.get("match", []))
    save = _saves(item.get("save", {}), where, base)
    rest = {key: value for key, value in item.items() if key not in ("use", "backend", "match", "save")}
    return Step(use=item["use"], parameters=rest, backend=item.get("backend"), match=match, save=save)


def _saves(value: Any, where: str, base: Path) -> dict[str, str]:
    """Absolute paths of ``save.name = "path"``."""
    if not isinstance(value, Mapping) or not all(isinstance(p, str) and p and "\0" not in p for p in value.values()):
        raise FlowError(f'{where}: write save.name = "path", not save = {value!r}')
    for path in value.values():
        check_no_secret(path)
    return {name: os.path.abspath(base / path) for name, path in value.items()}


def _override(plain: dict[str, Any], text: str) -> None:
    """Apply ``step.parameter=value`` to the plain flow."""
    left, equals, right = text.partition("=")
    owner, dot, parameter = left.strip().partition(".")
    if not equals or not dot or not parameter:
        raise FlowError(f"--set {text}: write step.parameter=value, e.g. agc.window_ms=300")
    try:
        value = tomllib.loads(f"value = {right}")["value"]
    except (ValueError, RecursionError):
        value = right.strip()
    if owner in ("source", "sink"):
        tables = [plain.setdefault(owner, {})]
    else:
        steps = plain.get("step")
        tables = [
            s for s in (steps if isinstance(steps, list) else []) if isinstance(s, dict) and s.get("use") == owner
        ]
    tables = [table for table in tables if isinstance(table, dict)]
    if len(tables) != 1:
        found = "no step" if not tables else f"{len(tables)} steps"
        raise ParameterError(owner, parameter, f"cannot be set: the flow has {found} named '{owner}'")
    tables[0][parameter] = value
