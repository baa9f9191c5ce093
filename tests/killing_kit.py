"""Killing a command and everything it started, and holding what is left to the promise."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import attrs
from integration_kit import STACKING, command, contents, names, seisproc, seisproc_here, write_flow

from seisproc_core.jobs.workfolder import WorkFolder

KINDS = ("import", "run", "export")
TAG = "SEISPROC_TEST_TAG"
ORPHANS_LIVE_S = 2.0


@attrs.frozen
class Job:
    """One command, the output it makes when nobody disturbs it, and how long that takes."""

    kind: str
    source: Path
    output: str
    expected: dict[str, str]
    seconds: float

    def arguments(self, folder: Path) -> list[str]:
        return job_arguments(self.kind, self.source, folder)

    def target(self, folder: Path) -> Path:
        return folder / self.output


def job_arguments(kind: str, source: Path, folder: Path) -> list[str]:
    """The command line of a job over `source`, its output in `folder`: 8 to 48 segments, in workers though small."""
    workers = ["--executor", "processes"]
    if kind == "import":
        return ["import", str(source), "out.seis", "--shard-traces", "16", "--gather", "cdp", *workers]
    if kind == "export":
        return ["export", str(source), "out.sgy", *workers]
    flow = write_flow(folder / "stack.toml", source, folder / "out.seis", STACKING, shard_traces=8)
    return ["run", str(flow), *workers]


def undisturbed(kind: str, source: Path, folder: Path) -> Job:
    """Run a job to its end."""
    began = time.monotonic()
    done = seisproc(*job_arguments(kind, source, folder), cwd=folder)
    assert done.code == 0, done.err
    output = "out.sgy" if kind == "export" else "out.seis"
    return Job(kind, source, output, contents(folder / output), time.monotonic() - began)


class Victim:
    """A running command whose processes, however deep, carry a mark in their environment."""

    def __init__(self, job: Job, folder: Path, *options: str, fault: str = "") -> None:
        self._mark = uuid.uuid4().hex
        env = os.environ | {TAG: self._mark} | ({"SEISPROC_FAULT": fault} if fault else {})
        self.process = subprocess.Popen(
            command(*job.arguments(folder), *options),
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def living(self) -> list[int]:
        """Process ids that are not zombies."""
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            with contextlib.suppress(OSError):
                marked = f"{TAG}={self._mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                if marked and state != "Z":
                    found.append(pid)
        return found

    def kill(self, whom: str) -> None:
        """SIGKILL to the ``leader``, to one ``worker``, or to the whole ``tree``."""
        others = [pid for pid in self.living() if pid != self.process.pid]
        chosen = {"leader": [self.process.pid], "worker": others[-1:], "tree": [self.process.pid, *others]}[whom]
        for pid in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self, timeout: float = 60) -> tuple[int, str]:
        """Exit code and stderr; afterwards no process of it may be left for longer than promised."""
        try:
            _, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill("tree")
            raise
        deadline = time.monotonic() + ORPHANS_LIVE_S
        while orphans := self.living():
            assert time.monotonic() < deadline, f"orphans after {ORPHANS_LIVE_S} s: {orphans}"
            time.sleep(0.05)
        return self.process.returncode, err


def wait_for_work(victim: Victim, target: Path, seconds: float) -> None:
    """Wait until there is an unfinished output (or the end), then some more."""
    while victim.process.poll() is None and not WorkFolder.find(target):
        time.sleep(0.002)
    time.sleep(seconds)


def check_honest(job: Job, folder: Path) -> None:
    """`verify` calls nothing whole that is not."""
    target = job.target(folder)
    said = seisproc_here("verify", target)
    if said.code == 0:
        assert contents(target) == job.expected, "called whole, but differs"
    else:
        assert said.code == (3 if WorkFolder.find(target) else 2), said.err


def check_resumes(job: Job, folder: Path, *, child: bool = False) -> None:
    """One command finishes the job: equal bytes, nothing else left, and a second one changes nothing."""
    target = job.target(folder)
    check_honest(job, folder)
    if os.path.lexists(target) or WorkFolder.find(target):
        done = seisproc("resume", target, cwd=folder) if child else seisproc_here("resume", target)
    else:  # killed before anything was begun
        done = seisproc(*job.arguments(folder), "--resume", cwd=folder)
    assert done.code == 0, done.err
    assert contents(target) == job.expected
    assert names(folder) - {"stack.toml"} == {job.output}
    before = _stamps(target)
    assert seisproc_here("resume", target).code == 0
    assert _stamps(target) == before
    assert names(folder) - {"stack.toml"} == {job.output}
    assert seisproc_here("verify", target).code == 0


def _stamps(target: Path) -> dict[str, int]:
    files = [target, *target.rglob("*")]
    return {str(path): path.stat().st_mtime_ns for path in files}


def kill_at_random(job: Job, folder: Path, whom: str, seed: int) -> None:
    """One trial: a kill at a random time, then all that must hold."""
    chance = random.Random(seed)
    victim = Victim(job, folder, "--workers", "2")
    wait_for_work(victim, job.target(folder), chance.uniform(0, 0.8 * job.seconds))
    victim.kill(whom)
    code, err = victim.wait()
    if whom == "worker":
        assert code == 0 or WorkFolder.find(job.target(folder)), err
    check_resumes(job, folder, child=seed % 2 == 0)
    shutil.rmtree(folder)
