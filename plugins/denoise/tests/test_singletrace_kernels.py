"""Every accelerated kernel against its reference, and how fast it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from seisproc_core.errors import Cancelled
from seisproc_core.specs import resolve
from seisproc_denoise.singletrace.aperture import nearest, nearest_in_plane
from seisproc_denoise.singletrace.descriptions import KERNELS

FORMS = {(spec.name, spec.backend): spec for spec in KERNELS}
NAMES = sorted({name for name, _ in FORMS})
GO = np.zeros(1, np.uint8)


def test_every_kernel_has_both_forms():
    assert set(FORMS) == {(name, backend) for name in NAMES for backend in ("reference", "numba")}


def windows(count: int, n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    first, end = np.sort(np.random.default_rng(seed).integers(0, n + 1, (2, count)), axis=0)
    first[:4], end[:4] = [0, 0, n, n // 2], [n, 0, n, n // 2 + 1]
    return first, end


def cells(parts: int, count: int = 30, n: int = 83, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, n * parts)) * np.where(rng.random((count, n * parts)) < 0.05, 30, 1)
    values[5] = 0
    values[6, 10:60] = 0
    return values.astype(np.float32)


def apertures(count: int) -> list[np.ndarray]:
    holes = nearest(count, 7)
    holes[np.random.default_rng(2).random(holes.shape) < 0.4] = -1
    return [np.arange(count)[:, None], nearest(count, 5), holes, np.full((count, 3), -1)]


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("n", [1, 2, 83, 84])
def test_band_noise(parts, which, n):
    values, (first, end) = cells(parts, n=max(n, 60)), windows(30, n)
    aperture = apertures(30)[which]
    found, expected = np.full(30, np.nan), np.full(30, np.nan)
    for backend, out in (("numba", found), ("reference", expected)):
        resolve(FORMS["band_noise", backend].impl)(values, parts, first, end, aperture, out, GO)
    assert np.allclose(found, expected, rtol=1e-6)
    size = np.abs(values) if parts == 1 else np.abs(values.view(np.complex64))
    for row in range(30):
        pool = np.concatenate([size[i, first[i] : end[i]] for i in aperture[row] if i >= 0] or [[]])
        assert expected[row] == pytest.approx(np.median(pool) if len(pool) else 0, rel=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("shape", [0, 1, 2])
def test_band_shrink(parts, shape):
    limit = np.linspace(0, 3, 30)
    limit[[7, 8]] = np.inf, 0
    results = []
    for backend in ("numba", "reference"):
        values = cells(parts)
        resolve(FORMS["band_shrink", backend].impl)(values, parts, limit, shape, GO)
        results.append(values)
    assert np.allclose(*results, rtol=1e-5, atol=1e-6)
    assert np.array_equal(results[1][[0, 8]], cells(parts)[[0, 8]])
    assert not results[1][7].any()
    if parts == 1:
        size = np.abs(cells(1)[20])
        gain = {0: 1 - limit[20] / np.maximum(size, 1e-9), 1: 1.0, 2: 1 - (limit[20] / np.maximum(size, 1e-9)) ** 2}
        expected = np.where(size > limit[20], gain[shape], 0) * cells(1)[20]
        assert np.allclose(results[1][20], expected, atol=1e-5)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("remedy", [0, 1, 2])
@pytest.mark.parametrize("by_spread", [True, False])
@pytest.mark.parametrize("which", range(4))
def test_aperture_reject(parts, remedy, by_spread, which):
    first, end = windows(30, 83)
    first[10:], end[10:] = 3, 80
    results = []
    for backend in ("numba", "reference"):
        values = cells(parts)
        kernel = resolve(FORMS["aperture_reject", backend].impl)
        kernel(values, parts, first, end, apertures(30)[which], 1.5, by_spread, remedy, GO)
        results.append(values)
    assert np.allclose(*results, rtol=1e-5, atol=1e-6)
    changed = results[1] != cells(parts)
    assert changed.any() == (which in (1, 2))
    assert not changed[:, : 3 * parts][10:].any()


@pytest.mark.parametrize("n", [3, 16, 301])
def test_emd_modes(n):
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((5, n))
    signals[1] = np.cumsum(signals[1])
    signals[2, : n // 2] = 0
    signals[3] = np.arange(n)
    results = []
    for backend in ("numba", "reference"):
        out = np.zeros((5, 4, n))
        resolve(FORMS["emd_modes", backend].impl)(signals, 8, out, GO)
        results.append(out)
    assert np.allclose(*results, atol=1e-9)
    assert not results[0][3].any()


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_interval_shrink(shape):
    modes = np.cumsum(np.random.default_rng(4).standard_normal((6, 200)), axis=1) - 1
    modes[4] = 0
    modes[5, 30:60] = 0
    limit, results = np.array([0, 2, 5, np.inf, 1, 3.0]), []
    for backend in ("numba", "reference"):
        values = modes.copy()
        resolve(FORMS["interval_shrink", backend].impl)(values, limit, shape, GO)
        results.append(values)
    assert np.allclose(*results, atol=1e-12)
    assert np.array_equal(results[0][0], modes[0]) and not results[0][3].any()
    # A piece shrinks as a whole: its form stays.
    piece = slice(int(np.argmax(np.abs(modes[1])) - 1), int(np.argmax(np.abs(modes[1])) + 2))
    ratio = results[0][1, piece] / modes[1, piece]
    assert np.ptp(ratio) < 1e-12 and 0 < ratio[0] <= 1


def work(name: str) -> tuple[Callable[[], np.ndarray], tuple[object, ...]]:
    """Arrays that keep a kernel busy for many batches, and its arguments after the first."""
    count, n = 300, 1500
    first, end = np.zeros(count, np.int64), np.full(count, n)
    rng = np.random.default_rng(0)
    values, signals = rng.standard_normal((count, n)).astype(np.float32), rng.standard_normal((10, n))
    return {
        "band_noise": (values.copy, (1, first, end, nearest(count, 9), np.empty(count))),
        "band_shrink": (values.copy, (1, np.ones(count), 0)),
        "aperture_reject": (values.copy, (1, first, end, nearest(count, 9), 2.0, True, 2)),
        "emd_modes": (signals.copy, (10, np.zeros((10, 5, n)))),
        "interval_shrink": (signals.copy, (np.ones(10), 0)),
    }[name]


@pytest.mark.parametrize(("name", "backend"), list(FORMS))
def test_cancel(name, backend):
    """A raised flag stops a kernel before it begins, and soon after it began."""
    kernel = resolve(FORMS[name, backend].impl)
    values, arguments = work(name)
    with pytest.raises(Cancelled):
        kernel(values(), *arguments, np.ones(1, np.uint8))
    flag, raised = np.zeros(1, np.uint8), []

    def raise_flag() -> None:
        time.sleep(0.05)
        raised.append(time.perf_counter())
        flag[0] = 1

    thread = threading.Thread(target=raise_flag)
    thread.start()
    with pytest.raises(Cancelled):
        while True:
            kernel(values(), *arguments, flag)
    latency = time.perf_counter() - raised[0]
    thread.join()
    assert latency < 2


@pytest.mark.parametrize(("count", "width"), [(1, 1), (1, 9), (5, 3), (7, 7), (10, 4), (0, 5)])
def test_nearest_traces(count, width):
    near = nearest(count, width)
    assert near.shape == (count, min(width, count))
    for row, places in enumerate(near):
        assert row in places and len(set(places)) == len(places)
        assert places.min() >= 0 and places.max() < count
    if count > width:
        middle = count // 2
        assert np.abs(near[middle] - middle).max() <= width // 2


def test_nearest_traces_in_a_plane():
    x, y = np.meshgrid(np.arange(5.0), np.arange(4.0))
    near = nearest_in_plane(x.ravel(), y.ravel(), 5)
    assert sorted(near[7]) == [2, 6, 7, 8, 12]
    assert near[0, 0] == 0 and set(near[0, 1:3]) == {1, 5}
