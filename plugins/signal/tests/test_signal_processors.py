"""What each processor does, on data small enough to know the answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from seisproc_core.errors import Cancelled, HeaderError, ParameterError
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import build
from seisproc_core.testing import make_gather, run_processor
from seisproc_signal.agc import Agc
from seisproc_signal.bandpass import Bandpass, Notch, Trapezoid
from seisproc_signal.combine import Combine
from seisproc_signal.edit import Kill, Reverse, Select
from seisproc_signal.filtering import filter_traces
from seisproc_signal.gain import Gain, Spreading, TraceBalance
from seisproc_signal.mute import Mute, SurgicalMute
from seisproc_signal.plugin import seisproc_kernels

KERNELS = seisproc_kernels()


def spike(n: int = 801, at: int = 400) -> np.ndarray:
    trace = np.zeros((1, n))
    trace[0, at] = 1
    return trace


@pytest.mark.parametrize(("low", "high", "order"), [(10.0, 60.0, 4), (10.0, None, 3), (None, 60.0, 2), (2.0, 200.0, 6)])
def test_butterworth_is_scipys_run_forward_and_backward(low, high, order, rng):
    parts = []
    if low:
        parts.append(signal.butter(order, low, "highpass", fs=500, output="sos"))
    if high:
        parts.append(signal.butter(order, high, "lowpass", fs=500, output="sos"))
    traces = np.zeros((3, 4001))
    traces[:, 1700:2300] = rng.standard_normal((3, 600))
    expected = signal.sosfiltfilt(np.concatenate(parts), traces, axis=1)
    given = {"order": order} | ({"low_hz": low} if low else {}) | ({"high_hz": high} if high else {})
    found = run_processor(Bandpass, make_gather(traces, interval_ms=2), given).traces
    assert np.abs(found - expected).max() < 3e-5 * np.abs(expected).max()


def test_corners_of_the_bandpass_are_at_half_amplitude():
    operator = run_processor(Bandpass, make_gather(spike(4001, 2000), interval_ms=2), {"low_hz": 10.0, "high_hz": 50.0})
    response = np.abs(np.fft.rfft(operator.traces[0], 5000))
    assert np.allclose(response[[100, 500]], 0.5, atol=2e-3) and abs(response[223] - 1) < 2e-2


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (Bandpass, {"low_hz": 8.0, "high_hz": 40.0}),
        (Trapezoid, {"corners_hz": [4.0, 8.0, 40.0, 60.0]}),
        (Notch, {"frequencies_hz": [50.0], "width_hz": 2.0}),
    ],
)
class TestZeroPhase:
    def test_a_spike_yields_a_symmetric_operator_that_does_not_wrap(self, cls, parameters):
        middle = run_processor(cls, make_gather(spike(), interval_ms=2), parameters).traces[0]
        assert np.allclose(middle, middle[::-1], atol=1e-6) and np.argmax(np.abs(middle)) == 400
        edge = run_processor(cls, make_gather(spike(at=0), interval_ms=2), parameters).traces[0]
        assert np.allclose(edge[:401], middle[400:], atol=2e-5)
        assert (
            np.abs(edge[500:]).max() < 2e-2 * np.abs(edge).max() and np.abs(edge[-50:]).max() <= np.abs(edge[:50]).max()
        )

    def test_equals_direct_convolution_in_double_precision(self, cls, parameters, rng):
        traces = rng.standard_normal((40, 333)).astype(np.float32)
        instance = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()})
        dense = np.fft.irfft(instance.amplitude(np.fft.rfftfreq(1 << 17, 0.002), 250.0))
        lags = np.abs(np.arange(333)[:, None] - np.arange(333))
        found = run_processor(cls, make_gather(traces, interval_ms=2), parameters).traces
        expected = traces @ dense[lags]
        assert np.sqrt(np.mean((found - expected) ** 2)) < 1e-5 * np.sqrt(np.mean(expected**2))

    def test_start_time_plays_no_part(self, cls, parameters, rng):
        traces = rng.standard_normal((3, 200))
        runs = [run_processor(cls, make_gather(traces, interval_ms=2, start_ms=t), parameters) for t in (-100, 0, 100)]
        assert np.array_equal(runs[0].traces, runs[1].traces) and np.array_equal(runs[1].traces, runs[2].traces)

    def test_cancel(self, cls, parameters):
        instance = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()})
        gather = make_gather(np.ones((5, 100)), interval_ms=2)
        with pytest.raises(Cancelled):
            instance.apply(gather, Context(flag=np.ones(1, np.uint8)))


def test_float32_transforms_are_exact_to_a_millionth(rng):
    instance = Bandpass(low_hz=10.0, high_hz=80.0)
    transfer = instance.transfer(1500, 0.002)
    traces = rng.standard_normal((50, 1500)).astype(np.float32)
    out = np.empty_like(traces)
    filter_traces(traces, transfer, out, Context())
    exact = np.fft.irfft(np.fft.rfft(traces.astype(np.float64), transfer.length) * transfer.gain, transfer.length)[
        :, :1500
    ]
    assert np.sqrt(np.mean((out - exact) ** 2)) < 1e-6 * np.sqrt(np.mean(exact**2))


def test_notch_removes_its_frequency_and_keeps_others():
    times = np.arange(2000) * 0.002
    gather = make_gather(np.sin(2 * np.pi * np.array([[50], [20], [100]]) * times), interval_ms=2)
    out = run_processor(Notch, gather, {"frequencies_hz": [50.0, 100.0]}).traces[:, 500:1500]
    assert np.abs(out[[0, 2]]).max() < 1e-3 and np.allclose(out[1], gather.traces[1, 500:1500], atol=1e-3)


def test_filter_after_mute_stays_muted_and_agc_leaves_the_mute_out(rng):
    gather = make_gather(rng.standard_normal((4, 300)), interval_ms=2, offset=[0, 100, -200, 400])
    muted = run_processor(Mute, gather, {"velocity_m_per_s": 1000.0})
    assert muted.live_window[0].tolist() == [0, 50, 100, 200]
    filtered = run_processor(Bandpass, muted, {"low_hz": 10.0, "high_hz": 60.0})
    balanced = run_processor(Agc, filtered, {"window_ms": 100.0}, kernels=KERNELS)
    for row, first in enumerate(muted.live_window[0]):
        assert not balanced.traces[row, :first].any()
        alone = make_gather(filtered.traces[row : row + 1, first:], interval_ms=2)
        assert np.array_equal(
            run_processor(Agc, alone, {"window_ms": 100.0}, kernels=KERNELS).traces[0], balanced.traces[row, first:]
        )


def test_mute_counts_from_the_source_and_tapers_inside_the_live_part():
    gather = make_gather(np.ones((1, 100)), interval_ms=2, start_ms=-20, offset=50)
    out = run_processor(Mute, gather, {"velocity_m_per_s": 1000.0, "taper_ms": 8.0})
    ramp = np.sin(np.pi / 8 * np.arange(1, 5)) ** 2
    assert np.allclose(out.traces[0, 33:41], [0, 0, *ramp, 1, 1]) and out.live_window[0][0] == 35
    bottom = run_processor(Mute, gather, {"velocity_m_per_s": 1000.0, "taper_ms": 8.0, "where": "bottom"})
    assert np.allclose(bottom.traces[0, 29:37], [1, 1, *ramp[::-1], 0, 0]) and bottom.live_window[1][0] == 35
    all_gone = run_processor(Mute, gather, {"velocity_m_per_s": 1000.0, "time_ms": 900.0})
    assert not all_gone.traces.any() and np.diff(all_gone.live_window, axis=0) == 0


def test_hard_mute_twice_is_once_and_never_widens_a_window():
    gather = make_gather(np.ones((1, 100)), live=([40], [60]), offset=10)
    once = run_processor(Mute, gather, {"velocity_m_per_s": 1000.0, "time_ms": 190.0})
    twice = run_processor(Mute, once, {"velocity_m_per_s": 1000.0, "time_ms": 190.0})
    wider = run_processor(Mute, twice, {"velocity_m_per_s": 1000.0})
    assert once.live_window[0][0] == 50 and np.array_equal(once.traces, wider.traces)
    assert [int(edge[0]) for edge in wider.live_window] == [50, 60]


def test_mute_table_keyed_by_a_header_word_is_interpolated_in_it():
    gather = make_gather(np.ones((4, 100)), offset=100, cdp=[1, 10, 15, 99])
    knots = {"cdp": [10, 10, 20, 20], "offset_m": [0, 200, 0, 200], "time_ms": [0, 80, 80, 240]}
    out = run_processor(Mute, gather, {"table": knots})
    assert out.live_window[0].tolist() == [10, 10, 25, 40]


def test_gain_limits_peaks_and_troughs_apart(rng: np.random.Generator) -> None:
    traces = rng.standard_normal((3, 100)).astype(np.float32)
    live = (np.array([0, 20, 0]), np.array([100, 90, 100]))
    gather = make_gather(traces, live=live)
    out = run_processor(Gain, gather, {"clip_above": 0.4, "clip_below": -0.7, "scale": 2})
    inside = (np.arange(100) >= live[0][:, None]) & (np.arange(100) < live[1][:, None])
    assert np.allclose(out.traces, 2 * np.clip(traces, -0.7, 0.4) * inside)
    raised = run_processor(Gain, gather, {"clip_above": -0.5})
    assert raised.traces[1, 20:90].max() == np.float32(-0.5) and not raised.traces[1, :20].any()


def test_surgical_mute_follows_picked_times() -> None:
    offset, cdp = np.tile([-100, 0, 100, 300], 2), np.repeat([10, 20], 4)
    gather = make_gather(np.ones((8, 250)), offset=offset, cdp=cdp)
    table = {"cdp": [10, 10, 20], "offset_m": [0, 200, 0], "time_ms": [200, 400, 600]}
    out = run_processor(SurgicalMute, gather, {"table": table, "width": {"offset_m": [0], "width_ms": [40]}})
    centre = [300, 200, 300, 400, 600, 600, 600, 600]
    for trace, at in zip(out.traces, centre, strict=True):
        zero = np.flatnonzero(trace == 0)
        assert (zero[0], len(zero)) == (at // 4 - 5, 10)
    for wrong in ({}, {"table": table, "velocity_m_per_s": 900.0}):
        with pytest.raises(ParameterError, match="only one of them"):
            run_processor(SurgicalMute, gather, {"width": {"offset_m": [0], "width_ms": [40]}, **wrong})


def test_a_mute_may_follow_channels_instead_of_offsets() -> None:
    gather = make_gather(np.ones((3, 250)), offset=np.array([500, 0, 90]), channel=np.array([1, 31, 61]))
    table = {"channel": [1, 61], "offset_m": [0, 0], "time_ms": [100, 500]}
    out = run_processor(Mute, gather, {"table": table})
    assert [int(np.flatnonzero(trace)[0]) for trace in out.traces] == [25, 75, 125]


def test_surgical_mute_is_symmetric_and_leaves_the_live_window():
    gather = make_gather(np.ones((1, 101)), interval_ms=2, offset=-100)
    width = {"offset_m": [0], "width_ms": [18.0]}
    out = run_processor(SurgicalMute, gather, {"velocity_m_per_s": 1000.0, "width": width, "taper_ms": 10.0})
    assert np.flatnonzero(out.traces[0] == 0).tolist() == list(range(46, 55))
    assert np.array_equal(out.traces[0], out.traces[0, ::-1]) and out.live_window[1][0] == 101


def test_gains_by_formula():
    gather = make_gather([[1, -1, 4, -9]], interval_ms=500, start_ms=-500)
    assert run_processor(Gain, gather, {"t_power": 1}).traces.tolist() == [[0, 0, 2, -9]]
    assert run_processor(Gain, gather, {"t_power": -1}).traces.tolist() == [[0, 0, 8, -9]]
    assert run_processor(Gain, gather, {"power": 0.5, "scale": 2}).traces.tolist() == [[2, -2, 4, -6]]
    found = run_processor(Gain, gather, {"exponential_per_s": 2}).traces
    assert np.allclose(found, [[np.exp(-1), -1, 4 * np.e, -9 * np.e**2]])
    assert run_processor(Gain, gather, {"clip_quantile": 0.75}).traces.tolist() == [[1, -1, 4, -4]]


def test_balance_counts_live_samples_only():
    gather = make_gather([[0, 3, -4, 0], [1, 1, 1, 1], [0, 0, 0, 0]], live=([1, 0, 0], [3, 4, 4]))
    rms = run_processor(TraceBalance, gather, {"level": 5.0}).traces
    assert np.allclose(rms, [[0, 15 / 12.5**0.5, -20 / 12.5**0.5, 0], [5] * 4, [0] * 4])
    assert np.allclose(run_processor(TraceBalance, gather, {"kind": "max"}).traces[0], [0, 0.75, -1, 0])
    assert np.allclose(
        run_processor(TraceBalance, gather, {"kind": "mean"}).traces, [[0, 3.5, -3.5, 0], [0] * 4, [0] * 4]
    )


def test_spreading_is_time_times_squared_velocity_ratio():
    gather = make_gather(np.ones((3, 5)), interval_ms=500, start_ms=-500, cdp=[1, 2, 3])
    table = {"cdp": [1, 1, 3], "time_ms": [0, 1000, 0], "rms_m_per_s": [1000, 2000, 1000]}
    factor = np.array([0, 0, 0.5 * 1.5**2, 4, 6])
    plain = np.array([0, 0, 0.5, 1, 1.5])
    found = run_processor(Spreading, gather, {"velocity": table}).traces
    assert np.allclose(found, [factor, (factor + plain) / 2, plain])
    assert np.allclose(run_processor(Spreading, gather, {}).traces, plain)
    halved = run_processor(Spreading, gather, {"velocity": table, "v0_m_per_s": 2000.0}).traces
    assert np.allclose(halved, found / 4)


def test_kill_reverse_and_select_by_ranges():
    gather = make_gather(np.ones((6, 3)), gather_starts=[0, 3, 6], offset=[-50, -45, 0, 10, 45, 46], channel=range(6))
    killed = run_processor(Kill, gather, {"where": {"offset": [-45, 10], "channel": [0, 2]}})
    assert killed.headers.column("dead").tolist() == [0, 4, 4, 0, 0, 0] and killed.traces.sum(axis=1).tolist() == [
        3,
        0,
        0,
        3,
        3,
        3,
    ]
    assert np.subtract(*killed.live_window[::-1]).tolist() == [3, 0, 0, 3, 3, 3]
    before = killed.with_headers(killed.headers.with_columns(dead=np.array([2, 4, 4, 0, 0, 0], np.uint8)))
    again = run_processor(Kill, before, {"where": {"channel": [0, 0]}})
    assert again.headers.column("dead").tolist() == [2, 4, 4, 0, 0, 0]
    reversed_ = run_processor(Reverse, gather, {"where": {"channel": [4, 9]}})
    assert reversed_.traces[:, 0].tolist() == [1, 1, 1, 1, -1, -1]
    near = run_processor(Select, gather, {"where": {"offset": [0, 45]}, "absolute": True})
    assert near.headers["channel"].tolist() == [1, 2, 3, 4] and near.gather_starts.tolist() == [0, 2, 4]
    far = run_processor(Select, gather, {"where": {"offset": [0, 45]}, "absolute": True, "drop": True})
    assert far.headers["channel"].tolist() == [0, 5] and far.gather_starts.tolist() == [0, 1, 2]


def test_traces_are_chosen_by_a_table_of_words():
    words = {"field_record": [1, 1, 1, 2, 2, 2], "channel": [1, 2, 3, 1, 2, 3]}
    gather = make_gather(np.ones((6, 3)), **words)
    listed = {"field_record": [1, 2, 2, 9], "channel": [2, 1, 3, 9]}
    killed = run_processor(Kill, gather, {"table": listed})
    assert killed.headers.column("dead").tolist() == [0, 4, 0, 4, 0, 4]
    both = run_processor(Reverse, gather, {"table": listed, "where": {"field_record": [2, 2]}})
    assert both.traces[:, 0].tolist() == [1, 1, 1, -1, 1, -1]
    kept = run_processor(Select, gather, {"table": listed, "drop": True}).headers
    assert kept["field_record"].tolist() == [1, 1, 2] and kept["channel"].tolist() == [1, 3, 2]
    step = build(Kill, "kill", {"table": listed})
    assert step.notes(gather.layout) == ["1 of the 4 rows of the table match no trace"]
    assert not build(Kill, "kill", {"table": {"channel": [1]}}).notes(gather.layout)
    with pytest.raises(HeaderError, match="inline"):
        run_processor(Kill, gather, {"table": {"inline": [1]}})
    with pytest.raises(ParameterError, match="unknown column"):
        run_processor(Kill, gather, {"table": {"colour": [1]}})


def test_combine_pairs_by_polarity_without_doubling_a_lone_trace(rng):
    signal_ = rng.standard_normal((3, 20))
    noise = rng.standard_normal((2, 20))
    traces = [signal_[0] + noise[0], -signal_[0] + noise[0], signal_[1] + noise[1], -signal_[1] + noise[1], -signal_[2]]
    words = {"polarity": [1, -1, 1, -1, -1], "channel": [7, 7, 8, 8, 9], "vertical_fold": 1}
    gather = make_gather(traces, gather_starts=[0, 2, 4, 4, 5], **words)
    out = run_processor(Combine, gather, {"weight": "polarity", "expect": 2})
    assert np.allclose(out.traces, signal_, atol=1e-6)
    assert out.headers["vertical_fold"].tolist() == [2, 2, 1] and out.headers["channel"].tolist() == [7, 8, 9]
    (note,) = Combine(weight="polarity", expect=2).notes(gather.layout)
    assert note == "1 of 3 gathers do not have the 2 traces expected; the first is gather 3 with 1"


def test_combine_divides_by_the_traces_live_at_each_time():
    live = (np.array([0, 2, 0]), np.array([4, 5, 0]))
    gather = make_gather([[2, 2, 2, 2, 0], [0, 0, 4, 4, 4], [0] * 5], live=live)
    mean = run_processor(Combine, gather)
    assert mean.traces.tolist() == [[2, 2, 3, 3, 4]] and mean.headers["vertical_fold"].tolist() == [2]
    assert [int(edge[0]) for edge in mean.live_window] == [0, 5]
    assert run_processor(Combine, gather, {"method": "sum"}).traces.tolist() == [[2, 2, 6, 6, 4]]
