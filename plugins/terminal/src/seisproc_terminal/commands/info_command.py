"""``seisproc info``: what is in a file or survey."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.data.formats import format_of, function_of, kept_text, open_survey
from seisproc_core.errors import UsageError
from seisproc_terminal import output
from seisproc_terminal.options import as_typed, given, json_option, reading_options, words_of

if TYPE_CHECKING:
    from seisproc_core.data.headers import Headers
    from seisproc_core.data.survey import Survey

_MAX_RECORD = 64 << 20
_BLOCKS = ("text", "extended_text", "words", "provenance", "reasons", "findings", "statistics")


@click.command(short_help="Show what is in a file or survey.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--stats", is_flag=True, help="Read all traces: range and rms of samples, dead traces, header words.")
@click.option("--words", metavar="WORD,WORD", help="With --stats: ranges of these words.  [default: all in use]")
@reading_options
@json_option
def command(files: tuple[Path, ...], stats: bool, words: str | None, as_json: bool, **overrides: Any) -> None:
    """Show what is in FILES: SEG-Y or SU files, or survey folders.

    Of a field file: format, byte order, sampling, text header, and what is odd about it. Of a survey: size, sampling,
    ranges of its header words, and the steps that made it. The files are only read.

    --stats reads every trace once, in the memory of a few megabytes; samples outside live windows and of dead traces
    are not counted.

    \b
    Examples:
      seisproc info shots.sgy
      seisproc info line.seis stack.seis
      seisproc info old.sgy --endian little --json
      seisproc info stack.seis --stats --words cdp,fold
    """
    if words and not stats:
        raise UsageError("--words chooses what --stats looks at; add --stats")
    options = given(overrides)
    described = [_describe(path, options) for path in files]
    if stats:
        chosen = () if words in (None, "all") else words_of(str(words))
        for facts in described:
            facts.update(_statistics(Path(facts["path"]), options, chosen, shown=not as_json))
    if as_json:
        output.document({"files": described})
        return
    for number, facts in enumerate(described):
        if number:
            output.show()
        _print(facts)


def _describe(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Facts of one file, as its format describes them, or as far as any survey can be described."""
    entry = format_of(path)
    describe = function_of(entry, "describe")
    if describe is not None:
        return {"path": str(path), **describe(str(path), **options)}
    return {"path": str(path), "kind": entry.id, **_survey_facts(open_survey(path, options)), **_folder_facts(path)}


def _statistics(path: Path, options: dict[str, Any], words: tuple[str, ...], *, shown: bool) -> dict[str, Any]:
    """What a pass over all traces finds, with a progress bar on a terminal."""
    from seisproc_core.data.statistics import survey_statistics
    from seisproc_terminal.progress_bar import reading_bar

    survey = _opened(path, options)
    with reading_bar(survey.n_traces, shown=shown) as told:
        found = survey_statistics(survey, words, told)
    return {"statistics": found["samples"], "words": found["words"]}


def _opened(path: Path, options: dict[str, Any]) -> Survey:
    """Open a survey to look at: none is refused for NaN, whose traces count as dead, or for traces of several lengths.

    Not every format has these options.
    """
    for milder in ({"nan": "kill", "lengths": "pad", "delays": "pad"}, {"nan": "kill"}):
        with contextlib.suppress(UsageError):
            return open_survey(path, {**milder, **options})
    return open_survey(path, options)


def _survey_facts(survey: Survey) -> dict[str, Any]:
    from seisproc_core.data.stored_order import stored_order

    sampling = survey.sampling
    headers = survey.headers()
    words = {}
    for name in headers:
        column = headers.column(name)
        if len(column) and column.any():
            words[name] = {"min": column.min().item(), "max": column.max().item()}
    order = stored_order(headers)
    scale, unit = (1e3, "ms") if sampling.domain == "time" else (1.0, "m")
    return {
        "traces": survey.n_traces,
        "samples": sampling.count,
        f"interval_{unit}": round(sampling.interval_s * scale, 9),
        f"start_{unit}": round(sampling.start_s * scale, 9),
        "length_unit": survey.info.length_unit,
        **({} if survey.info.datum is None else {"datum": str(survey.info.datum)}),
        "sorted_by": ", ".join(order.sorted_by) or "no word",
        "gathers_together": ", ".join(order.contiguous) or "of no word",
        **_spacing(headers),
        "words": words,
        "text": kept_text(survey.info),
        "findings": list(survey.notes),
    }


