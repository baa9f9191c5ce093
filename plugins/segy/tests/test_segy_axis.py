"""Traces that start at different times, and traces of different lengths, on one axis."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import DataError
from seisproc_segy.storage import SegyStorage

Write = Callable[..., Path]


def native() -> SegyStorage:
    pytest.importorskip("seisproc_native_segy")
    return SegyStorage(importlib.import_module("seisproc_native_segy"))


def ramp(count: int, samples: int) -> np.ndarray:
    return np.arange(1, count * samples + 1, dtype=np.float32).reshape(count, samples)


def write_varying(path: Path, counts: list[int], delays: list[int], *, format: int = 5, su: bool = False) -> Path:
    dtype = {5: ">f4", 2: ">i4"}[format]
    head = bytearray(b"\x40" * 3200 + bytes(400))
    struct.pack_into(">H", head, 3216, 2000)
    struct.pack_into(">HxxH", head, 3220, max(counts), format)
    parts = [] if su else [bytes(head)]
    for number, (count, delay) in enumerate(zip(counts, delays, strict=True)):
        header = bytearray(240)
        struct.pack_into(">i", header, 0, number + 1)
        struct.pack_into(">h", header, 28, 1)
        struct.pack_into(">hxxxxHH", header, 108, delay, count, 2000)
        parts += [bytes(header), (1000 * number + np.arange(1, count + 1)).astype(dtype).tobytes()]
    path.write_bytes(b"".join(parts))
    return path


@settings(max_examples=60, deadline=None)
@given(
    traces=st.lists(st.tuples(st.integers(1, 30), st.integers(-10, 20)), min_size=1, max_size=12),
    su=st.booleans(),
    stored=st.sampled_from([5, 2]),
)
def test_every_sample_keeps_its_time(
    tmp_path_factory: Any, traces: list[tuple[int, int]], su: bool, stored: int
) -> None:
    """Absolute time is the same before and after, live windows are the traces' own, everything else is zero."""
    counts, delays = [count for count, _ in traces], [2 * delay for _, delay in traces]
    path = write_varying(tmp_path_factory.mktemp("axis") / "a.sgy", counts, delays, format=5 if su else stored, su=su)
    options = {"lengths": "pad", "delays": "pad", "kind": "su" if su else "segy", "endian": "big"}
    survey = native().open([str(path)], options)
    gather, headers = survey.read(slice(0, len(traces))), survey.headers()
    times = np.round(survey.sampling.times() * 1000).astype(int)
    assert times[0] == min(delays) and times[-1] == max(d + 2 * (n - 1) for n, d in zip(counts, delays, strict=True))
    first, end = gather.live_window
    for row, (count, delay) in enumerate(zip(counts, delays, strict=True)):
        own = slice(int(first[row]), int(end[row]))
        assert times[own].tolist() == list(range(delay, delay + 2 * count, 2))
        assert gather.traces[row, own].tolist() == [1000 * row + k for k in range(1, count + 1)]
    assert np.count_nonzero(gather.traces) == sum(counts)
    for name in ("live_first", "live_end", "dead", "delay"):
        assert np.array_equal(headers.column(name), gather.headers.column(name)), name
    rows = np.arange(len(traces))[::-1]
    assert np.array_equal(survey.read(rows).traces, gather.traces[rows])


def test_refused_with_groups_and_options(tmp_path: Path, segy_file: Write, storage: SegyStorage) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(4, 6), words={(109, "i2"): [0, 0, 8, 0]}))
    with pytest.raises(DataError, match=r'3 at 0 ms .*1 at 8 ms .*trace 3.*delays = "pad".*delay_ms = N'):
        storage.open([path], {}).headers()
    survey = storage.open([path], {"delays": "pad"})
    assert survey.sampling.count == 10 and any("one axis, 0 to 18 ms: 10 samples" in note for note in survey.notes)
    assert survey.headers().column("live_first").tolist() == [0, 0, 4, 0]


def test_equal_traces_are_left_alone(tmp_path: Path, segy_file: Write, storage: SegyStorage) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(4, 6), words={(109, "i2"): -4}))
    plain, padded = storage.open([path], {}), storage.open([path], {"delays": "pad"})
    assert padded.sampling == plain.sampling and padded.info.file["overruled"] == []
    assert np.array_equal(padded.read(slice(0, 4)).traces, plain.read(slice(0, 4)).traces)
    given = storage.open([path], {"delays": "pad", "delay_ms": 100})
    assert given.sampling.start_s == 0.1


def test_starts_between_samples_are_refused(tmp_path: Path, segy_file: Write, storage: SegyStorage) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(4, 6), words={(109, "i2"): [0, 0, 3, 0]}))
    with pytest.raises(DataError, match="start at 0 and 3 ms, no whole number of samples of 2 ms apart"):
        storage.open([path], {"delays": "pad"})


def test_an_axis_that_would_blow_up_the_data_is_refused(tmp_path: Path, segy_file: Write, storage: SegyStorage) -> None:
    path = str(segy_file(tmp_path / "a.sgy", ramp(40, 6), words={(109, "i2"): [0] * 39 + [30000]}))
    with pytest.raises(DataError, match=r"between 0 and 30000 ms with 6 to 6 samples.*2501 times larger"):
        storage.open([path], {"delays": "pad"})


def test_files_of_other_lengths_and_starts(tmp_path: Path, segy_file: Write) -> None:
    one = segy_file(tmp_path / "one.sgy", ramp(2, 6), words={(109, "i2"): 0})
    two = segy_file(tmp_path / "two.sgy", ramp(3, 9), words={(109, "i2"): 4})
    with pytest.raises(DataError, match=r'the same number of samples, found 6 samples: one.sgy.*lengths = "pad"'):
        native().open([str(one), str(two)], {})
    survey = native().open([str(one), str(two)], {"lengths": "pad", "delays": "pad"})
    assert (survey.sampling.count, survey.n_traces) == (11, 5)
    assert survey.headers().column("live_end").tolist() == [6, 6, 11, 11, 11]


@pytest.mark.parametrize("format", [5, 2])
def test_export_of_a_padded_survey_reads_back(tmp_path: Path, plan_of: Any, written: Any, format: int) -> None:
    storage = native()
    path = write_varying(tmp_path / "a.sgy", [10, 4, 7], [0, 4, -2], format=format)
    survey = storage.open([str(path)], {"lengths": "pad", "delays": "pad"})
    whole = survey.read(slice(0, 3))
    sink = storage.sink(plan_of(survey))
    out = tmp_path / "b.sgy"
    out.write_bytes(written(sink, lambda start, stop: survey.read(slice(start, stop)), 3))
    again = storage.open([str(out)], {})
    assert again.sampling == survey.sampling
    gather = again.read(slice(0, 3))
    assert np.array_equal(gather.traces, whole.traces)
    assert set(again.headers().column("sample_count")) == {survey.sampling.count}


def test_the_fallback_refuses_lengths(tmp_path: Path, segy_file: Write) -> None:
    storage = SegyStorage(importlib.import_module("seisproc_segy.fallback"))
    with pytest.raises(DataError, match="no option 'lengths'; install seisproc-native-segy"):
        storage.open([str(segy_file(tmp_path / "a.sgy", ramp(2, 6)))], {"lengths": "pad"})
