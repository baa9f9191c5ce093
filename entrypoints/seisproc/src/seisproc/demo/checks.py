"""What the demonstration asserts: measured values beside wanted ones, on gathers and stacks alone."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from seisproc.demo.modelling import FlatPart
from seisproc_core.data.gather import Gather
from seisproc_core.errors import UsageError


@attrs.frozen
class Row:
    """One assertion: what was measured, what was wanted, whether it holds."""

    name: str
    measured: str
    wanted: str
    ok: bool


@attrs.frozen
class Expected:
    """What a field line must show; read from a TOML file beside its flow.

    Attributes
    ----------
    events_ms
        Flat reflections, roughly: the exact times are taken from the field records' near offsets.
    half_window_ms
        Events are looked for, and semblance is measured, this far about them.
    near_offset_m
        Traces up to this offset need no moveout correction worth a sample.
    weight
        Header word that the traces of a station are weighted with.
    least_gain, least_focus
        How much the semblance must exceed that of the unweighted sum, and that at the slower velocities.
    slower
        The factor on the velocities that should hurt.
    """

    events_ms: tuple[float, ...]
    half_window_ms: float
    near_offset_m: float
    weight: str
    least_gain: float
    least_focus: float
    slower: float

    @classmethod
    def load(cls, path: Path) -> Expected:
        """Read the file; every value must be there, and no other (`UsageError`)."""
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        wanted = {field.name for field in attrs.fields(cls)}
        if odd := wanted ^ set(values):
            name = min(odd)
            raise UsageError(f"{path}: '{name}' is {'missing' if name in wanted else 'unknown'}")
        return cls(**{**values, "events_ms": tuple(values["events_ms"])})


def check_modelled_line(section: Gather, parts: Sequence[FlatPart], wavelet_hz: float) -> list[Row]:
    """Hold a stack of the modelled line to the earth it was made from.

    Parameters
    ----------
    section
        The stack, one trace per CDP, before any display gain.
    parts
        Flat stretches of the model's horizons.
    wavelet_hz
        Peak frequency of the modelled wavelet; half its period bounds the search for an event.

    Returns
    -------
    list of Row
        Two rows per part. The strongest extremum of its mean trace must lie within one sample of the modelled time,
        have the reflection coefficient's sign and be the centre of a symmetrical wavelet; and so, within half a period,
        must be the strongest one of at least 95 % of its traces.
    """
    times, cdp = section.sampling.times(), section.headers["cdp"]
    sample, half_period = section.sampling.interval_s, 0.5 / wavelet_hz
    rows = []
    for part in parts:
        traces = section.traces[(cdp >= part.first_cdp) & (cdp <= part.last_cdp)].astype(np.float64)
        wanted_sign = "+" if part.coefficient > 0 else "-"
        title = f"{part.name} (CDP {part.first_cdp}-{part.last_cdp})"
        if not len(traces):
            rows.append(Row(title, "no traces", "a stack there", False))
            continue
        mean = traces.mean(axis=0)
        time, value = extremum(mean, times, part.time_s, half_period)
        late = (time - part.time_s) * 1000
        phase = phase_at(mean, times, part.time_s, half_period, part.coefficient)
        good = abs(late) <= sample * 1000 and value * part.coefficient > 0 and abs(phase) <= 30
        rows.append(
            Row(
                f"{title}: time, sign, phase",
                f"{time * 1000:.1f} ms, {'+' if value > 0 else '-'}, {phase:+.0f} deg",
                f"{part.time_s * 1000:.1f} +- {sample * 1000:g} ms, {wanted_sign}, 0 +- 30 deg",
                good,
            )
        )
        found = [extremum(trace, times, part.time_s, half_period)[1] * part.coefficient > 0 for trace in traces]
        share = float(np.mean(found))
        rows.append(Row(f"{title}: traces that show it", f"{share:.0%}", "at least 95%", share >= 0.95))
    return rows


def check_field_line(
    expected: Expected, records: Gather, section: Gather, gathers: Gather, unweighted: Gather, slower: Gather
) -> list[Row]:
    """Hold a processed field line to its own records.

    Parameters
    ----------
    expected
        Its events and the ratios wanted.
    records
        The records as imported, with the words ``offset``, ``cdp``, ``delay`` and the weight.
    section
        The stack.
    gathers, unweighted, slower
        CDP gathers after NMO, just before the stack: of the flow itself, of the flow whose traces are combined without
        weights, and of the flow at slower velocities.

    Returns
    -------
    list of Row
        Per event: its time on the stack against its time on the near offsets, then the two ratios of semblance.
    """
    sample = section.sampling.interval_s
    covered = well_covered(gathers)
    near, near_times = near_offset_trace(records, expected.weight, expected.near_offset_m, covered)
    stacked = section.traces[np.isin(section.headers["cdp"], covered)].astype(np.float64).mean(axis=0)
    half = expected.half_window_ms / 1000
    rows = []
    for event in (ms / 1000 for ms in expected.events_ms):
        time, value = extremum(stacked, section.sampling.times(), event, half)
        true, _ = extremum(near, near_times, event, half, sign=value)
        lobe = "peak" if value > 0 else "trough"
        rows.append(
            Row(
                f"event near {event * 1000:g} ms: time on the stack",
                f"{time * 1000:.1f} ms, {lobe}",
                f"{true * 1000:.1f} +- {sample * 1000:g} ms, as the strongest {lobe} of the near offsets",
                abs(time - true) <= sample,
            )
        )
        window = (event - half, event + half)
        best, summed, slow = (mean_semblance(g, window, covered) for g in (gathers, unweighted, slower))
        for name, other, least in (
            (f"against summing without {expected.weight}", summed, expected.least_gain),
            (f"against {expected.slower:g} x velocity", slow, expected.least_focus),
        ):
            ratio = best / other if other > 0 else math.nan
            rows.append(
                Row(
                    f"event near {event * 1000:g} ms: semblance {name}",
                    f"{best:.3f} / {other:.3f} = {ratio:.2f}",
                    f"at least {least:g}",
                    ratio >= least,
                )
            )
    return rows


def extremum(
    trace: np.ndarray, times: np.ndarray, near_s: float, within_s: float, *, sign: float = 0.0
) -> tuple[float, float]:
    """Time (s) and value of the strongest sample within a window, refined by a parabola through three samples.

    Of either sign, unless `sign` is positive (peaks only) or negative (troughs only).
    """
    inside = np.flatnonzero(np.abs(times - near_s) <= within_s)
    if not inside.size:
        return math.nan, 0.0
    at = int(inside[np.argmax(trace[inside] * sign if sign else np.abs(trace[inside]))])
    if not 0 < at < len(trace) - 1:
        return float(times[at]), float(trace[at])
    before, value, after = (float(v) for v in trace[at - 1 : at + 2])
    curvature = before - 2 * value + after
    shift = 0.5 * (before - after) / curvature if curvature else 0.0
    shift = shift if abs(shift) <= 1 else 0.0  # at a window's edge the parabola may peak elsewhere
    return float(times[at] + shift * (times[1] - times[0])), value - 0.25 * (before - after) * shift


def phase_at(trace: np.ndarray, times: np.ndarray, time_s: float, half_s: float, sign: float) -> float:
    """Phase of a wavelet at a time, degrees; 0 where it is symmetrical about it and has the wanted sign.

    The angle of the analytic signal, whose imaginary part is the Hilbert transform (Taner et al., Geophysics 44, 1979),
    averaged by its strength within `half_s` after the wavelet was referred to its centre frequency.
    """
    spectrum = np.fft.fft(trace)
    size = len(trace)
    spectrum[1 : (size + 1) // 2] *= 2
    spectrum[size // 2 + 1 :] = 0
    analytic = np.fft.ifft(spectrum)
    inside = np.abs(times - time_s) <= half_s
    local = np.where(inside, trace, 0.0)
    power = np.abs(np.fft.rfft(local)) ** 2
    if not power.any():
        return math.nan
    hertz = np.fft.rfftfreq(size, times[1] - times[0])
    centre = float((hertz * power).sum() / power.sum())
    turned = analytic[inside] * np.exp(-2j * np.pi * centre * (times[inside] - time_s))
    return float(np.degrees(np.angle((turned * np.abs(turned)).sum() * np.sign(sign))))


def well_covered(gathers: Gather) -> np.ndarray:
    """CDPs with at least two thirds of the largest number of traces: their offsets can tell velocities apart."""
    counts = np.diff(gathers.gather_starts)
    full = (counts >= counts.max() * 2 / 3) & (counts > 0)
    return np.asarray(gathers.headers["cdp"][gathers.gather_starts[:-1][full]])


def mean_semblance(gathers: Gather, window_s: tuple[float, float], cdps: np.ndarray) -> float:
    """Mean over CDPs of the semblance along zero moveout in a time window.

    ``S = sum_t (sum_i a_i(t))^2 / sum_t n(t) sum_i a_i(t)^2``, over live samples, of which there are n at time t
    (Neidell and Taner, Geophysics 36, 1971). CDPs with fewer than two live traces throughout the window do not count.
    """
    times = gathers.sampling.times()
    inside = np.flatnonzero((times >= window_s[0]) & (times <= window_s[1]))
    values = []
    for gather in gathers.split():
        if not gather.n_traces or gather.headers["cdp"][0] not in cdps:
            continue
        first, end = gather.live_window
        live = (inside >= first[:, None]) & (inside < end[:, None])
        amplitudes = np.where(live, gather.traces[:, inside], 0.0).astype(np.float64)
        fold = live.sum(axis=0)
        energy = (fold * (amplitudes**2).sum(axis=0)).sum()
        if energy > 0 and fold.min() >= 2:
            values.append(float((amplitudes.sum(axis=0) ** 2).sum() / energy))
    return float(np.mean(values)) if values else 0.0


def near_offset_trace(
    records: Gather, weight: str, most_m: float, cdps: np.ndarray, band_hz: tuple[float, float] = (15.0, 90.0)
) -> tuple[np.ndarray, np.ndarray]:
    """The line's reflections as its near offsets recorded them: no velocity, no moveout, no processor involved.

    Shots repeated at one place are summed with their weights, kept to a band (raised cosines over half an octave about
    its corners), balanced over sliding 100 ms so that early and late arrivals count alike, and averaged over the line.
    Time starts with the recording delay that the trace headers state.

    Returns
    -------
    trace, times
        Float64, shape ``(n_samples,)`` each, times in seconds after the shot.
    """
    headers, interval = records.headers, records.sampling.interval_s
    chosen = (np.abs(headers["offset"]) <= most_m) & np.isin(headers["cdp"], cdps)
    if not chosen.any():
        raise UsageError(f"no trace has an offset of {most_m:g} m or less; raise near_offset_m")
    # Repeated shots first: what they have in common must not drive the balance.
    _, pair = np.unique(np.stack([headers["cdp"][chosen], headers["offset"][chosen]]), axis=1, return_inverse=True)
    summed = np.zeros((pair.max() + 1, records.n_samples))
    np.add.at(summed, pair, records.traces[chosen] * headers[weight][chosen, None].astype(np.float64))
    filtered = _band_limited(summed, interval, band_hz)
    half = max(round(0.05 / interval), 1)
    energy = np.cumsum(np.pad(filtered**2, ((0, 0), (half + 1, half))), axis=1)
    level = np.sqrt(np.maximum(energy[:, 2 * half + 1 :] - energy[:, : -2 * half - 1], 0.0))
    balanced = np.divide(filtered, level, out=np.zeros_like(filtered), where=level > 0)
    times = float(np.median(headers["delay"][chosen])) + np.arange(records.n_samples) * interval
    return balanced.mean(axis=0), times


def _band_limited(traces: np.ndarray, interval_s: float, band_hz: tuple[float, float]) -> np.ndarray:
    """Zero-phase band-pass, the traces lengthened by zeros so that nothing wraps around."""
    count = traces.shape[1]
    octave = np.log2(np.maximum(np.fft.rfftfreq(2 * count, interval_s), 1e-3))
    low, high = np.log2(band_hz)
    inside = np.clip(2 * np.minimum(octave - low, high - octave) + 0.5, 0, 1)
    spectrum = np.fft.rfft(traces, 2 * count, axis=1) * np.sin(np.pi / 2 * inside) ** 2
    return np.asarray(np.fft.irfft(spectrum, 2 * count, axis=1)[:, :count])
