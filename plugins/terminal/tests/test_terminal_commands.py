"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal_kit import FLOW, SAMPLES, TRACES, Ran, Run, have, needs_formats, write_segy


def refused(ran: Ran, code: int, *words: str) -> None:
    """One line on stderr with these words, nothing on stdout, this exit code."""
    assert ran.code == code, ran.err
    assert ran.err.startswith("seisproc: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    assert not ran.out
    for word in words:
        assert word in ran.err


@needs_formats
def test_import_verify_export_gives_the_same_bytes(run: Run, segy: Path, line: Path, tmp_path: Path) -> None:
    assert run("verify", line).code == 0
    done = run("export", line, "back.sgy", "--json")
    assert done.code == 0
    assert done.document["traces_out"] == TRACES
    assert (tmp_path / "back.sgy").read_bytes() == segy.read_bytes()
    assert run("verify", "back.sgy").code == 0
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.lock"))


@needs_formats
def test_info(run: Run, segy: Path, line: Path) -> None:
    done = run("info", segy, line, "--json")
    file, survey = done.document["files"]
    assert (file["traces"], file["samples"], file["interval_ms"]) == (TRACES, SAMPLES, 4.0)
    assert (survey["traces"], survey["samples"], survey["interval_ms"]) == (TRACES, SAMPLES, 4.0)
    assert survey["sealed"] is True
    assert survey["index"] == [["cdp"]]
    assert survey["words"]["field_record"] == {"min": 1, "max": 10}
    assert survey["provenance"]["inputs"] == [str(segy)]
    text = run("info", segy, line).out
    assert "C 1 LINE" in text and "field_record" in text


@needs_formats
def test_search_finds_text_notes_and_histories(run: Run, segy: Path, line: Path, tmp_path: Path) -> None:
    (tmp_path / "flow.toml").write_text(FLOW.format(step="trace_balance"))
    assert run("run", "flow.toml").code == 0
    (tmp_path / "broken.sgy").write_bytes(b"no")
    found = run("search", "line c", segy, line, "out.seis", "--json").document["found"]
    text = [Path(hit["path"]).name for hit in found if hit["where"] == "text"]
    assert text == [segy.name, line.name, "out.seis"]
    below = run("search", "TRACE_balance", tmp_path)
    assert below.code == 0 and "out.seis: step: trace_balance" in below.out and "1 files could not be read" in below.err
    assert "nothing found" in run("search", "no such thing", line).err
    assert run("search", "x", "broken.sgy").code != 0 and run("search", " ", line).code == 2


@needs_formats
def test_info_reads_all_samples_on_request(run: Run, segy: Path, line: Path) -> None:
    done = run("info", segy, line, "--stats", "--words", "fldr", "--json")
    file, survey = done.document["files"]
    for facts in (file, survey):
        assert facts["statistics"]["traces"] == TRACES
        assert facts["statistics"]["live_samples"] == TRACES * SAMPLES
        assert facts["words"] == {"field_record": {"min": 1, "max": 10}}
    assert file["statistics"] == survey["statistics"]
    assert "rms" in run("info", line, "--stats").out
    refused(run("info", line, "--words", "cdp"), 2, "--stats")
    refused(run("info", line, "--stats", "--words", "nonsense"), 2, "nonsense")


@needs_formats
def test_info_counts_what_an_import_would_refuse(run: Run, segy: Path, tmp_path: Path) -> None:
    content = bytearray(segy.read_bytes())
    content[3600 + 240 : 3600 + 244] = b"\x7f\xc0\x00\x00"
    (tmp_path / "holed.sgy").write_bytes(content)
    found = run("info", "holed.sgy", "--stats", "--json").document["files"][0]["statistics"]
    assert found["dead_by_reason"] == {"held NaN": 1}


@needs_formats
def test_control_characters_are_escaped(run: Run, tmp_path: Path) -> None:
    name = "a\x1b[2J.sgy"
    write_segy(tmp_path / name, text=b"C 1 \x1b[31mRED\x07")
    done = run("info", name)
    assert done.code == 0
    missing = run("info", "b\x1b[2J.sgy")
    for text in (done.out, done.err, missing.err):
        assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert "\\x1b[2J" in done.out and "\\x1b[2J" in missing.err


@needs_formats
def test_headers(run: Run, segy: Path, line: Path) -> None:
    for path in (segy, line):
        words = run("headers", path, "--words", "fldr,offset", "--rows", "23:25", "--json").document
        assert words["rows"] == [23, 24]
        assert words["words"] == {"field_record": [1, 2], "offset": [600, 25]}
        stats = run("headers", path, "--stats", "--words", "channel", "--json").document["words"]["channel"]
        assert (stats["first"], stats["last"], stats["min"], stats["max"], stats["n_unique"]) == (1, 24, 1, 24, 24)
        table = run("headers", path, "--rows", "0:3").out.splitlines()
        assert table[0].split()[:3] == ["trace", "field_record", "channel"]
        assert len(table) == 4
    refused(run("headers", line, "--words", "ofset"), 2, "ofset", "offset")
    refused(run("headers", line, "--rows", "5:2"), 2, "--rows")


@needs_formats
def test_custom_word(run: Run, segy: Path) -> None:
    done = run("import", segy, "p.seis", "--word", "polarity=233:i2")
    assert done.code == 0, done.err
    assert run("headers", "p.seis", "--words", "polarity", "--rows", "0", "--json").document["words"] == {
        "polarity": [-7]
    }
    refused(run("import", segy, "q.seis", "--word", "polarity"), 2, "--word polarity")


@needs_formats
@have(("processors", "bandpass"))
def test_run_plan_override_and_resume(run: Run, line: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow.toml"
    flow.write_text(FLOW.format(step="bandpass") + "")
    set_ = ("--set", "bandpass.low_hz=10", "--set", "bandpass.high_hz=60")
    plan = run("run", flow, *set_, "--dry-run", "--json").document
    assert plan["stages"][0]["steps"][0]["parameters"]["low_hz"] == 10
    assert plan["stages"][0]["traces_out"] == TRACES
    assert not (tmp_path / "out.seis").exists()
    assert "bandpass" in run("run", flow, *set_, "--dry-run").out
    done = run("run", flow, *set_, "--json")
    assert done.code == 0, done.err
    assert done.document["state"] == "completed"
    refused(run("run", flow, *set_), 2, "exists", "--replace")
    again = run("run", flow, *set_, "--resume", "--json")
    assert again.document["already_complete"] is True
    assert "already complete" in run("resume", "out.seis").out
    assert run("run", flow, *set_, "--out", "other.seis").code == 0
    assert run("run", flow, *set_, "--replace").code == 0
    assert run("verify", "other.seis", "--json").document == {"path": "other.seis", "state": "whole", "problems": []}


@needs_formats
def test_errors_are_one_line(run: Run, segy: Path, line: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[source\n")
    (tmp_path / "step.toml").write_text(FLOW.format(step="bandpas"))
    refused(run("info", "nope.sgy"), 2, "nope.sgy", "no such file")
    refused(run("run", "nope.toml"), 2, "nope.toml")
    refused(run("run", "bad.toml"), 2, "TOML")
    refused(run("run", "step.toml"), 2, "bandpas")
    refused(run("run"), 2, "FLOW", "seisproc run --help")
    refused(run("import", segy), 2, "import --help")
    refused(run("import", segy, "x.seis", "--gather", "nope"), 2, "nope")
    refused(run("import", segy, "x.seis", "--executor", "nope"), 2, "nope", "in-process")
    refused(run("export", line, "no-folder/x.sgy"), 2, "no-folder")
    refused(run("resume", "nope.seis"), 2, "nothing to resume")
    refused(run("verify", "nope.seis"), 2, "nope.seis")
    refused(run("plot", line, "--gather", "cdp=99999"), 2, "cdp=99999")
    refused(run("processors", "bandpas"), 2, "bandpas")
    assert not list(tmp_path.glob("x.*"))


@needs_formats
def test_advice_names_options_as_they_are_typed(run: Run, segy: Path, tmp_path: Path) -> None:
    pytest.importorskip("seisproc_native_segy", reason="the reader without it does not offer these options")
    cut = tmp_path / "cut.sgy"
    cut.write_bytes(segy.read_bytes()[:10000])
    assert "pass --samples if you know the count, or --lenient to" in run("info", cut).err
    assert run("verify", cut).out.startswith(f"{cut}: no sample count") and "pass" not in run("verify", cut).out


@needs_formats
def test_errors_name_options_as_they_are_typed(run: Run, segy: Path) -> None:
    assert "--interval-us must be a number" in run("info", segy, "--interval-us", "-1").err
    assert "--word has foo at byte 240" in run("import", segy, "x.seis", "--word", "foo=240:i2").err
    assert "--format must be one of" in run("export", segy, "x.sgy", "--format", "99").err
    assert "names a survey" in run("export", segy, "x.seis").err


def test_options_as_typed() -> None:
    from seisproc_terminal.options import as_typed

    for written, typed in (
        ('if it is SU pass kind="su" and endian=', "if it is SU pass --kind su and --endian"),
        ("give it with interval_us = ...", "give it with --interval-us"),
        ("; interval_us = N reads all with one", "; --interval-us N reads all with one"),
        ('import with nan = "zero" or nan = "kill"', "import with --nan zero or --nan kill"),
        ("run_format=5.sgy is empty", "run_format=5.sgy is empty"),
    ):
        assert as_typed(written) == typed


def test_errors_in_json(run: Run) -> None:
    done = run("info", "nope.sgy", "--json")
    assert done.code == 2
    assert done.document["exit_code"] == 2
    assert "nope.sgy" in done.document["error"]


@needs_formats
def test_verify_finds_damage(run: Run, line: Path) -> None:
    shard = next(path for path in sorted((line / "traces").rglob("*")) if path.is_file() and path.name != "zarr.json")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = run("verify", line, "--json")
    assert done.code == 4
    assert done.document["state"] == "damaged"
    assert shard.relative_to(line).as_posix() in done.document["problems"][0]
    shard.unlink()
    assert run("verify", line).code == 4
    (line / "manifest.json").unlink()
    assert run("verify", line).code == 4


@needs_formats
def test_verify_of_a_cut_file(run: Run, segy: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.sgy").write_bytes(segy.read_bytes()[:-100])
    assert run("verify", "cut.sgy").code == 4


@needs_formats
def test_plot(run: Run, line: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("plot", line, "--gather", "field_record=1", "--gather", "field_record=2", "--style", "wiggle", "--json")
    assert done.code == 0, done.err
    assert done.document == {"path": "line.png", "traces": 48, "axis": "offset"}
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    refused(run("plot", line), 2, "line.png")
    assert run("plot", line, "--replace", "--rows", "0:48").code == 0
    refused(run("plot", line, "--out", "x.bmp"), 2, "x.bmp")
    assert sorted(path.suffix for path in tmp_path.glob("*.*") if path.is_file()) == [".png"]


@have(("processors", "agc"))
def test_processors(run: Run) -> None:
    listed = run("processors", "--json").document["processors"]
    assert "agc" in {entry["id"] for entry in listed}
    text = run("processors", "agc").out
    assert "window_ms" in text and 'use = "agc"' in text
    assert run("processors", "agc", "--schema").document["title"] == "agc"


def test_examples_of_processors_are_valid_steps() -> None:
    import tomllib

    from seisproc_core.plugins import registry
    from seisproc_core.processing.params import build
    from seisproc_terminal.commands.processors_command import example

    for entry in registry().of("processors"):
        step = tomllib.loads("\n".join(example(entry.id, entry.spec["schema"])))["step"][0]
        assert step.pop("use") == entry.id
        properties = entry.spec["schema"]["properties"]
        needed = {key: value for key, value in step.items() if key in entry.spec["schema"]["required"]}
        assert set(step) <= set(properties)
        cls = registry().load("processors", entry.id)
        try:
            build(cls, entry.id, step)
        except ValueError as error:
            pytest.fail(f"{entry.id}: {needed} {error}")


def test_plugins(run: Run) -> None:
    listed = run("plugins", "list", "--json").document["plugins"]
    terminal = next(plugin for plugin in listed if plugin["distribution"] == "seisproc-terminal")
    assert "run" in terminal["provides"]["commands"]
    assert run("plugins", "--json").document == run("plugins", "--json", "list").document


FOREIGN = """
from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import CommandSpec
import click

@click.command()
@click.option("--json", "as_json", is_flag=True)
def shout(as_json):
    from seisproc_terminal import output
    import os
    print("noise from a plugin")
    os.write(1, b"more noise")
    output.document({"said": 1})

@click.command()
def fail():
    raise RuntimeError("out of \\x1b[31mluck")

@hookimpl
def seisproc_commands():
    return [
        CommandSpec(name="shout", impl="foreign_plugin:shout", help="Shout \\x1b]0;title\\x07."),
        CommandSpec(name="fail", impl="foreign_plugin:fail", help="Fail."),
    ]
"""


def test_foreign_command(run: Run, foreign: Callable[[str], None]) -> None:
    foreign(FOREIGN)
    text = run("--help").out
    assert "shout" in text
    assert "\x1b" not in text and "\x07" not in text
    assert run("shout", "--json").document == {"said": 1}
    refused(run("fail"), 70, "internal error: RuntimeError", "\\x1b[31mluck", "--debug")
    assert "Traceback" in run("--debug", "fail").err
    refused(run("--safe-mode", "shout"), 2, "shout")


def test_doctor_names_the_broken_plugin(run: Run, foreign: Callable[[str], None]) -> None:
    assert run("plugins", "doctor").code == 0
    foreign("raise RuntimeError('no licence \\x1b[31m')")
    done = run("plugins", "doctor", "--json")
    assert done.code == 1
    assert [item["distribution"] for item in done.document["broken"]] == ["foreign-plugin"]
    assert "no licence" in done.document["broken"][0]["problem"]
    text = run("plugins", "doctor")
    assert text.code == 1
    assert "foreign-plugin" in text.out and "\x1b" not in text.out
    assert run("plugins").code == 0


@needs_formats
def test_reader_of_the_output_may_leave(segy: Path, environment: dict[str, str]) -> None:
    import subprocess
    import sys

    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    line = f"'{sys.executable}' -m seisproc_terminal.main headers '{segy}' --rows 0:240 --json | head -n 1"
    done = subprocess.run([bash, "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert not done.stderr


@needs_formats
def test_unusable_job_store_is_no_obstacle(run: Run, segy: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    env = {"SEISPROC_STATE_DIR": str(blocked / "state")}
    done = run("import", segy, "x.seis", "--json", env=env)
    assert done.code == 0, done.err
    assert json.loads(done.out)["state"] == "completed"


@needs_formats
def test_no_permission(run: Run, segy: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(run("import", segy, locked / "x.seis"), 77, "locked")
