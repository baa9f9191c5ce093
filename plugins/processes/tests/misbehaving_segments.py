"""What the worst plugins do, as functions like `run_segment`."""

from __future__ import annotations

import ctypes
import locale
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from seisproc_core.execution.executor import Receipt
from seisproc_core.testing.segments import begin, receipt_of


class Speechless(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this")


class Rootless(BaseException):
    pass


def raises_anything(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    raise [
        SystemExit(0),
        KeyboardInterrupt(),
        GeneratorExit("over"),
        Rootless("no Exception"),
        Speechless(),
        RuntimeError("x" * 10_000_000),
        UnicodeError("\ud800 and \0"),
    ][segment]


def recurses(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    return recurses(folder, stage, segment, slot)


def spins_in_python(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def stops_itself(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    os.kill(os.getpid(), signal.SIGSTOP)
    return receipt_of(segment)


def refuses_to_die(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.setsid() if os.getpid() != os.getsid(0) else None
    ctypes.PyDLL(None).usleep(60_000_000)
    return receipt_of(segment)


def _look(folder: str, name: str) -> None:
    mask = os.umask(0o22)
    os.umask(mask)
    found = [
        str(Path.cwd()),
        sorted(os.environ.items()),
        sys.path,
        np.geterr(),
        locale.setlocale(locale.LC_ALL),
        [(int(number), str(signal.getsignal(number))) for number in sorted(signal.valid_signals())],
        sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        mask,
    ]
    Path(folder, name).write_text(repr(found))


def _ignore(*_: object) -> None:
    return None


def redecorates(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Notes what it finds, then changes all of it."""
    begin(folder, segment)
    _look(folder, f"found-{segment}")
    print(f"segment {segment} is heard", flush=True)
    os.chdir("/")
    os.environ["LANG"] = "tlh"
    os.environ.pop("PATH", None)
    sys.path.insert(0, "/nowhere")
    np.seterr(all="raise")
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _ignore)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - left open
    os.umask(0)
    _look(folder, f"left-{segment}")
    return receipt_of(segment)


def removes_its_directory(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    os.rmdir(gone)
    return receipt_of(segment)


def closes_low_files(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    os.closerange(0, 21)
    return receipt_of(segment)


def closes_all_files(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    os.closerange(0, 4096)
    time.sleep(0.02)
    return receipt_of(segment)


def closes_python_streams(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    begin(folder, segment)
    sys.stdout.close()
    sys.stderr.close()
    raise ValueError("said to nobody")


def _started(folder: str, pid: int) -> None:
    Path(folder, f"started-{pid}").write_text(str(pid))


def leaves_processes(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """A child, a child that ignores signals, a daemon in a session of its own with a child, a thread."""
    begin(folder, segment)
    _started(folder, subprocess.Popen(["sleep", "1000"]).pid)
    _started(folder, subprocess.Popen(["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1000; done"]).pid)
    daemon = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nos.fork()\n"
    daemon += f"open({folder!r} + f'/started-{{os.getpid()}}', 'w').write(str(os.getpid()))\ntime.sleep(1000)"
    subprocess.run([sys.executable, "-c", daemon], check=True)
    threading.Thread(target=time.sleep, args=(1000,)).start()
    while len(list(Path(folder).glob("started-*"))) < 4:
        time.sleep(0.005)
    return receipt_of(segment)


def leaves_processes_and_dies(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    leaves_processes(folder, stage, segment, slot)
    os._exit(7)


def leaves_processes_and_sleeps(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    leaves_processes(folder, stage, segment, slot)
    Path(folder, "all-started").touch()
    time.sleep(60)
    return receipt_of(segment)


def forks(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Both processes come back from here."""
    begin(folder, segment)
    os.fork()
    return receipt_of(segment)


def greedy(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Segment 0 takes 300 MB, always."""
    begin(folder, segment)
    if segment == 0:
        held = np.ones(300_000_000, np.uint8)
        time.sleep(30)
        del held
    time.sleep(0.05)
    return receipt_of(segment)


def greedy_in_company(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Takes 300 MB the first time."""
    if begin(folder, segment) == 0 and segment == 0:
        held = np.ones(300_000_000, np.uint8)
        time.sleep(30)
        del held
    time.sleep(0.05)
    return receipt_of(segment)


def maps_much(folder: str, stage: int, segment: int, slot: int) -> Receipt:
    """Reserves 10 GB and maps a file of 300 MB, and fills neither memory of its own."""
    begin(folder, segment)
    reserved = np.empty(10 << 30, np.uint8)
    file = Path(folder, f"large-{segment}")
    with file.open("wb") as made:
        made.truncate(300_000_000)
    total = int(np.memmap(file, np.uint8, "r")[::4096].sum())
    time.sleep(0.5)
    assert reserved.size > total
    return receipt_of(segment)
