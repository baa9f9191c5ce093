"""The observer: from events of jobs to lines in the log, with rules and channels of anybody."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from alerts_kit import COMPLETED, FAILED, make_job, make_sample

from seisproc_alerts import observer as observer_module
from seisproc_alerts import sampling
from seisproc_alerts.log import recent
from seisproc_alerts.observer import AlertObserver
from seisproc_alerts.settings import load
from seisproc_core.jobs.control import Control
from seisproc_core.jobs.events import EventBus, JobChanged, start_observers
from seisproc_core.jobs.model import Event, Job
from seisproc_core.jobs.states import State
from seisproc_core.jobs.store import MemoryStore
from seisproc_core.plugins import registry, resolve


class Host:
    """An engine as observers know it: a store, and a bus that hears of its changes."""

    def __init__(self, **options: Any) -> None:
        self.store, self.bus = MemoryStore(), EventBus()
        self.observer = AlertObserver(self.store, **options)
        self.bus.subscribe(self.observer)

    def run(self, job: Job, *states: State, **changes: Any) -> Job:
        self.store.add(job)
        for state in states[1:]:
            job = self.store.move(job.id, state, **(changes if state is states[-1] else {}))
            self.bus.publish(JobChanged(job, time.time()))
        return job

    def close(self) -> None:
        assert self.bus.close(timeout_s=30)
        self.observer.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def messages() -> list[str]:
    return [alert.message for alert in reversed(recent(100))]


def test_a_failed_job_is_in_the_log_when_the_engine_has_ended(state: Path) -> None:
    host = Host()
    host.run(make_job(id="good"), *COMPLETED)
    host.run(make_job(id="bad"), *FAILED, error="no space left")
    host.close()
    assert messages() == ["job bad (line) failed: no space left"]
    assert recent(1)[0].severity == "critical"


def test_two_observers_of_one_store_tell_once(state: Path) -> None:
    host = Host()
    second = AlertObserver(host.store)
    host.bus.subscribe(second)
    for number in range(3):
        host.run(make_job(id=f"job{number}"), *FAILED, error="x")
    host.close()
    second.close()
    told = messages()
    assert sorted(text for text in told if text.startswith("job")) == [f"job job{n} (line) failed: x" for n in range(3)]
    assert sum("3 of the last 5 jobs 'line' (flow) failed" in text for text in told) == 1


class Blind:
    looks = 0

    def sample(self) -> Any:
        Blind.looks += 1
        raise OSError("no /proc here")


def test_a_machine_that_cannot_be_looked_at_is_said_once(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sampling, "Sampler", Blind)
    host = Host(every_s=0.02)
    host.run(make_job(id="bad"), *FAILED[:2])
    began = time.monotonic()
    wait_for(lambda: Blind.looks >= 3)
    host.bus.publish(JobChanged(host.store.move("bad", State.FAILED, error="x"), time.time()))
    host.close()
    assert messages() == ["job bad (line) failed: x"]
    assert caplog.text.count("looking at the machine failed") == 1
    assert Blind.looks <= (time.monotonic() - began) / 0.02 + 4  # a failure does not make it look more often


class FullMemory:
    def sample(self) -> Any:
        return make_sample(percent=97.0)


def test_memory_is_looked_at_while_jobs_run_and_not_otherwise(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "Sampler", FullMemory)
    host = Host(every_s=0.01)
    host.run(make_job(id="over"), *COMPLETED)
    time.sleep(0.1)
    assert messages() == []
    host.run(make_job(id="runs"), *COMPLETED[:2])
    wait_for(lambda: len(messages()) == 2)
    time.sleep(0.1)  # several more looks, within the cooldown
    host.close()
    assert [alert.rule for alert in recent(9)] == ["memory-high", "memory-critical"]


def test_a_job_without_progress_is_reported_and_one_whose_kernel_counts_is_not(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer_module, "_SILENT_S", 0.0)
    state.mkdir()
    (state / "alerts.toml").write_text("[rules.job-stuck]\nseconds = 2\n")
    host = Host(every_s=0.02)
    controls = {}
    for name in ("deaf", "slow"):
        folder = tmp_path / f"{name}.seis.01234567.part"
        folder.mkdir()
        controls[name] = Control(folder / "control", create=True)
        controls[name].begin(1, 0)
        host.run(make_job(id=name, output=str(tmp_path / f"{name}.seis"), total=100), *COMPLETED[:2])
    deadline = time.monotonic() + 30
    while not messages() and time.monotonic() < deadline:
        controls["slow"].progress(1)[0] += 1  # as a compiled loop does
        time.sleep(0.02)
    host.close()
    assert len(messages()) == 1
    assert messages()[0].startswith("job deaf (line) is running and has made no progress for 2 s")


def test_jobs_that_run_already_are_watched_and_one_that_ended_unseen_is_no_longer(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer_module, "_SILENT_S", 0.0)
    state.mkdir()
    (state / "alerts.toml").write_text("[rules.job-stuck]\nseconds = 1\n")
    store = MemoryStore()
    for name in ("stuck", "ends"):
        store.add(make_job(id=name))
        store.move(name, State.RUNNING)
    observer = AlertObserver(store, every_s=0.02)
    store.move("ends", State.FAILED, error="x")
    wait_for(lambda: len(messages()) == 2)
    time.sleep(1.2)
    observer.close()
    assert sorted(alert.rule for alert in recent(9)) == ["job-failed", "job-stuck"]
    assert {alert.rule: alert.key for alert in recent(9)} == {"job-failed": "ends", "job-stuck": "stuck"}


OWN_RULE = """
    import attrs
    from typing import ClassVar
    from attrs import validators
    from seisproc_alerts.rules import Finding, Rule, Severity
    from seisproc_core.hookspecs import hookimpl
    from seisproc_core.jobs.states import State
    from seisproc_core.specs import AlertChannelSpec, AlertRuleSpec

    @attrs.frozen(kw_only=True)
    class LongJobDone(Rule):
        values: ClassVar = ("name", "minutes")

        severity: Severity = Severity.INFO
        message: str = "{name} is done after {minutes} min"
        minutes: float = attrs.field(default=30.0, validator=validators.ge(0.0))

        def check(self, situation):
            for job in situation.ended:
                minutes = (job.events[-1].at - job.events[0].at) / 60
                if job.state is State.COMPLETED and minutes >= self.minutes:
                    yield Finding(job.id, {"name": job.name, "minutes": f"{minutes:.0f}"})

    @attrs.frozen(kw_only=True)
    class Broken(Rule):
        def check(self, situation):
            raise ZeroDivisionError("in the rule")

    class Pager:
        sent = []

        def send(self, alert):
            self.sent.append(alert)

    @hookimpl
    def seisproc_alert_rules():
        return [
            AlertRuleSpec(id="long-job-done", impl=f"{__name__}:LongJobDone", summary="a long job is done"),
            AlertRuleSpec(id="broken", impl=f"{__name__}:Broken", summary=""),
        ]

    @hookimpl
    def seisproc_alert_channels():
        return [AlertChannelSpec(id="pager", impl=f"{__name__}:Pager", summary="", default=True)]
