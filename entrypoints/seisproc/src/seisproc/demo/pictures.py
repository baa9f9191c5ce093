"""The demonstration's figures: gathers before and after processing, and the stacked section."""

from __future__ import annotations

import os

from seisproc_core.data.gather import Gather
from seisproc_terminal.figures import save_figure


def draw_gathers(before: Gather, after: Gather, path: str | os.PathLike[str]) -> None:
    """A gather as recorded beside one after processing, by offset; every trace is drawn at equal strength.

    Parameters
    ----------
    before, after
        One gather each, sorted by offset or channel.
    path
        The picture (``.png``).
    """
    panels = [(f"as recorded, {_name(before)}", before), (f"processed, {_name(after)}", after)]
    save_figure(panels, path, word="offset", clip_percent=95, equalise=True, width_in=11, height_in=7)


def draw_section(section: Gather, path: str | os.PathLike[str], *, title: str = "stack") -> None:
    """A stacked section, peaks black, CDPs across and time in ms downwards."""
    save_figure([(title, section)], path, word="cdp", clip_percent=97, width_in=12, height_in=7)


def _name(gather: Gather) -> str:
    """What its traces have in common: the CDP, or the record they were shot in."""
    for word, title in (("cdp", "CDP"), ("field_record", "record")):
        if word in gather.headers and gather.n_traces:
            values = gather.headers[word]
            if (values == values[0]).all() and values[0]:
                return f"{title} {values[0]}"
    return f"{gather.n_traces} traces"
