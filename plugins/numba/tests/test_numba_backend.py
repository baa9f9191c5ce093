from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

from seisproc_core.errors import PluginError
from seisproc_core.specs import KernelSpec, resolve
from seisproc_numba import backend, cancelled, compiling, jit, warm_up
from seisproc_numba.plugin import seisproc_backends


@jit("boolean(samples_in, int64, flag)")
def _spin(traces, times, flag):
    total = 0.0
    for _ in range(times):
        if cancelled(flag):
            return False
        for i in range(traces.shape[1]):
            total += traces[0, i]
    return total > -1.0


@numba.njit(nogil=True, parallel=True)
def _spin_parallel(out, times, flag):
    for i in numba.prange(out.shape[0]):
        x = 1.0
        for _ in range(times):
            if cancelled(flag):
                break
            for _ in range(1000):
                x = x * 1.0000001 + 1e-9
        out[i] = x


def _latency(kernel, flag) -> float:
    """Seconds between raising the flag and the kernel's return."""
    raised = []

    def raise_flag() -> None:
        time.sleep(0.1)
        raised.append(time.perf_counter())
        flag[0] = 1

    thread = threading.Thread(target=raise_flag)
    thread.start()
    kernel()
    returned = time.perf_counter()
    thread.join()
    return returned - raised[0]


def test_cancel_reaches_an_inner_loop():
    flag = np.zeros(1, np.uint8)
    results = []
    seconds = _latency(lambda: results.append(_spin(np.ones((1, 1000), np.float32), 10**10, flag)), flag)
    assert results == [False] and 0 < seconds < 0.05


def test_cancel_reaches_prange():
    flag = np.zeros(1, np.uint8)
    out = np.zeros(8)
    _spin_parallel(out, 1, flag)
    seconds = _latency(lambda: _spin_parallel(out, 10**10, flag), flag)
    assert 0 < seconds < 0.05


def test_flag_in_a_mapped_file_and_read_only_inputs(tmp_path):
    path = tmp_path / "flag"
    path.write_bytes(b"\0")
    flag = np.memmap(path, np.uint8, "r+", shape=(1,))
    watched = np.memmap(path, np.uint8, "r", shape=(1,))
    traces = np.ones((1, 10), np.float32)
    assert _spin(traces, 3, watched)
    traces.flags.writeable = False
    assert _spin(traces, 3, watched)
    flag[0] = 1
    assert not _spin(traces, 3, watched)


def test_unknown_type_in_signature():
    with pytest.raises(TypeError, match="'sampels'"):
        jit("boolean(sampels, flag)")(lambda traces, flag: True)


def test_backend_describes_itself(monkeypatch):
    (spec,) = seisproc_backends()
    assert spec.id == "numba" and resolve(spec.impl) is backend
    assert backend().startswith("numba 0.")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    with pytest.raises(PluginError, match="NUMBA_DISABLE_JIT"):
        backend()


def test_warm_up_loads_numba_kernels_only():
    warm_up([KernelSpec(name="a", backend="reference", impl="no.such.module:f")])
    with pytest.raises(PluginError, match="cannot load no"):
        warm_up([KernelSpec(name="a", backend="numba", impl="no.such.module:f")])


def test_describing_the_plugin_does_not_import_numba():
    code = "import sys, seisproc_numba.plugin as p; p.seisproc_backends(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_writable_cache_still_compiles(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    compiling._cache_folder.cache_clear()
    try:
        assert compiling._cache_folder("seisproc_numba") is None
        twice = jit("float64(float64)")(lambda x: 2 * x)
        assert twice(3.0) == 6.0
    finally:
        compiling._cache_folder.cache_clear()


def _run_package(folder: Path) -> str:
    env = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", "import cached_kernels.main as m; print(m.answer(1.0), m.answer.stats.cache_hits)"],
        capture_output=True, text=True, env=env, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_cache_is_used_and_an_edited_helper_is_never_stale(tmp_path):
    package = tmp_path / "cached_kernels"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(
        "from cached_kernels.helper import add\nfrom seisproc_numba import jit\n\n"
        "@jit('float64(float64)')\ndef answer(x):\n    return add(x)\n"
    )
    helper = "from seisproc_numba import jit\n\n@jit()\ndef add(x):\n    return x + {}\n"
    (package / "helper.py").write_text(helper.format(1))
    assert _run_package(tmp_path).startswith("2.0")
    again = _run_package(tmp_path)
    assert again.startswith("2.0") and sum(map(int, again.rstrip("})").split(":")[-1:])) == 1
    (package / "helper.py").write_text(helper.format(5))
    assert _run_package(tmp_path).startswith("6.0")
