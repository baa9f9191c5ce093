"""Programs of Seismic Unix written anew in float64 from what is documented of them: oracles for parameters that no file
of reference data holds. Where a program has an error, samples it spoils are NaN and are not compared.

Every function takes traces ``(n_traces, n_samples)``, the interval `dt` (s), the start `t0` (s), and parameters as the
program names them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


def nint(x: Any) -> Any:
    return np.trunc(np.asarray(x, np.float64) + np.where(np.asarray(x) > 0, 0.5, -0.5)).astype(np.int64)


def sugain(x: Array, dt: float, t0: float, offset: Array, **p: Any) -> Array:
    """Order: bias, tpow, epow, gpow, agc or gagc, trap, clip, qclip or qbal, pbal, mbal, scale."""
    if p.get("jon"):
        p = {"tpow": 2.0, "gpow": 0.5, "qclip": 0.95}
    t = t0 + dt * np.arange(x.shape[1])
    y = x.astype(np.float64) + p.get("bias", 0.0)
    if "tpow" in p:
        at = np.broadcast_to(t, y.shape).copy()
        if "vred" in p:
            at[:, 1:] += np.abs(offset)[:, None] / p["vred"]
        y *= np.where(at > 0, np.where(at > 0, at, 1) ** p["tpow"], 0)
    if "epow" in p:
        y *= np.exp(p["epow"] * t ** p.get("etpow", 1.0))
    if "gpow" in p:
        y = np.sign(y) * np.abs(y) ** p["gpow"]
    if p.get("agc"):
        y = _agc(y, int(nint(p.get("wagc", 0.5) / dt)) >> 1)
    if p.get("gagc"):
        half = int(nint(p.get("wagc", 0.5) / dt)) >> 1
        k = np.arange(-half + 1, half)
        weights = np.exp(-((3.8090232 * k / half) ** 2))
        power = np.stack([np.convolve(row**2, weights)[half - 1 : half - 1 + len(row)] for row in y])
        y = np.where(power > 0, y / np.sqrt(np.where(power > 0, power, 1)), 0)
    if "trap" in p:
        y[np.abs(y) > p["trap"]] = 0
    if "clip" in p:
        y = np.clip(y, -p["clip"], p["clip"])
    y = np.clip(y, p.get("nclip", -np.inf), p.get("pclip", np.inf))
    q = p.get("qclip", 1.0)
    if p.get("qbal") or q < 1:
        limit = np.sort(np.abs(y), axis=1)[:, int(q * y.shape[1] - 0.5)][:, None]
        if p.get("qbal"):
            y = np.where(limit > 0, y / np.where(limit > 0, limit, 1), y)
            y = np.clip(y, -1, 1) if q < 1 else y
        else:
            y = np.clip(y, -limit, limit)
    if p.get("pbal"):
        rms = np.sqrt(np.mean(y**2, axis=1, keepdims=True))
        y = np.where(rms > 0, y / np.where(rms > 0, rms, 1), y)
    if p.get("mbal"):
        y = y - y.mean(axis=1, keepdims=True)
    return y * p.get("scale", 1.0)


def _agc(y: Array, half: int) -> Array:
    n = y.shape[1]
    made = np.full(y.shape, np.nan)
    power = np.pad(np.cumsum(y**2, axis=1), ((0, 0), (1, 0)))
    for i in range(1, n - half):
        low = max(i - half, 0)
        mean = (power[:, i + half] - power[:, low]) / (i + half - low)
        made[:, i] = np.where(mean > 0, y[:, i] / np.sqrt(np.where(mean > 0, mean, 1)), 0)
    return made


def sufilter(x: Array, dt: float, f: list[float], amps: list[float], nfft: int) -> Array:
    corner = [min(int(nint(c * nfft * dt)), nfft // 2) for c in f]
    gain = np.empty(nfft // 2 + 1)
    gain[: corner[0] + 1] = amps[0]
    gain[corner[-1] :] = amps[-1]
    for (low, a), (high, b) in zip(
        zip(corner, amps, strict=True), list(zip(corner, amps, strict=True))[1:], strict=False
    ):
        i = np.arange(low, high + 1)
        width = high - low + 2
        if b > a:
            gain[i] = a + (b - a) * np.sin(np.pi / 2 * (i - low + 1) / width) ** 2
        elif b < a:
            gain[i] = b + (a - b) * np.sin(np.pi / 2 * (high - i + 1) / width) ** 2
        else:
            gain[low + 1 : high + 1] = a
    return np.fft.irfft(np.fft.rfft(x, nfft, axis=1) * gain, nfft, axis=1)[:, : x.shape[1]]


def supef(
    x: Array,
    dt: float,
    minlag: float,
    maxlag: float,
    pnoise: float = 0.001,
    mix: tuple[float, ...] = (1.0,),
    window: float | None = None,
    wienerout: bool = False,
) -> Array:
    """`window`: length of the correlation window, which always begins at sample 0."""
    from scipy.linalg import solve_toeplitz

    l0, l1 = int(nint(minlag / dt)), int(nint(maxlag / dt))
    used = x.shape[1] if window is None else int(nint(window / dt)) + 1
    lags = np.array([[np.dot(row[: used - k], row[k:used]) for k in range(l1 + 1)] for row in x.astype(np.float64)])
    out = np.zeros(x.shape)
    for j, row in enumerate(x.astype(np.float64)):
        r = sum(w / len(mix) * lags[j - k] for k, w in enumerate(mix) if j >= k)
        if r[0] == 0:
            out[j] = row
            continue
        column = r[: l1 - l0 + 1].copy()
        column[0] *= 1 + pnoise
        f = solve_toeplitz(column, r[l0 : l1 + 1])
        if wienerout:
            out[j, 0], out[j, l0 : l1 + 1] = 1, -f
            continue
        out[j] = row
        for k in range(l0, l1 + 1):
            out[j, k:] -= f[k - l0] * row[: len(row) - k]
    return out


def sumute(
    x: Array, dt: float, t0: float, key: Array, mode: int, xmute: list[float], tmute: list[float], ntaper: int = 0,
    linvel: float = 0.0, tm0: float = 0.0,
) -> tuple[Array, Array]:  # fmt: skip
    """Muted traces, and which traces' times fall half-way between samples, where single precision decides."""
    time = np.interp(key, xmute, tmute, left=t0)
    weights = np.sin((np.arange(ntaper) + 1) * np.pi / (2 * max(ntaper, 1))) ** 2
    y = x.astype(np.float64).copy()
    n, ties = x.shape[1], np.zeros(len(x), bool)
    for j, row in enumerate(y):
        if mode == 0:
            exact = (time[j] - t0) / dt
            k = int(np.clip(nint(exact), 0, n))
            row[:k] = 0
            row[k : k + ntaper] *= weights[: len(row[k : k + ntaper])]
        elif mode == 1:
            exact = (t0 + n * dt - time[j]) / dt
            k = int(np.clip(nint(exact), 0, n))
            row[n - k :] = 0
            part = row[max(n - k - ntaper, 0) : n - k]
            part *= weights[: len(part)][::-1]
        else:
            curve = abs(key[j]) / linvel
            exact = (tm0 + curve if mode == 2 else np.hypot(tm0, curve)) / dt
            length, centre = int(nint(time[j] / dt)), int(nint(exact))
            ties[j] |= abs((time[j] / dt) % 1 - 0.5) < 1e-3
            half = length // 2
            for k in range(ntaper):
                for i in (centre - half - k, centre + half + k):
                    if 0 <= i < n:
                        row[i] *= weights[k]
            row[max(centre - half, 0) : max(centre + half, 0)] = 0
        ties[j] |= abs(exact % 1 - 0.5) < 1e-3
    return y, ties


