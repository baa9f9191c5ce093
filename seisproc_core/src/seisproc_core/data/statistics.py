"""What a pass over all traces finds: ranges, rms, dead traces, header words; in the memory of one block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import Survey, blocks
from seisproc_core.data.words import DEAD, DEAD_REASONS, OWN_WORDS, canonical, unknown_word

_INTERNAL = frozenset(word.name for word in OWN_WORDS)


@attrs.define
class SampleStatistics:
    """Live samples of the traces seen so far; those of dead traces and outside live windows are not counted.

    Attributes
    ----------
    traces
        Seen, live and dead.
    dead
        Dead traces by reason, as `DEAD_REASONS` puts it.
    silent
        Traces that are not called dead but hold nothing but zeros in their live window.
    not_finite
        Live samples that are NaN or infinite; they are in none of the figures below.
    low, high
        Least and greatest sample.
    weakest, strongest
        Rms and row of the traces with the least and the greatest rms, silent ones left out.
    """

    traces: int = 0
    dead: dict[str, int] = attrs.field(factory=dict)
    silent: int = 0
    not_finite: int = 0
    samples: int = 0
    low: float = np.inf
    high: float = -np.inf
    total: float = 0.0
    squares: float = 0.0
    weakest: tuple[float, int] = (np.inf, -1)
    strongest: tuple[float, int] = (-np.inf, -1)

    def add(self, block: Gather) -> None:
        """Count the traces of a block, which are the next ones."""
        reasons = block.headers.columns[DEAD] if DEAD in block.headers else np.zeros(block.n_traces, np.uint8)
        for code, count in zip(*np.unique(reasons[reasons > 0], return_counts=True), strict=True):
            why = DEAD_REASONS.get(int(code), f"reason {code}")
            self.dead[why] = self.dead.get(why, 0) + int(count)
        first, end = block.live_window
        alive = reasons == 0
        counted = None  # all of it, as usual
        if (first > 0).any() or (end < block.n_samples).any() or not alive.all() or not _all_finite(block.traces):
            at = np.arange(block.n_samples)
            live = (at >= first[:, None]) & (at < end[:, None]) & alive[:, None]
            counted = live & np.isfinite(block.traces)
            self.not_finite += int(np.count_nonzero(live & ~counted))
        self._measure(block.traces, counted, alive)
        self.traces += block.n_traces

    def _measure(self, traces: np.ndarray, counted: np.ndarray | None, alive: np.ndarray) -> None:
        """Add the samples that are counted; all where that is None."""
        counts = np.full(len(traces), traces.shape[1]) if counted is None else counted.sum(axis=1)
        if not counts.any():
            self.silent += int(np.count_nonzero(alive))
            return
        where = True if counted is None else counted
        self.low = min(self.low, float(np.min(traces, where=where, initial=np.inf)))
        self.high = max(self.high, float(np.max(traces, where=where, initial=-np.inf)))
        values = traces if counted is None else np.where(counted, traces, 0)
        squares = np.einsum("ij,ij->i", values, values, dtype=np.float64)
        self.samples += int(counts.sum())
        self.total += float(values.sum(dtype=np.float64))
        self.squares += float(squares.sum())
        self.silent += int(np.count_nonzero(alive & (squares == 0)))
        sounding = np.flatnonzero(squares > 0)
        if sounding.size:
            rms = np.sqrt(squares[sounding] / counts[sounding])
            low, high = int(np.argmin(rms)), int(np.argmax(rms))
            self.weakest = min(self.weakest, (float(rms[low]), self.traces + int(sounding[low])))
            self.strongest = max(self.strongest, (float(rms[high]), self.traces + int(sounding[high])))

    def to_json(self) -> dict[str, Any]:
        """The figures as plain JSON values, None where there is none; traces are numbered from 1."""
        some = self.samples > 0
        return {
            "traces": self.traces,
            "dead_traces": sum(self.dead.values()),
            "dead_by_reason": dict(self.dead),
            "silent_traces": self.silent,
            "samples_not_finite": self.not_finite,
            "live_samples": self.samples,
            "min": self.low if some else None,
            "max": self.high if some else None,
            "mean": self.total / self.samples if some else None,
            "rms": float(np.sqrt(self.squares / self.samples)) if some else None,
            "weakest_trace": _trace(self.weakest),
            "strongest_trace": _trace(self.strongest),
        }


def _all_finite(traces: np.ndarray) -> bool:
    """Whether no sample is NaN or infinite; a sum in float64 of float32 numbers cannot become so by itself."""
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(traces.sum(dtype=np.float64)))


def _trace(found: tuple[float, int]) -> dict[str, Any] | None:
    rms, row = found
    return None if row < 0 else {"trace": row + 1, "rms": rms}


def survey_statistics(
    survey: Survey, words: Sequence[str] = (), told: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Read every trace once, in stored order, a few megabytes at a time.

    Parameters
    ----------
    words
        Header words whose ranges are wanted, by any of their names; all that are not 0 everywhere when empty.
    told
        Called after every block with the number of traces done.

    Returns
    -------
    dict
        ``samples``: the figures of `SampleStatistics`; ``words``: ``min`` and ``max`` as stored, by word.

    Raises
    ------
    HeaderError
        The survey lacks a word that was asked for.
    """
    chosen = [canonical(word) for word in words]
    samples = SampleStatistics()
    spans: dict[str, list[Any]] = {}
    for block in blocks(survey):
        samples.add(block)
        for name in chosen or block.headers:
            if name not in block.headers:
                raise unknown_word(name, sorted(block.headers))
            column = block.headers.column(name)
            _widen(spans.setdefault(name, [column[0], column[0]]), column)
        told(samples.traces)
    kept = {
        name: {"min": low.item(), "max": high.item()}
        for name, (low, high) in spans.items()
        if chosen or (name not in _INTERNAL and (low != 0 or high != 0))
    }
    return {"samples": samples.to_json(), "words": kept}


def _widen(span: list[Any], column: np.ndarray) -> None:
    span[:] = min(span[0], column.min()), max(span[1], column.max())
