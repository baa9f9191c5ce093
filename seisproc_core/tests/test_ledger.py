"""Resources of a machine, and the ledger of who holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.errors import UsageError
from seisproc_core.jobs.resources import HEAD_ROOM, Ledger, Resources, group_limits, memory_bytes, this_machine

GB = 10**9
amounts = st.builds(Resources, st.integers(0, 9), st.integers(0, 9), st.integers(0, 3))


@given(amounts, amounts)
def test_arithmetic_and_fit_agree(a: Resources, b: Resources) -> None:
    assert a + b - b == a
    assert a.within(a + b)
    assert a.within(b) == (a.lacking(b) == "")


def test_says_what_is_lacking() -> None:
    there = Resources(4, 8 * GB, 1)
    assert Resources(6, 0).lacking(there) == "6 CPUs, of which there are 4"
    assert Resources(1, 12 * GB).lacking(there) == "12.0 GB of memory, of which 8.0 GB are for jobs"
    assert Resources(1, 0, 2).lacking(there) == "2 GPUs, of which there are 1"


def test_says_what_is_short() -> None:
    ledger = Ledger(Resources(4, 8 * GB, 1))
    ledger.take("a", Resources(3, 6 * GB, 1))
    assert ledger.short(Resources(2)) == "2 CPUs, 1 free"
    assert ledger.short(Resources(1, 3 * GB)) == "3.0 GB of memory, 2.0 GB free"
    assert ledger.short(Resources(1, 0, 1)) == "1 GPUs, 0 free"
    assert ledger.short(Resources(1, 2 * GB)) == ""
    ledger.admit("b", Resources(9))
    assert ledger.short(Resources(1)) == "1 CPUs, 0 free"


def test_refuses_to_oversell_and_to_sell_twice() -> None:
    ledger = Ledger(Resources(4, 8 * GB))
    ledger.take("a", Resources(3, 6 * GB))
    with pytest.raises(UsageError, match="job b needs 2 CPUs, 1 free"):
        ledger.take("b", Resources(2))
    with pytest.raises(UsageError, match="job a holds"):
        ledger.take("a", Resources(1))
    assert ledger.free == Resources(1, 2 * GB)
    assert not ledger.holds("b")


def test_admits_what_runs_and_follows_its_needs() -> None:
    ledger = Ledger(Resources(4))
    ledger.admit("a", Resources(6))
    assert ledger.free == Resources(-2)
    ledger.admit("a", Resources(6))
    assert ledger.free == Resources(-2)
    ledger.admit("a", Resources(3))
    assert ledger.free == Resources(1)
    ledger.give("a")
    ledger.give("a")
    assert ledger.free == Resources(4) and not ledger.held


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), amounts)), max_size=40))
def test_free_is_what_nobody_holds(steps: list[tuple[str, Resources | None]]) -> None:
    capacity = Resources(10, 10, 3)
    ledger = Ledger(capacity)
    for job, wanted in steps:
        if wanted is None:
            ledger.give(job)
        else:
            try:
                ledger.take(job, wanted)
            except UsageError:
                assert ledger.holds(job) or not wanted.within(ledger.free)
        assert sum(ledger.held.values(), Resources(0)) + ledger.free == capacity
        assert Resources(0).within(ledger.free)


def test_this_machine_leaves_head_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CPUS", "MEMORY_GB", "GPUS"):
        monkeypatch.delenv(f"SEISPROC_{name}", raising=False)
    found = this_machine()
    assert found.cpus >= 1 and found.gpus == 0
    assert found.memory == int(memory_bytes() * (1 - HEAD_ROOM))


def test_this_machine_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISPROC_CPUS", "12")
    monkeypatch.setenv("SEISPROC_MEMORY_GB", "1.5")
    monkeypatch.setenv("SEISPROC_GPUS", "2")
    assert this_machine() == Resources(12, 1_500_000_000, 2)
    for wrong in ("many", "-1", "nan", "1e12"):
        monkeypatch.setenv("SEISPROC_CPUS", wrong)
        with pytest.raises(UsageError, match="SEISPROC_CPUS"):
            this_machine()


def _place(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_limits_of_nested_control_groups(tmp_path: Path) -> None:
    second = _place(
        tmp_path / "v2",
        {
            "proc/self/cgroup": "0::/slurm/job_7/step_0\n",
            "sys/fs/cgroup/slurm/job_7/step_0/memory.max": "max\n",
            "sys/fs/cgroup/slurm/job_7/memory.max": "4000000000\n",
            "sys/fs/cgroup/slurm/memory.max": "8000000000\n",
            "sys/fs/memory.max": "1\n",  # outside of the hierarchy
        },
    )
    assert group_limits(second) == [4_000_000_000, 8_000_000_000]
    first = _place(
        tmp_path / "v1",
        {
            "proc/self/cgroup": "9:name=systemd:/\n4:memory:/batch:7/job\n2:cpu,cpuacct:/\n0::/\n",
            "sys/fs/cgroup/memory/batch:7/job/memory.limit_in_bytes": "1073741824\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert group_limits(first) == [1 << 30, 9223372036854771712]


def test_no_control_groups(tmp_path: Path) -> None:
    assert group_limits(tmp_path) == []
