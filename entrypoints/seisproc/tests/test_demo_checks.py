"""The demonstration's assertions hold on good sections and fail on planted faults."""

from __future__ import annotations

import functools
import os
import tomllib
from importlib.resources import as_file, files
from pathlib import Path

import attrs
import numpy as np
import pytest

from seisproc.demo import variants
from seisproc.demo.checks import (
    Expected,
    Row,
    check_field_line,
    check_modelled_line,
    extremum,
    mean_semblance,
    near_offset_trace,
    phase_at,
)
from seisproc.demo.modelling import Model, model_line
from seisproc_core.data.gather import Gather
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling
from seisproc_core.errors import FlowError, UsageError

# A plain processing chain: numpy alone, none of the product's processors.


def gather_of(traces: np.ndarray, start_s: float, interval_s: float, **words: np.ndarray) -> Gather:
    """Traces with header words as the core holds them, one gather."""
    return Gather(
        headers=Headers(words, len(traces)),
        sampling=Sampling(start_s, interval_s, traces.shape[1]),
        traces=np.ascontiguousarray(traces, np.float32),
    )


def shared_files(pattern: str) -> list[Path]:
    """Files of the shared corpus, or skip saying what is missing."""
    here = Path(__file__).resolve()
    roots = [Path(os.environ["SEISPROC_SHARED"])] if "SEISPROC_SHARED" in os.environ else []
    roots += [parent.parent / "shared" for parent in here.parents if (parent / "seisproc_core").is_dir()]
    found = sorted(path for root in roots for path in root.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} under SEISPROC_SHARED or beside the repository")
    return found


@functools.cache
def clean_line() -> Model:
    """The standard line without noise."""
    return model_line(noise=0.0, ground_roll=0.0, bad_traces=False)


def sort_by_cdp(gather: Gather) -> Gather:
    """CDP gathers, sorted by offset."""
    order = np.lexsort([gather.headers.column("offset"), gather.headers.column("cdp")])
    headers = gather.headers.take(order)
    starts = np.flatnonzero(np.diff(headers.column("cdp"), prepend=-1))
    return Gather(
        headers=headers,
        sampling=gather.sampling,
        gather_starts=np.append(starts, len(order)),
        traces=gather.traces[order],
    )


def moveout(gather: Gather, time_s: np.ndarray, velocity: np.ndarray, stretch: float = 0.4) -> Gather:
    """NMO by linear interpolation; samples stretched too much, or from beyond the trace, are not live."""
    times = gather.sampling.times()
    v = np.interp(times, time_s, velocity)
    traces = np.zeros_like(gather.traces)
    first, end = np.zeros(gather.n_traces, np.int32), np.zeros(gather.n_traces, np.int32)
    for row, offset in enumerate(gather.headers["offset"]):
        at = np.sqrt(np.maximum(times, 0.0) ** 2 + (offset / v) ** 2)
        good = np.flatnonzero((times > 0) & (at <= (1 + stretch) * times) & (at <= times[-1]))
        if good.size:
            first[row], end[row] = good[0], good[-1] + 1
            traces[row, good[0] : end[row]] = np.interp(at[good[0] : end[row]], times, gather.traces[row])
    return gather.with_traces(traces, headers=gather.headers.with_live_window(first, end))


def stack(gather: Gather) -> Gather:
    """The mean of each gather over its live samples."""
    first, end = gather.live_window
    sample = np.arange(gather.n_samples)
    live = (sample >= first[:, None]) & (sample < end[:, None])
    starts = gather.gather_starts[:-1]
    total = np.add.reduceat(np.where(live, gather.traces, 0.0), starts, axis=0)
    fold = np.add.reduceat(live.astype(np.int64), starts, axis=0)
    mean = np.divide(total, fold, out=np.zeros_like(total), where=fold > 0)
    return gather_of(
        mean, gather.sampling.start_s, gather.sampling.interval_s, cdp=gather.headers.column("cdp")[starts]
    )


def mute_above(gather: Gather, velocity: float, time_s: float) -> Gather:
    """Zero what comes before a line through the first arrivals."""
    until = time_s + np.abs(gather.headers["offset"]) / velocity
    return gather.with_traces(np.where(gather.sampling.times() < until[:, None], np.float32(0), gather.traces))


def brute_stack(model: Model) -> Gather:
    """A stack of a modelled line at the model's velocities."""
    records = gather_of(model.traces, model.start_s, model.interval_s, **model.headers)
    quiet = mute_above(records, 1700.0, 0.05)
    return stack(moveout(sort_by_cdp(quiet), *model.velocity))


@functools.cache
def modelled_stack() -> Gather:
    return brute_stack(clean_line())


def modelled_rows(section: Gather) -> list[Row]:
    model = clean_line()
    return check_modelled_line(section, model.flat_parts, model.wavelet_hz)


def test_a_right_stack_passes() -> None:
    rows = modelled_rows(modelled_stack())
    assert len(rows) == 10 and [row for row in rows if not row.ok] == []


