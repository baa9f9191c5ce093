"""What happens to jobs, told to whoever wants to know, without ever waiting for them.

Every subscriber has its own queue, and its own thread or event loop. A slow one gets the latest progress of a job
instead of all of it; it misses no change of a job, and hears everything in the order in which it was published.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from seisproc_core.jobs.model import Job

if TYPE_CHECKING:
    from seisproc_core.jobs.store import JobStore
    from seisproc_core.plugins import Registry

logger = logging.getLogger(__name__)

Only = type | tuple[type, ...] | None
GENEROUS = 100_000  # changes that may wait for one subscriber before those of one job are merged


@attrs.frozen
class JobChanged:
    """A job was added, moved to another state, or edited; `at`: wall time, seconds since the epoch."""

    job: Job
    at: float


@attrs.frozen
class JobProgress:
    """How far a job is: input traces done and planned over all stages, traces/s now; `at`: wall time."""

    id: str
    done: int
    total: int
    rate: float
    at: float


class Observer(Protocol):
    """What an `ObserverSpec` names: made with the store of an engine that starts, then called with each of its
    events, in a thread of its own; `close` is called when the engine ends, after the last event."""

    def __init__(self, store: JobStore) -> None: ...

    def __call__(self, event: Any) -> None: ...

    def close(self) -> None: ...


class _Pending:
    """Events on their way to one subscriber, the oldest first.

    Parameters
    ----------
    wake
        Called when there is something to take again, and at the end; in the publisher's thread, so it must be quick.
    """

    def __init__(self, only: Only, wake: Callable[[], None]) -> None:
        self._only = only or object
        self._wake = wake
        self._events: OrderedDict[object, Any] = OrderedDict()
        self._count = 0
        self._limit = GENEROUS
        self._closed = False
        self._lock = threading.Lock()

    def put(self, event: Any) -> None:
        if not isinstance(event, self._only):
            return
        with self._lock:
            if self._closed:
                return
            idle = not self._events
            if isinstance(event, JobProgress):
                # The later report takes its own place in the order, and the earlier one goes.
                self._events.pop(event.id, None)
                self._events[event.id] = event
            else:
                self._count += 1
                self._events[self._count] = event
                if len(self._events) > self._limit:
                    self._merge()
        if idle:
            self._wake()

    def take(self) -> Any:
        """The next event; None when there is none now."""
        with self._lock:
            return self._events.popitem(last=False)[1] if self._events else None

    def _merge(self) -> None:
        """Forget changes of jobs that are not their last and not the end of the job."""
        later = set()
        for key, event in reversed(list(self._events.items())):
            if not isinstance(event, JobChanged):
                continue
            if event.job.id in later and not event.job.finished:
                del self._events[key]
            later.add(event.job.id)
        self._limit = max(GENEROUS, 2 * len(self._events))

    @property
    def empty(self) -> bool:
        return not self._events

    @property
    def ended(self) -> bool:
        """Nothing is to be taken any more, ever."""
        with self._lock:
            return self._closed and not self._events

    def close(self, *, drain: bool) -> None:
        with self._lock:
            self._closed = True
            if not drain:
                self._events.clear()
        self._wake()


class Subscription:
    """A callback that gets events in a thread of its own; made by `EventBus.subscribe`. As a context manager it ends
    the subscription at the end of the block, when everything published so far was delivered."""

    def __init__(self, bus: EventBus, callback: Callable[[Any], None], only: Only) -> None:
        self._bus = bus
        self._callback = callback
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.pending = _Pending(only, lambda: self._bell.put(None))
        self._complained: set[type] = set()
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        self._thread = threading.Thread(target=self._deliver, name=f"seisproc-events {name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, *, drain: bool = True, timeout_s: float | None = None) -> bool:
        """Deliver what waits (unless not `drain`), then stop; False when the callback has not come back in time."""
        self._bus.forget(self)
        self.pending.close(drain=drain)
        return self.join(timeout_s)

    def join(self, timeout_s: float | None) -> bool:
        """Wait until a closed subscription has delivered the last event; a callback may close its own."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _deliver(self) -> None:
        while True:
            event = self.pending.take()
            if event is not None:
                try:
                    self._callback(event)
                except BaseException as error:  # SystemExit, too, ends one call and not the subscription
                    self._complain(error)
            elif self.pending.ended:
                return
            else:
                self._bell.get()

    def _complain(self, error: BaseException) -> None:
        if type(error) not in self._complained:
            self._complained.add(type(error))
            logger.error("%s failed; further errors of this kind are not shown", self._thread.name, exc_info=error)


