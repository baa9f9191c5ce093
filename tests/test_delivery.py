"""Deliveries as a whole: order, selection, mute and grid on the way out, report and provenance beside the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import segyio
from integration_kit import model_line, write_segy

from seisproc_core import Flow, export_survey, import_survey, process
from seisproc_core.delivery import write_report
from seisproc_core.errors import DataError, OutputExists, UsageError


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modelled line without shot 3 and without a few channels of shot 5."""
    folder = tmp_path_factory.mktemp("line")
    line = model_line(shots=6, channels=8)
    shot, channel = line.words["field_record"], line.words["channel"]
    kept = line.reordered(np.flatnonzero((shot != 3) & ~((shot == 5) & (channel > 5))))
    import_survey(write_segy(folder / "line.sgy", kept), folder / "line.seis", executor="in-process")
    return folder / "line.seis"


def test_everything_at_once(survey: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out.sgy", tmp_path / "out.txt"
    seen: list[int] = []
    export_survey(
        survey, out, pad=("field_record", "channel"), where={"channel": [2, 8]},
        mute={"velocity_m_per_s": 2000.0, "time_ms": 40.0}, sidecar=True, report=report, renumber=True, format=3,
        scaling="survey", text={"client": "ACME", "polarity": "SEG NORMAL"}, executor="in-process",
        progress=lambda now: seen.append(now.done),
    )  # fmt: skip
    with segyio.open(out, ignore_geometry=True) as file:
        shot, channel, kind = (file.attributes(byte)[:] for byte in (9, 13, 29))
        assert list(zip(shot, channel, strict=True)) == [(s, c) for s in range(1, 7) for c in range(2, 9)]
        dead = (shot == 3) | ((shot == 5) & (channel > 5))
        assert np.array_equal(kind == 2, dead)
        stored = file.trace.raw[:]
        assert not stored[dead].any() and stored[~dead].any(axis=1).all() and np.abs(stored).max() > 16000
        offset, times = file.attributes(37)[:], file.samples / 1000
        muted = times[None, :] < 0.038 + np.abs(offset)[:, None] / 2000
        assert not stored[muted].any()
        assert file.attributes(1)[:].tolist() == list(range(1, 43))
        text = segyio.tools.wrap(file.text[0])
    for part in ("CLIENT: ACME", "SEG NORMAL", "SORTED BY: FIELD_RECORD, CHANNEL", "SELECT", "MUTE", "PAD LINE"):
        assert part in text, part
    assert seen[-1] == 37
    found = json.loads((tmp_path / "out.txt.json").read_text())
    assert found["problems"] == [] and found["traces"] == 42 and found["dead_traces"] == int(dead.sum())
    assert found["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert "no problem found" in report.read_text()
    beside = json.loads((tmp_path / "out.sgy.provenance.json").read_text())
    assert beside["sha256"] == found["sha256"] and beside["size"] == out.stat().st_size
    assert [step["use"] for step in beside["history"]] == ["sort", "select", "mute", "pad"]
    assert beside["inputs"][0]["path"] == str(survey)


def test_order_and_expressions(survey: Path, tmp_path: Path) -> None:
    export_survey(
        survey, tmp_path / "a.sgy", gather=["cdp"], sort=["-offset"], where="cdp <= 110", executor="in-process"
    )
    with segyio.open(tmp_path / "a.sgy", ignore_geometry=True) as file:
        cdp, offset = file.attributes(21)[:], file.attributes(37)[:]
        fold = np.unique(cdp, return_counts=True)[1].max()
        assert cdp.max() <= 110 and file.bin[segyio.BinField.SortingCode] == 2
        assert file.bin[segyio.BinField.EnsembleFold] == file.bin[segyio.BinField.Traces] == fold
    assert np.array_equal(np.lexsort((-offset, cdp)), np.arange(len(cdp)))


def test_a_selection_keeps_the_samples_of_the_file(survey: Path, tmp_path: Path) -> None:
    export_survey(survey, tmp_path / "a.sgy", where={"field_record": [2, 2]}, executor="in-process")
    whole, part = survey.with_suffix(".sgy").read_bytes(), (tmp_path / "a.sgy").read_bytes()
    assert part[3600:] in whole


def test_what_exists_is_not_overwritten(survey: Path, tmp_path: Path) -> None:
    for name, options in (
        ("out.sgy.provenance.json", {"sidecar": True}),
        ("r.txt.json", {"report": tmp_path / "r.txt"}),
    ):
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputExists):
            export_survey(survey, tmp_path / "out.sgy", executor="in-process", **options)  # type: ignore[arg-type]
        assert (tmp_path / name).read_text() == "mine" and not (tmp_path / "out.sgy").exists()
        export_survey(survey, tmp_path / "out.sgy", executor="in-process", replace=True, **options)  # type: ignore[arg-type]
        (tmp_path / "out.sgy").unlink()
    with pytest.raises(UsageError, match="no processor|has one or two words"):
        export_survey(survey, tmp_path / "b.sgy", pad=["inline", "crossline", "cdp"], executor="in-process")


def test_a_report_with_problems_is_an_error(survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import seisproc_segy.report as reports

    monkeypatch.setattr(reports, "_IBM_ROUNDING", -1.0)  # nothing is good enough
    monkeypatch.setattr(reports, "_ROUNDED_TO_FLOAT32", -1.0)
    with pytest.raises(DataError, match=r"the check of .*a.sgy found: samples of \d+ traces differ"):
        export_survey(
            survey, tmp_path / "a.sgy", format=3, scaling="trace", report=tmp_path / "a.json", executor="in-process"
        )
    assert json.loads((tmp_path / "a.json").read_text())["problems"] and not (tmp_path / "a.txt").exists()


def test_the_report_of_a_flow_with_a_sort(survey: Path, tmp_path: Path) -> None:
    flow = tmp_path / "deliver.toml"
    flow.write_text(
        f'[source]\nsurvey = "{survey}"\ngather = ["field_record"]\n[[step]]\nuse = "agc"\n'
        '[[step]]\nuse = "sort"\ngather = ["cdp"]\nsort = ["offset"]\n[[step]]\nuse = "stack"\n'
        f'[sink]\nsegy = "{tmp_path / "stack.sgy"}"\n'
    )
    report = tmp_path / "stack.json"
    process(flow, executor="in-process", report=report)
    found = json.loads(report.read_text())
    with segyio.open(tmp_path / "stack.sgy", ignore_geometry=True) as file:
        assert found["traces"] == file.tracecount == len(np.unique(file.attributes(21)[:]))
        assert found["sample_range"][1] == pytest.approx(float(file.trace.raw[:].max()))
    assert found["problems"] == [] and found["words"]["cdp"]["differing"] == 0
    assert not [path for path in tmp_path.iterdir() if "check" in path.name]
    content = bytearray((tmp_path / "stack.sgy").read_bytes())
    content[3600 + 240 + 40] ^= 0x40
    (tmp_path / "stack.sgy").write_bytes(content)
    assert "samples of 1 traces differ" in write_report(Flow.load(flow), report, executor="in-process")["problems"][0]


def test_no_report_of_what_is_no_file(survey: Path, tmp_path: Path) -> None:
    flow = tmp_path / "flow.toml"
    flow.write_text(f'[source]\nsurvey = "{survey}"\n[sink]\nsurvey = "{tmp_path / "out.seis"}"\n')
    with pytest.raises(UsageError, match="no check report for outputs of format survey"):
        process(flow, executor="in-process", report=tmp_path / "a.txt")
    assert not (tmp_path / "out.seis").exists()
