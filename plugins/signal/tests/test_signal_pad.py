"""Padding: the whole grid, live traces untouched, dead ones where there was none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.errors import ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.pad import Pad


def grid_of(places: list[tuple[int, int]], lines: str = "inline", at: str = "crossline", **words: object) -> Gather:
    """A gather a line, with traces at the given places; samples tell the place."""
    line = np.array([place[0] for place in places])
    position = np.array([place[1] for place in places])
    starts = np.append(np.flatnonzero(np.append(True, np.diff(line) != 0)), len(line))
    samples = np.stack((line, position, np.ones(len(line))), axis=1)
    return make_gather(samples, gather_starts=starts, **{lines: line, at: position, **words})


@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1), st.integers(1, 3), st.integers(1, 3))
def test_every_place_is_there_once(chosen: set[tuple[int, int]], line_step: int, step: int) -> None:
    places = sorted((10 + line_step * line, 20 + step * at) for line, at in chosen)
    gather = grid_of(places, trace_type=1)
    out = run_processor(Pad, gather, {"at": "crossline"})
    found = list(zip(out.headers["inline"].tolist(), out.headers["crossline"].tolist(), strict=True))
    lines, positions = sorted({p[0] for p in places}), sorted({p[1] for p in places})

    def axis(values: list[int]) -> range:
        return range(values[0], values[-1] + 1, int(np.gcd.reduce(np.diff(values))) if len(values) > 1 else 1)

    assert found == [(line, at) for line in axis(lines) for at in axis(positions)]
    held = np.array([place in set(places) for place in found])
    assert np.array_equal(out.traces[held], gather.traces) and not out.traces[~held].any()
    assert np.array_equal(out.headers["trace_id"][held], gather.headers["trace_id"])
    assert np.all(out.headers["trace_type"] == np.where(held, 1, 2)) and np.array_equal(out.headers["dead"] == 0, held)
    assert len(np.unique(out.headers["trace_id"])) == len(found) and np.all(out.headers["trace_id"][~held] < 0)


def test_segments_pad_as_the_whole_does() -> None:
    gather = grid_of([(1, 1), (1, 3), (4, 2), (5, 1), (5, 1), (9, 3)], cdp_x=0)
    whole = run_processor(Pad, gather, {"at": "crossline"})
    pad = Pad(at="crossline").resolve(gather.layout)
    parts = [pad.apply(part, Context({})) for part in gather.split()]
    together = Gather.concatenate(parts)
    assert np.array_equal(together.traces, whole.traces)
    for name in whole.headers:
        assert np.array_equal(together.headers.column(name), whole.headers.column(name)), name


def test_a_stacked_line_gets_its_missing_cdps() -> None:
    gather = grid_of([(1, 0), (2, 0), (5, 0)], lines="cdp", fold=7, coordinate_scalar=-100, cdp_x=[100, 200, 500])
    out = run_processor(Pad, gather, {"line": "cdp"})
    assert out.headers["cdp"].tolist() == [1, 2, 3, 4, 5]
    assert out.headers.column("cdp_x").tolist() == [100, 200, 300, 400, 500]  # they lie on a line
    assert out.headers.column("coordinate_scalar").tolist() == [-100] * 5
    assert out.headers["fold"].tolist() == [7, 7, 0, 0, 7]


def test_coordinates_off_the_plane_are_not_made_up() -> None:
    gather = grid_of([(1, 0), (2, 0), (3, 0), (5, 0)], lines="cdp", cdp_x=[100, 227, 300, 500], cdp_y=[1, 2, 3, 5])
    out = run_processor(Pad, gather, {"line": "cdp"})
    assert out.headers.column("cdp_x").tolist() == [100, 227, 300, 0, 500]
    assert out.headers.column("cdp_y").tolist() == [1, 2, 3, 0, 5]  # both or none


def test_a_wider_grid_on_request_and_what_is_refused() -> None:
    gather = grid_of([(2, 4), (2, 6)])
    out = run_processor(Pad, gather, {"at": "crossline", "lines": [1, 3, 1], "positions": [2, 8, 2]})
    assert out.n_traces == 12 and out.headers["dead"].tolist() == [1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]
    for parameters, said in (
        ({"at": "crossline", "positions": [2, 8, 3]}, "'positions' leave out 2 traces, the first with crossline 4"),
        ({"lines": [3, 1, 1]}, "'lines' must be whole numbers"),
        ({"positions": [1, 2, 1]}, "'positions' needs the word"),
        ({"at": "crossline", "lines": [1, 10**9, 1]}, "'lines' and 'positions' make a grid of"),
        ({"line": "crossline"}, "'line' is crossline, which changes inside gathers"),
    ):
        with pytest.raises(ParameterError, match=said.replace("[", r"\[")):
            run_processor(Pad, gather, parameters)
