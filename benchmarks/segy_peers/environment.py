"""The environment of the peers, made when first needed, and the process in it that does what it is told."""

from __future__ import annotations

import json
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SERVER = Path(__file__).with_name("server.py")
CACHE = Path(__file__).parents[2] / ".tools"
_COMPLETE = "complete"  # a file in an environment into which everything was installed
_PATIENCE_S = 900


class PeersMissing(Exception):
    """The environment cannot be made; says why in one line."""


@attrs.define
class Peers:
    """Calls functions of `server.py` in the peers' own Python.

    Attributes
    ----------
    python
        The interpreter of their environment.
    versions
        Of the libraries, by name.
    """

    python: Path
    versions: dict[str, str] = attrs.field(init=False, factory=dict)
    _process: subprocess.Popen[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._process = subprocess.Popen(
            self.command("serve"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.versions = self("versions")

    def command(self, work: str, *arguments: str | Path) -> list[str]:
        """A command line that does one thing in a process of its own, start-up included."""
        return [str(self.python), str(SERVER), work, *map(str, arguments)]

    def __call__(self, work: str, *arguments: Any) -> Any:
        """What the function of that name in `server.py` returns, both ways through JSON."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([work, *arguments], default=str) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the peers' process ended in {work}")
        found, problem = json.loads(answer)
        if problem:
            raise RuntimeError(f"{work} of the peers: {problem}")
        return found

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def environment(python: str, cache: Path = CACHE) -> Path:
    """The interpreter of an environment that has the peers; made with pip when it is not there yet.

    Parameters
    ----------
    python
        The Python to make it of. MDIO 1.2 needs 3.12 or 3.13; 3.11 gets MDIO 1.1.
    cache
        Folder to keep it in.

    Raises
    ------
    PeersMissing
        It cannot be made: no network, no package for this Python.
    """
    tag = _output([python, "-c", "import sys; print(sys.implementation.cache_tag)"]).strip()
    folder = cache / f"peers-{tag}-{zlib.crc32(REQUIREMENTS.read_bytes()):08x}"
    inside = folder / "bin" / "python"
    if not (folder / _COMPLETE).exists():
        _output([python, "-m", "venv", "--clear", str(folder)])
        pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _output([*pip, "--requirement", str(REQUIREMENTS)])
        (folder / _COMPLETE).touch()
    return inside


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeersMissing(f"{type(error).__name__} in {' '.join(command[:4])}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{' '.join(command[:4])} ended with {done.returncode}"]
        raise PeersMissing(lines[-1])
    return done.stdout
