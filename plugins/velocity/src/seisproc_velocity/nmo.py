"""The `nmo` processor."""

from __future__ import annotations

import functools
from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.data.tables import Table
from seisproc_core.data.words import LIVE_FIRST
from seisproc_core.errors import UsageError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_velocity import claims
from seisproc_velocity.fields import KEYS, Field, Lateral, Outside, field_of, functions_at, slowness_squared
from seisproc_velocity.moveout import Moveout
from seisproc_velocity.sinc import Interpolation, operators


@processor("nmo", scope="trace", kernels=("nmo",), claims=claims.NMO)
class Nmo(Processor):
    """Flatten reflections: normal moveout correction with a stretch mute, or its inverse.

    The sample at zero-offset time t0 (s) is taken from ``t = sqrt(t0^2 + x^2 / v^2(t0))`` with x = abs(offset) in m
    and v the rms velocity in m/s, by an 8-point least-squares sinc or
    linearly. v is linear in t0 between knots and constant outside them; time 0 is the instant of the source.

    NMO stretches a wavelet by ``dt0/dt``, the velocity gradient included:
    ``dt/dt0 = (t0 + x^2/2 d(1/v^2)/dt0) / t``. Samples above the first one whose stretch ``dt0/dt - 1`` is at most
    ``max_stretch_percent`` are muted, and so are times before the source. The live window follows: an output sample is
    live when its time t lies in the input's live window and it survives the mute.

    Amplitudes are kept as they are, as AVO and peak amplitudes need it; ``scale_stretch`` multiplies by ``dt/dt0``,
    which keeps the area under a wavelet and so the spectral level of low frequencies in the stack.

    With ``eta`` the moveout is that of a transversely isotropic medium with a vertical axis, good to about twice the
    depth: with u = x^2/v^2,
    ``t^2 = t0^2 + u - 2 eta u^2 / (t0^2 + (1 + 2 eta) u)``; eta and v belong to the same t0, eta is linear between
    knots and positions.

    ``inverse`` moves samples back; what the mute took stays zero, tapers are not undone. NMO then its inverse
    reproduces live samples below 0.6 of Nyquist within 1 % rms.

    Not on data with frequencies above 0.6 of Nyquist (resample first), nor without ``eta`` for long offsets where
    reflections are not hyperbolic (x > about 1.5 x depth), nor before static corrections.

    Sources: Taner and Koehler, Geophysics 34 (1969), 859-881; stretch: Dunkin and Levin, Geophysics 38 (1973), 635-642;
    eta: Alkhalifah and Tsvankin, Geophysics 60 (1995), 1550-1566.
    """

    velocity: Table = param(
        help="rms velocity at zero-offset times: for all traces, per cdp, or per inline and crossline",
        columns=("time_ms", "rms_m_per_s"),
        keys=KEYS,
    )
    lateral: Lateral = param("velocity", help="what is interpolated linearly between the positions of functions")
    outside: Outside = param(
        "constant", help="beyond the first and last position: the nearest function, or refuse such traces"
    )
    eta: Table | None = param(
        None, help="anellipticity at zero-offset times, for VTI media", columns=("time_ms", "eta"), keys=KEYS
    )
    max_stretch_percent: float = param(50.0, help="mute samples stretched more than this", unit="%", minimum=0)
    mute_scan: Literal["down", "up"] = param(
        "down", help="end the mute at the shallowest sample that is not overstretched, or below the deepest that is"
    )
    taper_ms: float = param(20.0, help="linear taper under the stretch mute", unit="ms", minimum=0)
    scale_stretch: bool = param(False, help="divide amplitudes by the stretch")
    interpolation: Interpolation = param("sinc8", help="how samples are interpolated")
    inverse: bool = param(False, help="undo NMO")
    mode: Literal["default", "su"] = param(
        "default",
        help="su: as Seismic Unix where it differs: taper on traces without mute too, stretch by backward differences, "
        "interpolation beyond the ends of a trace",
    )

    def check(self, layout: Layout) -> None:
        for name, quantity, table in (("velocity", "rms_m_per_s", self.velocity), ("eta", "eta", self.eta)):
            if table is not None:
                self._check_table(name, quantity, table, layout)
        layout.headers.column("offset")
        if layout.sampling.domain != "time":
            raise self.bad("velocity", f"needs traces in time, these are in {layout.sampling.domain}")

    # The work of these is done once for all batches.
    @functools.cached_property
    def _velocity_field(self) -> Field:
        return field_of(self.velocity)

    @functools.cached_property
    def _eta_field(self) -> Field | None:
        return None if self.eta is None else field_of(self.eta, "eta")

    def _check_table(self, name: str, quantity: str, table: Table, layout: Layout) -> None:
        for key in KEYS:
            if key in table:
                layout.headers.column(key)
        try:
            field = field_of(table, quantity)
            if self.outside == "error":
                functions_at(field, np.zeros(1), layout.headers, outside="error")
        except UsageError as error:
            raise self.bad(name, str(error)) from error

    def plan(self, layout: Layout) -> Layout:
        if LIVE_FIRST in layout.headers:
            return layout
        return attrs.evolve(layout, headers=layout.headers.with_live_window(*layout.live_window))

    def apply(self, batch: Gather, context: Context) -> Gather:
        moveout, function = self._moveout(batch)
        first, end = batch.live_window
        out = context.empty(batch.traces.shape)
        offset = np.abs(batch.headers["offset"]).astype(np.float64)
        window = context.kernel("nmo")(batch.traces, first, end, offset, function, moveout, out, context.flag)
        return batch.with_live_window(out, *window)

    def _moveout(self, batch: Gather) -> tuple[Moveout, np.ndarray]:
        sampling = batch.sampling
        around = sampling.start_s + np.arange(-1, sampling.count + 1) * sampling.interval_s
        rows, function = slowness_squared(self._velocity_field, around, batch.headers, self.lateral, self.outside)
        function = np.broadcast_to(function, batch.n_traces)
        eta = np.zeros((0, 0))
        if self._eta_field is not None:
            eta, own = functions_at(self._eta_field, around, batch.headers, outside=self.outside)
            both = np.stack([function, np.broadcast_to(own, batch.n_traces)])
            pairs, function = np.unique(both, axis=1, return_inverse=True)
            rows, eta = rows[pairs[0]], eta[pairs[1]]
        moveout = Moveout(
            slowness_squared=rows,
            eta=eta,
            start_s=sampling.start_s,
            interval_s=sampling.interval_s,
            weights=operators(self.interpolation),
            lowest_rate=1.0 / (1.0 + self.max_stretch_percent / 100) - 1e-9,  # 0 % keeps zero offset
            scan_up=self.mute_scan == "up",
            ramp=round(self.taper_ms / 1000 / sampling.interval_s),
            scale=self.scale_stretch,
            inverse=self.inverse,
            su=self.mode == "su",
        )
        return moveout, function.reshape(-1).astype(np.int64)