def test_a_flipped_stack_fails_everywhere() -> None:
    section = modelled_stack()
    assert not any(row.ok for row in modelled_rows(section.with_traces(-section.traces)))


@pytest.mark.parametrize("late_s", [-0.010, -0.004, 0.004, 0.010])
def test_a_late_stack_fails(late_s: float) -> None:
    section = modelled_stack()
    moved = attrs.evolve(section, sampling=attrs.evolve(section.sampling, start_s=late_s))
    assert not any(row.ok for row in modelled_rows(moved) if "time, sign" in row.name)


def test_a_turned_phase_fails() -> None:
    section = modelled_stack()
    spectrum = np.fft.rfft(section.traces, axis=1) * np.exp(1j * np.pi / 3)
    turned = section.with_traces(np.ascontiguousarray(np.fft.irfft(spectrum, section.n_samples, axis=1), np.float32))
    assert not any(row.ok for row in modelled_rows(turned) if "phase" in row.name)


def test_missing_cdps_fail() -> None:
    section = modelled_stack()
    rows = modelled_rows(section.keep(section.headers["cdp"] > 140))
    assert [row.measured for row in rows if not row.ok] == ["no traces"]


@pytest.mark.parametrize("degrees", [-120.0, -40.0, 0.0, 25.0, 90.0, 170.0])
def test_phase_is_measured(degrees: float) -> None:
    times = np.arange(400) * 0.002
    argument = (np.pi * 28 * (times - 0.3731)) ** 2
    wavelet = (1 - 2 * argument) * np.exp(-argument)
    turned = np.fft.irfft(np.fft.rfft(wavelet) * np.exp(1j * np.radians(degrees)), 400)
    assert phase_at(turned, times, 0.3731, 0.5 / 28, 1.0) == pytest.approx(degrees, abs=8)


def test_extremum_is_found_between_samples() -> None:
    times = np.arange(100) * 0.004
    trace = -np.exp(-(((times - 0.2013) / 0.02) ** 2))
    time, value = extremum(trace, times, 0.2, 0.03)
    assert time == pytest.approx(0.2013, abs=2e-4) and value == pytest.approx(-1, abs=0.01)
    assert extremum(trace, times, 2.0, 0.03)[1] == 0.0


def test_semblance_of_equal_opposite_and_random_traces() -> None:
    rng = np.random.default_rng(0)
    wave, cdp = rng.standard_normal(200), np.ones(20, np.int32)
    window, cdps = (0.0, 1.0), np.array([1])
    same = gather_of(np.tile(wave, (20, 1)), 0.0, 0.004, cdp=cdp)
    assert mean_semblance(same, window, cdps) == pytest.approx(1)
    flip = np.where(np.arange(20) % 2, -1, 1)[:, None]
    assert mean_semblance(same.with_traces(same.traces * flip.astype(np.float32)), window, cdps) == pytest.approx(0)
    noise = gather_of(rng.standard_normal((20, 200)), 0.0, 0.004, cdp=cdp)
    assert mean_semblance(noise, window, cdps) == pytest.approx(1 / 20, abs=0.02)


def test_semblance_counts_live_samples_only() -> None:
    traces = np.tile(np.random.default_rng(1).standard_normal(100), (4, 1))
    traces[2:] = 1e6
    gather = gather_of(traces, 0.0, 0.004, cdp=np.ones(4, np.int32))
    muted = gather.with_headers(gather.headers.with_live_window(np.array([0, 0, 100, 100]), np.full(4, 100)))
    assert mean_semblance(muted, (0.0, 1.0), np.array([1])) == pytest.approx(1)


@functools.cache
def field_records() -> Gather:
    """The four SEG-Y files of the shear-wave line, read byte by byte."""
    paths = shared_files("corpus/derived/loma_blanca_sh_rec*.sgy")
    record = np.dtype(
        {
            "names": ["field_record", "channel", "source_station", "cdp", "offset", "delay", "polarity", "samples"],
            "formats": [">i4", ">i4", ">i4", ">i4", ">i4", ">i2", ">i4", (">f4", (400,))],
            "offsets": [8, 12, 16, 20, 36, 108, 232, 240],
            "itemsize": 1840,
        }
    )
    rows = np.concatenate([np.frombuffer(path.read_bytes(), record, offset=3600) for path in paths])
    names = [name for name in record.names or () if name != "samples"]
    words = {name: rows[name].astype(rows[name].dtype.newbyteorder("=")) for name in names}
    return gather_of(rows["samples"], -0.01, 0.002, **words)


