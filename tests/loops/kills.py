"""SIGKILL at random instants, many hundred times: ``python tests/loops/kills.py --target tree -n 500``.

Every trial starts a job, kills, asks `verify` whether the output is called whole, resumes (and kills that too), and
compares every file but the provenance record with an undisturbed run.

  tree     everything at once
  engine   the command's process only; the resume begins at once, while its workers still die
  worker   one worker after another, all through the job, which must go on by itself; one time in ten their nursery
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import quick_start  # noqa: E402
from integration_kit import names  # noqa: E402
from loop_jobs import KINDS, LONGEST_S, Job, prepare  # noqa: E402

TARGETS = ("worker", "tree", "engine")
ORPHANS_LIVE_S = 2.0


class Loop:
    def __init__(self, folder: Path, seed: int, executor: str) -> None:
        self.folder, self.executor = folder, executor
        self.chance = random.Random(seed)
        self.target = ""
        self.verdicts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.bad: list[str] = []
        self.again: list[float] = []

    def start(self, job: Job, folder: Path, *more: str) -> list[quick_start.Forked]:
        two = ("--workers", "2") if self.executor == "processes" else ()
        return job.start(folder, "--executor", self.executor, *two, *more)

    def trial(self, target: str, kind: str, job: Job, number: int, share: float) -> Job:
        folder = self.folder / f"{target}-{kind}-{number}"
        folder.mkdir()
        self.target = target
        try:
            job = self.disturb(job, folder, share)
            verdict = self.recover(job, folder)
        except AssertionError as error:
            verdict = str(error)
        quick_start.kill_all()
        quick_start.reap()
        self.verdicts[f"{self.target}: {verdict}"] += 1
        if verdict != "ok":
            self.bad.append(f"{folder.name}: {verdict}")
            print(self.bad[-1], folder, flush=True)
        else:
            shutil.rmtree(folder)
            folder.with_suffix(".log").unlink(missing_ok=True)
        return job

    def disturb(self, job: Job, folder: Path, share: float) -> Job:
        began = time.monotonic()
        running = self.start(job, folder)
        if self.target == "worker":
            self.kill_workers(job, running)
            return job
        running[0].wait(max(share * 1.05 * job.seconds, 0.001))
        if all(process.poll() is not None for process in running):
            return attrs.evolve(job, seconds=time.monotonic() - began)  # it was quicker than thought
        self.kill(running)
        return attrs.evolve(job, seconds=1.02 * job.seconds)

    def kill(self, running: list[quick_start.Forked]) -> None:
        self.kills[self.target] += 1
        if self.target == "engine":
            for process in running:
                process.kill()
                process.wait()
        else:
            quick_start.kill_all()
            for process in running:
                process.wait()

    def kill_workers(self, job: Job, running: list[quick_start.Forked]) -> None:
        """One after another; a death may end the job, but then it says so and can be resumed."""
        deadline = time.monotonic() + LONGEST_S
        mean = job.seconds / 8
        while any(process.wait(self.chance.expovariate(1 / mean)) is None for process in running[:1]):
            assert time.monotonic() < deadline, "hangs after the death of a worker"
            nurseries = [n for process in running for n in quick_start.descendants(process.pid)[:1]]
            workers = [worker for nursery in nurseries for worker in quick_start.descendants(nursery)]
            if victims := nurseries if self.chance.random() < 0.1 else workers:
                quick_start.kill([self.chance.choice(victims)])
                self.kills[self.target] += 1
        for process in running:
            code = process.wait(LONGEST_S)
            assert code is not None, "hangs after the death of a worker"
            self.verdicts[f"worker: (job ended with {code})"] += 1
            assert code in (0, 1), f"exit code {code}"

    def honest(self, job: Job, folder: Path) -> None:
        for output, whole in zip(job.outputs, job.whole(folder), strict=True):
            said = quick_start.command(("verify", output), folder, folder.with_suffix(".log")).wait(LONGEST_S)
            assert said in (0, 2, 3), f"verify ended with {said}"
            assert said != 0 or whole, "called whole, but is not"

    def recover(self, job: Job, folder: Path) -> str:
        self.honest(job, folder)
        for _ in range(self.chance.randrange(5)) if self.target != "worker" else ():
            running = self.start(job, folder, "--resume")
            running[0].wait(self.chance.random() * job.seconds)
            if any(process.poll() is None for process in running):
                self.kill(running)
        began = time.monotonic()
        for _ in range(2):
            for process in self.start(job, folder, "--resume"):
                code = process.wait(LONGEST_S)
                assert code is not None, "resume hangs"
                assert code == 0, f"resume ended with {code}"
            self.again.append(time.monotonic() - began)
            assert all(job.whole(folder)), "differs"
        deadline = time.monotonic() + ORPHANS_LIVE_S
        while left := quick_start.descendants():
            assert time.monotonic() < deadline, f"left running: {left}"
            time.sleep(0.01)
        extra = names(folder) - {*job.outputs, "state"}
        assert not extra, f"left behind: {sorted(extra)}"
        return "ok"

    def report(self) -> dict[str, Any]:
        again = round(statistics.median(self.again or [0]), 2)
        return {"kills": self.kills, "trials": self.verdicts, "resume_median_s": again, "bad": self.bad}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("-n", type=int, default=500, help="kills of each target")
    parser.add_argument("--nice", type=int, default=0, help="once everything is set up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--executor", default="processes")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    jobs = prepare(folder, wanted.kinds)
    loop = Loop(folder, wanted.seed, wanted.executor)
    os.nice(wanted.nice)
    number = 0
    while short := [target for target in wanted.targets if loop.kills[target] < wanted.n]:
        for target in short:
            for kind in wanted.kinds:
                share = (number * 0.381966 + loop.chance.random() / 20) % 1  # every part of the job gets its share
                jobs[kind] = loop.trial(target, kind, jobs[kind], number, share)
                if wanted.json:
                    wanted.json.write_text(json.dumps(loop.report(), indent=1))
        number += 1
    print(json.dumps(loop.report(), indent=1))
    if not loop.bad:
        shutil.rmtree(folder)
    sys.exit(bool(loop.bad))


if __name__ == "__main__":
    main()
