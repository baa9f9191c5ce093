"""Detached jobs as a user has them: commands with a job list of their own, and steps that take time or misbehave."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from integration_kit import Ran, command, seisproc, write_flow

PLUGIN = '''
import os
import time
from pathlib import Path

from seisproc_core import Processor, hookimpl, param, processor


@processor("slow", scope="trace")
class Slow(Processor):
    """Let the first trace pass, and any other batch wait as long as the gate is shut."""

    def apply(self, batch, context):
        while batch.headers["trace_id"][0] and os.path.exists(os.environ["TEST_GATE"]):
            context.check()
            time.sleep(0.005)
        return batch


@processor("deaf_plan", scope="trace")
class DeafPlan(Processor):
    """Planning never ends when the file is there."""

    path: str = param("", help="The file.")

    def plan(self, layout):
        while os.path.exists(self.path):
            time.sleep(0.01)
        return layout

    def apply(self, batch, context):
        return batch


@processor("fatal_plan", scope="trace")
class FatalPlan(Processor):
    """Planning kills its process when the file is there."""

    path: str = param("", help="The file.")

    def plan(self, layout):
        if os.path.exists(self.path):
            os.abort()
        return layout

    def apply(self, batch, context):
        return batch


@processor("broken", scope="trace")
class Broken(Processor):
    """Fails."""

    def apply(self, batch, context):
        raise ZeroDivisionError("by zero")


@hookimpl
def seisproc_processors():
    return [Slow, DeafPlan, FatalPlan, Broken]
'''


def install_plugin(folder: Path) -> Path:
    """A distribution with the steps above; `folder` belongs on the module search path."""
    folder.mkdir()
    (folder / "detached_steps.py").write_text(PLUGIN)
    info = folder / "detached_steps-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: detached-steps\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[seisproc.plugins]\nsteps = detached_steps\n")
    return folder


@attrs.frozen
class Desk:
    """A folder to work in, with a job list and steps of its own."""

    folder: Path
    survey: Path
    env: Mapping[str, str]

    def shut(self) -> None:
        """From now on slow steps get as far as their first segment."""
        Path(self.env["TEST_GATE"]).touch()

    def open(self) -> None:
        """They go on."""
        Path(self.env["TEST_GATE"]).unlink()

    def flow(self, name: str, *steps: Mapping[str, Any], source: Path | None = None, shard_traces: int = 16) -> Path:
        """A flow file that makes ``NAME.seis``."""
        target = self.folder / f"{name}.seis"
        return write_flow(self.folder / f"{name}.toml", source or self.survey, target, steps, shard_traces=shard_traces)

    def output(self, name: str) -> Path:
        return self.folder / f"{name}.seis"

    def __call__(self, *arguments: object, timeout: float = 60) -> Ran:
        return seisproc(*arguments, cwd=self.folder, env=self.env, timeout=timeout)

    def json(self, *arguments: object) -> Any:
        done = self(*arguments, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    def detach(self, flow: Path, *options: object) -> str:
        """Queue a flow; the job's id."""
        job: str = self.json("run", flow, "--detach", *options)["job"]
        return job

    def foreground(self, flow: Path, *options: str) -> subprocess.Popen[bytes]:
        """Run a flow in the foreground of another shell."""
        env = {**os.environ, **self.env}
        return subprocess.Popen(command("run", flow, *options), cwd=self.folder, env=env, stderr=subprocess.PIPE)

    def the_running_one(self) -> str:
        """Wait for the first job to run; its id."""
        running: list[str] = []

        def found() -> bool:
            running[:] = [job["id"] for job in self.json("jobs")["jobs"] if job["state"] == "running"]
            return bool(running)

        wait_for(found)
        return running[0]

    def state(self, job: str) -> str:
        state: str = self.json("jobs", "show", job)["shown_state"]
        return state

    def until(self, job: str, *states: str, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until a job is in one of these states."""
        with self.store() as store:
            deadline = time.monotonic() + timeout_s
            while (found := store.get(job)).state not in states:
                assert time.monotonic() < deadline, f"{found.state}, not {states}: {found.events}"
                assert not found.finished, f"{found.state}, not {states}: {found.error}"
                time.sleep(0.01)
            plain: dict[str, Any] = found.to_json()
            return plain

    def store(self) -> Any:
        from seisproc_jobstore.store import SqliteStore

        return contextlib.closing(SqliteStore(Path(self.env["SEISPROC_STATE_DIR"]) / "jobs.sqlite"))

    def begun(self, job: str) -> None:
        """Wait until the first segment of a job is committed."""
        record = self.until(job, "running")
        output = Path(record["output"])
        pattern = f"{output.name}.*.part/journal"
        wait_for(lambda: any(path.stat().st_size for path in output.parent.glob(pattern)))

    def processes(self, what: str = "") -> list[int]:
        """Living processes of this desk whose command line has `what` in it."""
        mark = f"SEISPROC_STATE_DIR={self.env['SEISPROC_STATE_DIR']}".encode()
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            with contextlib.suppress(OSError):
                if mark not in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    continue
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    continue
                if what.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "):
                    found.append(pid)
        return found

    def kill(self, what: str) -> int:
        """SIGKILL to the processes with `what` in their command line; how many there were."""
        pids = self.processes(what)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def quiet(self, timeout_s: float = 15) -> None:
        """Wait until no process of this desk is left."""
        wait_for(lambda: not self.processes(), timeout_s, lambda: f"left: {self.processes()}")


def wait_for(
    true: Callable[[], bool], timeout_s: float = 30, why: Callable[[], str] = lambda: "never came true"
) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, why()
        time.sleep(0.01)
