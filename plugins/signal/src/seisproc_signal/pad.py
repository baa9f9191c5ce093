"""Padding: a regular grid of traces, dead ones where the survey has none."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers, LazyColumns
from seisproc_core.data.words import DEAD, LIVE_END, LIVE_FIRST, TRACE_ID, word
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims

PADDED = 1  # "all samples zero"
_DEAD_TYPE = 2  # trace identification code of a dead trace
_MOST_TIMES = 100  # how many times the traces of a survey a grid may be
_COORDINATES = ("cdp_x", "cdp_y")
_OFF_PLANE = 0.05  # of a bin: writers that keep coordinates as float32 round them
# Words on which a survey's traces agree hold for padded ones too, these alone also for lines that are missing.
_EVERYWHERE = frozenset({
    "coordinate_scalar", "elevation_scalar", "time_scalar", "coordinate_units", "sample_count", "sample_interval",
    "delay", "trace_unit", "data_use", "correlated",
})  # fmt: skip
_COUNTS = frozenset({"fold", "vertical_fold", "trace_sequence_line", "trace_sequence_file", "cdp_trace"})


@processor("pad", scope="gather", headers_only=True, claims=claims.PAD)
class Pad(Processor):
    """Fill a grid of header words with dead traces where the survey has none: every line gets every position.

    Gathers are lines: gather by the word of `line` (``gather = ["inline"]``). A line gets a trace of zeros, dead and of
    trace type 2, at every position (word `at`) where it has none, and its traces come in the order of that word. Lines
    that are missing altogether come after the one before them. Without `at`, as for a stacked 2-D line gathered by
    CDP, a missing line is a single trace. Traces that share a position all stay.

    Words of a padded trace: line, position, and what all traces of its line agree on; CDP coordinates where those of
    the survey lie on a plane over the grid, to within one stored unit or a twentieth of a bin; else 0.
    Its ``trace_id`` is negative.

    New traces: x = 0, and each word w = the value all traces of the line share, else 0.

    Not before the last step, delivery: holes are better left holes, as transforms over traces would see zeros. Not to
    fill gaps with data: `fx_fill`.

    Source: SEG-Y revision 2.1 (SEG, 2023), trace header bytes 29-30: identification code 2 is a dead trace.
    """

    line: str = param("inline", help="Header word of the lines; gathers are made by it.")
    at: str | None = param(
        None, help="Header word of the positions in a line, as crossline; none for one trace a line."
    )
    lines: tuple[float, ...] | None = param(None, help="First line, last line, step; from the data when not given.")
    positions: tuple[float, ...] | None = param(None, help="First position, last position, step; likewise.")
    present: tuple[float, ...] | None = param(None, help="Lines the survey has; found in the data.")
    coordinates: dict[str, tuple[float, ...]] | None = param(
        None, help="Stored coordinates as a + b line + c position; found in the data."
    )

    def check(self, layout: Layout) -> None:
        for name, axis in (("lines", self.lines), ("positions", self.positions)):
            if axis is not None and not (len(axis) == 3 and _whole(axis) and axis[2] > 0 and axis[0] <= axis[1]):
                raise self.bad(name, f"must be whole numbers [first, last, step], not {list(axis)}")
        if self.positions is not None and self.at is None:
            raise self.bad("positions", "needs the word they are positions of: at = ...")
        for name, terms in (self.coordinates or {}).items():
            if len(terms) != 3 or name not in layout.headers:
                raise self.bad(
                    f"coordinates.{name}", "must be [constant, per line, per position] of a word that is there"
                )
        lines = layout.headers.column(self.line)
        starts = _filled(layout)
        if np.any(np.minimum.reduceat(lines, starts) != np.maximum.reduceat(lines, starts)):
            raise self.bad("line", f"is {self.line}, which changes inside gathers: gather by it")
        if np.any(np.diff(lines[starts].astype(np.float64)) <= 0):
            raise self.bad("line", "must rise from gather to gather")

    def resolve(self, layout: Layout) -> Pad:
        """With the grid that spans the survey, where it is not given."""
        self.check(layout)
        lines = layout.headers.column(self.line)
        positions = layout.headers.column(self.at) if self.at else None
        made = self.replaced(
            lines=self.lines or self._axis_of(self.line, lines),
            positions=None if positions is None else self.positions or self._axis_of(str(self.at), positions),
            present=tuple(np.unique(lines).astype(float).tolist()),
        )
        for name, column, axis in ((self.line, lines, made._lines), (self.at, positions, made._positions)):
            off = np.flatnonzero(~np.isin(column, axis)) if column is not None else np.zeros(0)
            if off.size and column is not None:
                what = "lines" if name == self.line else "positions"
                raise self.bad(what, f"leave out {off.size} traces, the first with {name} {column[off[0]]}")
        rows = len(made._lines) * len(made._positions)
        if rows > _MOST_TIMES * max(layout.n_traces, 1000):
            raise self.bad("lines", f"and 'positions' make a grid of {rows} places for {layout.n_traces} traces")
        return made if self.coordinates is not None else made.replaced(coordinates=made._planes(layout))

    def plan(self, layout: Layout) -> Layout:
        return self._padded(layout)[0]

    def apply(self, batch: Gather, context: Context) -> Gather:
        layout, source = self._padded(batch)
        out = context.empty((len(source), batch.n_samples))
        np.take(batch.traces, np.maximum(source, 0), axis=0, out=out, mode="clip")
        out[source < 0] = 0
        made = layout.headers
        raw = _spread(batch.headers.raw, source)
        return Gather(
            headers=Headers(made.columns, len(source), length_factor=made.length_factor, raw=raw),
            sampling=batch.sampling,
            gather_starts=layout.gather_starts,
            traces=out,
            raw_samples=_spread(batch.raw_samples, source),
        )

    # ------------------------------------------------------------------------------------------------------ the grid

    @property
    def _lines(self) -> np.ndarray:
        return _axis(self.lines)

    @property
    def _positions(self) -> np.ndarray:
        return _axis(self.positions)

    def _axis_of(self, name: str, values: np.ndarray) -> tuple[float, ...]:
        """First, last and the step that reaches all values: their greatest common divisor."""
        if not np.array_equal(values, np.rint(values)):
            raise self.bad("line" if name == self.line else "at", f"is {name}, which holds no whole numbers")
        found = np.unique(values.astype(np.int64))
        step = int(np.gcd.reduce(np.diff(found))) if len(found) > 1 else 1
        return (float(found[0]), float(found[-1]), float(step))

    def _planes(self, layout: Layout) -> dict[str, tuple[float, ...]] | None:
        """CDP coordinates as planes over the grid; none where one of them does not lie on its plane."""
        headers = layout.headers
        names = [name for name in _COORDINATES if name in headers and headers.column(name).any()]
        line = headers.column(self.line).astype(np.float64)
        at = headers.column(self.at).astype(np.float64) if self.at else np.zeros(len(line))
        terms = np.stack((np.ones(len(line)), line - line[0], at - at[0]), axis=1)
        stored = np.stack([headers.column(name).astype(np.float64) for name in names], axis=1) if names else None
        if stored is None:
            return None
        solved = np.linalg.lstsq(terms, stored, rcond=None)[0]
        steps = np.array([(self.lines or (0, 0, 1))[2], (self.positions or (0, 0, 1))[2]])
        bins = np.hypot.reduce(solved[1:], axis=1) * steps
        tolerance = max(1.0, _OFF_PLANE * min(bins[bins > 1], default=0.0))
        if np.abs(terms @ solved - stored).max() > tolerance:
            return None
        solved[0] -= solved[1] * line[0] + solved[2] * at[0]
        return {name: tuple(map(float, column)) for name, column in zip(names, solved.T, strict=True)}

    def _homes(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lines to fill, and the number of the own line each follows: itself, or the last one present before it."""
        axis, present = self._lines, np.array(self.present or (), np.int64)
        home = present[np.maximum(np.searchsorted(present, axis, side="right") - 1, 0)]
        number = np.minimum(np.searchsorted(own, home), len(own) - 1)
        mine = own[number] == home
        return axis[mine], number[mine]

    def _padded(self, layout: Layout) -> tuple[Layout, np.ndarray]:
        """The layout after padding, and the row each of its rows comes from, -1 for padded ones."""
        positions, starts = self._positions, _filled(layout)
        line = layout.headers.column(self.line).astype(np.int64)
        at = layout.headers.column(self.at).astype(np.int64) if self.at else np.zeros(len(line), np.int64)
        wanted, home = self._homes(line[starts])
        grid_line, grid_at = np.repeat(wanted, len(positions)), np.tile(positions, len(wanted))
        missing = ~np.isin(self._place(grid_line, grid_at), self._place(line, at))
        gather = np.repeat(np.flatnonzero(np.diff(layout.gather_starts))[home], len(positions))[missing]
        source = np.concatenate((np.arange(len(line)), np.full(len(gather), -1)))
        line, at = np.concatenate((line, grid_line[missing])), np.concatenate((at, grid_at[missing]))
        gather = np.concatenate((layout.gather_of, gather))
        order = np.lexsort((np.arange(len(source)), at, line, gather))
        headers = self._headers(layout, source[order], line[order], at[order], gather[order])
        ends = np.cumsum(np.bincount(gather, minlength=layout.n_gathers))
        starts = np.concatenate(([0], ends))
        after = Layout(headers=headers, sampling=layout.sampling, gather_starts=starts, files=layout.files)
        return after, source[order]

    def _place(self, line: np.ndarray, at: np.ndarray) -> np.ndarray:
        """One number per place of the grid, from 0."""
        lines, positions = self._lines, self._positions
        place: np.ndarray = (line - lines[0]) * int(positions[-1] - positions[0] + 1) + (at - positions[0])
        return place

    def _headers(
        self, layout: Layout, source: np.ndarray, line: np.ndarray, at: np.ndarray, gather: np.ndarray
    ) -> Headers:
        old = layout.headers
        padded, held = source < 0, np.maximum(source, 0)
        common = old.combine(layout.gather_starts, dict.fromkeys(old, "same"))
        of_gather = (np.cumsum(np.diff(layout.gather_starts) > 0) - 1)[gather]  # `common` leaves empty gathers out
        missing_line = line != common.column(self.line)[of_gather]
        made: dict[str, np.ndarray | int] = {
            TRACE_ID: -1 - self._place(line, at), DEAD: PADDED, LIVE_FIRST: 0, LIVE_END: 0, "trace_type": _DEAD_TYPE,
            self.line: line, **dict.fromkeys(_COUNTS, 0),
        }  # fmt: skip
        if self.at:
            made[self.at] = at
        for name, (constant, per_line, per_position) in (self.coordinates or {}).items():
            made[name] = np.rint(constant + per_line * line + per_position * at)
        dtypes = {name: old.dtype(name) for name in old}
        for name in (TRACE_ID, DEAD, LIVE_FIRST, LIVE_END, "trace_type"):
            dtypes.setdefault(name, word(name).dtype)
        whole = {"trace_type": 1, LIVE_END: layout.n_samples}  # of traces that have no such word yet

        def load(name: str) -> np.ndarray:
            values = old.column(name)[held] if name in old else np.full(len(source), whole.get(name, 0))
            if name in made:
                fill = made[name]
            else:
                fill = common.column(name)[of_gather]
                fill = fill if name in _EVERYWHERE else np.where(missing_line, 0, fill)
            column: np.ndarray = np.where(padded, fill, values).astype(dtypes[name])
            return column

        return Headers(LazyColumns(dtypes, load), len(source), length_factor=old.length_factor)


def _spread(rows: np.ndarray | None, source: np.ndarray) -> np.ndarray | None:
    """Rows where they come from somewhere, zeros elsewhere."""
    return None if rows is None else np.where(source[:, None] < 0, np.uint8(0), rows[np.maximum(source, 0)])


def _filled(layout: Layout) -> np.ndarray:
    """First row of every gather that has any."""
    return layout.gather_starts[:-1][np.diff(layout.gather_starts) > 0]


def _axis(limits: tuple[float, ...] | None) -> np.ndarray:
    """The numbers of first, last, step; a single 0 for no axis."""
    first, last, step = (int(value) for value in limits or (0, 0, 1))
    return np.arange(first, last + 1, step, dtype=np.int64)


def _whole(values: tuple[float, ...]) -> bool:
    return all(float(value).is_integer() and abs(value) < 2**53 for value in values)
