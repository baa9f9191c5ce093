"""Events: told in order to everybody, with progress merged for the slow and no end of a job lost."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core import plugins
from seisproc_core.jobs import events
from seisproc_core.jobs.events import EventBus, JobChanged, JobProgress, start_observers
from seisproc_core.jobs.model import Job
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import MemoryStore


def job(id: str, *states: State) -> Job:
    made = Job(id=id, name="line", type="flow", config={})
    for state in states:
        made = made.moved(state)
    return made


def progress(id: str, done: int) -> JobProgress:
    return JobProgress(id, done, 1000, 0.0, 0.0)


class Gate:
    """A subscriber that is held at its first event until it is let go."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, event: Any) -> None:
        self.entered.set()
        assert self.open.wait(30)
        self.seen.append(event)


def test_all_events_arrive_in_order_in_another_thread() -> None:
    bus, seen, threads = EventBus(), list[Any](), set[int]()

    def callback(event: Any) -> None:
        seen.append(event)
        threads.add(threading.get_ident())

    bus.subscribe(callback)
    told = [JobChanged(job(f"{n}", State.QUEUED), n) for n in range(1000)]
    for event in told:
        bus.publish(event)
    assert bus.close()
    assert seen == told
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_only_what_was_asked_for() -> None:
    bus, changes, reports = EventBus(), list[Any](), list[Any]()
    bus.subscribe(changes.append, only=JobChanged)
    bus.subscribe(reports.append, only=(JobProgress,))
    bus.publish(changed := JobChanged(job("a"), 0.0))
    bus.publish(report := progress("a", 1))
    bus.close()
    assert (changes, reports) == ([changed], [report])


# An event: progress of one of three jobs, or a change of it, the end or not.
happenings = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["progress", "running", "failed"])), max_size=60
)


@given(happenings)
def test_a_slow_subscriber_gets_the_order_and_loses_progress_only(told: list[tuple[str, str]]) -> None:
    bus, gate, others = EventBus(), Gate(), list[Any]()
    bus.subscribe(gate)
    bus.subscribe(others.append)
    published: list[Any] = [progress("first", 0)]
    for number, (job_id, what) in enumerate(told):
        ways = {"running": (State.QUEUED, State.RUNNING), "failed": (State.FAILED,)}
        change = JobChanged(job(job_id, *ways.get(what, ())), number)
        published.append(progress(job_id, number) if what == "progress" else change)
    bus.publish(published[0])
    assert gate.entered.wait(30)
    for event in published[1:]:
        bus.publish(event)
    gate.open.set()
    assert bus.close(timeout_s=30)
    places = [next(n for n, event in enumerate(published) if event is seen) for seen in gate.seen]
    assert places == sorted(places)
    last = {event.id: event for event in published[1:] if isinstance(event, JobProgress)}
    assert [event for event in gate.seen[1:] if isinstance(event, JobProgress)] == [
        event for event in published[1:] if isinstance(event, JobProgress) and event is last[event.id]
    ]
    changes = [event for event in published if isinstance(event, JobChanged)]
    assert [event for event in gate.seen if isinstance(event, JobChanged)] == changes
    assert [event for event in others if isinstance(event, JobChanged)] == changes


def test_a_blocked_subscriber_holds_up_neither_the_publisher_nor_the_others() -> None:
    bus, gate, seen = EventBus(), Gate(), threading.Event()
    bus.subscribe(gate)
    bus.subscribe(lambda event: seen.set() if event.job.id == "z" else None, only=JobChanged)
    for n in range(1000):
        bus.publish(progress("a", n))
    bus.publish(JobChanged(job("z"), 0.0))
    assert seen.wait(30)
    assert not bus.close(timeout_s=0.01)
    gate.open.set()


def test_too_many_changes_are_merged_per_job_and_ends_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "GENEROUS", 50)
    bus, gate = EventBus(), Gate()
    bus.subscribe(gate)
    bus.publish(progress("first", 0))
    assert gate.entered.wait(30)
    running, ended = job("a", State.QUEUED, State.RUNNING), job("b", State.QUEUED, State.CANCELLED)
    bus.publish(JobChanged(ended, -1))
    for n in range(500):
        bus.publish(JobChanged(running, n))
        bus.publish(JobChanged(job("b"), n))
    gate.open.set()
    assert bus.close(timeout_s=30)
    changes = [event for event in gate.seen if isinstance(event, JobChanged)]
    assert len(changes) <= 100
    assert JobChanged(ended, -1) in changes
    assert [event.at for event in changes if event.job.id == "a"][-1] == 499
    assert [event.at for event in changes] == sorted(event.at for event in changes)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), Unprintable()], ids=repr)
