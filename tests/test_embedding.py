"""The core inside another program: no front end, no job store, no terminal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from integration_kit import STACKING, Line, assert_close, open_output

from seisproc_core import Engine, Flow, MemorySurvey, Source, State, Step, Target
from seisproc_core.errors import StepError, UsageError
from seisproc_core.testing import make_gather


def steps() -> tuple[Step, ...]:
    return tuple(Step(use=s["use"], parameters={k: v for k, v in s.items() if k != "use"}) for s in STACKING)


def in_memory(line: Line) -> Flow:
    words = {name: line.words[name] for name in ("cdp", "offset")}
    survey = MemorySurvey(make_gather(line.traces, interval_ms=line.interval_ms, **words))
    return Flow(source=Source(storage="memory", survey=survey), steps=steps())


def on_disk(survey: Path, out: Path) -> Flow:
    source = Source(storage="survey", paths=(str(survey),))
    return Flow(source=source, steps=steps(), sink=Target(storage="survey", path=str(out)))


def test_from_memory_to_memory_and_from_disk_alike(line: Line, survey: Path, tmp_path: Path) -> None:
    with Engine(executor="in-process") as engine:
        here = engine.submit(in_memory(line)).result(60).open()
        there = engine.submit(on_disk(survey, tmp_path / "stack.seis")).result(60)
    assert there.path == tmp_path / "stack.seis"
    stored = there.open()
    assert here.headers()["cdp"].tolist() == stored.headers()["cdp"].tolist()
    assert_close(here.read(slice(0, here.n_traces)).traces, stored.read(slice(0, stored.n_traces)).traces, 1e-6)


def test_from_disk_to_memory(line: Line, survey: Path) -> None:
    flow = Flow(source=Source(storage="survey", paths=(str(survey),)), steps=(Step(use="agc"),))
    with Engine() as engine:
        result = engine.submit(flow).result(60)
    with pytest.raises(UsageError, match="in memory"):
        _ = result.path
    assert result.open().n_traces == len(line.traces)


def test_in_an_event_loop(line: Line, survey: Path, tmp_path: Path) -> None:
    """Jobs run while the loop goes on turning; errors arrive where the result is awaited."""

    async def application() -> tuple[int, list[int]]:
        turns = 0

        async def clock() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        ticking = asyncio.create_task(clock())
        with Engine(executor="in-process") as engine:
            handles = [engine.submit(in_memory(line)), engine.submit(on_disk(survey, tmp_path / "stack.seis"))]
            results = await asyncio.gather(*(asyncio.to_thread(handle.result, 60) for handle in handles))
        ticking.cancel()
        return turns, [result.open().n_traces for result in results]

    turns, counts = asyncio.run(application())
    assert turns > 3
    assert counts == [len(np.unique(line.words["cdp"]))] * 2


def test_progress_and_state_of_two_jobs(line: Line) -> None:
    with Engine() as engine:
        first, second = (engine.submit(in_memory(line)) for _ in range(2))
        reports = list(first.progress(0.001))
        second.result(60)
    assert reports[-1].state is State.COMPLETED and reports[-1].done == reports[-1].total > 0
    assert [report.done for report in reports] == sorted(report.done for report in reports)


def test_an_error_is_an_exception_and_the_engine_lives_on(line: Line) -> None:
    wanted = in_memory(line)
    with Engine() as engine:
        with pytest.raises(UsageError, match="no processor named"):
            engine.submit(Flow(source=wanted.source, steps=(Step(use="no_such_step"),)))
        assert engine.submit(wanted).result(60).open().n_traces > 0
    assert issubclass(StepError, Exception)


def test_a_program_needs_no_front_end(survey: Path, tmp_path: Path) -> None:
    """A plain script, run with the terminal and the job store out of reach."""
    # Making the index of plugins imports all of them, and it is made anew after any edit: not what this is about.
    subprocess.run([sys.executable, "-c", "from seisproc_core.plugins import registry; registry()"], check=True)
    script = f"""
import sys
from seisproc_core import Engine, Flow
flow = Flow.parse({{"source": {{"survey": {str(survey)!r}}}, "step": [{{"use": "agc", "window_ms": 100}}],
                   "sink": {{"survey": {str(tmp_path / "agc.seis")!r}}}}})
with Engine(workers=2) as engine:
    print(engine.submit(flow).result().open().n_traces)
assert not {{"click", "rich", "seisproc_terminal", "seisproc_jobstore", "sqlite3"}} & set(sys.modules), sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == open_output(tmp_path / "agc.seis").n_traces
