"""The transforms by themselves: exact inverses, and what their coefficients are."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from seisproc_denoise.singletrace.bands import Band, Transform
from seisproc_denoise.singletrace.synchrosqueezing import Synchrosqueezing
from seisproc_denoise.singletrace.timefrequency import REACH, Stft, Stockwell, voices_of
from seisproc_denoise.singletrace.wavelets import Dwt, Swt, Wpt

DT = 0.004
TRANSFORMS: list[Transform] = [
    *(cls(wavelet, levels) for cls in (Dwt, Swt, Wpt) for wavelet, levels in (("db4", 3), ("bior3.5", 2), ("haar", 4))),
    Stft("hann", 5, 4, (0, 11)),
    Stft("gaussian", 8, 4, (2, 9)),
    Stft("hann", 3, 3, (0, 5)),
    Stockwell(DT, 5, 100),
    Stockwell(DT, 12, 125),
    Synchrosqueezing(DT, 8, 100),
    Synchrosqueezing(DT, 20, 125),
]


def noise(rows: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, n)).astype(np.float32)


def collect(transform: Transform, traces: np.ndarray, first: int = 0, end: int | None = None) -> list[Band]:
    """All bands of a transform, copied."""
    bands: list[Band] = []

    def keep(band: Band) -> None:
        bands.append(attrs.evolve(band, cells=band.cells.copy(), gauge=None))

    count = len(traces)
    transform.rework(traces, np.full(count, first), np.full(count, traces.shape[1] if end is None else end), keep)
    return bands


def back(transform: Transform, traces: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """The traces after all cells were multiplied."""

    def scale(band: Band) -> None:
        band.cells[...] *= np.float32(factor)

    count, n = traces.shape
    return transform.rework(traces, np.zeros(count, np.int64), np.full(count, n), scale)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@given(n=st.integers(64, 400), rows=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_inverse_is_exact_for_any_length(transform, n, rows, seed):
    traces = noise(rows, n, seed)
    found = back(transform, traces)
    assert found.shape == traces.shape and found.dtype == np.float32
    assert np.abs(found - traces).max() <= 1e-5 * np.abs(traces).max()


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_linear_in_its_cells(transform):
    traces = noise(3, 301)
    none, half = back(transform, traces, 0.0), back(transform, traces, 0.5)
    assert np.allclose(half, (traces + none) / 2, atol=1e-5)
    assert np.linalg.norm(none) < 0.9 * np.linalg.norm(traces)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_cells_are_contiguous_and_windows_lie_inside(transform):
    for band in collect(transform, noise(2, 301), 100, 200):
        assert band.cells.flags.c_contiguous and band.cells.dtype in (np.float32, np.complex64)
        assert np.all(band.first >= 0) and np.all(band.first <= band.end) and np.all(band.end <= band.cells.shape[1])
        ratio = (band.end - band.first) / band.cells.shape[1]
        assert np.all(ratio < 0.5)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_live_cells_hold_the_energy_of_what_is_live(transform):
    """A spike in the middle of a window of 62 samples must show in the live cells."""
    traces = np.zeros((1, 400), np.float32)
    traces[0, 231] = 1
    live, all_ = 0.0, 0.0
    for band in collect(transform, traces, 200, 262):
        power = np.abs(band.cells[0]) ** 2
        live += power[band.first[0] : band.end[0]].sum()
        all_ += power.sum()
    assert live > 0.8 * all_ > 0


def test_dwt_and_wpt_are_those_of_pywavelets_the_finest_first():
    traces = noise(4, 333)
    details = pywt.wavedec(traces, "sym5", level=3, axis=-1)[1:]
    for band, expected in zip(collect(Dwt("sym5", 3), traces), reversed(details), strict=True):
        assert np.array_equal(band.cells, expected)
    packets = pywt.WaveletPacket(traces[0], "sym5", maxlevel=3)
    expected = [node.data for node in packets.get_level(3, order="freq")][:0:-1]
    for band, leaf in zip(collect(Wpt("sym5", 3), traces), expected, strict=True):
        assert np.allclose(band.cells[0], leaf, atol=1e-6)


def test_white_noise_has_the_level_of_the_finest_band_in_all_others():
    traces = noise(60, 2000)
    for transform in (Dwt("db4", 4), Swt("db4", 4), Wpt("db4", 3)):
        levels = [np.std(band.cells[:, 20:-20]) / band.white for band in collect(transform, traces)]
        assert np.allclose(levels, levels[0], rtol=0.06)


def test_swt_is_that_of_pywavelets_but_for_alignment():
    traces = np.zeros((1, 256), np.float32)
    traces[:, 90:170] = noise(1, 80)
    theirs = pywt.swt(traces[0], "db3", level=3, trim_approx=True, norm=True)[1:]
    for band, expected in zip(collect(Swt("db3", 3), traces), reversed(theirs), strict=True):
        ours = np.zeros(256)
        ours[:] = band.cells[0, :256]
        # The longest filter is 36 samples: nothing wraps, so a shift brings both together.
        lags = [np.abs(np.roll(ours, lag) - expected).max() for lag in range(-40, 41)]
        assert min(lags) < 1e-5


def test_swt_is_aligned_with_the_trace():
    traces = np.zeros((1, 512), np.float32)
    traces[0, 256] = 1
    for band in collect(Swt("sym8", 4), traces):
        power = band.cells[0].astype(np.float64) ** 2
        assert abs(np.average(np.arange(len(power)), weights=power) - 256) < 4


def test_stft_is_that_of_scipy():
    traces = noise(2, 500)
    length, hop = 32, 8
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    theirs = signal.ShortTimeFFT(window, hop, 1 / DT, fft_mode="onesided")
    padded = np.pad(traces, ((0, 0), (length - hop, 2 * length)))
    for index, band in enumerate(collect(Stft("hann", hop, 4, (0, 17)), traces)):
        frames = band.cells.shape[1]
        for frame in range(frames):
            expected = np.fft.rfft(padded[:, frame * hop : frame * hop + length] * window)[:, index]
            assert np.allclose(band.cells[:, frame], expected, atol=1e-4)
    full = theirs.stft(traces[0], p0=0, p1=40)
    assert np.allclose(np.abs(full[5, 10]), np.abs(np.fft.rfft(traces[0, 64:96] * window)[5]), atol=1e-4)


def test_stockwell_follows_its_definition():
    """|S(t, f)| = |sum_a X(f + a) exp(-2 pi^2 a^2 / f^2) exp(2 pi i a t)| / N at every sample a voice has."""
    traces = noise(1, 300)
    transform = Stockwell(DT, 10, 60)
    bands = collect(transform, traces)
    length = voices_of(transform, 300).length
    assert length >= 350
    spectrum = np.fft.fft(traces[0].astype(np.float64), length) / length
    step = 1 / (length * DT)
    assert len(bands) == 1 + int(16 * np.log2(60 / 10))
    for number in range(0, len(bands), 5):
        centre = 10 * 2 ** (number / 16) / step
        bins = np.arange(length // 2 + 1)
        weighted = spectrum[bins] * np.exp(-2 * (np.pi * (bins - centre) / centre) ** 2)
        cells = bands[number].cells[0]
        at = np.arange(len(cells)) * length / len(cells)
        expected = np.abs(np.exp(2j * np.pi * np.outer(at, bins) / length) @ weighted)
        assert np.allclose(length * expected, np.abs(cells), atol=2e-3 * length * expected.max())
    assert pytest.approx(0.683, abs=1e-3) == REACH


COUNTED = [Dwt("db4", 3), Swt("db4", 4), Wpt("db4", 3), *(t for t in TRANSFORMS if isinstance(t, Stft | Stockwell))]


@pytest.mark.parametrize("transform", [*COUNTED, Synchrosqueezing(DT, 8, 100)], ids=str)
def test_independent_values_of_a_band_are_counted(transform):
    """The mean power of N independent values of white noise scatters by sqrt(2 / N), of complex ones by sqrt(1 / N)."""
    powers: dict[float, list[float]] = {}
    for band in collect(transform, noise(400, 800, 3), 200, 600):
        live = np.abs(band.cells[:, band.first[0] : band.end[0]].astype(np.complex128))
        stated = (band.end[0] - band.first[0]) / band.per_value
        powers.setdefault(float(stated), []).extend(np.mean(live**2, axis=1))
    for stated, power in powers.items():
        found = (1 if band.parts == 2 else 2) / (np.std(power) / np.mean(power)) ** 2
        assert 0.4 < found / stated < 2.5  # which changes sqrt(2 ln N) by a fifth where N is 10


def test_stockwell_does_not_see_the_length_of_the_record():
    """Silence behind the record, or before it, changes nothing: the same voices, and cells at the same times."""
    traces = noise(4, 300, 2)

    def cut(band: Band) -> None:
        live = np.abs(band.cells[:, band.first[0] : band.end[0]])
        band.cells[np.abs(band.cells) < np.median(live)] = 0

    transform = Stockwell(DT, 10, 60)
    expected = transform.rework(traces, np.zeros(4, np.int64), np.full(4, 300), cut)
    for before, behind in ((0, 217), (48, 96)):
        longer = np.pad(traces, ((0, 0), (before, behind)))
        live = np.full(4, before), np.full(4, before + 300)
        found = attrs.evolve(transform, lead=-before % 16).rework(longer, *live, cut)[:, before : before + 300]
        assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(expected)


def test_changes_stay_near_their_time_and_frequency():
    """Taking out a burst at 1.2 s, 30 Hz leaves what is at 0.4 s, and what is at 80 Hz."""
    time = np.arange(500) * DT

    def tone(at: float, hz: float) -> np.ndarray:
        return np.cos(2 * np.pi * hz * time) * np.exp(-(((time - at) / 0.05) ** 2))

    keep = tone(0.4, 30) + tone(1.2, 80)
    burst = tone(1.2, 30)
    traces = (keep + burst)[None].astype(np.float32)

    def cut(band: Band) -> None:
        position = np.arange(band.cells.shape[1]) / (band.end[0] / 500) * DT
        band.cells[:, (position > 0.95) & (position < 1.45)] = 0

    found = Stockwell(DT, 8, 50).rework(traces, np.zeros(1, np.int64), np.full(1, 500), cut)[0]
    assert np.linalg.norm(found - keep) < 0.12 * np.linalg.norm(burst)
    early = slice(0, 175)
    assert np.abs(found[early] - keep[early]).max() < 0.02


def test_synchrosqueezing_makes_ridges():
    """All of a tone lies in one cell, so in the five sums that hold it; its voices reach over an octave."""
    time = np.arange(600) * DT
    traces = np.cos(2 * np.pi * 40 * time)[None].astype(np.float32)
    bands = collect(Synchrosqueezing(DT, 10, 100), traces)
    power = np.array([np.mean(np.abs(b.cells[0, 100:500]) ** 2) for b in bands])
    ridge = np.abs(np.arange(len(bands)) - 2 * 16) <= 2
    assert np.allclose(power[ridge], 1, atol=0.02)
    assert power[~ridge].max() < 1e-3
