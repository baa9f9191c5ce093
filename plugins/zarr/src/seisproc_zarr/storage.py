"""The survey format as a `Storage`, and opening a survey by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seisproc_core.data.survey import OutputPlan
from seisproc_core.errors import ParameterError, UsageError
from seisproc_zarr.sink import SurveySink
from seisproc_zarr.survey import StoredSurvey


class SurveyStorage:
    """Survey folders; see `seisproc_core.data.survey.Storage`.

    Options of `open`: ``allow_partial`` (bool) looks into a survey that was never sealed. Options of `sink`:
    ``shard_traces`` (int), ``codec`` (``none``, ``fast``, ``archive``).
    """

    id = "survey"

    def open(self, paths: Sequence[str], options: Mapping[str, Any]) -> StoredSurvey:
        """Open one survey folder.

        Raises
        ------
        UsageError
            Not exactly one path, no survey there, or an unknown option.
        Incomplete
            The survey was never sealed.
        Damaged
            Its manifest or metadata cannot be trusted.
        """
        if len(paths) != 1:
            raise UsageError(f"a survey is opened from one folder, not {len(paths)}")
        for name, value in options.items():
            if name != "allow_partial":
                raise ParameterError("survey", name, "is unknown; the one option is 'allow_partial'")
            if not isinstance(value, bool):
                raise ParameterError("survey", name, f"must be true or false, not {value!r}")
        return StoredSurvey(str(paths[0]), allow_partial=bool(options.get("allow_partial", False)))

    def sink(self, plan: OutputPlan) -> SurveySink:
        """How to write a survey of that plan; `UsageError` where the format cannot hold it."""
        return SurveySink(plan)


def open_survey(path: str, *, allow_partial: bool = False) -> StoredSurvey:
    """Open a survey folder for reading.

    Parameters
    ----------
    path
        The folder, ``NAME.seis``.
    allow_partial
        Open it even when it was never sealed.

    Examples
    --------
    >>> survey = open_survey("line.seis")  # doctest: +SKIP
    >>> survey.headers()["offset"]  # one column  # doctest: +SKIP
    >>> survey.read(slice(0, 48)).traces  # float32, shape (48, n_samples)  # doctest: +SKIP
    """
    return StoredSurvey(str(path), allow_partial=allow_partial)
