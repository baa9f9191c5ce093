"""The demo command end to end: modelled line, field line, and folders that are not its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seisproc.demo.session import MARKER, prepare_folder
from seisproc_core.errors import OutputExists
from seisproc_core.plugins import registry

SHARED = Path(os.environ.get("SEISPROC_SHARED") or Path(__file__).parents[4] / "shared")
FIELD = sorted((SHARED / "corpus" / "derived").glob("loma_blanca_sh_*.sgy"))
INSTALLED = {(entry.kind, entry.id) for entry in registry().entries}
NEEDED = {("storage", "segy"), ("storage", "survey"), ("processors", "nmo"), ("processors", "bandpass")}

pytestmark = pytest.mark.skipif(not NEEDED <= INSTALLED, reason=f"not installed: {NEEDED - INSTALLED}")


def run_demo(folder: Path, *arguments: object) -> tuple[int, dict[str, Any]]:
    pytest.importorskip("matplotlib")
    done = subprocess.run(
        [sys.executable, "-m", "seisproc", "demo", "--json", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "SEISPROC_STATE_DIR": str(folder / "state")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_modelled_line(tmp_path: Path) -> None:
    code, told = run_demo(tmp_path)
    assert code == 0, told
    assert told["ok"] and len(told["checks"]) >= 10
    assert {step["name"] for step in told["steps"]} >= {"import", "run the flow", "export the stack", "draw pictures"}
    assert {"line.sgy", "line.seis", "line-stack.seis", "line-stack.sgy", "line-stack.png"} <= set(told["files"])
    folder = tmp_path / "seisproc-demo"
    assert sorted(path.name for path in folder.iterdir() if path.name != MARKER) == sorted(told["files"])
    assert (folder / "line-gather.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not FIELD, reason=f"the field line is not in {SHARED}")
def test_field_line(tmp_path: Path) -> None:
    code, told = run_demo(tmp_path, "--out", "here", "--data", *FIELD)
    assert code == 0, told
    assert len(told["checks"]) == 7 and all(check["ok"] for check in told["checks"])


@pytest.mark.skipif(not FIELD, reason=f"the field line is not in {SHARED}")
def test_wrong_delay_fails_a_check(tmp_path: Path) -> None:
    """Times off by the recording delay must not pass."""
    import seisproc.demo

    shipped = Path(seisproc.demo.__file__).parent
    flow = (shipped / "field_line.toml").read_text("utf-8")
    (tmp_path / "late.toml").write_text(flow.replace("[import]\n", "[import]\ndelay_ms = 0\n"))
    (tmp_path / "late.checks.toml").write_text((shipped / "field_line.checks.toml").read_text("utf-8"))
    code, told = run_demo(tmp_path, "--data", *FIELD, "--flow", "late.toml")
    assert code == 1
    failed = [check["name"] for check in told["checks"] if not check["ok"]]
    assert any("time on the stack" in name for name in failed)


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists, match="not from an earlier demo"):
        prepare_folder(tmp_path)
    own = tmp_path / "own"
    prepare_folder(own)
    with (own / MARKER).open("a") as marker:
        marker.write("line.seis\n")
    (own / "line.seis").mkdir()
    (own / "line.seis.0123abcd.part").mkdir()
    prepare_folder(own)
    assert not (own / "line.seis").exists() and not (own / "line.seis.0123abcd.part").exists()
    (own / "notes.txt").write_text("mine too")
    with pytest.raises(OutputExists, match=r"notes\.txt"):
        prepare_folder(own)
    assert (own / "notes.txt").read_text() == "mine too"
