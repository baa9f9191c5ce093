"""The modelled line: physics, bookkeeping, and its file as another program reads it."""

from __future__ import annotations

import functools
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from seisproc.demo.modelling import Earth, Model, model_line
from seisproc.demo.segy_file import ibm_words, write_segy
from seisproc.demo.traveltimes import FlatLayers, reflection_by_fermat

LAYERS = FlatLayers(np.array([200.0, 430.0, 680.0]), np.array([1700.0, 2100.0, 1900.0, 2500.0]))


@functools.cache
def clean_line() -> Model:
    """The standard line without noise."""
    return model_line(noise=0.0, ground_roll=0.0, bad_traces=False)


def brute_time(depths: list[float], velocities: list[float], distance: float) -> float:
    """Fermat's principle in its plainest form: the least time over all crossing points of the interfaces."""
    thickness = np.diff([0.0, *depths])

    def time(crossings: np.ndarray) -> float:
        x = np.concatenate(([0.0], crossings, [distance]))
        return float((np.hypot(np.diff(x), thickness) / velocities).sum())

    guess = distance * np.array(depths[:-1]) / depths[-1]
    return float(minimize(lambda x: 1e6 * time(x), guess, method="BFGS").fun) / 1e6 if len(guess) else time(guess)


def test_zero_offset_time_is_the_sum_over_the_layers() -> None:
    wanted = 2 * (200 / 1700 + 230 / 2100 + 250 / 1900)
    assert LAYERS.reflection(np.array([0.0]), 680.0)[0] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("distance", [50.0, 400.0, 1500.0, 6000.0])
def test_rays_take_the_least_time(distance: float) -> None:
    brute = brute_time([200.0, 430.0, 680.0, 900.0], [1700.0, 2100.0, 1900.0, 2500.0], distance)
    assert LAYERS.ray(np.array([distance]), np.array([900.0])).time[0] == pytest.approx(brute, abs=1e-9)


def test_slownesses_are_the_gradient_of_the_time() -> None:
    ray, h = LAYERS.ray(np.array([700.0]), np.array([900.0])), 0.01
    along = LAYERS.ray(np.array([700 + h, 700 - h]), np.array([900.0, 900.0])).time
    down = LAYERS.ray(np.array([700.0, 700.0]), np.array([900 + h, 900 - h])).time
    assert ray.horizontal[0] == pytest.approx((along[0] - along[1]) / (2 * h), rel=1e-6)
    assert ray.vertical[0] == pytest.approx((down[0] - down[1]) / (2 * h), rel=1e-6)


def test_far_offsets_are_later_than_the_hyperbola() -> None:
    """Layering makes moveout depart from the rms hyperbola: rays prefer fast layers, so the far traces come early."""
    time, velocity = LAYERS.rms_velocity(900.0)
    offset = np.array([600.0, 3000.0])
    exact = LAYERS.reflection(offset, 900.0)
    hyperbola = np.hypot(time, offset / velocity)
    assert np.all(exact < hyperbola)
    assert hyperbola[0] - exact[0] < 5e-4 < 5e-3 < hyperbola[1] - exact[1]


def test_dipping_reflector_in_one_layer_is_the_image_source() -> None:
    slope, depth0, velocity = 0.2, 500.0, 2000.0
    source = np.linspace(0, 1000, 11)
    receiver = source + np.linspace(-600, 600, 11)
    time, point = reflection_by_fermat(
        FlatLayers(np.array([]), np.array([velocity])), source, receiver, lambda x: depth0 + slope * x, slope
    )
    normal = np.array([-slope, 1.0]) / np.hypot(slope, 1.0)
    distance = (depth0 + slope * source) * normal[1]
    image_x, image_z = source + 2 * distance * normal[0], 2 * distance * normal[1]
    assert time == pytest.approx(np.hypot(image_x - receiver, image_z) / velocity, abs=1e-12)
    share = (depth0 + slope * point) / image_z
    assert share.min() > 0 and share.max() < 2


