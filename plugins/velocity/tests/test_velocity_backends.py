"""Every accelerated kernel gives what its reference gives, and stops when told to."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seisproc_core.errors import Cancelled
from seisproc_core.specs import KernelSpec, resolve
from seisproc_core.testing import make_gather, run_processor
from seisproc_velocity import plugin
from seisproc_velocity.moveout import Moveout
from seisproc_velocity.nmo import Nmo
from seisproc_velocity.semblance import trial
from seisproc_velocity.sinc import operators
from seisproc_velocity.stack import Stack
from seisproc_velocity.velan import Semblance

ACCELERATED = [spec for spec in plugin.KERNELS if spec.backend != "reference"]
RISING = {"cdp": [1, 1, 9, 9], "time_ms": [100, 900, 0, 700], "rms_m_per_s": [1500, 2400, 1700, 2900]}
# So steep that t(t0) runs backwards for a while.
FOLDING = {"time_ms": [0, 300, 420], "rms_m_per_s": [1200, 1300, 5000]}
# Parameters that reach every branch of a kernel.
MATRIX: dict[str, tuple[type, list[dict[str, Any]]]] = {
    "nmo": (
        Nmo,
        [
            {"velocity": RISING, **extra}
            for extra in (
                {},
                {"inverse": True},
                {"scale_stretch": True, "mode": "su"},
                {"scale_stretch": True, "inverse": True},
                {"scale_stretch": True, "inverse": True, "mode": "su"},
                {"mute_scan": "up", "taper_ms": 0.0},
                {"mute_scan": "up", "mode": "su"},
                {"velocity": FOLDING, "max_stretch_percent": 400.0, "mute_scan": "down"},
                {"velocity": FOLDING, "max_stretch_percent": 400.0, "inverse": True},
                {"eta": {"time_ms": [0, 900], "eta": [0.3, -0.1]}, "max_stretch_percent": 200.0, "scale_stretch": True},
                {"eta": {"cdp": [0, 11], "time_ms": [0, 0], "eta": [0.0, 0.2]}, "inverse": True},
                {"interpolation": "linear", "lateral": "slowness_squared", "max_stretch_percent": 5.0},
            )
        ],
    ),
    "semblance": (
        Semblance,
        [
            {"first_m_per_s": 1500.0, "last_m_per_s": 3000.0, "step_m_per_s": 300.0, **extra}
            for extra in (
                {},
                {"every": 3, "window_ms": 0.0, "least_traces": 1},
                {"measure": "ab", "max_stretch_percent": 300.0, "least_traces": 3},
                {"measure": "stack_power", "window_ms": 100.0},
                {"mode": "su"},
                {"mode": "su", "measure": "ab", "window_ms": 0.0},
            )
        ],
    ),
    "stack": (Stack, [{}, {"normalise_power": 0.5}, {"weight": "cdp"}]),
}
PROCESSORS = ["nmo", "stack", "partial_stack", "semblance", "velocity_stacks", "velocity_pick"]
CASES = [(spec, p) for spec in ACCELERATED for p in MATRIX[spec.name][1]]


@pytest.mark.parametrize(("spec", "parameters"), CASES, ids=lambda v: v.name if isinstance(v, KernelSpec) else "")
@pytest.mark.parametrize("start_ms", [-60.0, 0.0, 40.0])
def test_as_the_reference(spec: KernelSpec, parameters: dict[str, Any], start_ms: float) -> None:
    pytest.importorskip(f"seisproc_{spec.backend}")
    rng = np.random.default_rng(5)
    first, end = rng.integers(0, 200, 60), rng.integers(150, 402, 60)
    gather = make_gather(
        rng.standard_normal((60, 401)),
        start_ms=start_ms,
        gather_starts=[0, 1, 20, 20, 60],
        live=(first, np.maximum(first, end)),
        offset=rng.integers(-900, 900, 60),
        cdp=rng.integers(0, 11, 60),
        dead=rng.integers(0, 12, 60) == 0,
    )
    cls = MATRIX[spec.name][0]
    wanted = run_processor(cls, gather, parameters, kernels=plugin.KERNELS)
    made = run_processor(cls, gather, parameters, kernels=plugin.KERNELS, backend=spec.backend)
    assert wanted.traces.any()
    difference = made.traces.astype(np.float64) - wanted.traces
    assert np.sqrt(np.mean(difference**2)) <= 1e-5 * np.sqrt(np.mean(wanted.traces.astype(np.float64) ** 2))
    np.testing.assert_array_equal(made.live_window, wanted.live_window)
    for name in wanted.headers:
        np.testing.assert_array_equal(made.headers.column(name), wanted.headers.column(name))


def long_call(kernel: str, n_traces: int, flag: np.ndarray) -> Callable[[Callable[..., Any]], Any]:
    """A call of a kernel on many traces."""
    n = 1500
    traces = np.broadcast_to(np.float32(1), (n_traces, n)).copy()
    first, end = np.zeros(n_traces, np.int64), np.full(n_traces, n)
    if kernel == "stack":
        # The same gather many times over: work without memory. (Backwards from its end to its start is no trace.)
        starts = np.tile([0, n_traces], 12)
        out = np.empty((23, n), np.float32)
        return lambda run: run(traces, first, end, np.ones(n_traces), starts, 1.0, out, flag)
    offset = np.arange(n_traces, dtype=np.float64)
    if kernel == "semblance":
        options = trial(
            np.linspace(1500, 3000, 20), 0.0, 0.004, window_ms=40, every=1, max_stretch_percent=50, least_traces=1,
            measure="semblance", su=False,
        )  # fmt: skip
        few, out = np.array([0, n_traces // 20]), np.empty((20, n), np.float32)
        return lambda run: run(traces, first, end, offset, few, options, out, flag)
    moveout = Moveout(
        slowness_squared=np.full((1, n + 2), 2000.0**-2), eta=np.zeros((0, 0)), start_s=0.0, interval_s=0.004,
        weights=operators(),
        lowest_rate=0.6, scan_up=False, ramp=5, scale=True, inverse=False, su=False,
    )  # fmt: skip
    function = np.zeros(n_traces, np.int64)
    return lambda run: run(traces, first, end, offset, function, moveout, np.empty_like(traces), flag)


@pytest.mark.parametrize("spec", plugin.KERNELS, ids=lambda spec: f"{spec.name}-{spec.backend}")
def test_a_raised_flag_stops_at_once(spec: KernelSpec) -> None:
    if spec.backend != "reference":
        pytest.importorskip(f"seisproc_{spec.backend}")
    with pytest.raises(Cancelled):
        long_call(spec.name, 50, np.ones(1, np.uint8))(resolve(spec.impl))


@pytest.mark.parametrize("spec", ACCELERATED, ids=lambda spec: f"{spec.name}-{spec.backend}")
def test_cancel_while_running(spec: KernelSpec) -> None:
    pytest.importorskip(f"seisproc_{spec.backend}")
    kernel = resolve(spec.impl)
    flag = np.zeros(1, np.uint8)
    call = long_call(spec.name, 20_000, flag)
    begun = time.perf_counter()
    call(kernel)
    took = time.perf_counter() - begun
    raised = []

    def cancel() -> None:
        time.sleep(took / 5)
        raised.append(time.perf_counter())
        flag[0] = 1

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled):
        while True:  # should the flag come late, it meets another call
            call(kernel)
    stopped = time.perf_counter()
    thread.join()
    # A kernel whose look at the flag was optimised away would run on for four fifths of a call.
    assert stopped - raised[0] < took / 2


def test_describing_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, seisproc_velocity.plugin as p; p.seisproc_processors(); print([*sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = ast.literal_eval(printed)
    assert not {"numpy", "numba", "seisproc_numba"} & set(modules)
    assert [resolve(name).id for name in plugin.seisproc_processors()] == PROCESSORS