def field_gathers(*, weighted: bool = True, factor: float = 1.0, start_s: float = -0.01) -> Gather:
    """The flow of the field line in plain numpy, up to the stack; `start_s` is where it takes the traces to begin."""
    records = field_records()
    headers = records.headers
    weight = headers["polarity"] if weighted else np.ones(len(headers))
    order = np.lexsort([headers["field_record"], headers["channel"], headers["source_station"]])
    pairs = (records.traces * weight[:, None])[order].reshape(-1, 2, 400).mean(axis=1)
    rows = order[::2]
    near = np.abs(headers["offset"][rows]) <= 45
    hertz = np.maximum(np.fft.rfftfreq(1024, 0.002), 1e-6)
    band = 1 / ((1 + (15 / hertz) ** 8) * (1 + (hertz / 90) ** 8))
    filtered = np.fft.irfft(np.fft.rfft(pairs[near], 1024) * band, 1024)[:, :400]
    window = np.ones(51)
    power = np.array([np.convolve(trace**2, window, "same") for trace in filtered])
    power /= np.convolve(np.ones(400), window, "same")
    words = {name: headers.column(name)[rows[near]] for name in ("cdp", "offset")}
    line = gather_of(filtered / np.sqrt(power), start_s, 0.002, **words)
    knots = np.array([0.06, 0.14, 0.20, 0.32, 0.63, 0.82]), np.array([200, 245, 272, 300, 400, 440]) * factor
    quiet = sort_by_cdp(mute_above(line, 150.0, 0.02))
    moved = moveout(quiet, *knots, stretch=0.5)
    first, end = moved.live_window
    above = np.argmax(moved.traces != 0, axis=1)  # what the first-arrival mute took is not live either
    return moved.with_headers(moved.headers.with_live_window(np.maximum(first, above), end))


@functools.cache
def expected() -> Expected:
    with as_file(files("seisproc.demo") / "field_line.checks.toml") as path:
        return Expected.load(path)


@functools.cache
def field_rows(start_s: float = -0.01, weighted: bool = True, factor: float = 1.0) -> list[Row]:
    gathers = field_gathers(start_s=start_s, weighted=weighted, factor=factor)
    summed, slow = field_gathers(weighted=False), field_gathers(factor=expected().slower)
    return check_field_line(expected(), field_records(), stack(gathers), gathers, summed, slow)


def test_the_field_line_passes() -> None:
    rows = field_rows()
    assert len(rows) == 6 and [row for row in rows if not row.ok] == []


def test_a_delay_that_is_ignored_fails_the_times() -> None:
    times = [row for row in field_rows(start_s=0.0) if "time on the stack" in row.name]
    assert [row.ok for row in times] == [False, False]


def test_summed_polarities_fail_the_semblance() -> None:
    gains = [row for row in field_rows(weighted=False) if "without polarity" in row.name]
    assert [row.ok for row in gains] == [False, False]


def test_slow_velocities_fail_the_semblance() -> None:
    focus = [row for row in field_rows(factor=0.8) if "velocity" in row.name]
    assert [row.ok for row in focus] == [False, False]


def test_near_offsets_use_the_delay_in_the_headers() -> None:
    records = field_records()
    assert records.sampling.start_s == -0.01
    wrong = attrs.evolve(records, sampling=Sampling(0.0, 0.002, 400))
    _, times = near_offset_trace(wrong, "polarity", 4.0, np.arange(30, 91))
    assert times[0] == pytest.approx(-0.01)
    with pytest.raises(UsageError, match="near_offset_m"):
        near_offset_trace(records, "polarity", -1.0, np.arange(30, 91))


def test_variants_change_one_thing_only() -> None:
    flow = tomllib.loads(files("seisproc.demo").joinpath("field_line.toml").read_text("utf-8"))
    kept = list(flow["step"])
    shorter = variants.before(flow, "stack", "gathers.seis")
    assert shorter["step"] == kept[:-1] and shorter["sink"] == {"survey": "gathers.seis"}
    summed = variants.unweighted(flow)
    assert [a == b for a, b in zip(summed["step"], kept, strict=True)].count(False) == 1
    slow = variants.at_other_velocities(flow, 0.8)
    changed = [(a, b) for a, b in zip(slow["step"], kept, strict=True) if a != b]
    assert len(changed) == 1 and changed[0][0]["velocity"]["rms_m_per_s"][0] == pytest.approx(160)
    assert flow["step"] == kept and kept[0]["weight"] == "polarity"


def test_variants_that_cannot_be_made_are_refused() -> None:
    flow = {"step": [{"use": "nmo", "velocity": "tables/v"}]}
    with pytest.raises(FlowError, match="tables/v"):
        variants.at_other_velocities(flow, 0.8)
    with pytest.raises(FlowError, match="'stack'"):
        variants.before(flow, "stack", "x.seis")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("slower = ", "slow = ", "'slow' is unknown"),
        ("weight = ", "# ", "'weight' is missing"),
        ("= [", "= ", "cannot be read"),
    ],
)
def test_what_is_expected_is_read_strictly(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = files("seisproc.demo").joinpath("field_line.checks.toml").read_text("utf-8")
    path = tmp_path / "x.checks.toml"
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(UsageError, match=complaint):
        Expected.load(path)
