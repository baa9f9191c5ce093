"""Import, export and processing in one call each, for scripts; and the flows behind import and export.

>>> from seisproc_core import export_survey, import_survey, process
>>> line = import_survey(["shots.sgy"], "line.seis", gather=["cdp"])        # doctest: +SKIP
>>> stack = process("stack.toml", progress=lambda now: print(now.done))     # doctest: +SKIP
>>> export_survey("stack.seis", "stack.sgy", format=5)                      # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisproc_core.data.formats import format_for, format_of
from seisproc_core.delivery import Delivery, check_report, export_flow, refuse_problems, write_report
from seisproc_core.errors import UsageError
from seisproc_core.processing.flow import Flow, Source, Step, Target

if TYPE_CHECKING:
    from seisproc_core.data.survey import Survey
    from seisproc_core.jobs.handle import JobHandle, Progress

Watch = Callable[["Progress"], object]


def import_survey(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    gather: Iterable[Sequence[str]] = (),
    compute: Sequence[str] = (),
    progress: Watch | None = None,
    executor: str | None = None,
    workers: int | None = None,
    replace: bool = False,
    resume: bool = False,
    **options: Any,
) -> Survey:
    """Read one or more files as one survey into `out`, and open it.

    Parameters
    ----------
    gather
        Header words of the gather indexes to build, ``[["cdp"], ["field_record", "channel"]]``.
    compute
        Header words to compute, ``"word = expression"``, as the step `header_math` does.
    progress
        Called with a `Progress` ten times a second, and at the end.
    executor, workers, replace, resume
        As for `Engine` and `Engine.submit`.
    options
        Of the files' format: overrides of detection, custom header words.

    Raises
    ------
    SeisprocError
        Why it was refused, or failed.
    """
    names = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    index = tuple(tuple(words) for words in gather)
    flow = import_flow([Path(name) for name in names], Path(out), options, index, compute=compute)
    return _done(flow, "import", progress, executor, workers, replace=replace, resume=resume)


def process(
    flow: Flow | str | os.PathLike[str],
    *,
    progress: Watch | None = None,
    executor: str | None = None,
    workers: int | None = None,
    replace: bool = False,
    resume: bool = False,
    report: str | os.PathLike[str] | None = None,
) -> Survey:
    """Run a flow, or the flow in a file, and open what it made.

    Parameters and errors are those of `import_survey`, `report` that of `export_survey`: for flows that end in a file.
    """
    loaded = flow if isinstance(flow, Flow) else Flow.load(flow)
    return _checked(loaded, "flow", report, progress, executor, workers, replace=replace, resume=resume)


def export_survey(
    survey: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    gather: Sequence[str] = (),
    sort: Sequence[str] = (),
    where: Mapping[str, Sequence[float]] | str | None = None,
    mute: Mapping[str, Any] | str | None = None,
    pad: Sequence[str] = (),
    sidecar: bool = False,
    report: str | os.PathLike[str] | None = None,
    progress: Watch | None = None,
    executor: str | None = None,
    workers: int | None = None,
    replace: bool = False,
    resume: bool = False,
    **options: Any,
) -> Survey:
    """Write a survey to a file for other programs, and open that.

    Parameters
    ----------
    gather, sort, where, mute, pad, sidecar
        As in `seisproc_core.delivery.Delivery`.
    report
        Where to write a check report, made by re-reading the file: text, and JSON beside it; JSON alone when the name
        ends in ``.json``.
    options
        Of the file's format: sample format, text header, ...

    Raises
    ------
    SeisprocError
        Why it was refused, or failed; `DataError` where the check found a problem. Others as for `import_survey`.
    """
    how = Delivery(
        gather=tuple(gather),
        sort=tuple(sort),
        where=(where,) if where else (),
        mute=mute,
        pad=tuple(pad),
        sidecar=sidecar,
    )
    flow = export_flow(Path(survey), Path(out), options, how)
    return _checked(flow, "export", report, progress, executor, workers, replace=replace, resume=resume)


def _checked(
    flow: Flow,
    type: str,
    report: str | os.PathLike[str] | None,
    progress: Watch | None,
    executor: str | None,
    workers: int | None,
    *,
    replace: bool,
    resume: bool,
) -> Survey:
    """As `_done`, with a check report where one is asked for."""
    if report is not None:
        check_report(flow, Path(report), replace=replace)
    written = _done(flow, type, progress, executor, workers, replace=replace, resume=resume)
    if report is not None:
        refuse_problems(write_report(flow, Path(report), executor=executor, workers=workers), Path(report))
    return written


def _done(
    flow: Flow, type: str, progress: Watch | None, executor: str | None, workers: int | None, **how: Any
) -> Survey:
    from seisproc_core.jobs.engine import Engine

    with Engine(executor=executor, workers=workers) as engine:
        handle: JobHandle = engine.submit(flow, type=type, **how)
        if progress is not None:
            for now in handle.progress():
                progress(now)
        return handle.result().open()


def import_flow(
    files: Sequence[Path],
    out: Path,
    options: Mapping[str, Any],
    index: tuple[tuple[str, ...], ...] = (),
    sink_options: Mapping[str, Any] | None = None,
    compute: Sequence[str] = (),
) -> Flow:
    """The flow that reads `files` as one survey into `out`.

    Parameters
    ----------
    options
        Of the files' format: custom header words, overrides of detection.
    index
        Header words of the gather indexes to build.
    sink_options
        Of the format of `out`; entries that are None are left out.
    compute
        Header words to compute, ``"word = expression"``, as the step `header_math` does.
    """
    if not files:
        raise UsageError("there is no file to import")
    entry = format_for(out, working=True)
    if not entry.spec["working"]:
        raise UsageError(f"{out} has the name of an input; the last argument is the survey to make, as {out.stem}.seis")
    paths = tuple(os.path.abspath(path) for path in files)
    return Flow(
        source=Source(storage=format_of(files[0]).id, paths=paths, options=options),
        steps=(Step(use="header_math", parameters={"compute": list(compute)}),) if compute else (),
        sink=Target(storage=entry.id, path=os.path.abspath(out), index=index, options=_given(sink_options or {})),
        name=f"import {out.name}",
    )


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
