"""Statistics against a count by hand, reports that nothing can be smuggled into, and the command."""

from __future__ import annotations

import csv
import datetime
import html.parser
import io
import json
import math
import statistics as standard
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisproc_core.errors import UsageError
from seisproc_core.jobs.model import Event, Job
from seisproc_core.jobs.states import FINAL, State
from seisproc_core.jobs.store import Query
from seisproc_core.testing.job_store import make_job
from seisproc_jobstore.report import CSV_COLUMNS, guarded, write_report
from seisproc_jobstore.statistics import Statistics, statistics
from seisproc_jobstore.store import SqliteStore

WAYS = (
    (State.QUEUED,), (State.QUEUED, State.RUNNING), (State.QUEUED, State.CANCELLED),
    (State.QUEUED, State.RUNNING, State.FAILED), (State.QUEUED, State.RUNNING, State.SEALING, State.COMPLETED),
    (State.QUEUED, State.RUNNING, State.QUEUED, State.RUNNING, State.SEALING, State.COMPLETED),
)  # fmt: skip
AMOUNTS = st.none() | st.integers(0, 10**9) | st.floats(0, 1e9) | st.sampled_from(["much", math.nan, True])


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A job some way on, at some time of three years, with whatever may stand in its result."""
    at, events = draw(st.floats(1.6e9, 1.7e9)), []
    for number, state in enumerate(draw(st.sampled_from(WAYS))):
        events.append(Event(number, state, at))
        at += draw(st.floats(-10, 90_000))  # clocks are set back
    steps = draw(st.lists(st.sampled_from(["agc", "nmo", "stack", "é"]).map(lambda use: {"use": use}), max_size=4))
    usage = draw(
        st.none() | st.fixed_dictionaries({}, optional=dict.fromkeys(("seconds", "cpu_s", "peak_memory"), AMOUNTS))
    )
    return make_job(
        type=draw(st.sampled_from(["flow", "import", "export"])),
        config=draw(st.sampled_from([{"steps": steps}, {}, {"steps": "agc"}, {"steps": [1, {"used": 2}, *steps]}])),
        state=events[-1].state,
        events=tuple(events),
        usage=usage,
        result=draw(st.none() | st.fixed_dictionaries({"traces_in": AMOUNTS})),
    )


def number(value: object) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def seconds(job: Job) -> float | None:
    known = number((job.usage or {}).get("seconds"))
    started = [event.at for event in job.events if event.state is State.RUNNING]
    if known is not None or not started or job.state not in FINAL:
        return known
    return max(0.0, job.events[-1].at - started[0])


def day(job: Job) -> datetime.date:
    return datetime.date.fromtimestamp(job.events[-1].at)


def uses(job: Job) -> list[str]:
    steps = job.config.get("steps", [])
    return [] if isinstance(steps, str) else [step["use"] for step in steps if isinstance(step, dict) and "use" in step]


def check(found: Statistics, of: Sequence[Job]) -> None:
    assert found.jobs == len(of)
    assert found.by_state == Counter(job.state.value for job in of)
    assert found.by_type == Counter(job.type for job in of)
    completed = [job for job in of if job.state is State.COMPLETED]
    ended = len(completed) + sum(job.state is State.FAILED for job in of)
    assert found.success_rate == (len(completed) / ended if ended else None)
    traces = [number((job.result or {}).get("traces_in")) or 0.0 for job in completed]
    assert found.traces == pytest.approx(math.fsum(traces))

    kinds = {"", *(job.type for job in of)}
    for kind in kinds:
        mine = [job for job in of if kind in ("", job.type)]
        took = sorted(s for job in mine if job.state is State.COMPLETED and (s := seconds(job)) is not None)
        assert (kind in found.durations) == bool(took)
        if took:
            durations = found.durations[kind]
            assert durations.jobs == len(took)
            assert durations.median == pytest.approx(standard.median(took))
            assert durations.p95 == took[math.ceil(0.95 * len(took)) - 1]
            assert durations.total == pytest.approx(math.fsum(took))
        used = [(number((j.usage or {}).get("cpu_s")), number((j.usage or {}).get("peak_memory"))) for j in mine]
        used = [pair for pair in used if pair != (None, None)]
        assert (kind in found.usage) == bool(used)
        if used:
            usage, peaks = found.usage[kind], [peak for _, peak in used if peak is not None]
            assert usage.measured == len(used)
            assert usage.cpu_s == pytest.approx(math.fsum(cpu or 0 for cpu, _ in used))
            assert usage.max_peak_memory == max(peaks, default=0)
            assert usage.mean_peak_memory == pytest.approx(standard.fmean(peaks) if peaks else 0)

    assert {p.name: p.jobs for p in found.processors} == Counter(name for job in of for name in set(uses(job)))
    assert {p.name: p.steps for p in found.processors} == Counter(name for job in of for name in uses(job))
    right = Counter(name for job in completed for name in set(uses(job)))
    assert {p.name: p.completed for p in found.processors if p.completed} == right
    assert [p.jobs for p in found.processors] == sorted((p.jobs for p in found.processors), reverse=True)

    over = [job for job in of if job.state in FINAL]
    for periods, begin in (
        (found.days, day),
        (found.weeks, lambda job: day(job) - datetime.timedelta(days=day(job).weekday())),
    ):
        assert [p.begins for p in periods] == sorted({begin(job).isoformat() for job in over})
        for period in periods:
            mine = [job for job in over if begin(job).isoformat() == period.begins]
            counts = Counter(job.state.value for job in mine)
            assert (period.completed, period.failed, period.cancelled) == tuple(
                counts[state] for state in ("completed", "failed", "cancelled")
            )


@settings(max_examples=60, deadline=None)
@given(kept=st.lists(jobs(), max_size=25))
def test_statistics_are_what_a_count_by_hand_gives(tmp_path_factory: pytest.TempPathFactory, kept: list[Job]) -> None:
    with SqliteStore(tmp_path_factory.mktemp("history") / "jobs.sqlite") as store:
        store.add(*kept)
        check(statistics(store), kept)
        for query in (
            Query(types=frozenset({"flow"}), limit=1),
            Query(states=frozenset({State.COMPLETED, State.FAILED}), since=1.65e9),
            Query(until=1.63e9, text="STACK"),
        ):
            check(statistics(store, query), [job for job in kept if query.matches(job)])


def test_only_the_top_processors_are_told(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        for count in range(5):
            store.add(make_job(config={"steps": [{"use": f"p{k}"} for k in range(count)]}))
        assert [p.name for p in statistics(store, top=2).processors] == ["p0", "p1"]


# -- reports

NASTY = "<script>alert(1)</script>\"'&]]>\x1b[31m\u202e\0"


def history(path: Path, count: int = 40) -> SqliteStore:
    store, begun = SqliteStore(path), time.time() - 40 * 86400
    for k in range(count):
        way = WAYS[k % len(WAYS)]
        events = tuple(Event(n, state, begun + k * 80_000 + n * (1 + k) * 60) for n, state in enumerate(way))
        job = make_job(
            name=f"line{k}.toml{NASTY if k == 3 else ''}", type=("flow", "import", "export<b>")[k % 3], events=events,
            state=way[-1], config={"steps": [{"use": use} for use in ("bandpass", "agc", "nmo", "stack")[: k % 5]]},
            error=f"=cmd|' /C calc'!A0{NASTY}" if way[-1] is State.FAILED else "", result={"traces_in": 1000 * k},
            usage={"seconds": 60.0 * (k + 1), "cpu_s": 200.0 * k, "peak_memory": 10**8 * (1 + k % 7)},
        )  # fmt: skip
        store.add(job)
    return store


class Reading(html.parser.HTMLParser):
    """Tags and attributes of a document, and whether they nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.open = Counter[str](), list[str]()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in ("meta", "rect", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_html_report_stands_alone_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jobs.html"
    with history(tmp_path / "jobs.sqlite") as store:
        assert write_report(store, path) == 40
    text = path.read_text("utf-8")
    reading = Reading()
    reading.feed(text)
    assert reading.open == []
    assert reading.tags["svg"] == 7
    assert not {"script", "img", "link", "iframe", "b", "a", "object"} & set(reading.tags)
    for name, value in reading.attributes:
        assert not name.startswith("on") and name not in ("href", "src")
        assert name == "xmlns" or "://" not in (value or "")
    assert "url(" not in text and "@import" not in text
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    assert "&lt;script&gt;" in text and "bandpass" in text and "export&lt;b&gt;" in text


def test_the_charts_are_drawn_to_scale(tmp_path: Path) -> None:
    with history(tmp_path / "jobs.sqlite") as store:
        write_report(store, tmp_path / "jobs.html")
        figures = statistics(store)
    text = (tmp_path / "jobs.html").read_text("utf-8")
    charts = [ET.fromstring("<svg" + part.split("</svg>")[0] + "</svg>") for part in text.split("<svg")[1:]]
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(rect.get("width", "")) for rect in charts[0].iter(f"{space}rect")]
    counts = list(figures.by_state.values())
    assert [width / widths[0] for width in widths] == pytest.approx([count / counts[0] for count in counts], abs=0.01)
    for chart in charts:
        _, _, width, height = map(float, chart.get("viewBox", "").split())
        for rect in chart.iter(f"{space}rect"):
            x, y, w, h = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
            assert x >= 0 and y >= -0.1 and x + w <= width + 0.1 and y + h <= height + 0.1


