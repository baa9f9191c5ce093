"""What survey files say: points (sources, receivers) and relations, before they are linked."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

NO_NUMBER = -1.0  # a file, day or time that is not stated
# Words of a source and of a receiver that a point may hold beside its position.
SOURCE_WORDS = {
    "elevation": "source_elevation", "depth": "source_depth", "water_depth": "source_water_depth",
    "uphole_ms": "source_uphole", "static_ms": "source_static", "datum": "source_datum",
}  # fmt: skip
RECEIVER_WORDS = {
    "elevation": "receiver_elevation", "water_depth": "receiver_water_depth", "uphole_ms": "receiver_uphole",
    "static_ms": "receiver_static", "datum": "receiver_datum",
}  # fmt: skip
POSITION = ("line", "point", "index")


class LineNames:
    """Line names as numbers: a number stands for itself, so that 7 and 7.0 are one line; text gets a negative one."""

    def __init__(self) -> None:
        self._texts: dict[str, float] = {}

    def number(self, text: str) -> float:
        text = text.strip()
        try:
            value = float(text or 0)
        except ValueError:
            return self._texts.setdefault(text, -1.0 - len(self._texts))
        return value if np.isfinite(value) else self._texts.setdefault(text, -1.0 - len(self._texts))

    def label(self, number: float) -> str:
        return next((text for text, value in self._texts.items() if value == number), f"{number:g}")


@attrs.frozen(eq=False)
class Points:
    """Sources or receivers, one per row.

    Attributes
    ----------
    what
        ``source`` or ``receiver``.
    columns
        ``line``, ``point`` and ``index`` name a point; ``x`` and ``y`` its position, further ones as in `SOURCE_WORDS`;
        float64, NaN where a file leaves an entry empty.
    """

    what: str
    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["point"])

    @property
    def keys(self) -> list[np.ndarray]:
        return [self.columns[name] for name in POSITION]


@attrs.frozen(eq=False)
class Relations:
    """Which channels of a record heard which receivers from which source, one range of channels per row.

    Attributes
    ----------
    columns
        ``field_record``; ``file``, ``day``, ``second`` (tie-breakers, `NO_NUMBER` where not stated); ``source_line``,
        ``source_point``, ``source_index``; ``channel_first``, ``channel_last``, ``channel_step``; ``receiver_line``,
        ``receiver_first``, ``receiver_last``, ``receiver_index``.
    """

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["field_record"])


RELATION_COLUMNS = (
    "field_record", "file", "day", "second", "source_line", "source_point", "source_index", "channel_first",
    "channel_last", "channel_step", "receiver_line", "receiver_first", "receiver_last", "receiver_index",
)  # fmt: skip


@attrs.frozen(eq=False)
class SurveyFiles:
    """All that the files of a survey say."""

    sources: Points
    receivers: Points
    relations: Relations
    names: LineNames
    notes: tuple[str, ...] = ()