def test_dipping_reflection_below_layers_is_stationary() -> None:
    earth = Earth()
    source, receiver = np.array([1000.0, 3000.0]), np.array([1600.0, 2500.0])
    time, point = reflection_by_fermat(LAYERS, source, receiver, earth.dip_depth, earth.dip_slope)
    for shift in (-5.0, 5.0):
        x = point + shift
        legs = [LAYERS.ray(x - end, earth.dip_depth(x)).time for end in (source, receiver)]
        assert np.all(legs[0] + legs[1] > time)


def test_peaks_stand_at_the_modelled_times_with_the_sign_of_the_coefficient() -> None:
    model = clean_line()
    times = model.start_s + np.arange(model.traces.shape[1]) * model.interval_s
    signs = {part.coefficient > 0 for part in model.flat_parts}
    assert signs == {True, False} and len(model.flat_parts) == 5
    earth = Earth()
    for part, depth in zip(model.flat_parts, [*earth.flat_m, *earth.fault_m], strict=True):
        above = [z for z in earth.flat_m if z < depth]
        wanted = 2 * brute_time([*above, depth], list(earth.velocities[: len(above) + 1]), 25.0)
        cdp, offset = model.headers["cdp"], np.abs(model.headers["offset"])
        near = (cdp >= part.first_cdp) & (cdp <= part.last_cdp) & (offset == 50)
        window = np.abs(times - wanted) < 0.015
        trace = model.traces[near].mean(axis=0)[window] * np.sign(part.coefficient)
        assert abs(times[window][np.argmax(trace)] - wanted) <= model.interval_s / 2 + 1e-9
        assert trace.max() > 2 * -trace.min(initial=0.0)


def test_reflector_ends_smoothly_at_the_fault() -> None:
    """Half amplitude over the edge, full amplitude a Fresnel zone away, and a tail of diffraction beyond."""
    flat = Earth(flat_m=(200.0,), velocities=(2000.0,) * 4, densities=(2.0, 2.0, 2.4, 2.4), fault_m=(500.0, 900.0))
    model = model_line(noise=0, ground_roll=0, bad_traces=False, earth=flat)
    near = (model.headers["offset"] == 50) & (model.headers["cdp_x"] < 400_000)
    x = model.headers["cdp_x"][near] / 100.0
    peak = model.traces[near][:, round(0.5012 / model.interval_s)]
    lit = peak[np.argmin(np.abs(x - flat.fault_x_m + 400))]
    assert peak[np.argmin(np.abs(x - flat.fault_x_m))] / lit == pytest.approx(0.5, abs=0.05)
    assert np.abs(peak[x > flat.fault_x_m + 300]).max() < 0.05 * lit
    assert np.all(np.diff(peak[(x > flat.fault_x_m - 100) & (x < flat.fault_x_m + 100)]) < 0)


def test_the_same_seed_gives_the_same_line_and_another_does_not() -> None:
    small = {"shots": 6, "channels": 8, "samples": 100}
    first, again, other = model_line(7, **small), model_line(7, **small), model_line(8, **small)
    assert np.array_equal(first.traces, again.traces)
    assert not np.array_equal(first.traces, other.traces)


def test_a_late_first_sample_shows_the_same_ground_later_in_the_trace() -> None:
    options = {"shots": 2, "channels": 48, "noise": 0.0, "bad_traces": False}
    whole, late = model_line(**options), model_line(start_s=0.1, samples=700, **options)
    early = model_line(start_s=-0.1, samples=800, **options)
    scale = np.abs(whole.traces).max()
    # The level of the ground roll is set on what is recorded.
    assert np.abs(late.traces - whole.traces[:, 50:]).max() < 0.02 * scale
    assert np.abs(early.traces[:, 50:] - whole.traces).max() < 0.02 * scale
    assert set(late.headers["delay"]) == {100} and set(early.headers["delay"]) == {-100}


