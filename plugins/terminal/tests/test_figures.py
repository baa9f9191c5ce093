"""Pictures: they are drawn, show the traces, and say what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seisproc_core.errors import UsageError
from seisproc_core.testing import make_gather
from seisproc_terminal.figures import clip_level, draw, save_figure

pytest.importorskip("matplotlib")


def axes():  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure

    return Figure().add_subplot()


@pytest.mark.parametrize("style", ["density", "wiggle"])
def test_a_png_is_written(tmp_path: Path, style: str, rng: np.random.Generator) -> None:
    offset = np.tile(np.arange(12), 2) * 50
    gather = make_gather(rng.standard_normal((24, 100)), gather_starts=[0, 12, 24], offset=offset)
    path = tmp_path / "gather.png"
    save_figure([("before", gather), ("after", gather)], path, word="offset", style=style, equalise=True)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 5000


def test_axes_run_down_in_ms_from_the_start_and_across_by_the_word(rng: np.random.Generator) -> None:
    axis = axes()
    draw(axis, make_gather(rng.standard_normal((31, 50)), interval_ms=2, start_ms=-10, cdp=np.arange(100, 131)))
    assert axis.get_ylim() == pytest.approx((89.0, -11.0))
    labels = {int(label.get_text()): x for label, x in zip(axis.get_xticklabels(), axis.get_xticks(), strict=True)}
    assert len(labels) > 2 and all(x == pytest.approx(cdp - 100) for cdp, x in labels.items())
    assert axis.get_xlabel() == "cdp" and axis.get_ylabel() == "time (ms)"


def test_falling_and_repeated_words_are_labelled_where_they_stand() -> None:
    for values in (np.arange(40, 0, -1), np.full(40, 7)):
        axis = axes()
        draw(axis, make_gather(np.ones((40, 5)), offset=values), word="offset")
        for label, x in zip(axis.get_xticklabels(), axis.get_xticks(), strict=True):
            assert float(label.get_text()) == values[round(x)]


def test_peaks_are_black_at_their_time() -> None:
    traces = np.zeros((1, 50))
    traces[0, 20], traces[0, 30] = 1, -1
    axis = axes()
    draw(axis, make_gather(traces, offset=0), word="offset")
    image = axis.images[0]
    shades = image.to_rgba(image.get_array())[:, 0, :3].mean(axis=1)
    assert np.argmin(shades) == 20 and np.argmax(shades) == 30


def test_level_ignores_dead_samples_and_survives_silence() -> None:
    traces = np.ones((2, 100))
    traces[1] = 1e9
    gather = make_gather(traces, live=(np.array([0, 100]), np.array([100, 100])))
    assert clip_level(gather, 99) == 1.0
    assert clip_level(make_gather(np.zeros((2, 10))), 99) == 1.0


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no gather"):
        save_figure([], tmp_path / "x.png")
    many = make_gather(np.ones((401, 5)), cdp=np.arange(401))
    with pytest.raises(UsageError, match="use density"):
        save_figure([("", many)], tmp_path / "x.png", style="wiggle")
    with pytest.raises(UsageError, match="x.gather"):
        save_figure([("", make_gather(np.ones((3, 5)), cdp=1))], tmp_path / "x.gather")
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, seisproc_terminal.figures; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
