"""Which shot, source and receiver every trace belongs to, from its field record and channel."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.words import TRACE_ID
from seisproc_geometry.keys import NONE, Keys, listed
from seisproc_geometry.linking import Linked
from seisproc_geometry.points import NO_NUMBER

FILE_SHIFT = 40  # trace_id: file number << 40 | position
_CHANNELS = 1 << 24
# Why a trace has no geometry.
PROBLEMS = {
    1: "have a record that no relation names",
    2: "have a record that several relations name, and neither file nor time tells which",
    3: "have a channel that no relation of their record names",
    4: "were heard by a receiver that is not in the table",
    5: "share record and channel with another trace",
}


@attrs.frozen(eq=False)
class Assigned:
    """Rows of the tables for every trace, int64 ``(n_traces,)``; `NONE` where `problem` (see `PROBLEMS`) is not 0."""

    shot: np.ndarray
    source: np.ndarray
    receiver: np.ndarray
    problem: np.ndarray

    @property
    def known(self) -> np.ndarray:
        known: np.ndarray = self.problem == 0
        return known


class Assigner:
    """Finds the rows of linked tables for traces; vectorised, made once for many batches.

    Parameters
    ----------
    words
        Header words that hold record and channel.
    tolerance_s
        How far the time of a trace may be from that of its shot.
    """

    def __init__(self, linked: Linked, words: tuple[str, str], tolerance_s: float) -> None:
        self.words, self.tolerance_s = words, tolerance_s
        shots, spreads = linked.shots, linked.spreads
        self._shots = shots
        self._order = np.argsort(shots["field_record"], kind="stable")
        self._records = shots["field_record"][self._order]
        self._source = shots["source"].astype(np.int64) - 1
        self._spread_shot = spreads["shot"].astype(np.int64) - 1
        self._begin = self._spread_shot * _CHANNELS + spreads["channel_first"].astype(np.int64)
        self._spreads = spreads
        receivers = linked.receivers
        self._receivers = Keys([receivers[name] for name in ("line", "point", "index")])

    def assign(self, headers: Headers, repeated: np.ndarray | None = None) -> Assigned:
        """Find the rows for all traces.

        Parameters
        ----------
        repeated
            Codes of shot and channel (`code`) that several traces of the survey share.
        """
        problem = np.zeros(len(headers), np.int64)
        shot = self._shot(headers, problem)
        channel = np.rint(headers.column(self.words[1])).astype(np.int64)
        spread = self._spread(shot, channel, problem)
        receiver = self._receiver(spread, channel, problem)
        if repeated is not None and repeated.size:
            problem[np.isin(shot * _CHANNELS + channel, repeated) & (problem == 0)] = 5
        source = self._source[shot]
        bad = problem != 0
        shot, source, receiver = (np.where(bad, NONE, rows) for rows in (shot, source, receiver))
        return Assigned(shot, source, receiver, problem)

    def code(self, headers: Headers, assigned: Assigned) -> np.ndarray:
        """Shot and channel of every trace as one number; negative where there is no geometry."""
        channel = np.rint(headers.column(self.words[1])).astype(np.int64)
        codes: np.ndarray = np.where(assigned.known, assigned.shot * _CHANNELS + channel, NONE)
        return codes

    def _shot(self, headers: Headers, problem: np.ndarray) -> np.ndarray:
        record = headers.column(self.words[0]).astype(np.float64)
        low = np.searchsorted(self._records, record)
        high = np.searchsorted(self._records, record, side="right")
        problem[high == low] = 1
        shot: np.ndarray = self._order[np.minimum(low, len(self._order) - 1)]
        several = np.flatnonzero(high > low + 1)
        if several.size:
            self._break_ties(headers, several, low, high, shot, problem)
        stated = self._shots["file"][shot]
        other_file = (stated != NO_NUMBER) & (stated != _file(headers, slice(None))) & (problem == 0)
        problem[other_file] = 1
        return shot

    def _break_ties(
        self,
        headers: Headers,
        rows: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        shot: np.ndarray,
        problem: np.ndarray,
    ) -> None:
        """Choose among the shots of one record by file, then by time; several left is a problem, never a guess."""
        rows = rows[np.argsort(low[rows], kind="stable")]
        for group in np.split(rows, np.flatnonzero(np.diff(low[rows])) + 1):
            candidates = self._order[low[group[0]] : high[group[0]]]
            fits = np.ones((len(group), len(candidates)), bool)
            for name, matches in (("file", self._same_file), ("second", self._same_time)):
                if (self._shots[name][candidates] != NO_NUMBER).all():
                    fits &= matches(headers, group, candidates)
            count = fits.sum(axis=1)
            shot[group] = candidates[np.argmax(fits, axis=1)]
            problem[group] = np.where(count == 1, 0, np.where(count == 0, 1, 2))

    def _same_file(self, headers: Headers, rows: np.ndarray, shots: np.ndarray) -> np.ndarray:
        same: np.ndarray = _file(headers, rows)[:, None] == self._shots["file"][shots][None]
        return same

    def _same_time(self, headers: Headers, rows: np.ndarray, shots: np.ndarray) -> np.ndarray:
        clock = [headers.column(word)[rows].astype(np.float64) for word in ("hour", "minute", "second")]
        second = clock[0] * 3600 + clock[1] * 60 + clock[2]
        near = np.abs(second[:, None] - self._shots["second"][shots][None]) <= self.tolerance_s
        day = self._shots["day"][shots][None]
        same: np.ndarray = near & (
            (day == NO_NUMBER) | (headers.column("day")[rows].astype(np.float64)[:, None] == day)
        )
        return same

    def _spread(self, shot: np.ndarray, channel: np.ndarray, problem: np.ndarray) -> np.ndarray:
        place: np.ndarray = np.searchsorted(self._begin, shot * _CHANNELS + channel, side="right") - 1
        place[place < 0] = 0
        first, last, step = (self._spreads[f"channel_{name}"][place] for name in ("first", "last", "step"))
        inside = (self._spread_shot[place] == shot) & (channel >= first) & (channel <= last)
        problem[~(inside & ((channel - first) % step == 0)) & (problem == 0)] = 3
        return place

    def _receiver(self, spread: np.ndarray, channel: np.ndarray, problem: np.ndarray) -> np.ndarray:
        table = self._spreads
        first, last = table["receiver_first"], table["receiver_last"]
        intervals = (table["channel_last"] - table["channel_first"]) / table["channel_step"]
        per_channel = (last - first) / np.maximum(intervals, 1)
        at = (channel - table["channel_first"][spread]) / table["channel_step"][spread]
        # Half stations occur; survey files give two decimals.
        point = np.round(first[spread] + at * per_channel[spread], 3)
        found = self._receivers.find([table["receiver_line"][spread], point, table["receiver_index"][spread]])
        problem[(found == NONE) & (problem == 0)] = 4
        return found


def _file(headers: Headers, rows: np.ndarray | slice) -> np.ndarray:
    numbers: np.ndarray = (headers.column(TRACE_ID)[rows] >> FILE_SHIFT).astype(np.float64)
    return numbers


def problems(headers: Headers, assigned: Assigned, words: tuple[str, str]) -> list[str]:
    """What has no geometry and why: how many, and the first ten."""
    columns = [headers.column(word) for word in words]
    found = []
    for number, text in PROBLEMS.items():
        rows = np.flatnonzero(assigned.problem == number)
        if rows.size:
            found.append(f"{rows.size} of {len(headers)} traces {text}: {listed(words, columns, rows)}")
    return found


def missing(linked: Linked, assigned: Assigned) -> list[str]:
    """What the relations name and no trace has."""
    used = np.zeros(len(linked.shots), bool)
    used[assigned.shot[assigned.known]] = True
    without = np.flatnonzero(~used)
    notes = []
    if without.size:
        records = listed(["field_record"], [linked.shots["field_record"]], without)
        notes.append(f"{without.size} of {len(linked.shots)} shots have no trace: {records}")
    spreads = linked.spreads
    channels = (spreads["channel_last"] - spreads["channel_first"]) / spreads["channel_step"] + 1
    expected = np.bincount(spreads["shot"].astype(np.int64) - 1, channels, len(linked.shots))
    held = np.bincount(assigned.shot[assigned.known], minlength=len(linked.shots))
    fewer = np.flatnonzero(used & (held < expected))
    if fewer.size:
        records = listed(["field_record"], [linked.shots["field_record"]], fewer)
        notes.append(f"{fewer.size} shots have fewer traces than the relations name channels: {records}")
    return notes