def sudipfilt(x: Array, dt: float, dx: float, slopes: list[float], amps: list[float], shape: tuple[int, int]) -> Array:
    """`shape`: padded traces and samples."""
    w = 2 * np.pi * np.fft.fftfreq(shape[1], dt)
    k = 2 * np.pi * np.fft.fftfreq(shape[0], dx)[:, None]
    w = np.where(w == 0, 1e-6 * 2 * np.pi / (shape[1] * dt), w)
    # The transform over time has exp(-i w t), that over x too: an event later with x has k = -w p here.
    gain = np.interp(-k / w, slopes, amps)
    spectrum = np.fft.fft2(np.pad(x, ((0, shape[0] - len(x)), (0, shape[1] - x.shape[1]))))
    return np.fft.ifft2(spectrum * gain).real[: len(x), : x.shape[1]]


def suvelan(
    gathers: list[tuple[Array, Array]], dt: float, t0: float, nv: int, dv: float, fv: float, smute: float = 1.5,
    dtratio: int = 5, nsmooth: int | None = None, pwr: float = 1.0,
) -> Array:  # fmt: skip
    """`gathers`: traces and offsets of each CDP."""
    nsmooth = dtratio * 2 + 1 if nsmooth is None else nsmooth
    made = []
    for x, offset in gathers:
        n = x.shape[1]
        for v in fv + dv * np.arange(nv):
            num, den, count = np.zeros(n), np.zeros(n), np.zeros(n)
            for row, h in zip(x.astype(np.float64), np.abs(offset), strict=True):
                first = max(int((np.sqrt((h / v) ** 2 / (smute**2 - 1)) - t0) / dt), 0)
                at = (np.sqrt((t0 + dt * np.arange(first, n)) ** 2 + (h / v) ** 2) - t0) / dt
                low = at.astype(int)
                inside = low < n - 1
                q = np.zeros(n)
                low, part = low[inside], (at - at.astype(int))[inside]
                q[first:][inside] = (1 - part) * row[low] + part * row[low + 1]
                num += q
                den += q * q
                count += q != 0
            num, den = num**2, count * den
            for i in range(1 + (n - 1) // dtratio):
                centre = i * dtratio
                low, high = max(centre - nsmooth // 2, 0), min(centre + nsmooth // 2, n)
                below = den[low:high].sum()
                made.append((num[low:high].sum() / below if below > 0 else 0.0) ** pwr)
    return np.array(made).reshape(-1, 1 + (gathers[0][0].shape[1] - 1) // dtratio)
