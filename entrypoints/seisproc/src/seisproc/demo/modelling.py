"""A modelled land line whose every reflection is known: layers, a fault, a dipping horizon, noise as in the field.

Polarity is the SEG's for zero-phase data: an increase of impedance downwards is a positive peak, centred on its time.
"""

from __future__ import annotations

import attrs
import numpy as np

from seisproc.demo.traveltimes import FlatLayers, reflection_by_fermat
from seisproc_core.data.words import STANDARD

STATION_M = 25.0  # receiver and shot interval; a CDP is half of it
NEAR_STATIONS = 2  # nearest channel, in stations from the shot


@attrs.frozen
class Earth:
    """Flat layers over a faulted and a dipping interface.

    Attributes
    ----------
    flat_m
        Depths of the flat interfaces.
    velocities, densities
        Of every layer, m/s and g/cm3: those between the flat interfaces, the layer above and the one below the faulted
        interface, and the half-space. The two about the fault have the same velocity: it throws a contrast of density,
        so that rays to the dipping interface pass it unbent and every time is exact.
    fault_m, fault_x_m
        Depth of the faulted interface left and right of the fault, and the fault's position.
    dip_m, dip_slope
        Depth of the dipping interface below the fault, and its change with x (m per m).
    """

    flat_m: tuple[float, ...] = (200.0, 430.0, 680.0)
    velocities: tuple[float, ...] = (1700.0, 2100.0, 1900.0, 2500.0, 2500.0, 3000.0)
    densities: tuple[float, ...] = (1.95, 2.10, 2.02, 2.25, 1.95, 2.35)
    fault_m: tuple[float, float] = (900.0, 960.0)
    fault_x_m: float = 2106.0
    dip_m: float = 1160.0
    dip_slope: float = 0.06

    @property
    def coefficients(self) -> np.ndarray:
        """Reflection coefficient of every interface from the top down, at normal incidence."""
        impedance = np.array(self.velocities) * np.array(self.densities)
        return np.asarray(np.diff(impedance) / (impedance[1:] + impedance[:-1]))

    @property
    def layers(self) -> FlatLayers:
        """What rays travel through: the flat interfaces."""
        return FlatLayers(np.array(self.flat_m), np.array(self.velocities[: len(self.flat_m) + 1]))

    def dip_depth(self, x: np.ndarray) -> np.ndarray:
        """Depth of the dipping interface at x, m."""
        return self.dip_m + self.dip_slope * (x - self.fault_x_m)


@attrs.frozen
class FlatPart:
    """A stretch of a horizon that is flat: where a stack must show it, when, and with which sign."""

    name: str
    first_cdp: int
    last_cdp: int
    time_s: float
    coefficient: float


@attrs.frozen(eq=False)
class Model:
    """A modelled line.

    Attributes
    ----------
    traces
        Float32, shape ``(n_traces, n_samples)``.
    headers
        Stored header words by name, shape ``(n_traces,)`` each.
    interval_s, start_s
        Sample interval and time of the first sample, s.
    wavelet_hz
        Peak frequency of the zero-phase Ricker wavelet.
    flat_parts
        The truth that a stack can be held to.
    velocity
        Rms velocity function: zero-offset times (s) and velocities (m/s).
    """

    traces: np.ndarray
    headers: dict[str, np.ndarray]
    interval_s: float
    start_s: float
    wavelet_hz: float
    flat_parts: tuple[FlatPart, ...]
    velocity: tuple[np.ndarray, np.ndarray]


