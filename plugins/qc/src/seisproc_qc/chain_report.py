"""The report of a chain: one HTML file that needs no other, with pictures and figures of every step."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisproc_core.errors import OutputExists, UsageError
from seisproc_core.jobs.durable import whole_file
from seisproc_qc.chain import Chain, Link
from seisproc_qc.measures import amplitude_spectrum, autocorrelation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = (
    ("step", ""), ("traces", "traces_after"), ("rms before", "rms_before"), ("rms after", "rms_after"),
    ("Hz before", "dominant_hz_before"), ("Hz after", "dominant_hz_after"), ("change, %", "change_percent"),
    ("leakage", "leakage"),
)  # fmt: skip
_STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 1300px; padding: 0 1em; color: #1b1b1b }
table { border-collapse: collapse; margin: 1em 0 } td, th { border-bottom: 1px solid #ddd; padding: .3em .8em; text-align: right }
td:first-child, th:first-child { text-align: left } img { max-width: 100% } .note { color: #666 } code { color: #444 }
"""  # noqa: E501


def check_report(path: Path, *, replace: bool) -> None:
    """Refuse a name that is not a report's, or one that is taken."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path}: a report's name ends in .html")
    if os.path.lexists(path) and not replace:
        raise OutputExists(f"{path} exists; choose another --out, or --replace it")


def save_report(chain: Chain, path: Path, *, word: str | None = None, clip_percent: float = 98.0) -> None:
    """Write the report; it appears when it is whole.

    Parameters
    ----------
    word
        Header word along the horizontal axes; one that varies by default.
    clip_percent
        This share of the live samples before a step lies inside the grey scale that all three panels of it share.
    """
    text = "\n".join(_parts(chain, word, clip_percent))
    with whole_file(path) as fresh:
        fresh.write_text(text, "utf-8")


def _parts(chain: Chain, word: str | None, clip_percent: float) -> Iterator[str]:
    title = f"{escape(chain.flow)}: quality control"
    yield f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
    yield f'<p class="note">{time.strftime("%Y-%m-%d %H:%M")}, {chain.whole.before.n_traces} traces in '
    yield f"{chain.whole.before.n_gathers} gathers</p>"
    sections = [*chain.links]
    if len(chain.links) > 1:
        sections.append(chain.whole)
    if chain.stacks is not None:
        sections.append(chain.stacks)
    yield _table(sections)
    yield (
        '<p class="note">rms of live samples; Hz: peak of the smoothed mean power spectrum; change: rms of the '
        "difference over rms before; leakage: share of the difference that looks like what is left, 0 to 1.</p>"
    )
    for number, link in enumerate(sections, 1):
        parameters = f" <code>{escape(link.parameters)}</code>" if link.parameters else ""
        yield f'<h2 id="s{number}">{number}. {escape(link.title)}{parameters}</h2>'
        yield f'<img alt="{escape(link.title)}" src="data:image/png;base64,{_picture(link, word, clip_percent)}">'
    yield "</body></html>"


def _table(links: list[Link]) -> str:
    head = "".join(f"<th>{title}</th>" for title, _ in _COLUMNS)
    rows = []
    for number, link in enumerate(links, 1):
        name = f'<td><a href="#s{number}">{number}. {escape(link.title)}</a></td>'
        cells = "".join(f"<td>{_number(link.figures[key])}</td>" for _, key in _COLUMNS[1:])
        rows.append(f"<tr>{name}{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _picture(link: Link, word: str | None, clip_percent: float) -> str:
    """Before, after and difference at one gain, with spectra and autocorrelations below: PNG in base64."""
    from seisproc_terminal.figures import axis_of, clip_level, draw

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("pictures need matplotlib: pip install 'seisproc-qc[commands]'") from error
    figure = Figure(figsize=(13, 8), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(5, 2.4))[:, 0]
    panels = [("before", link.before), ("after", link.after)]
    panels += [("after - before", link.difference)] if link.difference is not None else []
    shared = _one_scale(link)
    level = clip_level(link.before, clip_percent)
    for axis, (title, gather) in zip(np.atleast_1d(above.subplots(1, len(panels))), panels, strict=True):
        along = word if word and word in gather.headers else axis_of(gather)
        own = gather is link.after and not shared
        draw(axis, gather, word=along, level=clip_level(gather, clip_percent) if own else level)
        axis.set_title(f"{title} (a scale of its own)" if own else title, fontsize=10)
    spectra, correlations = below.subplots(1, 2)
    for colour, (title, gather) in zip(("#999999", "#1b1b1b"), panels[:2], strict=True):
        frequency, amplitude = amplitude_spectrum(gather)
        unit = 1.0 if shared else max(float(amplitude.max(initial=0)), 1e-30)
        spectra.plot(frequency, amplitude / unit, color=colour, linewidth=1, label=title)
        lag, correlation = autocorrelation(gather)
        correlations.plot(1000 * lag, correlation, color=colour, linewidth=1, label=title)
    _label(spectra, "frequency (Hz)", "amplitude spectrum" if shared else "amplitude spectrum, over its largest value")
    _label(correlations, "lag (ms)", "autocorrelation")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def _one_scale(link: Link) -> bool:
    """Whether before and after can be seen on one scale of amplitudes: not where a gain lies between."""
    before, after = link.figures["rms_before"], link.figures["rms_after"]
    return link.difference is not None and before / 5 < after < 5 * before


def _label(axis: Axes, along: str, title: str) -> None:
    axis.set_xlabel(along)
    axis.set_title(title, fontsize=10)
    axis.margins(x=0)
    axis.legend(fontsize=8, frameon=False)
