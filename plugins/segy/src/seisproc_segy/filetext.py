"""The text header of an output: kept, in another encoding, or made anew from the plan and the fields given."""

from __future__ import annotations

from collections.abc import Mapping

from seisproc_core.data.survey import OutputPlan
from seisproc_segy.binaryheader import order_of
from seisproc_segy.detect import FILE_HEADER, TEXT
from seisproc_segy.headermap import Places
from seisproc_segy.options import WriteOptions
from seisproc_segy.samples import NAMES
from seisproc_segy.textheader import TextOptions, byte_table, encode_text, step_texts, text_lines

_CODECS = {"ebcdic": "cp037", "ascii": "latin-1"}


def fields(plan: OutputPlan, format_: int, units: str) -> dict[str, str]:
    """Fields of a template that follow from the plan."""
    sampling, history = plan.sampling, plan.info.history
    depth = sampling.domain == "depth"
    scale, unit = (1.0, "M") if depth else (1e3, "MS")
    sorts = [order_of(step) for step in history if step["use"] == "sort"]
    done = len(history)
    return {
        "traces": str(plan.n_traces),
        "samples": str(sampling.count),
        "interval": f"{sampling.interval_s * scale:.9g} {unit}",
        "start": f"{sampling.start_s * scale:.9g} {unit}",
        "format": f"{format_} ({NAMES[format_]})",
        "units": units,
        "sort": ", ".join(word.upper() for word in sorts[-1]) if sorts else "AS STORED",
        "steps": f"{done} STEP{'' if done == 1 else 'S'}" if done else "",
    }


def put_text(
    data: bytearray,
    options: WriteOptions,
    revision: int,
    plan: OutputPlan,
    places: Places,
    known: Mapping[str, str],
    was: str | None,
) -> None:
    """Write the text header into the file headers, in place.

    Parameters
    ----------
    known
        What `fields` says.
    was
        Encoding of the text that is there; None where there is none yet.
    """
    encoding = options.text_encoding or (was if was in _CODECS else None) or "ebcdic"
    if was in _CODECS and encoding != was:
        _transcode(data, _CODECS[was], _CODECS[encoding])
    if was is not None and options.text is None:
        return
    made = {"sample_count", "sample_interval", "trace_type", "trace_sequence_line", "trace_sequence_file"}
    unused = set() if options.scaling is not None else {"weighting_factor"}
    written = [name for name in places if name in (set(plan.words) - unused) | made]
    lines = text_lines(
        options.text or TextOptions(),
        known,
        revision,
        processing=step_texts(plan.info.history, short=False),
        short=step_texts(plan.info.history, short=True),
        table=byte_table(places, written),
    )
    data[:TEXT] = encode_text(lines, encoding)


def _transcode(data: bytearray, before: str, after: str) -> None:
    """All text records in another encoding: both stand for Latin-1, so that nothing is lost."""
    for start, stop in ((0, TEXT), (FILE_HEADER, len(data))):
        data[start:stop] = bytes(data[start:stop]).decode(before).encode(after)