def model_line(
    seed: int = 1,
    *,
    shots: int = 120,
    channels: int = 48,
    samples: int = 750,
    interval_s: float = 0.002,
    start_s: float = 0.0,
    wavelet_hz: float = 28.0,
    noise: float = 1.0,
    ground_roll: float = 1.0,
    bad_traces: bool = True,
    earth: Earth | None = None,
) -> Model:
    """Model a split-spread line, 25 m between shots and between receivers, coverage ``channels / 2``.

    Parameters
    ----------
    seed
        Of everything random: equal seeds and sizes give equal lines.
    shots, channels, samples
        Sizes; `channels` is even, half of them on each side of the shot behind a gap of 50 m.
    interval_s, start_s
        Sample interval, and the time of the first sample after the shot.
    wavelet_hz
        Peak frequency of the Ricker wavelet.
    noise, ground_roll
        Factors on the random noise and on the ground roll; 0 leaves them out.
    bad_traces
        Whether a few traces are dead, flagged dead or very noisy.
    earth
        What is below the line.
    """
    if shots < 1 or channels < 2 or channels % 2 or samples < 1:
        raise ValueError(f"a split spread needs shots ({shots}), samples ({samples}) and even channels ({channels})")
    rng = np.random.default_rng(seed)
    ground = earth or Earth()
    headers = _geometry(shots, channels, samples, interval_s, start_s)
    source, receiver = headers["source_x"] / 100.0, headers["receiver_x"] / 100.0
    times = start_s + np.arange(samples) * interval_s
    traces = _reflections(ground, source, receiver, times, wavelet_hz)
    offset = np.abs(receiver - source)
    traces += 4e-3 * _ricker(times - offset[:, None] / ground.velocities[0], wavelet_hz) * (50.0 / offset[:, None])
    if ground_roll:
        traces += ground_roll * _ground_roll(offset, times)
    if noise:
        traces += noise * _noise(rng, traces.shape, interval_s)
    if bad_traces:
        _spoil(rng, traces, headers)
    return Model(
        traces=np.ascontiguousarray(traces, np.float32),
        headers=headers,
        interval_s=interval_s,
        start_s=start_s,
        wavelet_hz=wavelet_hz,
        flat_parts=_flat_parts(ground, headers["cdp"], channels),
        velocity=velocity_function(ground),
    )


def velocity_function(earth: Earth) -> tuple[np.ndarray, np.ndarray]:
    """Rms velocities (m/s) at the zero-offset times (s) of the interfaces, the faulted one at its mean depth."""
    depths = [*earth.flat_m, sum(earth.fault_m) / 2, earth.dip_m]
    times, velocities = zip(*(earth.layers.rms_velocity(depth) for depth in depths), strict=True)
    return np.array(times), np.array(velocities)


def _geometry(shots: int, channels: int, samples: int, interval_s: float, start_s: float) -> dict[str, np.ndarray]:
    """Header words of all traces, shot after shot, as SEG-Y stores them (coordinates in cm)."""
    half = channels // 2
    near_to_far = np.arange(half) + NEAR_STATIONS
    spread = np.concatenate((-near_to_far[::-1], near_to_far))
    reach = half + NEAR_STATIONS - 1
    shot = np.repeat(np.arange(shots), channels)
    source = shot + reach  # in stations: the first receiver of the line is station 0
    receiver = source + np.tile(spread, shots)
    words = {
        "trace_sequence_line": np.arange(1, len(shot) + 1),
        "trace_sequence_file": np.arange(1, len(shot) + 1),
        "field_record": shot + 1,
        "channel": np.tile(np.arange(1, channels + 1), shots),
        "source_station": source + 1,
        "cdp": source + receiver - reach + 1,
        "trace_type": 1,
        "vertical_fold": 1,
        "fold": 1,
        "data_use": 1,
        "offset": (receiver - source) * STATION_M,
        "coordinate_scalar": -100,
        "source_x": source * STATION_M * 100,
        "receiver_x": receiver * STATION_M * 100,
        "coordinate_units": 1,
        "delay": round(start_s * 1000),
        "sample_count": samples,
        "sample_interval": round(interval_s * 1e6),
        "year": 2026,
        "day": 1 + shot // 1440,
        "hour": shot // 60 % 24,
        "minute": shot % 60,
        "time_basis": 4,
        "cdp_x": (source + receiver) * STATION_M * 50,
        "inline": 1,
        "crossline": source + receiver - reach + 1,
    }
    return {name: np.full(len(shot), values).astype(STANDARD[name].dtype) for name, values in words.items()}


