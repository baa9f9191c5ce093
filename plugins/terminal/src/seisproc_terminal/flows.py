"""The flows behind ``import`` and ``export``: from one format to another, without steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seisproc_core.errors import UsageError
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, Source, Target
from seisproc_terminal.formats import format_for, format_of


def import_flow(
    files: Sequence[Path],
    out: Path,
    options: Mapping[str, Any],
    index: tuple[tuple[str, ...], ...] = (),
    sink_options: Mapping[str, Any] | None = None,
) -> Flow:
    """Read `files` as one survey into `out`.

    Parameters
    ----------
    options
        Of the files' format: custom header words, overrides of detection.
    index
        Header words of the gather indexes to build.
    sink_options
        Of the format of `out`; entries that are None are left out.
    """
    if format_for(out, "survey") != "survey":
        raise UsageError(f"{out} has the name of an input; the last argument is the survey to make, as {out.stem}.seis")
    paths = tuple(os.path.abspath(path) for path in files)
    return Flow(
        source=Source(storage=format_of(files[0]).id, paths=paths, options=options),
        sink=_target(out, "survey", sink_options or {}, index),
        name=f"import {out.name}",
    )


def export_flow(survey: Path, out: Path, options: Mapping[str, Any]) -> Flow:
    """Write `survey` to the file `out`; `options` of its format that are None are left out."""
    if registry().find("storage", format_for(out, "segy")).spec["working"]:
        raise UsageError(f"{out} names a survey; an exported file is called NAME.sgy, NAME.segy or NAME.su")
    options = {**options, "kind": "su" if out.suffix.lower() == ".su" else "segy"}
    return Flow(
        source=Source(storage=format_of(survey).id, paths=(os.path.abspath(survey),)),
        sink=_target(out, "segy", options),
        name=f"export {out.name}",
    )


def _target(out: Path, otherwise: str, options: Mapping[str, Any], index: tuple[tuple[str, ...], ...] = ()) -> Target:
    given = {name: value for name, value in options.items() if value is not None}
    return Target(storage=format_for(out, otherwise), path=os.path.abspath(out), index=index, options=given)
