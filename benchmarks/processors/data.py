"""What processors are fed: a line of shot records, events and noise, with all usual header words."""

from __future__ import annotations

from functools import cache

import attrs
import numpy as np

from seisproc_core.data.datum import Datum
from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.plan import BATCH_BYTES
from seisproc_core.testing import make_gather

SAMPLES, FOLD = 1500, 50
INTERVAL_S = 0.004
SPACING_M = 25.0  # of receivers, and of shots
GATHERS = BATCH_BYTES // (4 * SAMPLES) // FOLD  # of a batch
BATCHES = 8  # 64 MiB: more than caches hold
GAP = 24  # the position of a grid that is missing
REFRACTOR_M_PER_S = 2000.0


@cache
def line() -> tuple[Gather, ...]:
    """Batches of shot records, float32 ``(GATHERS * FOLD, SAMPLES)``, laid end to end along one line."""
    return tuple(_batch(number) for number in range(BATCHES))


@cache
def scattered() -> tuple[Gather, ...]:
    """The same, no two traces of a batch with one offset."""
    order = np.random.default_rng(2).permutation(2 * GATHERS * FOLD)[: GATHERS * FOLD]
    return tuple(_with(batch, offset=order.astype(np.int32)) for batch in line())


@cache
def spectra() -> tuple[Gather, ...]:
    """The same gathers, to be read as panels of semblance: one row per trial velocity."""
    velocity = np.tile(1500.0 + 50 * np.arange(FOLD), GATHERS)
    return tuple(attrs.evolve(_with(batch, velocity_m_per_s=velocity), traces=np.abs(batch.traces)) for batch in line())


@cache
def floating() -> tuple[Gather, ...]:
    """The same at a floating datum, with what its CMPs are still to be moved by."""
    datum = Datum(100.0, REFRACTOR_M_PER_S, floating=True)
    return tuple(
        attrs.evolve(_with(batch, cmp_static_ms=-(batch.headers["cdp"] % 40) * 0.3), datum=datum) for batch in line()
    )


@cache
def grids() -> tuple[Gather, ...]:
    """The same gathers as lines of a grid, every position there but one."""
    made = []
    for batch in line():
        kept = taken(batch, np.flatnonzero(batch.headers["channel"] != GAP + 1))
        starts = np.arange(0, kept.n_traces + 1, FOLD - 1)
        made.append(
            attrs.evolve(
                _with(kept, inline=kept.headers["field_record"], crossline=kept.headers["channel"]),
                gather_starts=starts,
            )
        )
    return tuple(made)


def first_gathers(batch: Gather, number: int) -> Gather:
    """The first gathers of a batch."""
    starts = batch.gather_starts[: number + 1]
    return attrs.evolve(taken(batch, slice(0, int(starts[-1]))), gather_starts=starts)


def taken(batch: Gather, rows: np.ndarray | slice) -> Gather:
    """Some rows of a batch, as one gather."""
    traces = batch.traces[rows]
    starts = np.array([0, len(traces)], np.int64)
    return attrs.evolve(batch, headers=batch.headers.take(rows), traces=traces, gather_starts=starts)


def layout_of(batches: tuple[Gather, ...]) -> Layout:
    """Headers of all batches, as planning sees them."""
    layouts = [batch.layout for batch in batches]
    offsets = np.cumsum([0] + [layout.n_traces for layout in layouts])
    starts = [layout.gather_starts[:-1] + o for layout, o in zip(layouts, offsets, strict=False)]
    return attrs.evolve(
        layouts[0],
        datum=batches[0].datum,
        headers=type(layouts[0].headers).concatenate([layout.headers for layout in layouts]),
        gather_starts=np.concatenate([*starts, offsets[-1:]]),
    )


def _with(batch: Gather, **words: np.ndarray) -> Gather:
    return attrs.evolve(batch, headers=batch.headers.with_columns(**words))


def _batch(number: int) -> Gather:
    rng = np.random.default_rng([5, number])
    count = GATHERS * FOLD
    record = np.repeat(GATHERS * number + np.arange(GATHERS), FOLD)
    channel = np.tile(np.arange(1, FOLD + 1), GATHERS)
    traces = rng.standard_normal((count, SAMPLES), np.float32)
    traces[:, 400:500] += 20 * np.hanning(100).astype(np.float32)
    source_x = SPACING_M * record
    offset = SPACING_M * channel
    return make_gather(
        traces, interval_ms=1000 * INTERVAL_S, gather_starts=list(range(0, count + 1, FOLD)),
        field_record=100 + record, channel=channel, offset=offset, cdp=1 + 2 * record + channel,
        source_x=source_x, source_y=0, receiver_x=source_x + offset, receiver_y=0, coordinate_scalar=1,
        elevation_scalar=1, source_station=1 + record, receiver_station=1 + record + channel,
        cdp_x=source_x + offset / 2, cdp_y=0, source_elevation=90 + record % 7,
        receiver_elevation=90 + (record + channel) % 7, source_depth=0, fold=1, dead=0,
        inline=7 + (channel - 1) // 10, crossline=3 + (channel - 1) % 10,
        first_break_ms=20.0 + 1000 * offset / REFRACTOR_M_PER_S + (record % 5) + (record + channel) % 3,
        first_break_quality=10.0, total_static_ms=0.0,
    )  # fmt: skip
