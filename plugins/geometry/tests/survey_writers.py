"""A made-up survey, and files that describe it: what the readers are held to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.testing import make_gather


@attrs.frozen(eq=False)
class Shot:
    """One record: number, source point (line, point), and the receivers (line, first, last) of its channels."""

    record: int
    source: tuple[int, int]
    spread: Sequence[tuple[int, int, int]]


@attrs.frozen(eq=False)
class Survey:
    """Positions (x, y, elevation) of points by (line, point), and shots."""

    sources: dict[tuple[int, int], tuple[float, float, float]]
    receivers: dict[tuple[int, int], tuple[float, float, float]]
    shots: list[Shot]

    def traces(self) -> list[tuple[int, int, tuple[int, int], tuple[int, int]]]:
        """Record, channel, source and receiver of every trace."""
        made = []
        for shot in self.shots:
            channel = 0
            for line, first, last in shot.spread:
                for point in range(first, last + 1):
                    channel += 1
                    made.append((shot.record, channel, shot.source, (line, point)))
        return made

    def gather(self, **words: object) -> Gather:
        """Traces with field record and channel only."""
        record, channel, *_ = zip(*self.traces(), strict=True)
        return make_gather(np.zeros((len(record), 2)), field_record=record, channel=channel, **words)

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """x, y and elevation of source and receiver of every trace, ``(n_traces, 3)`` each."""
        traces = self.traces()
        return (
            np.array([self.sources[source] for _, _, source, _ in traces]),
            np.array([self.receivers[receiver] for *_, receiver in traces]),
        )


def land_3d() -> Survey:
    """Two receiver lines of 12 stations, three shots, rolled along."""
    receivers = {
        (line, point): (500000.5 + 25 * point, 6000000.2 + 200 * line, 100.0 + point / 10)
        for line in (1, 2)
        for point in range(101, 113)
    }
    sources = {(7, 500 + n): (500100.0 + 2525.0 + 40 * n, 6000300.1 + 60 * n, 101.5 + n) for n in range(3)}
    shots = [Shot(20 + n, (7, 500 + n), [(1, 101 + n, 108 + n), (2, 101 + n, 108 + n)]) for n in range(3)]
    return Survey(sources, receivers, shots)


def write_sps(survey: Survey, path: Path, revision: int) -> None:
    """All records in one file, in the columns of revision 1 or 2.1."""
    lines = [f"H00 SPS format version num.     {'SPS001,28.10.92' if revision == 1 else 'SPS 2.1,01.01.06'}".ljust(80)]
    for kind, points in (("S", survey.sources), ("R", survey.receivers)):
        for (line, point), (x, y, z) in points.items():
            card = [" "] * 80
            card[0] = kind
            if revision == 1:
                _put(card, 2, 17, f"{line:<16}")
                _put(card, 18, 25, f"{point:>8}")
                _put(card, 26, 26, "1")
                _put(card, 33, 36, " 3.5" if kind == "S" else " 0.0")
            else:
                _put(card, 2, 11, f"{line:10.2f}")
                _put(card, 12, 21, f"{point:10.2f}")
                _put(card, 24, 24, "1")
                _put(card, 31, 34, " 3.5" if kind == "S" else " 0.0")
            _put(card, 47, 55, f"{x:9.1f}")
            _put(card, 56, 65, f"{y:10.1f}")
            _put(card, 66, 71, f"{z:6.1f}")
            _put(card, 72, 80, "123101112")
            lines.append("".join(card))
    for shot in survey.shots:
        channel = 1
        for line, first, last in shot.spread:
            card = [" "] * 80
            card[0] = "X"
            end = channel + last - first
            if revision == 1:
                fields = [(8, 11, shot.record), (14, 29, f"{shot.source[0]:<16}"), (30, 37, shot.source[1]),
                          (38, 38, 1), (39, 42, channel), (43, 46, end), (47, 47, 1), (48, 63, f"{line:<16}"),
                          (64, 71, first), (72, 79, last), (80, 80, 1)]  # fmt: skip
            else:
                fields = [(8, 15, shot.record), (18, 27, f"{shot.source[0]:.2f}"), (28, 37, f"{shot.source[1]:.2f}"),
                          (38, 38, 1), (39, 43, channel), (44, 48, end), (49, 49, 1), (50, 59, f"{line:.2f}"),
                          (60, 69, f"{first:.2f}"), (70, 79, f"{last:.2f}"), (80, 80, 1)]  # fmt: skip
            for low, high, value in fields:
                _put(
                    card,
                    low,
                    high,
                    str(value).rjust(high - low + 1) if not isinstance(value, str) or revision > 1 else value,
                )
            lines.append("".join(card))
            channel = end + 1
    path.write_text("\n".join(lines) + "\n")


def write_p190(survey: Survey, path: Path) -> None:
    """Source and receiver group records, three groups a record; depth is minus elevation."""
    lines = ["H2600POSITIONS OF A MADE-UP SURVEY".ljust(80)]
    for shot in survey.shots:
        x, y, _ = survey.sources[shot.source]
        card = [" "] * 80
        fields = [(1, 1, "S"), (2, 13, "LINE7"), (20, 25, f"{shot.record:>6}"), (47, 55, f"{x:9.1f}"),
                  (56, 64, f"{y:9.1f}"), (65, 70, "  57.5"), (71, 73, "123"), (74, 79, "101112")]  # fmt: skip
        for low, high, text in fields:
            _put(card, low, high, text)
        lines.append("".join(card))
        heard = [(line, point) for line, first, last in shot.spread for point in range(first, last + 1)]
        for start in range(0, len(heard), 3):
            card = [" "] * 80
            card[0], card[79] = "R", "1"
            for place, key in enumerate(heard[start : start + 3]):
                x, y, z = survey.receivers[key]
                _put(card, 2 + 26 * place, 27 + 26 * place, f"{start + place + 1:>4}{x:9.1f}{y:9.1f}{-z:4.0f}")
            lines.append("".join(card))
    path.write_text("\n".join(lines) + "\n")


def write_csv(path: Path, columns: dict[str, Sequence[object]]) -> None:
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")


def _put(card: list[str], first: int, last: int, text: str) -> None:
    text = text.ljust(last - first + 1)
    assert len(text) == last - first + 1, (first, last, text)
    card[first - 1 : last] = list(text)