class Stream:
    """Events for one task of an event loop, ``async for event in bus.stream()``; ends when the bus is closed. Waiting
    for an event may be cancelled, and goes on with the next ``anext``."""

    def __init__(self, bus: EventBus, only: Only) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._something = asyncio.Event()
        self.pending = _Pending(only, self._wake)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._something.set)
        except RuntimeError:  # the loop was closed, and nobody waits
            self._bus.forget(self)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while (event := self.pending.take()) is None:
            if self.pending.ended:
                raise StopAsyncIteration
            self._something.clear()
            if self.pending.empty:
                await self._something.wait()
        return event

    def close(self, *, drain: bool = False) -> None:
        """No more events; without `drain`, not those either that wait."""
        self._bus.forget(self)
        self.pending.close(drain=drain)

    def join(self, timeout_s: float | None) -> bool:
        return True


S = TypeVar("S", Subscription, Stream)


class EventBus:
    """Hands events to subscribers. `publish` may be called from any thread and never waits for a subscriber."""

    def __init__(self) -> None:
        self._subscribers: tuple[Subscription | Stream, ...] = ()
        self._closed = False
        self._lock = threading.RLock()  # also makes the order the same for all

    def subscribe(self, callback: Callable[[Any], None], *, only: Only = None) -> Subscription:
        """Call back with every event published from now on, or only with those of some classes.

        What the callback raises is logged once per kind, and the next event is delivered.
        """
        return self._join(Subscription(self, callback, only))

    def stream(self, *, only: Only = None) -> Stream:
        """The events from now on for a task of the running event loop."""
        return self._join(Stream(self, only))

    @property
    def heard(self) -> bool:
        """Whether anybody subscribed."""
        return bool(self._subscribers)

    def publish(self, event: Any) -> None:
        """Put an event on every subscriber's queue; after `close`, do nothing."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.pending.put(event)

    def forget(self, subscriber: Subscription | Stream) -> None:
        """Publish nothing more to a subscriber."""
        with self._lock:
            self._subscribers = tuple(other for other in self._subscribers if other is not subscriber)

    def close(self, *, drain: bool = True, timeout_s: float | None = 5.0) -> bool:
        """End all subscriptions, when what was published is delivered (unless not `drain`); False when that took
        longer than the time given. Their threads are daemons and hold up nothing."""
        with self._lock:
            self._closed = True
            leaving, self._subscribers = self._subscribers, ()
        for subscriber in leaving:
            subscriber.pending.close(drain=drain)
        end = None if timeout_s is None else time.monotonic() + timeout_s
        return all(s.join(None if end is None else max(0.0, end - time.monotonic())) for s in leaving)

    def _join(self, subscriber: S) -> S:
        with self._lock:
            if self._closed:
                subscriber.pending.close(drain=False)
            else:
                self._subscribers = (*self._subscribers, subscriber)
        return subscriber


def start_observers(bus: EventBus, store: JobStore, known: Registry) -> Callable[[], None]:
    """Make every installed observer and subscribe it to the events of an engine.

    One that cannot be made is logged and left out.

    Returns
    -------
    Closes the observers, when each has had the events published so far (or after five seconds).
    """
    started: list[tuple[Subscription, Observer]] = []
    for entry in known.of("observers"):
        try:
            observer: Observer = known.load("observers", entry.id)(store)
        except Exception:
            logger.exception("observer '%s' of %s could not be started", entry.id, entry.distribution)
            continue
        started.append((bus.subscribe(observer), observer))

    def close() -> None:
        for subscription, observer in started:
            subscription.close(timeout_s=5.0)
            try:
                observer.close()
            except Exception:
                logger.exception("an observer could not be closed: %r", type(observer).__qualname__)

    return close
