"""Wrong requests: one line that names the object and the next step, a code other than 0, and nothing left behind."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest
from integration_kit import contents, flow, model_line, names, run, seisproc, shards, write_flow, write_segy

from seisproc_core import Engine
from seisproc_core.errors import UsageError
from seisproc_core.execution.executor import Receipt, Task
from seisproc_core.jobs.workfolder import WorkFolder

Arguments = list[object]

FAILING_PLUGIN = '''
from seisproc_core import Processor, hookimpl, param, processor

@processor("fails", scope="gather")
class Fails(Processor):
    """Fails on one gather."""
    cdp: int = param(3, help="where")
    def apply_gather(self, gather, context):
        if (gather.headers["cdp"] == self.cdp).any():
            raise ZeroDivisionError("by zero")
        return gather

@hookimpl
def seisproc_processors():
    return [Fails]
'''


@attrs.frozen
class Place:
    """A folder with a file and a survey, in which one request goes wrong."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, *steps: dict[str, object], source: str = "line.seis", sink: str = "out.seis") -> Arguments:
        return ["run", write_flow(self / "wrong.toml", self / source, self / sink, steps)]

    def file(self, **changes: object) -> Path:
        """A SEG-Y file; keywords go to `write_segy`."""
        return write_segy(self / "wrong.sgy", model_line(2, 6), **changes)


@pytest.fixture
def place(segy: Path, survey: Path, tmp_path: Path) -> Place:
    shutil.copy(segy, tmp_path / "line.sgy")
    shutil.copytree(survey, tmp_path / "line.seis")
    return Place(tmp_path)


def output_is_input(place: Place) -> Arguments:
    return place.run({"use": "agc"}, sink="line.seis")


def output_is_input_by_another_name(place: Place) -> Arguments:
    (place / "link.seis").symlink_to("line.seis")
    return [*place.run({"use": "agc"}, sink="link.seis"), "--replace"]


def output_inside_input(place: Place) -> Arguments:
    return place.run({"use": "agc"}, sink="line.seis/out.seis")


def export_over_its_own_file(place: Place) -> Arguments:
    return ["export", "line.sgy", "line.sgy", "--replace"]


def export_named_as_a_survey(place: Place) -> Arguments:
    return ["export", "line.seis", "line.seis", "--replace"]


def output_exists(place: Place) -> Arguments:
    shutil.copytree(place / "line.seis", place / "out.seis")
    return place.run({"use": "agc"})


def file_exists(place: Place) -> Arguments:
    (place / "out.sgy").write_text("mine")
    return ["export", "line.seis", "out.sgy"]


def replaces_a_folder_of_somebody_else(place: Place) -> Arguments:
    (place / "out.seis").mkdir()
    (place / "out.seis" / "thesis.txt").write_text("years of work")
    return [*place.run({"use": "agc"}), "--replace"]


def unknown_processor(place: Place) -> Arguments:
    return place.run({"use": "bandpas", "low_hz": 10})


def unknown_parameter(place: Place) -> Arguments:
    return place.run({"use": "agc", "windw_ms": 100})


def parameter_of_wrong_type(place: Place) -> Arguments:
    return place.run({"use": "agc", "window_ms": "long"})


def corner_above_nyquist(place: Place) -> Arguments:
    return place.run({"use": "bandpass", "low_hz": 10, "high_hz": 125})


def gathers_needed(place: Place) -> Arguments:
    return place.run({"use": "stack"})


def missing_header_word(place: Place) -> Arguments:
    return place.run({"use": "sort", "gather": ["cpd"]}, {"use": "stack"})


def missing_index_word(place: Place) -> Arguments:
    return ["import", "line.sgy", "out.seis", "--gather", "no_such_word"]


def mixed_sample_intervals(place: Place) -> Arguments:
    return ["import", place.file(trace_us=np.repeat([4000, 2000], 6)), "out.seis"]


def mixed_sample_intervals_of_files(place: Place) -> Arguments:
    return ["import", "line.sgy", place.file(binary_us=2000, trace_us=2000), "out.seis"]


def no_sample_interval(place: Place) -> Arguments:
    return ["import", place.file(binary_us=0, trace_us=0), "out.seis"]


def _with_sample(place: Place, value: float) -> Arguments:
    line = model_line(2, 6)
    line.traces[7, 11] = value
    return ["import", write_segy(place / "wrong.sgy", line), "out.seis"]


