"""Gathers: traces with their headers and sampling, laid end to end in a batch."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from seisproc_core.data.datum import Datum
from seisproc_core.data.headers import Headers
from seisproc_core.data.sampling import Sampling


def _one_gather(layout: Layout) -> np.ndarray:
    return np.array([0, len(layout.headers)], np.int64)


@attrs.frozen(eq=False, kw_only=True)
class Layout:
    """Gathers without their samples: all that planning needs.

    Attributes
    ----------
    headers
        Header words of all traces.
    sampling
        The sample axis they share.
    gather_starts
        First row of each gather and the row count: int64, shape ``(gathers + 1,)``.
    files
        Names of the input files, by the file number in `trace_id`; known while planning only.
    datum
        What statics moved times to, known while planning only; a step that moves them says so in its plan.
    """

    headers: Headers
    sampling: Sampling
    gather_starts: np.ndarray = attrs.field(default=attrs.Factory(_one_gather, takes_self=True))
    files: tuple[str, ...] = ()
    datum: Datum | None = None

    @property
    def n_traces(self) -> int:
        return self.headers.count

    @property
    def n_samples(self) -> int:
        return self.sampling.count

    @property
    def n_gathers(self) -> int:
        return len(self.gather_starts) - 1

    @property
    def gather_of(self) -> np.ndarray:
        """Gather number of every trace, int64 ``(n_traces,)``."""
        return np.repeat(np.arange(self.n_gathers), np.diff(self.gather_starts))

    @property
    def live_window(self) -> tuple[np.ndarray, np.ndarray]:
        """First live sample and one past the last of every trace, int64 each."""
        return self.headers.live_window(self.n_samples)

    def kept_rows(self, keep: np.ndarray) -> np.ndarray:
        """`gather_starts` after dropping the rows where the boolean `keep` is False."""
        kept: np.ndarray = np.concatenate(([0], np.cumsum(keep)))[self.gather_starts]
        return kept

    def one_trace_per_gather(self, headers: Headers) -> Layout:
        """The layout after each non-empty gather became one trace."""
        starts = np.concatenate(([0], np.cumsum(np.diff(self.gather_starts) > 0)))
        return Layout(headers=headers, sampling=self.sampling, gather_starts=starts)


@attrs.frozen(eq=False, kw_only=True)
class Gather(Layout):
    """One gather, or a batch of gathers laid end to end; a gather is a batch of one.

    Attributes
    ----------
    traces
        Samples: float32, C-contiguous, shape ``(n_traces, n_samples)``. Read-only for processors.
    raw_samples
        Samples as the input file encodes them, uint8 ``(n_traces, bytes)``, where float32 cannot hold them; gone as
        soon as a step changes samples. A row of zeros was not kept: float32 holds it, and its bytes follow from
        `traces` (zero bytes are zero in every format).
    """

    traces: np.ndarray
    raw_samples: np.ndarray | None = None

    def __attrs_post_init__(self) -> None:
        shape = (self.headers.count, self.sampling.count)
        if self.traces.shape != shape:
            raise ValueError(f"traces have shape {self.traces.shape}, headers and sampling say {shape}")
        if self.traces.dtype != np.float32 or not self.traces.flags.c_contiguous:
            raise ValueError("traces must be C-contiguous float32")

    @property
    def layout(self) -> Layout:
        return Layout(headers=self.headers, sampling=self.sampling, gather_starts=self.gather_starts)

    def with_traces(self, traces: np.ndarray, *, headers: Headers | None = None) -> Gather:
        """The same gathers with new samples of the same shape (and, if given, changed headers)."""
        return attrs.evolve(self, traces=traces, headers=headers or self.headers, raw_samples=None)

    def with_headers(self, headers: Headers) -> Gather:
        """The same samples with changed headers."""
        return attrs.evolve(self, headers=headers)

    def with_live_window(self, traces: np.ndarray, first: np.ndarray, end: np.ndarray) -> Gather:
        """New samples with new live windows."""
        return self.with_traces(traces, headers=self.headers.with_live_window(first, end))

    def keep(self, keep: np.ndarray) -> Gather:
        """Only the rows where the boolean `keep` is True."""
        rows = np.flatnonzero(keep)
        return Gather(
            headers=self.headers.take(rows),
            sampling=self.sampling,
            gather_starts=self.kept_rows(keep),
            traces=self.traces[rows],
            raw_samples=None if self.raw_samples is None else self.raw_samples[rows],
        )

    def rows(self, start: int, stop: int) -> Gather:
        """Rows ``start:stop`` as one gather, without copying samples."""
        return Gather(
            headers=self.headers.take(slice(start, stop)),
            sampling=self.sampling,
            traces=self.traces[start:stop],
            raw_samples=None if self.raw_samples is None else self.raw_samples[start:stop],
        )

    def gather(self, number: int) -> Gather:
        """One gather of the batch by itself."""
        return self.rows(int(self.gather_starts[number]), int(self.gather_starts[number + 1]))

    def split(self) -> Iterator[Gather]:
        """Each gather by itself."""
        return map(self.gather, range(self.n_gathers))

    @staticmethod
    def concatenate(parts: list[Gather]) -> Gather:
        """Gathers laid end to end."""
        if len(parts) == 1:
            return parts[0]
        offsets = np.cumsum([0] + [p.n_traces for p in parts])
        starts = [p.gather_starts[:-1] + o for p, o in zip(parts, offsets, strict=False)]
        return Gather(
            headers=Headers.concatenate([p.headers for p in parts]),
            sampling=parts[0].sampling,
            gather_starts=np.concatenate([*starts, offsets[-1:]]),
            traces=np.concatenate([p.traces for p in parts]),
            raw_samples=_concatenate_raw(parts),
        )


def _concatenate_raw(parts: list[Gather]) -> np.ndarray | None:
    """Raw samples of all rows, zeros for the parts that need none; None where no part has any."""
    width = max((part.raw_samples.shape[1] for part in parts if part.raw_samples is not None), default=0)
    if not width:
        return None
    raws = [np.zeros((p.n_traces, width), np.uint8) if p.raw_samples is None else p.raw_samples for p in parts]
    return np.concatenate(raws)


def mute_outside(traces: np.ndarray, first: np.ndarray, end: np.ndarray) -> None:
    """Zero samples outside the live windows, in place: the mute that follows a filter.

    Parameters
    ----------
    traces
        Shape ``(n_traces, n_samples)``.
    first, end
        Live window ``[first, end)`` of each trace, in samples.
    """
    n_samples = traces.shape[1]
    rows = np.flatnonzero((first > 0) | (end < n_samples))
    for row, start, stop in zip(rows.tolist(), first[rows].tolist(), end[rows].tolist(), strict=True):
        if start > 0:
            traces[row, :start] = 0
        if stop < n_samples:
            traces[row, max(stop, 0) :] = 0
