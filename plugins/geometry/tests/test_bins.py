"""Bins: grids and lines against their own inverses, against each other, and against analytic numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_core.data.gather import Gather
from seisproc_core.errors import SeisprocError
from seisproc_core.testing import make_gather, run_processor
from seisproc_geometry.bins import BinGrid, BinLine
from seisproc_geometry.grids import Grid
from seisproc_geometry.lines import Line, smooth, straight
from seisproc_geometry.offsets import Offsets
from seisproc_geometry.positions import azimuth_deg

ANGLES = st.floats(0, 360)
PLACES = st.floats(-1e6, 1e6)
SIZES = st.floats(1, 500)


def spread(x: np.ndarray, y: np.ndarray, **words: object) -> Gather:
    """Traces with these midpoints, in centimetres."""
    both = {"source_x": x * 100, "receiver_x": x * 100, "source_y": y * 100, "receiver_y": y * 100}
    whole = {name: np.rint(values) for name, values in both.items()}
    return make_gather(np.zeros((len(x), 2)), **whole, coordinate_scalar=-100, **words)


@given(x=PLACES, y=PLACES, azimuth=ANGLES, inline=SIZES, crossline=SIZES, left=st.booleans())
def test_centres_of_bins_lie_in_them(
    x: float, y: float, azimuth: float, inline: float, crossline: float, left: bool
) -> None:
    grid = Grid(x=x, y=y, azimuth_deg=azimuth, inline_m=inline, crossline_m=crossline, left=left)
    i, j = (values.reshape(-1) for values in np.meshgrid(np.arange(-3, 40), np.arange(-5, 30)))
    found = grid.numbers(*grid.centre(i, j))
    assert np.array_equal(found[0], i)
    assert np.array_equal(found[1], j)


@given(azimuth=ANGLES, turn=ANGLES, left=st.booleans())
def test_turning_everything_changes_no_number(azimuth: float, turn: float, left: bool) -> None:
    random = np.random.default_rng(1)
    x, y = random.uniform(-500, 500, (2, 200))
    angle = np.radians(turn)
    turned = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    one = Grid(x=0, y=0, azimuth_deg=azimuth, inline_m=13.0, crossline_m=7.0, left=left)
    two = Grid(x=0, y=0, azimuth_deg=azimuth + turn, inline_m=13.0, crossline_m=7.0, left=left)
    far = [
        np.abs(v / s + 0.5 - np.round(v / s + 0.5)) > 1e-9 for v, s in zip(_along(one, x, y), (13.0, 7.0), strict=True)
    ]
    clear = far[0] & far[1]
    for a, b in zip(one.numbers(x, y), two.numbers(*turned), strict=True):
        assert np.array_equal(a[clear], b[clear])


def _along(grid: Grid, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    return [x * axis[0] + y * axis[1] for axis in grid._axes]


def test_handedness() -> None:
    north = {"x": 0, "y": 0, "azimuth_deg": 0, "inline_m": 10, "crossline_m": 20}
    x, y = np.array([30.0]), np.array([40.0])
    assert [int(n[0]) for n in Grid(**north).numbers(x, y)] == [3, 2]  # type: ignore[arg-type]
    assert [int(n[0]) for n in Grid(**north, left=True).numbers(x, y)] == [-3, 2]  # type: ignore[arg-type]


def test_bin_grid() -> None:
    i, j = (values.reshape(-1) for values in np.meshgrid(np.arange(4), np.arange(5), indexing="ij"))
    x, y = Grid(x=1000, y=2000, azimuth_deg=30, inline_m=25, crossline_m=12.5).centre(i, j)
    step = {"origin_x_m": 1000, "origin_y_m": 2000, "azimuth_deg": 30, "inline_step_m": 25, "crossline_step_m": 12.5}
    out = run_processor(BinGrid, spread(x, y), step | {"first_inline": 100, "first_crossline": 500}).headers
    assert np.array_equal(out.column("inline"), i + 100)
    assert np.array_equal(out.column("crossline"), j + 500)
    assert np.array_equal(out.column("cdp"), np.arange(20) + 1)
    assert np.allclose(out["cdp_x"], x, atol=0.006)
    out = run_processor(BinGrid, spread(x, y), step | {"inlines": 2, "crosslines": 5}).headers
    assert np.count_nonzero(out.column("cdp")) == 10
    with pytest.raises(SeisprocError, match="20 midpoints lie before the first bin"):
        run_processor(BinGrid, spread(x, y), step | {"origin_x_m": 3000})


def test_a_straight_line_is_a_straight_line() -> None:
    """The crooked fit, the straight one, and given knots agree where the line is straight."""
    along = np.repeat(np.arange(0, 2000.0, 10), 3)
    x, y = 500000 + along * 0.6, 100 + along * 0.8
    gather = spread(x, y, field_record=np.arange(len(x)) // 3)
    numbers = [
        run_processor(BinLine, gather, {"bin_m": 10} | how).headers.column("cdp")
        for how in (
            {"x_m": [500000, 500600], "y_m": [100, 900]},
            {"x_m": [500000, 500006, 500600], "y_m": [100, 108, 900]},
            {"fit": "straight"},
            {"fit": "smooth", "smooth_m": 200},
        )
    ]
    for number in numbers:
        assert np.array_equal(number, along / 10 + 1)


def test_traces_without_geometry_lie_in_no_bin_and_bend_no_line() -> None:
    """Traces that `geometry` left alone have shot 0 and whatever midpoint their headers had, mostly 0, 0."""
    along = np.append(np.arange(0, 2000.0, 10), 0.0)
    x, y = 500000 + along, 100 + 0 * along
    x[-1] = y[-1] = 0
    shot = np.append(np.ones(len(along) - 1, np.int32), 0)
    gather = spread(x, y, field_record=np.arange(len(x)), shot=shot)
    for how in ({"fit": "straight"}, {"fit": "smooth", "smooth_m": 200}):
        out = run_processor(BinLine, gather, {"bin_m": 10} | how).headers
        assert np.array_equal(out.column("cdp"), np.append(np.arange(1, len(along)), 0))
        assert out.column("line_distance")[-1] == 0
    grid = {"origin_x_m": 500000, "origin_y_m": 100, "azimuth_deg": 90, "inline_step_m": 10, "crossline_step_m": 10}
    out = run_processor(BinGrid, gather, grid).headers
    assert np.array_equal(out.column("crossline"), np.append(np.arange(1, len(along)), 0))


def test_a_crooked_line_follows_its_midpoints() -> None:
    """Midpoints on a circle: the line lies on it, distances are what was added across."""
    angle = np.repeat(np.linspace(0, np.pi, 400), 5)
    aside = np.tile([-20.0, -10, 0, 10, 20], 400)
    x, y = (1000 + aside) * np.cos(angle), (1000 + aside) * np.sin(angle)
    line = smooth(x, y, np.repeat(np.arange(400), 5), 60.0)
    along, distance = line.project(x, y)
    assert np.allclose(distance, aside, atol=1.0)
    assert np.allclose(along, 1000 * angle, atol=4)
    out = run_processor(BinLine, spread(x, y, field_record=np.repeat(np.arange(400), 5)), {
        "bin_m": 25, "fit": "smooth", "smooth_m": 60, "width_m": 30,
    }).headers  # fmt: skip
    assert np.array_equal(out.column("cdp") == 0, np.abs(aside) > 15)
    assert out.column("cdp").max() == pytest.approx(1000 * np.pi / 25, abs=2)
    kept = out.column("cdp") > 0
    assert np.allclose(np.hypot(out["cdp_x"], out["cdp_y"])[kept], 1000, atol=1.0)


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)), min_size=2, max_size=6, unique=True))
def test_projection_finds_the_nearest_point(knots: list[tuple[float, float]]) -> None:
    line = Line(*np.array(knots, float).T)
    if (np.diff(line.at) < 1).any():
        return
    random = np.random.default_rng(0)
    x, y = random.uniform(-1200, 1200, (2, 50))
    along, distance = line.project(x, y)
    px, py = line.position(along)
    assert np.allclose(np.hypot(x - px, y - py), np.abs(distance), atol=1e-6)
    fx, fy = line.position(np.linspace(-500, line.at[-1] + 500, 4000))
    nearest = np.hypot(x[:, None] - fx, y[:, None] - fy).min(axis=1)
    assert (np.abs(distance) <= nearest + 1e-6).all()


def test_line_distance_is_positive_to_the_right() -> None:
    _, distance = Line(np.array([0.0, 0.0]), np.array([0.0, 100.0])).project(
        np.array([5.0, -5.0]), np.array([50.0, 50.0])
    )
    assert distance.tolist() == [5, -5]


def test_the_fitted_line_runs_as_the_traces_do() -> None:
    x, y = np.arange(100.0), 3 * np.arange(100.0)
    for sign in (1, -1):
        line = straight(x[::sign], y[::sign])
        assert np.sign(line.x[1] - line.x[0]) == sign


def test_bins_that_cannot_be() -> None:
    x = np.arange(10.0)
    for step, problem in (
        ({"bin_m": 1, "x_m": [5, 9]}, "first_cdp"),
        ({"bin_m": 1, "x_m": [5, 5]}, "same knot twice"),
        ({"bin_m": 1, "x_m": [5, 6], "y_m": [1]}, "same number of knots"),
    ):
        with pytest.raises(SeisprocError, match=problem):
            run_processor(BinLine, spread(x, 0 * x), step)
    with pytest.raises(SeisprocError, match="all midpoints are the same"):
        run_processor(BinLine, spread(0 * x + 1, 0 * x), {"bin_m": 1})
    with pytest.raises(SeisprocError, match="all midpoints are 0"):
        run_processor(BinLine, spread(0 * x, 0 * x), {"bin_m": 1})


@given(st.floats(0, 359.999), st.floats(1, 1000))
def test_azimuths(angle: float, length: float) -> None:
    found = azimuth_deg(np.array([length * np.sin(np.radians(angle))]), np.array([length * np.cos(np.radians(angle))]))
    assert 0 <= found[0] < 360
    assert min(abs(found[0] - angle), 360 - abs(found[0] - angle)) < 1e-6


def test_offsets_and_their_classes() -> None:
    made = make_gather(
        np.zeros((4, 2)), source_x=0, source_y=0, receiver_x=[0, 300, 0, -400], receiver_y=[100, 0, -200, 0],
        coordinate_scalar=1,
    )  # fmt: skip
    step = {"class_m": 150, "sectors": 4, "tile_m": [200, 100]}
    out = run_processor(Offsets, made, step).headers
    assert out["offset"].tolist() == [100, 300, 200, 400]
    assert out["azimuth"].tolist() == [0, 90, 180, 270]
    assert out.column("offset_class").tolist() == [0, 2, 1, 2]
    assert out.column("azimuth_sector").tolist() == [0, 1, 2, 3]
    assert out.column("tile_inline").tolist() == [0, 1, -1, -2]
    assert out.column("tile_crossline").tolist() == [1, 0, -2, 0]
    out = run_processor(Offsets, made, {"along_deg": 90, "sectors": 2, "both_ways": True}).headers
    assert out["offset"].tolist() == [100, 300, 200, -400]
    assert out.column("azimuth_sector").tolist() == [0, 1, 0, 1]