def nan_in_the_input(place: Place) -> Arguments:
    return _with_sample(place, np.nan)


def infinity_in_the_input(place: Place) -> Arguments:
    return _with_sample(place, np.inf)


def truncated_file(place: Place) -> Arguments:
    file = place.file()
    file.write_bytes(file.read_bytes()[:-100])
    return ["import", file, "out.seis"]


def not_a_seismic_file(place: Place) -> Arguments:
    (place / "wrong.sgy").write_text("hello")
    return ["import", "wrong.sgy", "out.seis"]


def empty_file(place: Place) -> Arguments:
    (place / "wrong.sgy").touch()
    return ["import", "wrong.sgy", "out.seis"]


def no_such_input(place: Place) -> Arguments:
    return ["import", "nowhere.sgy", "out.seis"]


def no_such_output_folder(place: Place) -> Arguments:
    return ["import", "line.sgy", "nowhere/out.seis"]


def no_such_flow(place: Place) -> Arguments:
    return ["run", "nowhere.toml"]


def flow_that_is_not_toml(place: Place) -> Arguments:
    (place / "wrong.toml").write_text("[source\n")
    return ["run", "wrong.toml"]


def unknown_executor(place: Place) -> Arguments:
    return ["import", "line.sgy", "out.seis", "--executor", "cloud"]


def nothing_to_resume(place: Place) -> Arguments:
    return ["resume", "out.seis"]


def sample_format_too_small(place: Place) -> Arguments:
    loud = run(
        flow(
            {"survey": str(place / "line.seis")}, [{"use": "gain", "scale": 1e6}], {"survey": str(place / "loud.seis")}
        )
    )
    return ["export", loud, "out.sgy", "--format", "3"]


# What goes wrong, the exit code, and what the line must say.
REFUSALS: list[tuple[Callable[[Place], Arguments], int, str]] = [
    (output_is_input, 2, r"line\.seis.*choose another output"),
    (output_is_input_by_another_name, 2, r"link\.seis.*choose another output"),
    (output_inside_input, 2, r"line\.seis.*choose another output"),
    (export_over_its_own_file, 2, r"line\.sgy.*choose another output"),
    (export_named_as_a_survey, 2, r"line\.seis names a survey.*NAME\.sgy"),
    (output_exists, 2, r"out\.seis exists.*--replace"),
    (file_exists, 2, r"out\.sgy exists.*--replace"),
    (replaces_a_folder_of_somebody_else, 2, r"out\.seis is not a seisproc output"),
    (unknown_processor, 2, r"'bandpas'; did you mean bandpass"),
    (unknown_parameter, 2, r"agc: parameter 'windw_ms'.*window_ms"),
    (parameter_of_wrong_type, 2, r"agc: parameter 'window_ms'"),
    (corner_above_nyquist, 2, r"bandpass: parameter 'high_hz' must be below .*125 Hz"),
    (gathers_needed, 2, r"'stack' works on gathers.*sort"),
    (missing_header_word, 2, r"'cpd'.*did you mean cdp"),
    (missing_index_word, 2, r"'no_such_word'.*seisproc headers"),
    (mixed_sample_intervals, 1, r"interval: 6 at 2000 us \(first: wrong\.sgy trace 7\), 6 at 4000 us.*interval.us"),
    (mixed_sample_intervals_of_files, 1, r"same sample interval.*line\.sgy.*wrong\.sgy.*interval.us"),
    (no_sample_interval, 1, r"wrong\.sgy: the sample interval is 0.*interval.us"),
    (nan_in_the_input, 1, r"wrong\.sgy.*nan"),
    (infinity_in_the_input, 1, r"wrong\.sgy.*nan"),
    (truncated_file, 1, r"wrong\.sgy.*(lenient|install seisproc-native-segy)"),
    (not_a_seismic_file, 1, r"wrong\.sgy"),
    (empty_file, 1, r"wrong\.sgy"),
    (no_such_input, 2, r"nowhere\.sgy"),
    (no_such_output_folder, 2, r"nowhere does not exist; create it"),
    (no_such_flow, 2, r"nowhere\.toml"),
    (flow_that_is_not_toml, 2, r"wrong\.toml is not a TOML file"),
    (unknown_executor, 2, r"no executor named 'cloud'; .*processes"),
    (nothing_to_resume, 2, r"nothing to resume.*out\.seis"),
    (sample_format_too_small, 2, r"do not fit format 3.*--scaling -?\d+ makes these fit, format 5 holds all"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "code", "pattern"), REFUSALS, ids=lambda value: getattr(value, "__name__", ""))