def _spacing(headers: Headers) -> dict[str, str]:
    from seisproc_core.data.spacing import trace_spacing

    found = trace_spacing(headers)
    if found is None:
        return {}
    usual, least, greatest = (f"{value:.6g}" for value in (found.usual, found.least, found.greatest))
    about = "" if least == greatest else f", mostly {least} to {greatest} m"
    return {"trace_spacing": f"{usual} m between {found.between}{about}"}


def _folder_facts(path: Path) -> dict[str, Any]:
    """What the manifest and the provenance record of a finished survey say."""
    from seisproc_core.jobs.provenance import PROVENANCE
    from seisproc_core.jobs.workfolder import MANIFEST

    manifest = _record(path / MANIFEST)
    provenance = _record(path / PROVENANCE)
    if not manifest:
        return {"sealed": False}
    flow = provenance.get("flow", {})
    times = provenance.get("times", {})
    return {
        "sealed": True,
        "size": sum(entry[0] for entry in manifest["pieces"].values()),
        "root": manifest.get("root"),
        "index": flow.get("sink", {}).get("index", []),
        "provenance": {
            "flow": flow.get("name"),
            "inputs": [item.get("path") for item in provenance.get("inputs", [])],
            "steps": [step.get("use") for step in flow.get("steps", [])],
            "versions": provenance.get("versions", {}),
            "job": provenance.get("job"),
            "finished": times.get("finished"),
        },
    }


def _record(path: Path) -> dict[str, Any]:
    """A JSON object beside the data; empty where there is none or it cannot be read (`verify` says why)."""
    try:
        if path.stat().st_size > _MAX_RECORD:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _print(facts: dict[str, Any]) -> None:
    rest = dict(facts)
    output.show(rest.pop("path"))
    blocks = {name: rest.pop(name, None) for name in _BLOCKS}
    index = [", ".join(keys) for keys in rest.pop("index", [])]
    if "size" in rest:
        rest["size"] = output.size(rest["size"])
    output.fields({**rest, "index": "; ".join(index)}, indent="  ")
    _print_provenance(blocks["provenance"])
    _print_statistics(blocks["statistics"])
    if blocks["words"]:
        rows = [(name, span["min"], span["max"]) for name, span in blocks["words"].items()]
        output.table(("word", "min", "max"), rows, indent="  ")
    for line in blocks["text"] or []:
        if not re.fullmatch(r"(C ?\d*)?\s*", line):  # cards that hold nothing but their number
            output.show(f"  | {line}".rstrip())
    for record in blocks["extended_text"] or []:
        for line in record:
            output.show(f"  + {line}".rstrip())
    for decision, reason in (blocks["reasons"] or {}).items():
        value = facts.get({"interval": "interval_ms"}.get(decision, decision), "")
        output.show(f"  found: {decision.replace('_', ' ')} {value}: {as_typed(reason)}")
    for finding in blocks["findings"] or []:
        output.show(f"  note: {as_typed(finding)}")


def _print_statistics(found: dict[str, Any] | None) -> None:
    if not found:
        return
    dead = ", ".join(f"{count:,} {why}" for why, count in found["dead_by_reason"].items())
    ends = {name: found[f"{name}_trace"] for name in ("weakest", "strongest")}
    output.fields(
        {
            "dead traces": f"{found['dead_traces']:,}" + (f": {dead}" if dead else ""),
            "silent traces": f"{found['silent_traces']:,}",
            "NaN, infinite": found["samples_not_finite"] or None,
            "live samples": f"{found['live_samples']:,}",
            "samples from": found["min"],
            "samples to": found["max"],
            "mean": found["mean"],
            "rms": found["rms"],
            **{f"{name} trace": end and f"{end['trace']:,}, rms {end['rms']:.6g}" for name, end in ends.items()},
        },
        indent="  ",
    )


def _print_provenance(made: dict[str, Any] | None) -> None:
    if not made:
        return
    output.fields(
        {
            "made by": made["flow"],
            "from": ", ".join(map(str, made["inputs"])),
            "steps": " > ".join(map(str, made["steps"])),
            "versions": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        },
        indent="  ",
    )
