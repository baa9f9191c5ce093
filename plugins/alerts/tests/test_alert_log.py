"""The log of alerts, and who tells: shared by processes, never longer than it should be, read whatever it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alerts_kit import make_alert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seisproc_alerts import log
from seisproc_alerts.log import append, claim, recent


def test_what_is_appended_comes_back_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "alerts.log"
    alerts = [make_alert(f"line\n{n} \x1b[31m", at=n) for n in range(10)]
    for alert in alerts:
        append(alert, path)
    assert recent(4, path) == alerts[:-5:-1]
    assert recent(100, path) == alerts[::-1]
    assert len(path.read_bytes().splitlines()) == 10
    assert b"\x1b" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_the_log_is_rotated_and_never_longer_than_four_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_BYTES", 1000)
    path = tmp_path / "alerts.log"
    for n in range(100):
        append(make_alert(f"number {n}"), path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alerts.log", *(f"alerts.log.{n}" for n in (1, 2, 3))]
    assert all(p.stat().st_size <= 1000 for p in tmp_path.iterdir())
    found = [alert.message for alert in recent(1000, path)]
    assert found == [f"number {n}" for n in range(99, 99 - len(found), -1)]
    assert len(found) > 20


WRITER = """
import sys
from pathlib import Path
from seisproc_alerts import log
from seisproc_alerts.rules import Alert, Severity

log.MAX_BYTES = 20_000
path, who = Path(sys.argv[1]), sys.argv[2]
for n in range(100):
    log.append(Alert(rule=who, severity=Severity.INFO, key="machine", message=f"{n}", at=float(n)), path)
    alert = Alert(rule="shared", severity=Severity.INFO, key=f"job {n}", message="", at=1e9)
    if log.claim(alert, 60.0, who, path.with_name("told")):
        print(n)
"""


def test_processes_that_write_at_once_lose_nothing_and_tell_once(tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), who], stdout=subprocess.PIPE, text=True)
        for who in "abc"
    ]
    told = [int(line) for writer in writers for line in writer.communicate(timeout=60)[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(told) == list(range(100))
    found = recent(1000, path)
    for who in "abc":
        assert [alert.message for alert in found if alert.rule == who] == [f"{n}" for n in range(99, -1, -1)]
    assert (tmp_path / "alerts.log.1").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.dictionaries(st.sampled_from(["rule", "severity", "key", "message", "at", "x"]), st.none() | st.text())
            .map(json.dumps)
            .map(str.encode),
        )
    )
)
def test_a_damaged_log_is_read_as_far_as_it_goes(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "alerts.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    append(good := make_alert(), path)
    assert recent(1, path) == [good]
    assert len(recent(1000, path)) <= len(b"\n".join(lines).splitlines()) + 1


def test_a_log_that_is_no_file_of_ours_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "alerts.log").symlink_to(victim)
    with pytest.raises(OSError):
        append(make_alert(), tmp_path / "alerts.log")
    assert victim.read_text() == "mine"
    os.mkfifo(tmp_path / "alerts.fifo")
    assert recent(10, tmp_path / "alerts.fifo") == []


def test_one_tells_and_the_others_do_not_until_the_cooldown_is_over(tmp_path: Path) -> None:
    path = tmp_path / "told"
    assert claim(make_alert(at=1000.0), 60, "a", path)
    assert not claim(make_alert(at=1059.0), 60, "b", path)
    assert claim(make_alert(at=1059.0), 60, "a", path)  # its own memory decides
    assert claim(make_alert(key="other", at=1000.0), 60, "b", path)
    assert claim(make_alert(at=1120.0), 60, "b", path)
    assert json.loads(path.read_text()) == {"rule machine": [1180.0, "b"]}
    assert claim(make_alert(at=1.0), 60, "c", path) is False
    assert claim(make_alert(at=-1e6), 60, "c", path)  # a clock set back by days keeps nothing quiet


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"rule machine": [1e400, "x"]}', '{"rule machine": 3}', "[" * 99999]
)
def test_a_damaged_note_keeps_nobody_from_telling(tmp_path: Path, content: str) -> None:
    path = tmp_path / "told"
    path.write_text(content)
    assert claim(make_alert(), 60, "a", path)
    assert not claim(make_alert(), 60, "b", path)


def test_without_a_folder_to_note_it_everybody_tells(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert claim(make_alert(), 60, "a", tmp_path / "file" / "told")