"""


def test_a_rule_and_a_channel_of_a_plugin_work_like_ours(
    state: Path, install: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    install("paging", OWN_RULE)
    state.mkdir()
    (state / "alerts.toml").write_text("[rules.long-job-done]\nminutes = 0\nmessage = 'done: {name}'\n")
    host = Host()
    host.run(make_job(id="a", name="stack"), *COMPLETED)
    host.run(make_job(id="b", name="other"), *FAILED)
    host.close()
    sent = resolve("paging.plugin:Pager").sent
    assert sorted((alert.rule, alert.severity, alert.message) for alert in sent) == [
        ("job-failed", "critical", "job b (other) failed: "),
        ("long-job-done", "info", "done: stack"),
    ]
    assert caplog.text.count("ZeroDivisionError: in the rule") == 1
    assert "alert rule 'broken' failed" in caplog.text


def test_the_plugin_of_the_guide_works(
    state: Path, tmp_path: Path, install: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = Path(__file__).parents[3] / "docs" / "guide-alerts.md"
    if not guide.exists():
        pytest.skip(f"{guide} is not there: tests run outside the repository")
    install("seisproc-done", "\n".join(re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)))
    assert [plugin.error for plugin in registry().plugins] == ["", ""]
    monkeypatch.setattr(resolve("seisproc_done.plugin:Pager"), "path", tmp_path / "pager.txt")
    state.mkdir()
    (state / "alerts.toml").write_text("[rules.long-job-done]\nminutes = 5")
    host = Host()
    job = make_job(id="a", name="stack")
    begun = Event(0, State.QUEUED, time.time() - 600)
    host.run(attrs.evolve(job, state=State.QUEUED, events=(begun,)), *COMPLETED)
    host.run(make_job(id="b"), *COMPLETED)
    host.close()
    assert (tmp_path / "pager.txt").read_text() == "info: stack is done after 10 minutes\n"


def test_the_settings_of_the_guide_are_accepted(state: Path) -> None:
    guide = Path(__file__).parents[3] / "docs" / "guide-alerts.md"
    if not guide.exists():
        pytest.skip(f"{guide} is not there: tests run outside the repository")
    (example,) = re.findall(r"```toml\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    state.mkdir()
    (state / "alerts.toml").write_text(example)
    found = load(registry())
    assert getattr(found.rules["job-stuck"], "seconds", None) == 1800
    assert set(found.channels) >= {"desktop", "log"}


def test_settings_that_make_no_sense_do_not_keep_alerts_away(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    state.mkdir()
    (state / "alerts.toml").write_text("[rules.memory-hihg]\n")
    host = Host()
    host.run(make_job(id="bad"), *FAILED, error="x")
    host.close()
    assert messages() == ["job bad (line) failed: x"]
    assert "alerts go by the defaults" in caplog.text
    assert "did you mean memory-high" in caplog.text


def test_it_is_installed_as_an_observer_of_every_engine(state: Path) -> None:
    bus, store = EventBus(), MemoryStore()
    close = start_observers(bus, store, registry())
    store.add(job := make_job(id="bad"))
    for step in FAILED[1:]:
        job = store.move(job.id, step)
        bus.publish(JobChanged(job, time.time()))
    close()
    assert messages() == ["job bad (line) failed: "]


def test_an_observer_of_an_engine_without_jobs_starts_nothing(state: Path) -> None:
    before = threading.active_count()
    observer = AlertObserver(MemoryStore())
    observer(JobChanged(make_job(State.QUEUED), time.time()))
    assert threading.active_count() == before
    observer.close()
    assert not state.exists()


def test_a_short_job_imports_nothing_that_looks_at_the_machine(state: Path) -> None:
    code = (
        "import sys, time\n"
        "from seisproc_alerts.observer import AlertObserver\n"
        "from seisproc_core.jobs.events import JobChanged\n"
        "from seisproc_core.jobs.model import Job\n"
        "from seisproc_core.jobs.states import State\n"
        "from seisproc_core.jobs.store import MemoryStore\n"
        "job = Job(name='x', type='flow', config={})\n"
        "observer = AlertObserver(MemoryStore())\n"
        "for state in (State.QUEUED, State.RUNNING, State.FAILED):\n"
        "    job = job.moved(state)\n"
        "    observer(JobChanged(job, time.time()))\n"
        "observer.close()\n"
        "print(sorted({'psutil', 'cattrs', 'rich', 'click'} & set(sys.modules)))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    assert len(messages()) == 1