def test_refused(wrong: Callable[[Place], Arguments], code: int, pattern: str, place: Place) -> None:
    arguments = wrong(place)
    before, kept = names(place.folder), contents(place.folder)
    check_refusal(place, arguments, code, pattern)
    assert names(place.folder) == before
    assert contents(place.folder) == kept


def check_refusal(place: Place, arguments: Arguments, code: int, pattern: str, **env: str) -> None:
    # A job list of its own: that jobs fail again and again would be worth a line more.
    state = place.folder.with_name(f"{place.folder.name}-state")
    done = seisproc(*arguments, cwd=place.folder, env={"SEISPROC_STATE_DIR": str(state), **env})
    remarks = re.compile(r"seisproc: (note: |\d+ % of )")  # the latter on a machine so slow that progress is shown
    lines = [line for line in done.err.splitlines() if not remarks.match(line)]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("seisproc: ") and "Traceback" not in done.err and "internal error" not in done.err
    assert re.search(pattern, lines[0], re.IGNORECASE), lines[0]
    assert done.code == code, done.err
    assert done.out == ""


def test_damaged_input(place: Place) -> None:
    """The job stops and names the shard; once the input is whole again, it goes on."""
    shard = shards(place / "line.seis")[1]
    whole = shard.read_bytes()
    shard.write_bytes(bytes([*whole[:5], whole[5] ^ 4, *whole[6:]]))
    check_refusal(place, place.run({"use": "agc"}), 4, r"traces/c.1.0.*seisproc resume")
    assert not (place / "out.seis").exists()
    shard.write_bytes(whole)
    resumed = seisproc("resume", "out.seis", cwd=place.folder)
    assert resumed.code == 0, resumed.err
    assert names(place.folder) == {"line.sgy", "line.seis", "wrong.toml", "out.seis"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written(place: Place) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o500)
    check_refusal(place, ["import", "line.sgy", closed / "out.seis"], 77, r"closed/out\.seis: Permission denied")
    assert names(closed) == set()


def test_processor_that_raises(place: Place) -> None:
    """The job fails and names step, parameter and gather; no trace of zeros is ever written."""
    info = place / "site" / "failing-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[seisproc.plugins]\nfailing = failing_plugin\n")
    (place / "site" / "failing_plugin.py").write_text(FAILING_PLUGIN)
    steps = [{"use": "sort", "gather": ["cdp"]}, {"use": "fails", "cdp": 110}, {"use": "stack"}]
    before = names(place.folder) | {"wrong.toml"}
    for executor in ("processes", "in-process"):
        arguments = [*place.run(*steps), "--executor", executor]
        message = r"step 'fails' \(cdp=110\) failed on gather 8 \(.*cdp 110.*\): ZeroDivisionError: by zero"
        check_refusal(place, arguments, 1, message, PYTHONPATH=str(place / "site"))
        assert names(place.folder) == before


@pytest.mark.parametrize("segments", [0, 2])
def test_an_executor_that_cannot_be_had_costs_no_finished_work(tmp_path: Path, segments: int) -> None:
    """As when a cluster is down that an unfinished job should go on in; without finished work nothing is left."""
    segy = write_segy(tmp_path / "line.sgy", model_line(8, 12))
    wanted = flow({"segy": str(segy)}, [], {"survey": str(tmp_path / "out.seis"), "shard_traces": 16})

    class Lost:
        def run(self, task: Task, todo: Sequence[int], done: Callable[[Receipt], None]) -> None:
            for segment in todo[:segments]:
                done(task.run(segment, 1))
            raise UsageError("cannot join the cluster")

    with Engine(executor="in-process") as engine:
        engine._supervisor._executors["in-process"] = Lost()
        with pytest.raises(UsageError, match="cannot join"):
            engine.submit(wanted).result(60)
    assert len(WorkFolder.find(tmp_path / "out.seis")) == (segments > 0)
    with Engine(executor="in-process") as engine:
        engine.submit(wanted, resume=True).result(60)
    whole = attrs.evolve(wanted, sink=attrs.evolve(wanted.sink, path=str(tmp_path / "whole.seis")))
    assert contents(tmp_path / "out.seis") == contents(run(whole))
