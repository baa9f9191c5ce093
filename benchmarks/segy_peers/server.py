"""What the peers do. Runs in their environment, where nothing of seisproc is installed, and knows none of it.

``server.py serve`` answers lines of JSON, ``[work, argument, ...]``, with ``[result, problem]``; ``server.py WORK
ARGUMENT ...`` does one thing and ends.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

CHUNK = 2000  # traces decoded at once
CHANNELS = 50  # of a shot record
# As segyio calls them: what benchmarks.reading.EIGHT are.
EIGHT = ["FieldRecord", "TraceNumber", "CDP", "offset", "SourceX", "SourceY", "GroupX", "GroupY"]


def versions() -> dict[str, str]:
    found = {}
    for name in ("segfast", "segy", "multidimio", "zarr", "zarrs"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def decode_segfast(path: str, traces: int) -> float:
    """All samples, chunk by chunk; the sum of the last chunk."""
    import segfast

    file = segfast.open(path, engine="memmap")  # the fast one, and not the default
    for start in range(0, traces, CHUNK):
        samples = file.load_traces(range(start, min(start + CHUNK, traces)))
    return float(samples.sum(dtype="f8"))


def decode_segy(path: str, traces: int) -> float:
    from segy import SegyFile

    file = SegyFile(path)
    for start in range(0, traces, CHUNK):
        samples = file.sample[start : min(start + CHUNK, traces)]
    return float(samples.sum(dtype="f8"))


def headers_segfast(path: str) -> list[float]:
    """Eight header words of every trace; the sum of each."""
    import segfast

    table = segfast.open(path, engine="memmap").load_headers(EIGHT)
    return [float(table[name].sum()) for name in EIGHT]


def gathers_mdio(path: str, gathers: list[list[int]]) -> float:
    """Samples and headers of gathers of one shot, or of one channel of many shots; the sum of the last one."""
    data = _mdio(path)
    amplitude, headers = data[data.attrs["attributes"]["defaultVariableName"]], data["headers"]
    for rows in gathers:
        shots, channels = sorted({row // CHANNELS for row in rows}), sorted({row % CHANNELS for row in rows})
        place = {"shot_point": _slice(shots), "channel": _slice(channels)}
        samples = amplitude.isel(place).values
        headers.isel(place).values  # noqa: B018 - loads them
    return float(samples.sum(dtype="f8"))


def _slice(numbers: list[int]) -> slice:
    return slice(numbers[0], numbers[-1] + 1, numbers[1] - numbers[0] if len(numbers) > 1 else 1)


@lru_cache
def _mdio(path: str) -> Any:
    from mdio import open_mdio

    return open_mdio(path)


def gathers_zarrs(path: str, gathers: list[list[int]]) -> float:
    """Samples of gathers from a survey of ours, by Zarr with the zarrs codec pipeline; the sum of the last one."""
    array = _zarr(path)
    for rows in gathers:
        near = rows[-1] - rows[0] == len(rows) - 1
        samples = array[rows[0] : rows[-1] + 1] if near else array.oindex[rows]
    return float(samples.sum(dtype="f8"))


@lru_cache
def _zarr(path: str) -> Any:
    import zarr

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    return zarr.open_array(f"{path}/traces", mode="r")


def mdio_import(source: str, target: str, workers: str) -> None:
    """Shot records by shot point and channel, as MDIO's template for them says; text and binary header are kept."""
    os.environ |= {"MDIO__IMPORT__CPU_COUNT": workers, "MDIO__IMPORT__SAVE_SEGY_FILE_HEADER": "1"}
    from mdio import segy_to_mdio
    from mdio.builder.template_registry import get_template

    shutil.rmtree(target, ignore_errors=True)
    segy_to_mdio(_spec(), get_template("StreamerShotGathers2D"), source, target, overwrite=True)


def mdio_export(source: str, target: str, workers: str) -> None:
    os.environ["MDIO__EXPORT__CPU_COUNT"] = workers
    from mdio import mdio_to_segy

    mdio_to_segy(_spec(), source, target)


def _spec() -> Any:
    """SEG-Y revision 1, with the trace number in the record under the name that the template asks for."""
    from segy.schema import HeaderField
    from segy.standards import get_segy_standard

    channel = HeaderField(name="channel", byte=13, format="int32")
    return get_segy_standard(1.0).customize(trace_header_fields=[channel])


def serve(answers: TextIO) -> None:
    for line in sys.stdin:
        work, *arguments = json.loads(line)
        try:
            answer = [globals()[work](*arguments), None]
        except Exception as error:
            answer = [None, f"{type(error).__name__}: {error}"]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        # What libraries print must not get between the answers.
        own = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        serve(own)
    else:
        globals()[sys.argv[1]](*sys.argv[2:])
