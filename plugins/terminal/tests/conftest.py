"""Fixtures: the command as a child process in a folder of its own, and foreign plugins on its path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for terminal_kit, which the test modules share

from terminal_kit import Ran, Run, write_segy


@pytest.fixture(scope="session")
def segy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_segy(tmp_path_factory.mktemp("segy") / "line.sgy")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin index, kept away from the user's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path: Path, cache: Path) -> dict[str, str]:
    """This process's environment, with a job store and a path for foreign plugins of the test's own."""
    own = {"SEISPROC_STATE_DIR": str(tmp_path / "state"), "PYTHONPATH": str(tmp_path / "foreign")}
    return {**os.environ, **own, "SEISPROC_CACHE_DIR": str(cache)}


@pytest.fixture
def run(tmp_path: Path, environment: Mapping[str, str]) -> Run:
    """Run the command in `tmp_path`, as a child process."""

    def run_command(*arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "seisproc_terminal.main", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            capture_output=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_command


@pytest.fixture(scope="session")
def imported(segy: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SEG-Y file as a survey, imported once."""
    folder = tmp_path_factory.mktemp("imported")
    command = [sys.executable, "-m", "seisproc_terminal.main", "import", str(segy), "line.seis", "--gather", "cdp"]
    own = {"SEISPROC_STATE_DIR": str(folder / "state"), "SEISPROC_CACHE_DIR": str(cache)}
    subprocess.run([*command, "--shard-traces", "16"], cwd=folder, env={**os.environ, **own}, check=True)
    return folder / "line.seis"


@pytest.fixture
def line(imported: Path, tmp_path: Path) -> Path:
    """A copy of that survey for the test alone."""
    return Path(shutil.copytree(imported, tmp_path / "line.seis"))


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[[str], None]:
    """Install a plugin of somebody else's, given the source of its module, for child processes of `run`."""

    def install(source: str) -> None:
        folder = tmp_path / "foreign"
        info = folder / "foreign_plugin-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[seisproc.plugins]\nforeign = foreign_plugin\n")
        (folder / "foreign_plugin.py").write_text(source)

    return install