def test_geometry_is_consistent_and_covers_every_cdp_evenly() -> None:
    headers = clean_line().headers
    assert np.array_equal(headers["receiver_x"] - headers["source_x"], headers["offset"] * 100)
    assert np.array_equal(headers["cdp_x"], (headers["receiver_x"] + headers["source_x"]) // 2)
    assert np.array_equal(headers["cdp_x"], headers["cdp_x"].min() + (headers["cdp"] - 1) * 1250)
    counts = np.bincount(headers["cdp"])[50:241]
    assert set(counts) == {24}


def test_bad_traces_are_of_all_three_kinds() -> None:
    model = model_line()
    zero = ~model.traces.any(axis=1)
    flagged = model.headers["trace_type"] == 2
    assert np.all(zero[flagged]) and flagged.sum() > 10 and (zero & ~flagged).sum() > 10
    before_arrivals = model.traces[np.abs(model.headers["offset"]) > 300, :50].std(axis=1)
    assert (before_arrivals > 10 * np.median(before_arrivals)).sum() > 10


def test_velocities_in_the_flow_are_those_of_the_model() -> None:
    flow = tomllib.loads(files("seisproc.demo").joinpath("line.toml").read_text("utf-8"))
    times, velocities = clean_line().velocity
    tables = [step["velocity"] for step in flow["step"] if "velocity" in step]
    assert len(tables) == 2
    for table in tables:
        assert np.array(table["time_ms"]) == pytest.approx(times * 1000, abs=1)
        assert np.array(table["rms_m_per_s"]) == pytest.approx(velocities, abs=1)


@pytest.mark.parametrize("sizes", [{"shots": 0}, {"channels": 7}, {"samples": 0}])
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="split spread needs"):
        model_line(**sizes)


def test_segyio_reads_the_file_as_written(tmp_path: Path) -> None:
    segyio = pytest.importorskip("segyio")
    model = model_line(shots=5, channels=12, samples=201, interval_s=0.004, start_s=-0.02)
    path = tmp_path / "line.sgy"
    write_segy(model, path)
    with segyio.open(path, ignore_geometry=True) as file:
        assert file.tracecount == 60 and file.bin[segyio.BinField.Format] == 1
        assert file.bin[segyio.BinField.Interval] == 4000 and len(file.samples) == 201
        read = file.trace.raw[:]
        assert np.abs(read - model.traces).max() <= 2.0**-21 * np.abs(model.traces).max()
        for word, byte in (("field_record", 9), ("channel", 13), ("cdp", 21), ("offset", 37), ("source_x", 73)):
            assert np.array_equal(file.attributes(byte)[:], model.headers[word])
        assert set(file.attributes(109)[:]) == {-20} and set(file.attributes(71)[:]) == {-100}
        text = bytes(file.text[0]).decode("ascii")
    assert len(text) == 3200 and [text[80 * i : 80 * i + 3] for i in (0, 9, 39)] == ["C 1", "C10", "C40"]
    assert "SEG Y REV1" in text and "POLARITY" in text


def ibm_values(words: np.ndarray) -> np.ndarray:
    """The definition of the format, read backwards."""
    sign = np.where(words >> 31, -1.0, 1.0)
    return sign * (words & 0xFFFFFF) * 2.0**-24 * 16.0 ** (((words >> 24) & 0x7F).astype(int) - 64)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_ibm_words_are_normalised_and_the_nearest_ones(values: list[float]) -> None:
    words = ibm_words(np.array(values, np.float32))
    back = ibm_values(words)
    assert np.all(np.abs(back - values) <= 2.0**-21 * np.abs(values))
    fraction = words & 0xFFFFFF
    assert np.all((fraction == 0) | (fraction >= 1 << 20))


@pytest.mark.parametrize(
    ("value", "word"),
    [(0.0, 0), (1.0, 0x41100000), (-118.625, 0xC276A000), (0.0625, 0x40100000), (15.9999999, 0x42100000)],
)
def test_known_ibm_words(value: float, word: int) -> None:
    assert ibm_words(np.array([value]))[0] == word


def test_ibm_has_no_infinity() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        ibm_words(np.array([np.inf]))
