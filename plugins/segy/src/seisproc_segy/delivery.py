"""Options of an export that need files or data to be read before a sink can have them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisproc_core.errors import ParameterError, UsageError
from seisproc_segy.samples import LIMITS
from seisproc_segy.scaling import fitting_exponent
from seisproc_segy.textheader import read_template

if TYPE_CHECKING:
    from seisproc_core.data.survey import Survey

SURVEY = "survey"
_CHUNK_BYTES = 32 << 20


def export_options(given: Mapping[str, Any], opened: Callable[[], Survey]) -> dict[str, Any]:
    """Sink options from those of an export.

    Parameters
    ----------
    given
        As for the sink; ``text`` may also be the path of a template, ``scaling`` also ``"survey"``: the one power of
        two with which all samples of the survey fit the integer format.
    opened
        Opens the survey that is exported.
    """
    options = dict(given)
    if isinstance(options.get("text"), (str, os.PathLike)):
        options["text"] = read_template(Path(options["text"]))
    if options.get("scaling") == SURVEY:
        format_ = options.get("format")
        if format_ not in LIMITS:
            raise UsageError("scaling = survey needs an integer format: format = 2, 3, 7 or 8")
        options["scaling"] = int(fitting_exponent(np.array(_largest(opened())), format_))
    return options


def _largest(survey: Survey) -> float:
    """The greatest absolute sample of a survey, in one pass."""
    rows = max(1, _CHUNK_BYTES // (4 * survey.sampling.count))
    largest = 0.0
    for start in range(0, survey.n_traces, rows):
        traces = survey.read(slice(start, min(start + rows, survey.n_traces))).traces
        largest = max(largest, float(np.abs(traces).max(initial=0)))
    if not np.isfinite(largest):
        raise ParameterError("segy", "scaling", "cannot be found: the survey holds NaN or infinite samples")
    return largest
