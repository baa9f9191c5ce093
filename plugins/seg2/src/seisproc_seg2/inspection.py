"""What front ends show of a file before it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seisproc_seg2.options import read_options
from seisproc_seg2.samples import NAMES
from seisproc_seg2.storage import open_file
from seisproc_seg2.survey import Seg2Survey


def describe(path: str, **options: Any) -> dict[str, Any]:
    """Facts of one file as plain JSON values.

    Parameters
    ----------
    options
        As in `seisproc_seg2.options.ReadOptions`.

    Returns
    -------
    dict
        ``path kind format format_name revision endian size traces samples interval_ms start_ms length_ms length_unit
        text extended_text findings``; ``text`` holds the strings of the file, ``extended_text`` those of its
        first trace.
    """
    file = open_file(path)
    survey = Seg2Survey([file], read_options(options))
    sampling = survey.sampling
    formats = sorted({trace.format for trace in file.traces})
    return {
        "path": path,
        "kind": "seg2",
        "format": formats[0] if len(formats) == 1 else formats,
        "format_name": ", ".join(NAMES[format_] for format_ in formats),
        "revision": file.revision,
        "endian": "little" if file.order == "<" else "big",
        "size": file.size,
        "traces": survey.n_traces,
        "samples": sampling.count,
        "interval_ms": round(sampling.interval_s * 1e3, 9),
        "start_ms": round(sampling.start_s * 1e3, 9),
        "length_ms": round(sampling.interval_s * 1e3 * (sampling.count - 1), 9),
        "length_unit": survey.info.length_unit,
        "text": _lines(file.keywords),
        "extended_text": [_lines(file.traces[0].keywords)],
        "findings": list(survey.notes),
    }


def kept_text(file: Mapping[str, Any]) -> list[str]:
    """The strings of the first file that a survey keeps (`SurveyInfo.file`)."""
    return _lines(file.get("keywords", {})) if file.get("kind") == "seg2" else []


def _lines(keywords: Any) -> list[str]:
    return [f"{keyword} {value}".replace("\n", " / ").rstrip() for keyword, value in keywords.items()]
