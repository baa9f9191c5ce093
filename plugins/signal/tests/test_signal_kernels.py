"""Every accelerated kernel against its reference, and how fast it stops."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from seisproc_core.errors import Cancelled
from seisproc_core.specs import resolve
from seisproc_signal.agc import window_sums
from seisproc_signal.plugin import seisproc_kernels
from seisproc_signal.windows import energy

KERNELS = {(spec.name, spec.backend): spec for spec in seisproc_kernels() if spec.name.startswith("agc")}
ACCELERATED = [key for key in KERNELS if key[1] != "reference"]
GAUSSIAN = np.exp(-((3.8090232 * np.arange(31) / 31) ** 2))
ARGUMENTS = {"agc": [(31, 31), (31, 30), (1, 0), (400, 400)], "agc_gaussian": [(GAUSSIAN, True), (GAUSSIAN, False)]}
UNWANTED = np.empty((0, 0), np.float32)
CASES = [(name, backend, i) for name, backend in ACCELERATED for i in range(len(ARGUMENTS[name]))]


def panels() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((40, 301))
    spikes = np.where(rng.random((40, 301)) < 0.03, noise * 1e8, noise * 1e-4)
    decades = noise * 10.0 ** rng.uniform(-30, 30, (40, 1))
    fading = noise * 10.0 ** np.linspace(0, -37, 301)
    holes = np.where(np.arange(301) % 100 < 60, 0, noise)
    return {"noise": noise, "spikes": spikes, "decades": decades, "fading": fading, "holes": holes}


def windows(count: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Live windows of all kinds: whole, empty at either end, one sample, and any."""
    rng = np.random.default_rng(3)
    first, end = np.sort(rng.integers(0, n + 1, (2, count)), axis=0)
    first[:5], end[:5] = [0, 0, n, 17, 0], [n, 0, n, 18, 1]
    return first, end


@pytest.mark.parametrize("panel", ["noise", "spikes", "decades", "fading", "holes"])
@pytest.mark.parametrize(("name", "backend", "case"), CASES)
def test_equals_reference(name, backend, case, panel):
    traces = panels()[panel].astype(np.float32)
    first, end = windows(*traces.shape)
    flag = np.zeros(1, np.uint8)
    arguments = ARGUMENTS[name][case]
    made = {}
    for form in (backend, "reference"):
        alone, out, gain = (np.full_like(traces, np.nan) for _ in range(3))
        kernel = resolve(KERNELS[name, form].impl)
        kernel(traces, first, end, *arguments, alone, UNWANTED, flag)
        kernel(traces, first, end, *arguments, out, gain, flag)
        assert np.array_equal(alone, out)  # whether gains are wanted changes no bit
        made[form] = out, gain
    for found, expected in zip(made[backend], made["reference"], strict=True):
        assert np.isfinite(expected).all() and np.any(expected)
        scale = np.sqrt(np.mean(expected.astype(np.float64) ** 2))
        assert np.sqrt(np.mean((found.astype(np.float64) - expected) ** 2)) <= 1e-5 * scale
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-30)
    out, gain = made[backend]
    assert np.allclose(np.where(gain > 0, traces, 0) * gain.astype(np.float64), out, rtol=1e-5, atol=1e-30)


def test_every_kernel_has_a_reference():
    assert {name for name, _ in KERNELS} == {name for name, backend in KERNELS if backend == "reference"}


@pytest.mark.parametrize(("name", "backend"), list(KERNELS))
def test_cancel_latency(name, backend):
    kernel = resolve(KERNELS[name, backend].impl)
    n = 1500
    traces = np.random.default_rng(0).standard_normal((3000, n)).astype(np.float32)
    first, end = np.zeros(len(traces), np.int64), np.full(len(traces), n)
    out, flag = np.empty_like(traces), np.zeros(1, np.uint8)
    raised = []

    def run() -> None:
        for _ in range(1000):
            kernel(traces, first, end, *ARGUMENTS[name][0], out, UNWANTED, flag)

    def raise_flag() -> None:
        time.sleep(0.1)
        raised.append(time.perf_counter())
        flag[0] = 1

    thread = threading.Thread(target=raise_flag)
    thread.start()
    with pytest.raises(Cancelled):
        run()
    latency = time.perf_counter() - raised[0]
    thread.join()
    assert latency < 0.1


def test_window_sums_are_exact_behind_a_huge_spike():
    values = np.ones((1, 50))
    values[0, 10] = 1e30
    sums = window_sums(values, 3, 2)[0]
    expected = [values[0, max(i - 3, 0) : i + 3].sum() for i in range(50)]
    assert np.array_equal(sums[14:], expected[14:]) and np.allclose(sums, expected, rtol=1e-15)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_energies_of_windows_at_any_size(size, rng):
    traces = (size * rng.standard_normal((70, 300))).astype(np.float32)
    first, end = rng.integers(0, 100, 70), rng.integers(200, 301, 70)
    end[3] = first[3]
    exact = [np.square(t[a:b], dtype=np.float64).sum() for t, a, b in zip(traces, first, end, strict=True)]
    found = energy(traces, first, end)
    assert found[3] == 0
    assert np.allclose(found, exact, rtol=1e-6, atol=0)
    assert not len(energy(traces[:0], first[:0], end[:0]))
