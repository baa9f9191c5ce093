"""The picture of a parameter test: panels side by side at one gain, their differences and spectra below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisproc_core.errors import UsageError
from seisproc_qc.measures import amplitude_spectrum
from seisproc_qc.pictures import picture_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from seisproc_qc.trials import Trial

MOST_PANELS = 24


def save_trials(trials: Sequence[Trial], path: Path, *, word: str, clip_percent: float = 98.0) -> None:
    """Draw trials side by side.

    Parameters
    ----------
    word
        Header word along the horizontal axis.
    clip_percent
        This share of the live samples of all panels together lies inside the grey scale that all of them, and the
        differences, share.

    Raises
    ------
    UsageError
        There are too many panels, or the name is not that of a picture.
    """
    from seisproc_terminal.figures import clip_level, draw

    if len(trials) > MOST_PANELS:
        raise UsageError(f"{len(trials)} panels are too many to see; at most {MOST_PANELS} are drawn")
    level = float(np.median([clip_level(trial.gather, clip_percent) for trial in trials]))
    differ = any(trial.difference is not None for trial in trials)
    heights = (5, 5, 2.6) if differ else (5, 2.6)
    width = max(8.0, min(3.2 * len(trials) + 0.8, 48.0))
    with picture_of(path, width, 1.2 * sum(heights)) as figure:
        axes = figure.subplots(len(heights), len(trials), squeeze=False, height_ratios=heights)
        for number, trial in enumerate(trials):
            draw(axes[0][number], trial.gather, word=word, level=level)
            axes[0][number].set_title(trial.title, fontsize=10)
            if differ:
                _difference(axes[1][number], trial, trials[0], word, level)
            _spectrum(axes[-1][number], trial, trials[0])
            for axis in axes[:, number] if number else ():
                axis.set_ylabel("")
        top = max(axis.get_ylim()[1] for axis in axes[-1])
        for axis in axes[-1]:
            axis.set_ylim(0, top)


def _difference(axis: Axes, trial: Trial, other: Trial, word: str, level: float) -> None:
    from seisproc_terminal.figures import draw

    if trial.difference is None:
        axis.axis("off")
        note = "differences are taken\nagainst this panel" if trial is other else "rows or samples do not\ncorrespond"
        axis.text(0.5, 0.5, note, ha="center", va="center", fontsize=9, color="#666666", transform=axis.transAxes)
        return
    draw(axis, trial.difference, word=word, level=level)
    figures = trial.figures
    change = "" if figures["change_percent"] is None else f"{figures['change_percent']:.3g} %, "
    axis.set_title(f"difference: {change}leakage {figures['leakage']:.2f}", fontsize=9)


def _spectrum(axis: Axes, trial: Trial, other: Trial) -> None:
    if trial is not other:
        axis.plot(*amplitude_spectrum(other.gather), color="#bbbbbb", linewidth=1)
    frequency, amplitude = amplitude_spectrum(trial.gather)
    axis.plot(frequency, amplitude, color="#1b1b1b", linewidth=1)
    figures = trial.figures
    axis.set_title(f"rms {figures['rms']:.3g}, dominant {figures['dominant_hz']:.3g} Hz", fontsize=9)
    axis.set_xlim(0, frequency[-1])
    axis.set_xlabel("frequency (Hz)")
    axis.set_ylabel("amplitude")
