"""Whatever stands in files, names and flows: no control character and no password reaches a screen or a record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from integration_kit import model_line, write_segy
from integration_kit import seisproc_here as command

from seisproc_terminal import main as terminal

ESCAPES = "\x1b[31mred\x07\x9b2J"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SECRET = "s3cr3t-pass"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SEG-Y file whose name and text header try to take over the terminal, a survey made of it, and flows."""
    folder = tmp_path_factory.mktemp("hostile")
    evil = folder / f"evil{ESCAPES}.sgy"
    write_segy(evil, model_line(shots=3, channels=4))
    data = bytearray(evil.read_bytes())
    data[:400] = f"{ESCAPES} <script>alert(1)</script>".ljust(400).encode("cp037")
    evil.write_bytes(data)
    assert command("import", str(evil), str(folder / f"line{ESCAPES}.seis"), "--executor", "in-process").code == 0
    name = json.dumps(f"name{ESCAPES}<script>alert(2)</script>")
    source = json.dumps(str(folder / f"line{ESCAPES}.seis"))
    (folder / "flow.toml").write_text(
        f'name = {name}\n[source]\nsurvey = {source}\n[[step]]\nuse = "agc"\nbackend = "reference"\n'
        '[sink]\nsurvey = "out.seis"\n'
    )
    return folder


# Arguments by name; EVIL and LINE stand for the hostile file and survey, HERE for their folder.
COMMANDS = [
    ["info", "EVIL"], ["info", "LINE"], ["info", "HERE/none" + ESCAPES], ["headers", "EVIL", "--rows", "0:2"],
    ["headers", "LINE", "--stats"], ["headers", "EVIL", "--words", ESCAPES], ["verify", "LINE"], ["verify", "EVIL"],
    ["plot", "EVIL", "--out", "HERE/p.png", "--replace"], ["plot", "LINE", "--axis", ESCAPES],
    ["run", "HERE/flow.toml", "--dry-run"], ["run", "HERE/flow.toml", "--executor", "in-process", "--replace"],
    ["run", "HERE/flow.toml", "--set", f"agc.{ESCAPES}=1"],
    ["export", "LINE", "HERE/a.sgy", "--replace", "--where", ESCAPES],
    ["export", "LINE", "HERE/a.sgy", "--replace", "--text", "HERE/" + ESCAPES], ["export", "LINE", "EVIL"],
    ["export", "LINE", "HERE/b.sgy", "--replace", "--executor", "in-process", "--report", "HERE/b.txt"],
    ["export", "LINE", "HERE/c.sgy", "--replace", "--executor", "in-process", "--report", "HERE/c.json"],
    ["jobs", "list"], ["jobs", "show", ESCAPES], ["history"], ["processors", ESCAPES], ["plugins", "list"],
    ["resume", "HERE/none" + ESCAPES], [ESCAPES], ["import", "EVIL", "HERE/x.seis", "--word", ESCAPES],
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: "-".join(RAW.sub("?", w) for w in words)[:60])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_no_control_character_gets_out(
    folder: Path, arguments: list[str], as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_reserve_stdout", lambda: None)  # it would take the descriptor from under pytest
    names = {"EVIL": str(folder / f"evil{ESCAPES}.sgy"), "LINE": str(folder / f"line{ESCAPES}.seis")}
    given = [names.get(word, word.replace("HERE", str(folder))) for word in arguments]
    done = command(*given, *(["--json"] if as_json else []))
    assert done.code in (0, 1, 2, 3, 4), done.err
    for line in (done.out + done.err).split("\n"):
        assert not RAW.search(line), repr(line)
    assert "Traceback" not in done.err
    if as_json:
        json.loads(done.out)


def test_reports_and_pictures_hold_none_either(folder: Path) -> None:
    command("run", str(folder / "flow.toml"), "--executor", "in-process", "--replace")
    assert command("history", "report", str(folder / "report.html")).code == 0
    page = (folder / "report.html").read_text("utf-8")
    assert "<script>alert" not in page and not RAW.search(page.replace("\n", ""))
    line = str(folder / f"line{ESCAPES}.seis")
    options = ("--executor", "in-process", "--replace", "--report", str(folder / "c.txt"))
    assert command("export", line, str(folder / f"c{ESCAPES}.sgy"), *options).code == 0
    assert not RAW.search((folder / "c.txt").read_text("utf-8").replace("\n", ""))


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "URL"], ["headers", "URL"], ["plot", "URL"], ["import", "URL", "HERE/s.seis"],
        ["export", "LINE", "URL"], ["run", "HERE/secret.toml"], ["verify", "URL"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_passwords_are_neither_shown_nor_kept(
    folder: Path, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEISPROC_STATE_DIR", str(tmp_path))
    address = f"https://me:{SECRET}@host/line.sgy"
    (folder / "secret.toml").write_text(f'[source]\nsegy = "{address}"\n[sink]\nsurvey = "s.seis"\n')
    names = {"URL": address, "LINE": str(folder / f"line{ESCAPES}.seis")}
    done = command(*(names.get(word, word.replace("HERE", str(folder))) for word in arguments))
    assert done.code != 0 and SECRET not in done.out + done.err
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == [] and not list(folder.glob("s.seis*"))
