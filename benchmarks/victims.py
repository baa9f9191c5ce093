"""Segments that are there to be cancelled, as functions that workers find by name. Light to import."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs.control import Control

TRACES, SAMPLES = 50_000, 1000
BEATS, BEAT_S, BEAT_TIMES = 200, 0.01, "beats.npy"


def python_loop(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """A step in Python that asks between pieces of work of some milliseconds."""
    control, x = _begin(folder, segment, slot), np.ones(1_000_000)
    while True:
        control.check()
        np.sqrt(x, out=x)


def numba_kernel(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """The AGC over 200 MB, time and again."""
    from seisproc_signal.kernels_numba import agc

    traces = np.ones((TRACES, SAMPLES), np.float32)
    out, first, end = np.empty_like(traces), np.zeros(TRACES, np.int64), np.full(TRACES, SAMPLES, np.int64)
    control, unwanted = _begin(folder, segment, slot), np.empty((0, 0), np.float32)
    while True:
        agc(traces, first, end, 60, 60, out, unwanted, control.flag)


def reader(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Reading all samples of a SEG-Y file, time and again."""
    from seisproc_core.plugins import registry

    survey = registry().load("storage", "segy")().open([str(Path(folder, "shots.sgy"))], {})
    control = _begin(folder, segment, slot)
    while True:
        survey.read(slice(0, survey.n_traces), flag=control.flag)


def sleeping(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Deaf: a plugin that waits for something else."""
    _begin(folder, segment, slot)
    time.sleep(60)
    return _receipt(segment)


def spinning(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Deaf: C code that does not give Python's lock back."""
    _begin(folder, segment, slot)
    sum(range(10**12))
    return _receipt(segment)


def napping(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Deaf for a second, where nobody can kill."""
    _begin(folder, segment, slot)
    time.sleep(1.0)
    return _receipt(segment)


def starting_only(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Says when it began."""
    return Receipt(segment=segment, pieces=(("", time.monotonic_ns(), 0, 0),), traces_in=0, traces_out=0)


def beating(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Reports one trace after the other, and keeps when each report began and ended."""
    control, begun, ended = _begin(folder, segment, slot), list[int](), list[int]()
    for _ in range(BEATS):
        time.sleep(BEAT_S)
        begun.append(time.monotonic_ns())
        control.beat(slot, 1)
        ended.append(time.monotonic_ns())
    np.save(Path(folder).parent / BEAT_TIMES, np.array([begun, ended]))
    return _receipt(segment)


def _begin(folder: str, segment: int, slot: int) -> Control:
    control = Control(Path(folder, "control"))
    control.begin(slot, segment)
    return control


def _receipt(segment: int) -> Receipt:
    return Receipt(segment=segment, pieces=(), traces_in=0, traces_out=0)
