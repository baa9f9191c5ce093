"""The two stories of the demonstration: a modelled line, and files of the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from seisproc.demo import variants
from seisproc.demo.checks import Expected, Row, check_field_line, check_modelled_line
from seisproc.demo.session import Session
from seisproc_core.data.formats import format_of, function_of, open_survey
from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import Survey
from seisproc_core.delivery import export_flow
from seisproc_core.errors import FlowError, UsageError
from seisproc_core.processing.flow import Flow
from seisproc_core.transfers import import_flow
from seisproc_terminal import output

_HERE = Path(__file__).parent
_MOST_DRAWN = 400
_BLOCK = 4 << 20


def modelled_story(session: Session) -> list[Row]:
    """Model a line, process it, and hold the stack to the model."""
    from seisproc.demo.modelling import model_line
    from seisproc.demo.segy_file import write_segy

    field = session.path("line.sgy")
    with session.step("model a line, write SEG-Y", field):
        model = model_line()
        write_segy(model, field)
    session.steps[-1] = attrs.evolve(session.steps[-1], traces=len(model.traces))
    flow = _read_flow(_HERE / "line.toml")
    line, stack, checks = _process(session, [field], flow, _HERE, "line")
    gathers = _before_stack(session, flow, _HERE, line, "gathers.seis")
    display = _read_flow(_HERE / "display.toml")
    shown = session.path("display.seis")
    session.job("gain for display", _flow(display, _HERE, stack, shown, "display"))
    _draw(session, line, gathers, shown, "line", "modelled line: stack")
    return checks + check_modelled_line(_all_of(stack), model.flat_parts, model.wavelet_hz)


def field_story(session: Session, files: Sequence[Path], flow_file: Path | None) -> list[Row]:
    """Process a user's files with a flow, and hold the stack to what is stated beside the flow."""
    flow_file = flow_file or _HERE / "field_line.toml"
    flow = _read_flow(flow_file)
    base, name = flow_file.parent, flow_file.stem
    line, stack, checks = _process(session, files, flow, base, name)
    stated = flow_file.with_name(f"{flow_file.stem}.checks.toml")
    if not any(step.get("use") == "stack" for step in flow["step"]):
        return checks
    gathers = _before_stack(session, flow, base, line, "gathers.seis")
    _draw(session, line, gathers, stack, name, f"{name}: stack")
    if not stated.is_file():
        output.remark(f"what the stack must show is not stated in {stated}: only the export was checked")
        return checks
    expected = Expected.load(stated)
    unweighted = _before_stack(session, variants.unweighted(flow), base, line, "unweighted.seis")
    slower = _before_stack(session, variants.at_other_velocities(flow, expected.slower), base, line, "slower.seis")
    measured = check_field_line(
        expected, _all_of(line), _all_of(stack), *(_gathers_of(path) for path in (gathers, unweighted, slower))
    )
    return checks + measured


def _process(
    session: Session, files: Sequence[Path], flow: Mapping[str, Any], base: Path, name: str
) -> tuple[Path, Path, list[Row]]:
    """What a user does: look, import, run the flow, export. Returns the imported survey, the stack, and the check that
    an untouched survey exports to the bytes it came from."""
    with session.step("look at the input", files[0].name if len(files) == 1 else f"{len(files)} files"):
        _look(files)
    line, stack = session.path(f"{name}.seis"), session.path(f"{name}-stack.seis")
    how = dict(flow.get("import", {}))
    compute = how.pop("compute", [])
    session.job("import", import_flow(files, line, how, (("cdp",),), compute=compute), "import")
    session.job("run the flow", _flow(flow, base, line, stack, name))
    session.job("export the stack", export_flow(stack, session.path(f"{name}-stack.sgy"), {}), "export")
    back = session.comparison("back.sgy")
    session.job("export the import", export_flow(line, back, {}), "export")
    return line, stack, [_same_bytes(files, back)]


