"""Rules: what holds, when it is told, and that nobody is told twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
import pytest
from alerts_kit import COMPLETED, FAILED, make_job, make_situation
from hypothesis import given
from hypothesis import strategies as st

from seisproc_alerts.rules import Finding, Remembered, Rule, Situation, checked, fire, render
from seisproc_alerts.standard import JobFailed, JobStuck, MemoryCritical, MemoryHigh, RepeatedFailures
from seisproc_alerts.watch import Watch
from seisproc_core.jobs.events import JobChanged, JobProgress
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import MemoryStore

RUNNING = (State.QUEUED, State.RUNNING)


@attrs.frozen(kw_only=True)
class Given(Rule):
    """Holds where the test says."""

    keys: frozenset[str] = frozenset()

    def check(self, situation: Situation) -> Iterator[Finding]:
        return (Finding(key, {}) for key in self.keys)


@attrs.frozen
class Step:
    """So long after the step before the condition holds for these keys."""

    after: float
    keys: frozenset[str]


steps = st.lists(
    st.builds(Step, st.sampled_from([0.0, 1.0, 10.0, 29.0, 31.0, 60.0, 200.0]), st.frozensets(st.sampled_from("ab"))),
    max_size=40,
)


def told(rule: Given, walk: list[Step]) -> list[tuple[int, str]]:
    """Number of the step and key of every alert."""
    remembered: Remembered = {}
    now, alerts = 0.0, []
    for number, step in enumerate(walk):
        now += step.after
        situation = make_situation(now=now)
        rule_now = attrs.evolve(rule, keys=step.keys)
        before = dict(remembered)
        after, found = fire("given", rule_now, remembered, situation)
        assert fire("given", rule_now, remembered, situation) == (after, found)
        assert remembered == before
        assert all(alert.at == situation.at for alert in found)
        remembered = after
        alerts += [(number, alert.key) for alert in found]
    return alerts


@given(steps, st.sampled_from([0.0, 30.0, 60.0]), st.sampled_from([0.0, 10.0, 100.0]))
def test_alerts_are_what_the_whole_history_says(walk: list[Step], cooldown_s: float, repeat_s: float) -> None:
    found = told(Given(cooldown_s=cooldown_s, repeat_s=repeat_s), walk)
    times = [sum(step.after for step in walk[: number + 1]) for number in range(len(walk))]
    for key in "ab":
        last: int | None = None
        for number, step in enumerate(walk):
            expected = key in step.keys
            if expected and last is not None:
                passed = times[number] - times[last]
                was_away = any(key not in between.keys for between in walk[last:number])
                expected = passed >= cooldown_s and (was_away or 0 < repeat_s <= passed)
            assert ((number, key) in found) == expected
            last = number if expected else last


@given(steps)
def test_nobody_is_told_twice_within_the_cooldown(walk: list[Step]) -> None:
    times = [sum(step.after for step in walk[: number + 1]) for number in range(len(walk))]
    for repeat_s in (0.0, 1.0):
        found = told(Given(repeat_s=repeat_s), walk)
        for key in "ab":
            moments = [times[number] for number, other in found if other == key]
            assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(moments))


def test_what_is_remembered_does_not_grow() -> None:
    remembered: Remembered = {}
    for number in range(1000):
        rule = Given(keys=frozenset({f"job {number}"}))
        remembered, alerts = fire("given", rule, remembered, make_situation(now=10.0 * number))
        assert len(alerts) == 1
    assert len(remembered) <= 7


@pytest.mark.parametrize(
    ("rule", "below", "above"),
    [(MemoryHigh(), 85, 85.1), (MemoryCritical(), 95, 95.1), (MemoryHigh(percent=50), 50, 51)],
)
def test_memory(rule: Rule, below: float, above: float) -> None:
    assert list(rule.check(make_situation())) == []
    assert list(rule.check(make_situation(percent=below))) == []
    _, alerts = fire("memory", rule, {}, make_situation(percent=above))
    assert f"{above:.0f} % of the memory" in alerts[0].message
    assert f"{above / 10:.1f} of 10.0 GB" in alerts[0].message


def test_default_severities() -> None:
    assert (MemoryHigh().severity, MemoryCritical().severity, JobFailed().severity) == (
        "warning",
        "critical",
        "critical",
    )


def test_a_job_is_stuck_after_300_s_and_no_longer_when_it_goes_on() -> None:
    watch, rule = Watch(0.0), JobStuck()
    job = make_job(*RUNNING)

    def stuck(now: float) -> list[str]:
        return [finding.key for finding in rule.check(make_situation(now=now, active=watch.active))]

    watch.note(JobChanged(job, 0.0), 1000.0)
    watch.note(JobProgress(job.id, 10, 100, 1.0, 0.0), 1100.0)
    watch.note(JobProgress(job.id, 10, 100, 1.0, 0.0), 1399.0)  # a report, and no progress
    assert stuck(1400.0) == []
    assert stuck(1401.0) == [job.id]
    watch.note(JobProgress(job.id, 11, 100, 1.0, 0.0), 1402.0)
    assert stuck(1600.0) == []
    watch.note(JobChanged(job.moved(State.PAUSING).moved(State.PAUSED), 0.0), 1601.0)
    assert stuck(9000.0) == []


def test_an_edit_of_a_stuck_job_is_no_progress_and_another_attempt_is() -> None:
    watch = Watch(0.0)
    job = make_job(*RUNNING)
    watch.note(JobChanged(job, 0.0), 0.0)
    watch.note(JobChanged(attrs.evolve(job, priority=9), 0.0), 50.0)
    assert watch.active[job.id].since == 0.0
    assert watch.active[job.id].job.priority == 9
    watch.note(JobChanged(attrs.evolve(job, attempt=1), 0.0), 60.0)
    assert watch.active[job.id].since == 60.0


def test_a_failure_is_told_once_for_each_job() -> None:
    watch, rule = Watch(0.0), JobFailed()
    jobs = [make_job(*FAILED, id=f"{n}", error="no space left") for n in range(3)]
    remembered: Remembered = {}
    messages = []
    for now, job in enumerate([*jobs, *jobs, make_job(*COMPLETED, id="good")]):
        watch.note(JobChanged(job, 0.0), float(now))
        situation = make_situation(now=now * 100.0, ended=watch.take_ended())
        remembered, alerts = fire("job-failed", rule, remembered, situation)
        messages += [alert.message for alert in alerts]
    assert messages == [f"job {n} (line) failed: no space left" for n in range(3)]


def test_what_ended_before_the_watch_began_is_old_news() -> None:
    job = make_job(*FAILED)
    watch = Watch(job.events[-1].at + 1)
    watch.note(JobChanged(job, 0.0), 0.0)
    assert watch.take_ended() == ()


@given(st.lists(st.tuples(st.sampled_from("xy"), st.booleans()), min_size=1, max_size=12))
def test_repeated_failures_are_three_of_the_last_five_of_one_name(history: list[tuple[str, bool]]) -> None:
    store, rule = MemoryStore(), RepeatedFailures()
    for number, (name, good) in enumerate(history):
        job = make_job(id=f"{number:04}", name=name)
        store.add(job)
        for state in (COMPLETED if good else FAILED)[1:]:
            job = store.move(job.id, state)
        keys = [finding.key for finding in rule.check(make_situation(ended=[job], store=store))]
        same = [ended for other, ended in history[: number + 1] if other == name][-5:]
        expected = not good and same.count(False) >= 3
        assert keys == ([f"flow {name}"] if expected else [])


def test_a_message_is_filled_in_and_nothing_else() -> None:
    values = {"name": "{error}", "error": "x" * 1000}
    assert render("{name}: {error}", values) == "{error}: " + "x" * 300 + "..."
    assert render("{name.__class__} {0} {name!r} {", values) == "{name.__class__} {0} {name!r} {"


def test_a_message_with_an_unknown_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\{nmae\} is not known in this message; use \{job\}, \{name\}"):
        checked(JobFailed(message="{nmae}"))