def _reflections(earth: Earth, source: np.ndarray, receiver: np.ndarray, times: np.ndarray, hertz: float) -> np.ndarray:
    """Primary reflections of all interfaces and the fault's diffractions, float64 ``(n_traces, n_samples)``."""
    layers, coefficients = earth.layers, earth.coefficients
    offset = receiver - source
    through = np.cumprod(np.concatenate(([1.0], 1.0 - coefficients[:-1] ** 2)))  # two-way transmission
    strength = coefficients * through
    traces = np.zeros((len(source), len(times)))
    for amplitude, depth in zip(strength, earth.flat_m, strict=False):
        _add(traces, times, layers.reflection(offset, depth), amplitude * _spreading(layers, depth), hertz)
    left_of_fault = (source + receiver) / 2 < earth.fault_x_m
    for depth, lit in zip(earth.fault_m, (left_of_fault, ~left_of_fault), strict=True):
        amplitude = strength[-2] * _spreading(layers, depth)
        specular = layers.reflection(offset, depth)
        _add(traces, times, specular, np.where(lit, amplitude, 0.0), hertz)
        down, up = (layers.ray(earth.fault_x_m - end, np.full(len(end), depth)).time for end in (source, receiver))
        _add_edge(traces, times, specular, down + up, np.where(lit, -amplitude, amplitude), hertz)
    dipping, _ = reflection_by_fermat(layers, source, receiver, earth.dip_depth, earth.dip_slope)
    _add(traces, times, dipping, strength[-1] * _spreading(layers, earth.dip_m), hertz)
    return traces


def _spreading(layers: FlatLayers, depth: float) -> float:
    """Amplitude left by geometrical spreading at zero offset: v1 / (t v_rms^2) (Newman, Geophysics 38, 1973)."""
    time, velocity = layers.rms_velocity(depth)
    return float(layers.velocities[0]) / (time * velocity**2)


def _ricker(times: np.ndarray, hertz: float) -> np.ndarray:
    """Zero-phase Ricker wavelet of unit peak (Ricker, Geophysics 18, 1953)."""
    argument = (np.pi * hertz * times) ** 2
    return (1.0 - 2.0 * argument) * np.exp(-argument)


def _add(
    traces: np.ndarray, times: np.ndarray, arrival: np.ndarray, amplitude: np.ndarray | float, hertz: float
) -> None:
    """Add a wavelet centred on each trace's arrival, at whatever fraction of a sample that is."""
    traces += np.reshape(amplitude, (-1, 1)) * _ricker(times - arrival[:, None], hertz)


def _add_edge(
    traces: np.ndarray, times: np.ndarray, specular: np.ndarray, edge: np.ndarray, amplitude: np.ndarray, hertz: float
) -> None:
    """Add the diffraction of an edge where a reflector ends.

    A half-plane returns the plane's reflection where lit, plus ``-+ erfc(sqrt(i w d)) / 2`` of it, d the delay of the
    path over the edge (Sommerfeld's solution near the shadow boundary). In time, s after the edge's, that is
    ``sqrt(d / s) / (2 pi (s + d))``; its integral ``arctan(sqrt(s / d)) / pi`` weighs each sample exactly in spite of
    the pole.
    """
    interval = times[1] - times[0]
    reach = int(np.ceil(2.0 / hertz / interval))  # half the wavelet's length, in samples
    borders = times[0] + (np.arange(-reach, len(times) + reach + 1) - 0.5) * interval
    delay = np.maximum(edge - specular, 1e-9)[:, None]
    since = np.maximum(borders - edge[:, None], 0.0)
    weights = np.diff(np.arctan(np.sqrt(since / delay)), axis=1) * (amplitude[:, None] / np.pi)
    wavelet = _ricker(np.arange(-reach, reach + 1) * interval, hertz)
    size = weights.shape[1] + len(wavelet) - 1
    spectrum = np.fft.rfft(weights, size, axis=1) * np.fft.rfft(wavelet, size)
    traces += np.fft.irfft(spectrum, size, axis=1)[:, 2 * reach : 2 * reach + len(times)]


