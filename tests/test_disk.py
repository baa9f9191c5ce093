"""A full disk and a failing fsync: one clear line, nothing wrong is ever called done, and the job can go on."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration_kit import STACKING, contents, flow, model_line, names, open_output, run, seisproc, write_segy
from killing_kit import KINDS, Job, undisturbed

from seisproc_core import Engine
from seisproc_core.errors import StorageError
from seisproc_core.jobs.workfolder import WorkFolder


class Disk:
    """A small file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _mount(self, *options: str) -> bool:
        how = ["mount", "-t", "tmpfs", *options, "tmpfs", self.path]
        return subprocess.run(how, check=False, capture_output=True).returncode == 0

    def make(self, size: int) -> None:
        if os.geteuid() != 0 or not self._mount("-o", f"size={size}"):
            pytest.skip("needs the right to mount a file system")

    def enlarge(self, size: int) -> None:
        assert self._mount("-o", f"remount,size={size}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    made.path.mkdir()
    yield made
    subprocess.run(["umount", made.path], check=False, capture_output=True)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """Each job with its undisturbed result; outputs of about 2 MB."""
    folder = tmp_path_factory.mktemp("disk")
    segy = write_segy(folder / "line.sgy", model_line(32, 24))
    survey = run(flow({"segy": str(segy)}, [], {"survey": str(folder / "line.seis"), "shard_traces": 16}))
    made = {}
    for kind in KINDS:
        (folder / kind).mkdir()
        made[kind] = undisturbed(kind, segy if kind == "import" else survey, folder / kind)
    return made


@pytest.mark.parametrize("share", [0.15, 0.7])
@pytest.mark.parametrize("kind", KINDS)
def test_full_disk(kind: str, share: float, jobs: dict[str, Job], disk: Disk) -> None:
    job = jobs[kind]
    disk.make(1 << 30)
    done = seisproc(*job.arguments(disk.path), cwd=disk.path)
    assert done.code == 0, done.err
    usage = os.statvfs(disk.path)
    needed = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
    subprocess.run(["umount", disk.path], check=True)

    disk.make(int(share * needed))
    full = seisproc(*job.arguments(disk.path), cwd=disk.path)
    target = job.target(disk.path)
    assert full.code == 73, full
    last = full.err.splitlines()[-1]
    assert "No space left" in last and "free some space" in last and "Traceback" not in full.err
    assert not target.exists()
    unfinished = WorkFolder.find(target)
    assert (f"seisproc resume {target}" in last) == bool(unfinished), "names a way on exactly where there is one"

    disk.enlarge(1 << 30)
    again = ["resume", target] if unfinished else job.arguments(disk.path)
    resumed = seisproc(*again, cwd=disk.path)
    assert resumed.code == 0, resumed.err
    assert contents(target) == job.expected
    assert names(disk.path) - {"stack.toml"} == {job.output}


class Failing:
    """An `os` call that fails with EIO at its n-th use, or at every use."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._call = getattr(os, name)
        self.calls, self.fail_at = 0, 0
        monkeypatch.setattr(os, name, self)

    def __call__(self, handle: int) -> None:
        self.calls += 1
        if self.fail_at in (self.calls, -1):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._call(handle)


def sinks(folder: Path) -> dict[str, dict[str, object]]:
    return {
        "survey": {"survey": str(folder / "out.seis"), "shard_traces": 32},
        "segy": {"segy": str(folder / "out.sgy")},
    }


@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
@pytest.mark.parametrize("kind", ["survey", "segy"])
def test_failed_sync(kind: str, call: str, survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every k: the job survives it, or fails cleanly and can be resumed; the result is the same."""

    def wanted(name: str) -> tuple[Path, object]:
        folder = tmp_path / name
        folder.mkdir()
        sink = sinks(folder)[kind]
        steps = STACKING[:2] if kind == "survey" else []
        return Path(str(sink[kind])), flow({"survey": str(survey)}, steps, sink)

    target, undisturbed_flow = wanted("undisturbed")
    failing = Failing(call, monkeypatch)
    expected = contents(run(undisturbed_flow))
    total = failing.calls
    assert total > 20 if (kind, call) == ("survey", "fsync") else total > 0
    survived = 0
    for k in range(1, total + 1):
        target, again = wanted(str(k))
        failing.calls, failing.fail_at = 0, k
        try:
            run(again)
            survived += 1
        except StorageError as error:
            assert "Input/output error" in str(error) and "\n" not in str(error)
            failing.fail_at = 0
            run(again, resume=True)
        failing.fail_at = 0
        assert contents(target) == expected, k
        assert names(target.parent) == {target.name}, k
    if kind == "survey" and call == "fsync":
        assert survived > 10, "a file whose sync failed is written again; folders are not"


@pytest.mark.parametrize("kind", ["survey", "segy"])
def test_sync_that_always_fails(kind: str, survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = flow({"survey": str(survey)}, [], sinks(tmp_path)[kind])
    with monkeypatch.context() as patched:
        Failing("fsync", patched).fail_at = -1
        with pytest.raises(StorageError, match="Input/output error"):
            run(wanted)
        assert not Path(wanted.sink.path).exists()
    made = run(wanted, resume=True)
    assert open_output(made).n_traces == open_output(survey).n_traces
    assert names(tmp_path) == {made.name}


def test_failed_sync_of_a_finished_name(survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last sync is that of the folder which holds the new name: without it nobody is told that the job is done."""
    failing = Failing("fsync", monkeypatch)
    run(flow({"survey": str(survey)}, [], {"survey": str(tmp_path / "first.seis")}))
    failing.calls, failing.fail_at = 0, failing.calls
    with Engine(executor="in-process") as engine:
        handle = engine.submit(flow({"survey": str(survey)}, [], {"survey": str(tmp_path / "second.seis")}))
        with pytest.raises(StorageError):
            handle.result(60)
    failing.fail_at = 0
    with Engine(executor="in-process") as engine:
        resumed = engine.resume(tmp_path / "second.seis")
        assert resumed is None or resumed.result(60)
    assert names(tmp_path) == {"first.seis", "second.seis"}