def test_an_empty_history_has_a_report(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store:
        assert write_report(store, tmp_path / "jobs.html") == write_report(store, tmp_path / "jobs.csv") == 0
    assert "0 jobs" in (tmp_path / "jobs.html").read_text("utf-8")


def test_csv_has_a_row_a_job_and_no_formula(tmp_path: Path) -> None:
    with history(tmp_path / "jobs.sqlite") as store:
        assert write_report(store, tmp_path / "jobs.csv") == 40
        kept = store.find(Query(limit=None))
    rows = list(csv.reader(io.StringIO((tmp_path / "jobs.csv").read_text("utf-8"), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS and len(rows) == 41
    for row, job in zip(rows[1:], kept, strict=True):
        told = dict(zip(CSV_COLUMNS, row, strict=True))
        assert (told["id"], told["state"], float(told["cpu_s"])) == (job.id, job.state.value, job.usage["cpu_s"])
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
        assert told["error"].lstrip("'") == job.error


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_guarded(text: str) -> None:
    assert guarded(text) == "'" + text
    assert guarded(-1) == -1 and guarded("a=1") == "a=1"


def test_other_kinds_of_report_are_refused(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "jobs.sqlite") as store, pytest.raises(UsageError, match=r"\.html or \.csv"):
        write_report(store, tmp_path / "jobs.pdf")


# -- the command


def seisproc(*arguments: str, code: int = 0) -> str:
    """What ``seisproc history`` with arguments prints; its one line of error when it should fail."""
    done = subprocess.run(
        [sys.executable, "-m", "seisproc", "history", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    for stream in (done.stdout, done.stderr):
        assert not [c for c in stream if not c.isprintable() and c != "\n"]
    if code:
        assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("seisproc_terminal")
    monkeypatch.setenv("SEISPROC_STATE_DIR", str(tmp_path / "state"))
    history(tmp_path / "state" / "jobs.sqlite").close()
    return tmp_path


def test_history_lists_what_is_asked_for(state: Path) -> None:
    assert seisproc().count("\n") == 41
    failed = json.loads(seisproc("--state", "failed", "--type", "flow", "--limit", "2", "--json"))["jobs"]
    assert len(failed) == 2 and {(job["state"], job["type"]) for job in failed} == {("failed", "flow")}
    assert len(json.loads(seisproc("--since", "10d", "--json"))["jobs"]) < 20
    assert len(json.loads(seisproc("--until", "2001-01-01", "--json"))["jobs"]) == 0
    assert "line17" in seisproc("--text", "LINE17")


def test_history_stats_and_report(state: Path) -> None:
    assert "success rate" in seisproc("stats")
    whole, flows = json.loads(seisproc("stats", "--json")), json.loads(seisproc("stats", "--type", "flow", "--json"))
    assert whole["jobs"] == 40 and flows["jobs"] == whole["by_type"]["flow"]
    assert json.loads(seisproc("--type", "flow", "stats", "--json")) == flows
    assert "40 jobs" in seisproc("report", str(state / "out.csv"))
    assert json.loads(seisproc("report", str(state / "out.html"), "--state", "failed", "--json"))["jobs"] == 7
    assert (state / "out.csv").exists() and (state / "out.html").exists()


def test_history_purge_forgets_only_what_is_old(state: Path) -> None:
    assert json.loads(seisproc("purge", "--older-than", "60d", "--json")) == {"forgotten": 0}
    forgotten = json.loads(seisproc("purge", "--older-than", "10d", "--json"))["forgotten"]
    left = json.loads(seisproc("--limit", "100", "--json"))["jobs"]
    assert 0 < forgotten < 40 and len(left) == 40 - forgotten
    limit = time.time() - 10 * 86400
    assert all(job["state"] in ("queued", "running") or job["events"][-1]["at"] >= limit - 60 for job in left)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesterday"], ["--state", "asleep"], ["--limit", "0"], ["purge"], ["purge", "--older-than", "-5d"],
        ["report", "out.pdf"], ["report", "no/such/folder/out.csv"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_history_refuses_in_one_line(state: Path, arguments: list[str]) -> None:
    code = 74 if "no/such/folder/out.csv" in arguments else 2
    assert seisproc(*arguments, code=code)