def _ground_roll(offset: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A dispersive surface wave: 4-14 Hz at 520-260 m/s, low frequencies first, spreading as a cylinder."""
    interval = times[1] - times[0]
    before = max(round(times[0] / interval), 0) if times[0] > 0 else 0
    size = 4 * (len(times) + before)  # room for what arrives after the trace ends: nothing wraps around
    hertz = np.fft.rfftfreq(size, interval)
    velocity = np.interp(hertz, [4.0, 14.0], [520.0, 260.0])
    band = np.where(hertz > 0, np.exp(-(((hertz - 8.0) / 2.0) ** 2)), 0.0)
    distance, which = np.unique(offset, return_inverse=True)
    lag = distance[:, None] / velocity - times[0]
    waves = np.fft.irfft(band * np.exp(-2j * np.pi * hertz * lag), size, axis=1)[:, : len(times)]
    waves *= 4e-3 / np.abs(waves).max() * np.sqrt(distance.min() / distance)[:, None]
    return np.asarray(waves[which])


def _noise(rng: np.random.Generator, shape: tuple[int, int], interval_s: float) -> np.ndarray:
    """White noise, and as much again in the band of the reflections; the strength varies from trace to trace."""
    hertz = np.fft.rfftfreq(shape[1], interval_s)
    band = np.exp(-(((hertz - 30.0) / 20.0) ** 2))
    white = rng.standard_normal(shape)
    coloured = np.fft.irfft(np.fft.rfft(rng.standard_normal(shape), axis=1) * band, shape[1], axis=1)
    coloured /= coloured.std()
    return np.asarray(1.4e-5 * rng.lognormal(0.0, 0.3, (shape[0], 1)) * (white + coloured))


def _spoil(rng: np.random.Generator, traces: np.ndarray, headers: dict[str, np.ndarray]) -> None:
    """Make two traces in a hundred bad, in place: dead and flagged so, dead without a flag, or very noisy."""
    count = max(len(traces) // 150, 1)
    flagged, silent, noisy = np.split(rng.permutation(len(traces))[: 3 * count], [count, 2 * count])
    traces[flagged] = 0.0
    traces[silent] = 0.0
    headers["trace_type"][flagged] = 2
    traces[noisy] += rng.standard_normal((len(noisy), traces.shape[1])) * 1e-3


def _flat_parts(earth: Earth, cdp: np.ndarray, channels: int) -> tuple[FlatPart, ...]:
    """The flat stretches of full coverage, 200 m (a Fresnel zone) clear of the fault."""
    names, counts = np.unique(cdp, return_counts=True)
    full = names[counts == channels // 2]
    if not len(full):
        return ()
    first, last = int(full[0]), int(full[-1])
    # cdp = 2 x / station - reach + 1 with reach = channels / 2 + near - 1
    fault = 2 * earth.fault_x_m / STATION_M - (channels // 2 + NEAR_STATIONS - 1) + 1
    margin = 200.0 / (STATION_M / 2)
    coefficients = [float(c) for c in earth.coefficients]
    parts = [
        FlatPart(f"interface {i}", first, last, earth.layers.rms_velocity(depth)[0], coefficients[i - 1])
        for i, depth in enumerate(earth.flat_m, 1)
    ]
    sides = (("left", first, int(fault - margin)), ("right", int(fault + margin) + 1, last))
    parts += [
        FlatPart(f"{side} of fault", start, end, earth.layers.rms_velocity(depth)[0], coefficients[-2])
        for (side, start, end), depth in zip(sides, earth.fault_m, strict=True)
        if start <= end
    ]
    return tuple(parts)
