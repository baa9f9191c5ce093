"""The step `geometry`: sources, receivers and offsets of all traces from survey files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.scalars import SCALARS, fitting_scalar, with_scalar
from seisproc_core.data.tables import Table
from seisproc_core.data.words import canonical
from seisproc_core.errors import HeaderError, ParameterError, UsageError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_geometry.assigning import Assigned, Assigner, missing, problems
from seisproc_geometry.header_math import Scalar
from seisproc_geometry.linking import Linked, link
from seisproc_geometry.points import RECEIVER_WORDS, SOURCE_WORDS
from seisproc_geometry.positions import azimuth_deg, with_positions, write
from seisproc_geometry.reading.survey_files import LengthUnit, Named, read_survey_files
from seisproc_geometry.remembering import once
from seisproc_geometry.units import in_si, metres

_PLACES = ("x", "y")
_HEIGHTS = ("elevation", "depth", "water_depth", "datum")
_FILES = ("sps", "p190", "stations", "sources", "receivers", "relations")


@processor("geometry", scope="trace", headers_only=True)
class Geometry(Processor):
    """Give every trace its source, receiver, offset and midpoint, from survey files; nothing is guessed.

    The files are one of: SPS (`sps`: S, R and X records in one file or several), UKOOA P1/90 (`p190`), or tables in
    CSV or Parquet, or inline: `sources`, `receivers` and `relations`, or `stations` of a 2-D line and an observer's log
    as `relations`. What a log leaves out because it never changes stands in `spread`, such as
    ``{ channel_first = 1, channel_last = 48, first_from_source = -24, last_from_source = 23 }``. Without relations,
    sources have a column of field records and receivers one of channels.

    A trace is found by its field record and channel (`match` names other words). Where several shots have the same
    record, the columns `file` and `day`, `time` tell which, and if they cannot, the traces are listed, like all whose
    record, channel or receiver is in no table. That is an error, or with ``unmatched = "keep"`` they are left as they
    are, with ``shot`` 0.

    Writes ``shot``, ``source`` and ``receiver`` (keys from 1 on, in the order of the tables; two shots with the same
    record stay two), coordinates, elevations, depths, uphole times and statics where the tables have them,
    ``source_station`` and ``receiver_station``, ``offset``, ``azimuth`` (degrees from north), ``midpoint_x`` and
    ``midpoint_y``. Offsets on a single receiver line are negative for receivers behind the source, with respect to
    growing station numbers. Coordinates are stored with the coarsest SEG-Y scalar that holds all their digits.

    With source S and receiver R: offset = +-|R - S|, azimuth = atan2(dx, dy) of R - S, midpoint = (S + R) / 2.

    Not where the headers hold coordinates already and no file knows better: `offsets` computes the rest from them. Not
    for positions in degrees: everything here is in a projection.

    Sources: SEG Technical Standards, Shell Processing Support Format for 3D Surveys (SPS), revisions 0 to 2.1; UKOOA,
    P1/90 Post Plot Data Exchange Format (1990).
    """

    sps: tuple[Path, ...] | None = param(None, help="SPS files with S, R and X records.")
    p190: Path | None = param(None, help="A UKOOA P1/90 file.")
    stations: Table | Path | None = param(None, help="Stations of a 2-D line: station, x, y, elevation.", keys=("*",))
    sources: Table | Path | None = param(None, help="Sources: point (or field_record), x, y, ...", keys=("*",))
    receivers: Table | Path | None = param(None, help="Receivers: point (or channel), x, y, ...", keys=("*",))
    relations: Table | Path | None = param(
        None, help="Relations or observer's log: field_record, source, channels and receivers.", keys=("*",)
    )
    columns: dict[str, str] | None = param(None, help="What the tables call our columns, where they do it differently.")
    spread: dict[str, float] | None = param(None, help="What is the same for all records of the log.")
    interpolate: bool = param(
        False, help="Place points between stations on the straight line between their neighbours."
    )
    sps_revision: Literal[1, 2] | None = param(None, help="Columns of SPS records, whatever their header says.")
    match: tuple[str, ...] = param(("field_record", "channel"), help="Header words that hold record and channel.")
    time_tolerance_s: float = param(2.0, unit="s", minimum=0, help="Largest difference of times that tell shots apart.")
    unmatched: Literal["error", "keep"] = param("error", help="What to do with traces that have no geometry.")
    length_unit: LengthUnit | None = param(
        None, help="Unit of lengths in the files; theirs or the survey's if left out."
    )
    signed: bool | None = param(None, help="Offsets with sign; if left out, only on a single receiver line.")
    coordinate_scalar: Scalar | None = param(None, help="SEG-Y scalar of coordinates; chosen if left out.")
    elevation_scalar: Scalar | None = param(None, help="SEG-Y scalar of elevations and depths; chosen if left out.")
    along_deg: float | None = param(
        None, unit="deg", help="Azimuth of growing stations; from the receivers if left out."
    )
    linked: dict[str, Table] | None = param(
        None, help="Filled in while planning: the tables that were read.", keys=("*",)
    )
    repeated: Table | None = param(None, help="Filled in while planning: channels that traces share.", keys=("*",))

    def resolve(self, layout: Layout) -> Geometry:
        """Read the files, link them, choose scalars and find traces that share a channel."""
        if len(self.match) != 2:
            raise self.bad("match", "must name two header words, for record and channel")
        if not any(getattr(self, name) is not None for name in _FILES):
            raise self.bad("sps", f"or another of {', '.join(_FILES[1:])} must be given")
        try:
            named = Named(
                sps=self.sps, p190=self.p190, stations=self.stations, sources=self.sources, receivers=self.receivers,
                relations=self.relations, columns=self.columns or {}, spread=self.spread or {},
                interpolate=self.interpolate, sps_revision=self.sps_revision,
            )  # fmt: skip
            files, unit = read_survey_files(named, layout.files)
            linked = link(files)
        except ParameterError:
            raise
        except UsageError as error:
            raise UsageError(f"geometry: {error}") from None
        held = {
            "sources": linked.sources,
            "receivers": linked.receivers,
            "shots": linked.shots,
            "spreads": linked.spreads,
        }
        made: Geometry = self.replaced(
            **dict.fromkeys((*_FILES, "columns", "spread", "sps_revision")),
            linked=held,
            match=tuple(canonical(word) for word in self.match),
            length_unit=self.length_unit or unit,
        )
        made = made.replaced(**made._chosen(layout.headers))
        assigner = made._assigner()
        assigned = assigner.assign(layout.headers)
        codes, counts = np.unique(assigner.code(layout.headers, assigned), return_counts=True)
        shared = codes[(counts > 1) & (codes >= 0)]
        made = made.replaced(repeated=Table({"code": shared}) if shared.size else None)
        object.__setattr__(made, "_read_notes", linked.notes)
        return made

    def check(self, layout: Layout) -> None:
        found = problems(layout.headers, self._assigned(layout.headers), self._words)
        if found and self.unmatched == "error":
            raise self.bad("unmatched", f'is error, and {"; ".join(found)}; unmatched = "keep" leaves them as they are')

    def notes(self, layout: Layout) -> list[str]:
        assigned = self._assigned(layout.headers)
        notes = [*getattr(self, "_read_notes", ()), *problems(layout.headers, assigned, self._words)]
        notes += missing(self._linked, assigned)
        for name, columns in (("coordinate_scalar", _PLACES), ("elevation_scalar", _HEIGHTS)):
            if not self._fitting(layout.headers, columns)[1]:
                notes.append(f"positions have more digits than {name} {getattr(self, name)} holds: they are rounded")
        return notes

    def plan(self, layout: Layout) -> Layout:
        return attrs.evolve(layout, headers=self._written(layout.headers))

    def apply(self, batch: Gather, context: Context) -> Gather:
        return batch.with_headers(self._written(batch.headers))

    # ------------------------------------------------------------------------------------------------ what was read

    @property
    def _words(self) -> tuple[str, str]:
        return self.match[0], self.match[1]

    @property
    def _linked(self) -> Linked:
        assert self.linked is not None
        held = self.linked
        return Linked(
            sources=held["sources"], receivers=held["receivers"], shots=held["shots"], spreads=held["spreads"]
        )

    def _assigner(self) -> Assigner:
        # Sorting the tables once per step and process, not once per batch.
        held: Assigner | None = getattr(self, "_cached", None)
        if held is None:
            held = Assigner(self._linked, self._words, self.time_tolerance_s)
            object.__setattr__(self, "_cached", held)
        return held

    def _assigned(self, headers: Headers) -> Assigned:
        def assign() -> Assigned:
            repeated = None if self.repeated is None else self.repeated["code"].astype(np.int64)
            return self._assigner().assign(headers, repeated)

        return once(self, "assigned", headers, assign)

    def _chosen(self, headers: Headers) -> dict[str, object]:
        """Scalars and the direction of the line, where they are not given."""
        receivers = self._linked.receivers
        chosen: dict[str, object] = {}
        for name, columns in (("coordinate_scalar", _PLACES), ("elevation_scalar", _HEIGHTS)):
            if getattr(self, name) is None:
                chosen[name] = self._fitting(headers, columns)[0]
        one_line = len(np.unique(receivers["line"])) == 1
        signed = one_line if self.signed is None else self.signed
        if signed and self.along_deg is None:
            order = np.argsort(receivers["point"], kind="stable")
            first, last = order[0], order[-1]
            dx, dy = (receivers[axis][last : last + 1] - receivers[axis][first : first + 1] for axis in ("x", "y"))
            chosen["along_deg"] = float(azimuth_deg(dx, dy)[0])
        return chosen | {"signed": signed}

    def _fitting(self, headers: Headers, columns: tuple[str, ...]) -> tuple[int | None, bool]:
        """The scalar that holds the tables' values exactly, no coarser than the survey's; None where that one does."""
        factor = metres(self.length_unit, headers) / headers.length_factor
        tables = (self._linked.sources, self._linked.receivers)
        values = [table[name] * factor for table in tables for name in columns if name in table]
        scalar, exact = fitting_scalar(values)
        word = "coordinate_scalar" if columns is _PLACES else "elevation_scalar"
        held = np.unique(headers.column(word)).tolist() if word in headers else []
        if not values or (scalar == 1 and held in ([0], [1])):
            return None, exact
        if len(held) == 1 and held[0] in SCALARS and held[0] < scalar:
            largest = max(float(np.abs(v).max()) for v in values)
            scalar = held[0] if largest * -held[0] < 2**31 else scalar
        return scalar, exact

    # ------------------------------------------------------------------------------------------------- what is written

    def _written(self, headers: Headers) -> Headers:
        assigned, linked = self._assigned(headers), self._linked
        known = assigned.known
        headers = self._with_scalars(self._cleared(headers, known))
        for name, rows in (("shot", assigned.shot), ("source", assigned.source), ("receiver", assigned.receiver)):
            headers = headers.with_columns(**{name: (rows + 1).astype(np.int32)})
        unit_m = metres(self.length_unit, headers)
        for table, rows, words, station in (
            (linked.sources, assigned.source, SOURCE_WORDS, "source_station"),
            (linked.receivers, assigned.receiver, RECEIVER_WORDS, "receiver_station"),
        ):
            end = station.partition("_")[0]
            places = {"x": f"{end}_x", "y": f"{end}_y"} | words
            for column, word in places.items():
                if column in table:
                    headers = self._rounded(headers, word, in_si(word, table[column][rows], unit_m), known)
            points = table["point"]
            if (points % 1 == 0).all() or station == "receiver_station":
                headers = write(headers, station, points[rows], known)
        positions = [
            tuple(table[axis][rows] * unit_m for axis in ("x", "y"))
            for table, rows in ((linked.sources, assigned.source), (linked.receivers, assigned.receiver))
        ]
        along = self.along_deg if self.signed else None
        return with_positions(headers, positions[0], positions[1], along, known)

    def _with_scalars(self, headers: Headers) -> Headers:
        """The survey's positions with the chosen scalars."""
        for name in ("coordinate_scalar", "elevation_scalar"):
            scalar = getattr(self, name)
            if scalar is None:
                continue
            try:
                headers = with_scalar(headers, name, scalar)
            except HeaderError as error:
                raise self.bad(name, f"{scalar} does not suit what the headers hold: {error}") from None
        return headers

    def _cleared(self, headers: Headers, known: np.ndarray) -> Headers:
        """What will be overwritten need not fit a new scalar."""
        linked = self._linked
        words = [word for column, word in SOURCE_WORDS.items() if column in linked.sources]
        words += [word for column, word in RECEIVER_WORDS.items() if column in linked.receivers]
        held = [word for word in ("source_x", "source_y", "receiver_x", "receiver_y", *words) if word in headers]
        return headers.with_columns(
            **{w: np.where(known, np.zeros((), headers.dtype(w)), headers.column(w)) for w in held}
        )

    def _rounded(self, headers: Headers, word: str, values: np.ndarray, known: np.ndarray) -> Headers:
        """Write a word to the resolution of its scalar; traces without geometry keep theirs."""
        before = headers[word] if word in headers else np.zeros(len(headers))
        try:
            return headers.with_values(word, np.where(known, values, before))
        except HeaderError as error:
            raise self.bad("length_unit", f"or a scalar is wrong: {error}") from None