def test_a_raising_subscriber_is_logged_once_and_goes_on(
    error: BaseException, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    bus, seen = EventBus(), list[Any]()

    def callback(event: Any) -> None:
        seen.append(event)
        raise error

    bus.subscribe(callback)
    for n in range(5):
        bus.publish(JobChanged(job("a"), n))
    bus.close()
    assert [event.at for event in seen] == [0, 1, 2, 3, 4]
    assert len(caplog.records) == 1


def test_a_subscription_ends_and_its_thread_with_it() -> None:
    bus, seen = EventBus(), list[Any]()
    before = threading.active_count()
    assert not bus.heard
    with bus.subscribe(seen.append):
        assert bus.heard
        bus.publish(progress("a", 1))
    bus.publish(progress("a", 2))
    bus.close()
    bus.publish(progress("a", 3))
    assert [event.done for event in seen] == [1]
    assert threading.active_count() == before
    with bus.subscribe(seen.append):  # of a closed bus: nothing comes, and nothing hangs
        bus.publish(progress("a", 4))
    assert len(seen) == 1


def test_close_without_drain_forgets_what_waits() -> None:
    bus, gate = EventBus(), Gate()
    bus.subscribe(gate)
    bus.publish(JobChanged(job("a"), 0))
    assert gate.entered.wait(30)
    bus.publish(JobChanged(job("a"), 1))
    threading.Timer(0.05, gate.open.set).start()
    assert bus.close(drain=False, timeout_s=30)
    assert [event.at for event in gate.seen] == [0]


def test_a_callback_may_publish_and_end_its_own_subscription() -> None:
    bus, seen = EventBus(), list[int]()

    def callback(event: JobProgress) -> None:
        seen.append(event.done)
        if event.done < 3:
            bus.publish(progress("a", event.done + 1))
        else:
            subscription.close()

    subscription = bus.subscribe(callback)
    bus.publish(progress("a", 0))
    deadline = time.monotonic() + 30
    while len(seen) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert bus.close(timeout_s=30)
    assert seen == [0, 1, 2, 3]


def test_a_task_reads_the_stream_until_the_bus_is_closed() -> None:
    async def read() -> list[Any]:
        bus = EventBus()
        stream = bus.stream(only=JobChanged)
        with pytest.raises(TimeoutError):  # waiting may be given up, and taken up again
            await asyncio.wait_for(anext(stream), 0.01)

        def work() -> None:
            for n in range(100):
                bus.publish(JobChanged(job("a"), n))
                bus.publish(progress("a", n))
            bus.close()

        thread = threading.Thread(target=work)
        thread.start()
        seen = [event async for event in stream]
        thread.join()
        return seen

    assert [event.at for event in asyncio.run(read())] == list(range(100))


def test_a_stream_of_a_loop_that_is_gone_disturbs_nobody() -> None:
    bus, seen = EventBus(), list[Any]()

    async def begin() -> None:
        bus.stream()

    asyncio.run(begin())
    bus.subscribe(seen.append)
    for n in range(3):
        bus.publish(JobChanged(job("a"), n))
    bus.close()
    assert len(seen) == 3


OBSERVERS = """
    from seisproc_core.hookspecs import hookimpl
    from seisproc_core.specs import ObserverSpec

    class Listener:
        def __init__(self, store):
            self.told = [store]
            made.append(self)

        def __call__(self, event):
            self.told.append(event)

        def close(self):
            self.told.append("closed")
            raise OSError

    class Broken:
        def __init__(self, store):
            raise OSError

    made = []

    @hookimpl
    def seisproc_observers():
        return [ObserverSpec(id=name.lower(), impl=f"{__name__}:{name}") for name in ("Broken", "Listener")]
"""


def test_observers_of_plugins_hear_an_engine_from_its_start_to_its_end(
    install: Callable[[str, str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    install("listening", OBSERVERS)
    bus, store = EventBus(), MemoryStore()
    close = start_observers(bus, store, plugins.registry())
    bus.publish(event := JobChanged(job("a"), 0.0))
    close()
    bus.publish(event)
    listener = plugins.resolve("listening.plugin:made")[0]
    assert listener.told == [store, event, "closed"]
    assert "observer 'broken' of listening could not be started" in caplog.text
