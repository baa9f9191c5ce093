"""Failing calls, a full disk, power cuts: ``python tests/loops/faults.py eio -n 20``, ``full -n 40``, ``power -n 200``.

Every trial runs a job into the fault. It must survive it, or end with one clear line; it is resumed without the fault,
and every file but the provenance record compared with an undisturbed run.

  eio    the k-th use of a call fails with EIO: every k, or `-n` of them; needs a C compiler
  full   a file system in memory with 2 % to 110 % of the room that the job needs (root)
  power  an ext4 on a loop device is shut down at a random instant, and what was not flushed is lost (root)
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import fcntl
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import quick_start  # noqa: E402
from loop_jobs import KINDS, LONGEST_S, Job, prepare  # noqa: E402

CALLS = ("fsync", "fdatasync", "rename", "write", "pwrite", "fallocate", "mkdir", "unlink", "ftruncate", "open")
GO_DOWN, NO_FLUSH = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH
ALONE = ("--executor", "in-process")


class Trials:
    """Counts outcomes; a trial that goes wrong is kept."""

    def __init__(self, where: Path | None) -> None:
        self.outcomes: Counter[str] = Counter()
        self.bad: list[str] = []
        self.where = where

    def one(
        self, label: str, job: Job, folder: Path, fault: Callable[[], str], mend: Callable[[], None] = lambda: None
    ) -> None:
        """`fault` runs the job and says how that ended; then it is resumed."""
        try:
            ended = fault()
            mend()
            told = verify(job, folder)
            for process in job.start(folder, *ALONE, "--resume"):
                code = process.wait(LONGEST_S)
                assert code == 0, f"{ended}, then resume ended with {code}: {last_lines(folder)}"
            assert all(job.whole(folder)), f"{ended}, then it differs"
            outcome = f"{ended}{told}"
        except AssertionError as error:
            outcome = "BAD"
            self.bad.append(f"{label}: {error}")
            print(self.bad[-1], flush=True)
        quick_start.kill_all()
        quick_start.reap()
        self.outcomes[f"{label.partition(' #')[0]}: {outcome}"] += 1
        if self.where:
            self.where.write_text(json.dumps({"outcomes": self.outcomes, "bad": self.bad}, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def verify(job: Job, folder: Path) -> str:
    """`verify` calls nothing whole that is not."""
    for output, whole in zip(job.outputs, job.whole(folder), strict=True):
        log = folder.with_suffix(".log")
        code = quick_start.command(("verify", output), folder, log).wait(LONGEST_S)
        assert code in (0, 2, 3), f"verify ended with {code}"
        assert code != 0 or whole, "called whole, but is not"
    return ""


def last_lines(folder: Path) -> str:
    return folder.with_suffix(".log").read_text(errors="replace")[-300:]


def run_into(job: Job, folder: Path, before: Callable[[], None] = lambda: None) -> str:
    """Run the job; "survived", or "clean" where it ended in one line that says what and what to do."""
    processes = job.start(folder, *ALONE, before=before)
    codes = [process.wait(LONGEST_S) for process in processes]
    assert None not in codes, "hangs"
    if not any(codes):
        assert all(job.whole(folder)), "ended well, but differs"
        return "survived"
    text = folder.with_suffix(".log").read_text(errors="replace")
    assert min(codes) >= 0 and max(codes) < 128, f"ended by a signal: {codes}"  # type: ignore[type-var, operator]
    assert "Traceback" not in text and "panicked" not in text and "internal error" not in text, (
        f"{codes}: {text[-400:]}"
    )
    said = [line for line in text.splitlines() if line.startswith("seisproc: ") and " traces, stage " not in line]
    assert 1 <= len(said) <= 2 * len(codes), f"{codes}: {said}"
    return "clean"


def eio(jobs: dict[str, Job], folder: Path, trials: Trials, count: int, chance: random.Random) -> None:
    library, used = ctypes.CDLL(os.environ["LD_PRELOAD"]), folder / "used"

    def armed(call: str, k: int, below: Path) -> Callable[[], None]:
        def arm() -> None:
            library.fail_at(call.encode(), ctypes.c_long(k), str(below).encode())
            atexit.register(lambda: used.write_text(str(library.times_used())))

        return arm

    for call in CALLS:
        for kind, job in jobs.items():
            trial = folder / f"{kind}-{call}"
            trial.mkdir()
            assert run_into(job, trial, armed(call, 0, trial)) == "survived"
            shutil.rmtree(trial)
            most = int(used.read_text())
            for k in range(1, most + 1) if most <= count else sorted(chance.sample(range(1, most + 1), count)):
                trial.mkdir()
                fail = armed(call, k, trial)
                trials.one(f"{kind} {call} #{k} of {most}", job, trial, lambda fail=fail: run_into(job, trial, fail))


def full(jobs: dict[str, Job], folder: Path, trials: Trials, count: int, chance: random.Random) -> None:
    disk = folder / "disk"
    disk.mkdir()

    def mount(*options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", disk], check=True)

    mount("-o", "size=1g")
    try:
        for number in range(count):
            kind, job = list(jobs.items())[number % len(jobs)]
            trial = disk / f"{kind}-{number}"
            mount("-o", "remount,size=1g")
            trial.mkdir()
            run_into(job, trial)
            needed = sum(p.lstat().st_blocks * 512 for p in trial.rglob("*")) + (64 << 10)
            shutil.rmtree(trial)
            share = 0.02 + 1.08 * (number + chance.random()) / count
            mount("-o", f"remount,size={int(needed * share) // 4096 * 4096}")
            trial.mkdir()
            more = lambda: mount("-o", "remount,size=1g")  # noqa: E731
            trials.one(f"{kind} #{number}", job, trial, lambda: run_into(job, trial), more)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop,noatime", image, place], check=True)
    assert place.stat().st_dev != place.parent.stat().st_dev
    try:
        yield
    finally:
        while subprocess.run(["umount", place], capture_output=True, check=False).returncode:
            time.sleep(0.05)


def power(jobs: dict[str, Job], folder: Path, trials: Trials, count: int, chance: random.Random) -> None:
    image, place = folder / "image", folder / "disk"
    subprocess.run(["truncate", "-s", "256M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    place.mkdir()
    for number in range(count):
        kind, job = list(jobs.items())[number % len(jobs)]
        trial = place / f"{kind}-{number}"
        moment = job.seconds * 1.1 * ((number // len(jobs) * 0.381966 + chance.random() / 20) % 1)
        with mounted(image, place):
            trial.mkdir()
            os.sync()
            running = job.start(trial, *ALONE)
            deadline = time.monotonic() + moment
            done = [process.wait(max(0.001, deadline - time.monotonic())) == 0 for process in running]
            fd = os.open(place, os.O_RDONLY)
            fcntl.ioctl(fd, GO_DOWN, struct.pack("I", NO_FLUSH))
            os.close(fd)
            quick_start.kill_all()
            quick_start.reap()
        with mounted(image, place):

            def lost() -> str:
                assert all(w for w, d in zip(job.whole(trial), done, strict=True) if d), "acknowledged, but lost"
                return "after its end" if all(done) else "cut"

            trials.one(f"{kind} #{number}", job, trial, lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fault", choices=("eio", "full", "power"))
    parser.add_argument("-n", type=int, default=40, help="trials, or of eio those of one call in one job")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--nice", type=int, default=0, help="once everything is set up")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    if wanted.fault == "eio" and "LD_PRELOAD" not in os.environ:
        library = Path(tempfile.mkdtemp(prefix="calls-")) / "failing_calls.so"
        source = Path(__file__).with_name("failing_calls.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "LD_PRELOAD": str(library)})
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    jobs = prepare(folder, wanted.kinds)
    os.nice(wanted.nice)
    trials = Trials(wanted.json)
    {"eio": eio, "full": full, "power": power}[wanted.fault](jobs, folder, trials, wanted.n, random.Random(wanted.seed))
    print(json.dumps({"outcomes": trials.outcomes, "bad": trials.bad}, indent=1))
    shutil.rmtree(folder)
    sys.exit(bool(trials.bad))


if __name__ == "__main__":
    main()
