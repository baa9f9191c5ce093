"""Trace edits by header words: kill, reverse, select."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from seisproc_core.data.expressions import Expression
from seisproc_core.data.gather import Gather, Layout, mute_outside
from seisproc_core.data.headers import Headers
from seisproc_core.data.tables import Table
from seisproc_core.data.words import DEAD
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import with_live_words

KILLED = 4  # the reason "killed by a step" in the header dictionary


KEYS = ("field_record", "channel", "source_station", "cdp", "cdp_trace", "inline", "crossline", "trace_id",
        "trace_sequence_line", "trace_sequence_file")  # fmt: skip


@attrs.frozen(kw_only=True)
class _Chosen(Processor):
    """What edits of chosen traces share: how they are chosen."""

    # `param` declares a field, it makes no value.
    where: dict[str, tuple[float, ...]] | str | None = param(  # noqa: RUF009
        None, help="An expression over header words, or lowest and highest value by word, which must all match."
    )
    table: Table | None = param(  # noqa: RUF009
        None, help="The traces, one a row, by header words such as field_record and channel.", columns=(), keys=KEYS
    )
    absolute: bool = param(False, help="Compare absolute values in `where`, as for |offset|.")

    def check(self, layout: Layout) -> None:
        if not self.where and self.table is None:
            raise self.bad("where", "needs at least one header word, as { channel = [5, 5] }, or a table must be given")
        if isinstance(self.where, str):
            Expression.parse(self.where).condition(layout.headers)
            if self.absolute:
                raise self.bad("absolute", "is for ranges; write abs(...) in the expression")
        for name, limits in self._ranges.items():
            if len(limits) != 2 or limits[0] > limits[1]:
                raise self.bad(f"where.{name}", f"must be [lowest, highest], not {list(limits)}")
            layout.headers[name]
        for name in () if self.table is None else self.table.columns:
            layout.headers[name]

    def notes(self, layout: Layout) -> list[str]:
        if self.table is None:
            return []
        missing = int(np.count_nonzero(~_contained(self.table, layout.headers)))
        return [f"{missing} of the {len(self.table)} rows of the table match no trace"] if missing else []

    @property
    def _ranges(self) -> Mapping[str, tuple[float, ...]]:
        return {} if self.where is None or isinstance(self.where, str) else self.where

    def _matches(self, headers: Headers) -> np.ndarray:
        if isinstance(self.where, str):
            chosen = Expression.parse(self.where).condition(headers)
        else:
            chosen = matching(headers, self._ranges, self.absolute)
        return chosen if self.table is None else chosen & listed(headers, self.table)


def listed(headers: Headers, table: Table) -> np.ndarray:
    """Traces whose words are those of any row of the table: bool ``(n_traces,)``."""
    rows, traces = _numbered(table, headers)
    return np.isin(traces, rows)


def _contained(table: Table, headers: Headers) -> np.ndarray:
    """Rows of the table that any trace matches."""
    rows, traces = _numbered(table, headers)
    return np.isin(rows, traces)


def _numbered(table: Table, headers: Headers) -> tuple[np.ndarray, np.ndarray]:
    """A number for every combination of words: of the table's rows, and of the traces."""
    both = [np.concatenate((table[name], headers[name].astype(np.float64))) for name in table.columns]
    number = np.unique(np.stack(both, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return number[: len(table)], number[len(table) :]


def matching(headers: Headers, where: Mapping[str, tuple[float, ...]], absolute: bool) -> np.ndarray:
    """Traces whose words all lie in their ranges, both ends included: bool ``(n_traces,)``. Words are in SI units."""
    chosen = np.ones(len(headers), bool)
    for name, (lowest, highest) in where.items():
        values = np.abs(headers[name].astype(np.float64)) if absolute else headers[name]
        chosen &= (values >= lowest) & (values <= highest)
    return chosen


@processor("kill", scope="trace", claims=claims.KILL)
class Kill(_Chosen):
    """Kill the traces whose header words lie in ranges: samples become 0, the trace is flagged dead and keeps its row.

    A trace is killed when all words of `where` lie in their ranges, ends included, in SI units (metres, seconds):
    ``where = { field_record = [12, 12], channel = [5, 8] }``; or when an expression over words holds:
    ``where = "field_record == 12 and channel >= 5"``; or when a `table` lists its words, one trace a row, as an
    observer's log does: ``table = { field_record = [12, 12, 31], channel = [5, 6, 48] }`` (or a file). With both, both
    must hold. Then y = 0, its live window becomes empty and ``dead`` 4, so that later steps pass it by and fold does
    not count it. Traces that were dead keep their reason.

    Not to remove the rows themselves: `select`. Not for a noisy stretch of a good trace: `mute`, `surgical_mute`,
    `mad_denoise`.

    Source: as `sukill` of Seismic Unix; the mark stands for identification code 2 (dead) of SEG-Y revision 2.1 (SEG,
    2023), trace header bytes 29-30.
    """

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=self._flagged(with_live_words(layout)))

    def apply(self, batch: Gather, context: Context) -> Gather:
        headers = self._flagged(with_live_words(batch))
        out = context.empty(batch.traces.shape)
        np.copyto(out, batch.traces)
        mute_outside(out, *headers.live_window(batch.n_samples))
        return batch.with_traces(out, headers=headers)

    def _flagged(self, layout: Layout) -> Headers:
        headers = layout.headers
        killed = self._matches(headers)
        dead = headers.column(DEAD) if DEAD in headers else np.zeros(len(headers), np.uint8)
        first, end = layout.live_window
        flagged = headers.with_columns(**{DEAD: np.where(killed & (dead == 0), np.uint8(KILLED), dead)})
        return flagged.with_live_window(first, np.where(killed, first, end))


@processor("reverse", scope="trace", claims=claims.REVERSE)
class Reverse(_Chosen):
    """Reverse the polarity of the traces whose header words lie in ranges: y = -x.

    ``where = { channel = [13, 24] }``; a trace is reversed when all words match, ends included, in SI units, or when a
    `table` lists its words, one trace a row. Repairs geophones wired the wrong way.

    Not to weigh traces by a polarity word while they are combined (`combine`), nor to turn a whole survey to the other
    polarity convention: `gain` with ``scale = -1`` says that plainly.

    Source: polarity of geophones and recordings as in Thigpen, Dalby and Landrum, Report of the subcommittee on
    polarity standards, Geophysics 40 (1975), 694-699.
    """

    def apply(self, batch: Gather, context: Context) -> Gather:
        sign = np.where(self._matches(batch.headers), np.float32(-1), np.float32(1))
        out = context.empty(batch.traces.shape)
        np.multiply(batch.traces, sign[:, None], out=out)
        return batch.with_traces(out)


@processor("select", scope="trace", headers_only=True, claims=claims.SELECT)
class Select(_Chosen):
    """Keep the traces for which an expression over header words holds, and drop the rows of all others.

    ``where = "abs(offset) <= 45 and cdp % 2 == 0"``: words are in SI units; a value that cannot be computed is an
    error. Ranges of words may stand for an expression: ``where = { offset = [0, 45] }`` with ``absolute = true`` keeps
    |offset| <= 45 m; a trace is kept when all words match, ends included, or when a `table` lists its words;
    ``drop = true`` drops those and keeps the others. Samples are not touched. It depends on headers alone, so the
    number of traces that come out is known before any is read.

    Not to silence traces but keep their rows: `kill`. Not for what samples decide: let `edit_rules` flag it first, and
    select by its word in a later flow.

    Source: as `suwind` of Seismic Unix, with any number of words.
    """

    drop: bool = param(False, help="Drop the traces that match instead of keeping them.")

    def plan(self, layout: Layout) -> Layout:
        keep = self._matches(layout.headers) != self.drop
        return attrs.evolve(
            layout, headers=layout.headers.take(np.flatnonzero(keep)), gather_starts=layout.kept_rows(keep)
        )

    def apply(self, batch: Gather, context: Context) -> Gather:
        return batch.keep(self._matches(batch.headers) != self.drop)
