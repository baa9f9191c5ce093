"""A velocity spectrum with its picks beside the gather it was made of."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from seisproc_core.data.formats import open_survey
from seisproc_core.data.gather import Gather
from seisproc_core.errors import UsageError
from seisproc_velocity.picking import Picks, pick_velocities
from seisproc_velocity.semblance import Measure, velocity_spectrum

MOST_TRACES = 2000
MOST_VELOCITIES = 1000


@attrs.frozen(kw_only=True, eq=False)
class Analysed:
    """A gather sorted by offset, its spectrum ``(n_velocities, n_samples)`` over velocities, and picks."""

    gather: Gather
    velocities: np.ndarray
    spectrum: np.ndarray
    picks: Picks
    title: str
    measure: str


def analysed(
    path: Path, where: str, trials: tuple[float, float, float], *, window_ms: float, measure: Measure, least: float
) -> Analysed:
    """Read the traces with the header values of ``word=value,word=value`` and make their spectrum.

    Parameters
    ----------
    trials
        Lowest and highest velocity and the step, m/s.
    least
        See `pick_velocities`; for ``stack_power`` a share of the largest value.
    """
    first, last, step = trials
    if last < first or (last - first) / step >= MOST_VELOCITIES:
        raise UsageError(f"velocities from {first:g} to {last:g} by {step:g} m/s: 1 to {MOST_VELOCITIES} are needed")
    velocities = np.arange(first, last + step * 1e-9, step)
    survey = open_survey(path)
    headers = survey.headers()
    keep = np.ones(survey.n_traces, bool)
    for condition in where.split(","):
        word, _, value = condition.partition("=")
        try:
            keep &= headers.column(word.strip()) == float(value)
        except ValueError:
            raise UsageError(f"--gather {where}: write word=value, e.g. cdp=400") from None
    rows = np.flatnonzero(keep)
    if not 0 < rows.size <= MOST_TRACES:
        raise UsageError(f"{rows.size} traces have {where}; a gather of 1 to {MOST_TRACES} traces is needed")
    offset = headers.take(rows)["offset"]
    gather = survey.read(rows[np.argsort(np.abs(offset), kind="stable")])
    spectrum = velocity_spectrum(gather, velocities, window_ms=window_ms, measure=measure)
    scale = float(spectrum.max()) if measure == "stack_power" and spectrum.any() else 1.0
    picks = pick_velocities(spectrum / scale, velocities, gather.sampling.times(), least=least)
    return Analysed(gather=gather, velocities=velocities, spectrum=spectrum, picks=picks, title=where, measure=measure)


def save_picture(found: Analysed, picture: Path) -> None:
    """Draw beside the picture and rename, so that a failure leaves no half of one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from seisproc_terminal.figures import check_suffix, draw, whole_picture

    check_suffix(picture)
    figure = Figure(figsize=(12, 8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    sampling = found.gather.sampling
    top, bottom = sampling.start_s * 1000, sampling.end_s * 1000
    edges = (float(found.velocities[0]), float(found.velocities[-1]), bottom, top)
    image = left.imshow(found.spectrum.T, aspect="auto", cmap="viridis", extent=edges, vmin=0)
    figure.colorbar(image, ax=left, label=found.measure.replace("_", " "), shrink=0.6)
    left.plot(found.picks.rms_m_per_s, found.picks.times_s * 1000, "o-", color="white", markeredgecolor="black")
    left.set_xlabel("velocity (m/s)")
    left.set_ylabel("time (ms)")
    left.set_title(found.title)
    draw(right, found.gather, word="offset")
    right.set_ylabel("")
    with whole_picture(picture) as fresh:
        figure.savefig(fresh)