def _look(files: Sequence[Path]) -> None:
    """What ``seisproc info`` shows, in one line per file."""
    for path in files:
        facts = _facts(path)
        output.remark(
            f"  {path.name}: {facts['traces']:,} traces of {facts['samples']} samples, {facts['interval_ms']:g} ms, "
            f"from {facts['start_ms']:g} ms, {facts['format_name']}"
        )


def _facts(path: Path) -> dict[str, Any]:
    describe = function_of(format_of(path), "describe")
    if describe is None:
        raise UsageError(f"{path}: the demo starts from SEG-Y or SU files")
    facts: dict[str, Any] = describe(str(path))
    return facts


def _read_flow(path: Path) -> dict[str, Any]:
    """The tables of a flow file, after it was found to be a flow that reads and writes a survey."""
    Flow.load(path)
    flow = tomllib.loads(path.read_text("utf-8"))
    if "survey" not in flow["source"] or "survey" not in flow["sink"] or not flow.get("step"):
        raise FlowError(f'{path}: the demo needs [source] survey = "...", steps, and [sink] survey = "..."')
    return flow


def _flow(tables: Mapping[str, Any], base: Path, source: Path, sink: Path, name: str) -> Flow:
    """A flow from one survey to another, whatever paths its tables name."""
    placed = {
        **tables,
        "source": {**tables["source"], "survey": str(source)},
        "sink": {**tables["sink"], "survey": str(sink)},
    }
    return Flow.parse(placed, base=base, name=name)


def _before_stack(session: Session, flow: Mapping[str, Any], base: Path, line: Path, name: str) -> Path:
    """The gathers just before the stack, as a survey."""
    path = session.comparison(name)
    tables = variants.before(flow, "stack", str(path))
    session.job(f"for comparison: {path.stem}", _flow(tables, base, line, path, path.stem))
    return path


def _same_bytes(files: Sequence[Path], exported: Path) -> Row:
    """The export against the inputs: the first file, then the traces of the others."""
    same = True
    with exported.open("rb") as back:
        for number, path in enumerate(files):
            with path.open("rb") as original:
                if number:
                    original.seek(_file_header_bytes(path))
                while part := original.read(_BLOCK):
                    same = same and back.read(len(part)) == part
        same = same and not back.read(1)
    return Row(
        "untouched import, exported", "the same bytes" if same else "other bytes", "the bytes of the input", same
    )


def _file_header_bytes(path: Path) -> int:
    facts = _facts(path)
    return 0 if facts["kind"] == "su" else 3600 + 3200 * len(facts["extended_text"])


def _draw(session: Session, line: Path, gathers: Path, section: Path, name: str, title: str) -> None:
    from seisproc.demo.pictures import draw_gathers, draw_section

    before, after = open_survey(line), open_survey(gathers)
    cdp = _fullest(after)
    pictures = [session.path(f"{name}-gather.png"), session.path(f"{name}-stack.png")]
    with session.step("draw pictures", ", ".join(path.name for path in pictures)):
        draw_gathers(_gather_at(before, cdp), _gather_at(after, cdp), pictures[0])
        draw_section(_all_of(section), pictures[1], title=title)


def _fullest(survey: Survey) -> int:
    """The CDP with the most traces; of several, the middle one."""
    cdps, counts = np.unique(survey.headers().column("cdp"), return_counts=True)
    best = cdps[counts == counts.max()]
    return int(best[len(best) // 2])


def _gather_at(survey: Survey, cdp: int) -> Gather:
    """The traces of one CDP by offset."""
    headers = survey.headers()
    rows = np.flatnonzero(headers.column("cdp") == cdp)
    rows = rows[np.argsort(headers.column("offset")[rows], kind="stable")]
    return survey.read(rows[:_MOST_DRAWN])


def _all_of(path: Path) -> Gather:
    survey = open_survey(path)
    return survey.read(slice(0, survey.n_traces))


def _gathers_of(path: Path) -> Gather:
    """All traces of a survey stored CDP by CDP, as a batch of gathers."""
    whole = _all_of(path)
    cdp = whole.headers.column("cdp")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(cdp)) + 1, [whole.n_traces]))
    return attrs.evolve(whole, gather_starts=starts.astype(np.int64))
