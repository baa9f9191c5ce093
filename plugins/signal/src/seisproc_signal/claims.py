"""What the processors here claim: examples, and properties that the conformance suite checks."""

from __future__ import annotations

from seisproc_core.processing.claims import Claims

WAVELET = {
    "time_ms": [-20, -18, -16, -14, -12, -10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20],
    "amplitude": [
        0,
        -0.05,
        -0.13,
        -0.25,
        -0.38,
        -0.44,
        -0.36,
        -0.1,
        0.31,
        0.74,
        1,
        0.74,
        0.31,
        -0.1,
        -0.36,
        -0.44,
        -0.38,
        -0.25,
        -0.13,
        -0.05,
        0,
    ],
}
SIGNATURE = {
    "time_ms": [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20],
    "amplitude": [0.4, 1, 0.8, 0.1, -0.5, -0.6, -0.3, 0, 0.15, 0.1, 0],
}
RICKER = {  # 18 Hz
    "time_ms": [
        -48,
        -44,
        -40,
        -36,
        -32,
        -28,
        -24,
        -20,
        -16,
        -12,
        -8,
        -4,
        0,
        4,
        8,
        12,
        16,
        20,
        24,
        28,
        32,
        36,
        40,
        44,
        48,
    ],
    "amplitude": [
        -0.01,
        -0.02,
        -0.06,
        -0.12,
        -0.21,
        -0.33,
        -0.43,
        -0.43,
        -0.28,
        0.05,
        0.48,
        0.85,
        1,
        0.85,
        0.48,
        0.05,
        -0.28,
        -0.43,
        -0.43,
        -0.33,
        -0.21,
        -0.12,
        -0.06,
        -0.02,
        -0.01,
    ],
}
VELOCITY = {"time_ms": [0, 300, 700], "rms_m_per_s": [1500, 1800, 2300]}

AGC = Claims(
    examples=(
        {"window_ms": 200},
        {"window_ms": 200, "kind": "triangle"},
        {"window_ms": 200, "kind": "triangle", "mode": "madagascar"},
        {"window_ms": 100, "kind": "gaussian"},
        {"mode": "su"},
    ),
    varies_with_start=("", "", "traces are continued by their mirror image at both ends", "", ""),
)
SPECTRUM = Claims(
    examples=(
        {},
        {"start_ms": 100, "end_ms": 500, "velocity_m_per_s": 1900},
        {"kind": "db", "length": 1024, "scale_time": True},
        {"kind": "power", "mode": "su"},
    ),
    varies_with_interval="the axis of a spectrum ends at Nyquist",
    varies_with_start="spectra are of all samples of a trace",
)
AUTOCORRELATION = Claims(
    examples=(
        {"length_ms": 200},
        {"length_ms": 200, "start_ms": 100, "end_ms": 500, "velocity_m_per_s": 1900},
        {"length_ms": 100, "normalise": False, "symmetric": True},
    ),
    varies_with_interval="lag 0 is a sum over samples",
    axis="lag (ms)",
)
BANDPASS = Claims(examples=({"low_hz": 10, "high_hz": 40}, {"low_hz": 12}, {"high_hz": 30, "order": 2}), linear=True)
TRAPEZOID = Claims(
    examples=({"corners_hz": [5, 10, 30, 45]}, {"corners_hz": [20, 25], "amplitudes": [1, 0.2], "su_length": 1024}),
    linear=True,
)
NOTCH = Claims(examples=({"frequencies_hz": [25]}, {"frequencies_hz": [20, 50], "width_hz": 2}), linear=True)
COMBINE = Claims(
    examples=({}, {"method": "sum", "weight": "receiver_static", "expect": 12}),
    events="flat",
    linear=True,
    inert={"expect": "adds a note about incomplete gathers to the plan"},
)
DECON = Claims(
    examples=(
        {"operator_ms": 120, "gap_ms": 16, "prewhitening_percent": 1},
        {"operator_ms": 80, "design_start_ms": 100, "design_end_ms": 600, "velocity_m_per_s": 1900},
        {"output": "operator"},
    ),
    varies_with_interval="the design covers the whole band up to Nyquist, and a wider one holds more noise",
    varies_with_start=("", "", "the time axis of operators counts lags"),
)
DECON_ENSEMBLE = Claims(
    examples=(
        {"operator_ms": 120, "gap_ms": 16, "prewhitening_percent": 1},
        {"operator_ms": 80, "design_start_ms": 100, "design_end_ms": 600, "velocity_m_per_s": 1900},
        {"output": "operator"},
        {"mix": [1, 2, 1]},
        {"mix": [1, 2, 1], "mode": "su"},
    ),
    varies_with_interval="the design covers the whole band up to Nyquist, and a wider one holds more noise",
    varies_with_start=("", "", "the time axis of operators counts lags", "", ""),
)
KILL = Claims(
    examples=(
        {"where": "channel == 4 or offset > 200"},
        {"where": {"channel": [3, 5]}},
        {"where": {"offset": [0, 120]}, "absolute": True},
        {"table": {"field_record": [100, 101], "channel": [2, 4]}},
    ),
    linear=True,
)
REVERSE = Claims(
    examples=(
        {"where": {"channel": [3, 5]}},
        {"where": {"offset": [0, 120]}, "absolute": True},
        {"table": {"field_record": [100, 101], "channel": [2, 4]}},
    ),
    linear=True,
)
SELECT = Claims(
    examples=(
        {"where": "abs(offset) <= 200"},
        {"where": {"offset": [0, 200]}},
        {"where": {"offset": [0, 120]}, "absolute": True, "drop": True},
        {"table": {"field_record": [100, 101], "channel": [2, 4]}},
    ),
    linear=True,
)
GAIN = Claims(
    examples=(
        {"t_power": 2},
        {"scale": 3, "bias": 0.1, "exponential_per_s": 1.5, "exponential_power": 1.2},
        {"power": 0.5, "clip": 0.8},
        {"trap": 0.9, "clip_quantile": 0.9},
        {"clip_above": 0.5, "clip_below": -0.3},
    )
)
TRACE_BALANCE = Claims(
    examples=({}, {"kind": "max", "level": 5}, {"kind": "quantile", "quantile": 0.8}, {"kind": "mean"})
)
SPREADING = Claims(examples=({"velocity": VELOCITY}, {"velocity": VELOCITY, "v0_m_per_s": 1400}), linear=True)
INVERSE_Q = Claims(
    examples=(
        {"q": 60, "reference_hz": 30},
        {"table": {"time_ms": [0, 400], "q": [30, 90]}, "kind": "both", "reference_hz": 50, "max_gain_db": 20},
        {"q": 40, "kind": "amplitude", "reference_hz": 30},
    ),
    linear=True,
)
SHAPE = Claims(
    examples=(
        {"wavelet": SIGNATURE, "desired": WAVELET},
        {
            "wavelet": SIGNATURE,
            "desired": WAVELET,
            "operator_ms": 100,
            "operator_start_ms": -40,
            "prewhitening_percent": 3,
        },
    ),
    linear=True,
)
MATCH = Claims(
    examples=(
        {
            "desired": RICKER,
            "time_ms": 280,
            "design_start_ms": 210,
            "design_end_ms": 350,
            "prewhitening_percent": 5,
        },
        {
            "desired": WAVELET,
            "time_ms": 300,
            "design_start_ms": 200,
            "design_end_ms": 420,
            "velocity_m_per_s": 1900,
            "operator_ms": 80,
            "operator_start_ms": -40,
            "prewhitening_percent": 2,
        },
    ),
    events="flat",
    varies_with_interval="the design covers the whole band up to Nyquist, and a wider one holds more noise",
)
DESIGNATURE = Claims(
    examples=({"signature": SIGNATURE}, {"signature": WAVELET, "phase": "minimum", "noise_percent": 2}),
    linear=True,
    varies_with_interval="the design covers the whole band up to Nyquist, and a wider one holds more noise",
)
MUTE = Claims(
    examples=(
        {"velocity_m_per_s": 1500, "time_ms": 60, "taper_ms": 40},
        {"table": {"offset_m": [60, 120], "time_ms": [50, 300]}, "extrapolation": "su"},
        {"where": "bottom", "velocity_m_per_s": 600, "time_ms": 500},
        {"table": {"offset_m": [-40, 120], "time_ms": [50, 300]}, "signed": True},
    ),
    linear=True,
)
SURGICAL_MUTE = Claims(
    examples=(
        {"velocity_m_per_s": 900, "time_ms": 100, "width": {"offset_m": [0, 300], "width_ms": [60, 100]}},
        {
            "velocity_m_per_s": 1900,
            "time_ms": 280,
            "shape": "hyperbolic",
            "width": {"offset_m": [0], "width_ms": [50]},
            "taper_ms": 20,
        },
        {
            "table": {"offset_m": [0, 400], "time_ms": [150, 400]},
            "width": {"offset_m": [0], "width_ms": [60]},
            "taper_ms": 12,
        },
    ),
    linear=True,
)
PHASE_ROTATE = Claims(examples=({"angle_deg": 90}, {"angle_deg": -35}), linear=True)
PHASE_CONVERT = Claims(
    examples=(
        {"to": "minimum"},
        {"to": "zero", "wavelet": SIGNATURE},
        {"to": "minimum", "wavelet_ms": 80, "design_start_ms": 100, "design_end_ms": 600},
    ),
    varies_with_interval="the design covers the whole band up to Nyquist, and a wider one holds more noise",
)
RESAMPLE = Claims(
    examples=({"interval_ms": 8}, {"start_ms": 100, "count": 90}, {"interval_ms": 6, "mode": "su"}), linear=True
)
EDIT_RULES = Claims(
    examples=(
        {"loud_ratio": 1.2, "action": "kill"},
        {"weak_ratio": 0.95, "low_hz": 5, "high_hz": 20},
        {"spike_ratio": 2.0, "action": "kill"},
    ),
    measured=("edit_rule",),
)
SHIFT = Claims(examples=({"shift_ms": 13}, {"words": ["source_static", "receiver_static"], "factor": -1}), linear=True)
TAPER = Claims(
    examples=({"start_ms": 100, "end_ms": 60}, {"start_ms": 100, "shape": "sine"}, {"end_ms": 100, "shape": "linear"}),
    linear=True,
)
TAPER_TRACES = Claims(
    examples=(
        {"first_traces": 3, "last_traces": 2},
        {"first_traces": 4, "shape": "sine", "zero_edge": True},
        {"last_traces": 4, "shape": "linear"},
    ),
    linear=True,
)
VIBROSEIS_CORRELATE = Claims(
    examples=({"start_hz": 8, "end_hz": 60, "sweep_ms": 300, "taper_ms": 60}, {"pilot": SIGNATURE, "listen_ms": 300}),
    events="sweep",
)
WHITEN = Claims(
    examples=(
        {"low_hz": 8, "high_hz": 60},
        {"low_hz": 8, "high_hz": 60, "bands": 4, "window_ms": 200, "noise_percent": 5},
    )
)

PAD = Claims(beyond_suite="its gathers are lines, which the suite does not make")
REMOVE_GAIN = Claims(beyond_suite="it reads a second survey")
DIFFERENCE = Claims(beyond_suite="it reads a second survey")
ATTRIBUTES = Claims(
    examples=(
        {"start_ms": 100, "end_ms": 500},
        {"measures": ["mean", "bandwidth_hz", "rms"], "prefix": "early_", "end_ms": 300, "velocity_m_per_s": 2000},
    ),
    measured=("trace_rms", "trace_peak", "trace_centroid_hz", "early_mean", "early_bandwidth_hz", "early_rms"),
)
RESIDUAL_STATICS = Claims(beyond_suite="it needs a whole survey to measure")
SURFACE_CONSISTENT_AMPLITUDE = Claims(beyond_suite="it needs a whole survey to measure")
SURFACE_CONSISTENT_DECON = Claims(beyond_suite="it needs a whole survey to measure")
CMP_STATICS = {"cdp": list(range(1, 21)), "static_ms": [15 + 0.3 * k for k in range(20)]}
ELEVATION_STATICS = Claims(
    examples=(
        {"datum_m": 120, "replacement_m_per_s": 2000, "to": "final"},
        {"datum_m": 60, "replacement_m_per_s": 1800, "cmp_statics": CMP_STATICS},
        {"datum_m": 100, "replacement_m_per_s": 2000, "cmp_statics": CMP_STATICS, "weathering_m_per_s": 600},
    ),
    words={
        "source_elevation": (95, 0), "receiver_elevation": (90, 1), "source_depth": (0, 0), "cdp": (5, 0),
        "source_uphole": (10, 0), "receiver_uphole": (8, 1),
    },
    linear=True,
    inert={
        "gather": "names the columns of cmp_statics, which the examples state",
        "smoothing_gathers": "used while planning a whole survey, where cmp_statics is left out",
    },
)  # fmt: skip
APPLY_STATICS = Claims(
    examples=(
        {"receiver": {"channel": [1, 2, 3], "static_ms": [4.5, -7, 2]}, "missing_ms": 1.5},
        {"source": {"field_record": [1, 2], "static_ms": [3, -6]}, "missing_ms": -2},
    ),
    linear=True,
)
TRIM_STATICS = Claims(
    examples=({"max_ms": 8}, {"max_ms": 20, "iterations": 1, "min_correlation": 0}),
    measured=("trim_static_ms", "trim_correlation", "total_static_ms"),
    inert={"model": "the suite makes no second survey; its own tests do"},
    thresholded=True,
    events="flat",
)
FINAL_DATUM = Claims(beyond_suite="it needs a survey at a floating datum")
FIRST_BREAKS = Claims(
    examples=(
        {"start_ms": 20, "end_ms": 220, "fastest_m_per_s": 4000, "slowest_m_per_s": 1500},
        {"window_ms": 40, "min_ratio": 1.2},
    ),
    measured=("first_break_ms", "first_break_quality"),
    thresholded=True,
    memory=60.0,
    varies_with_interval="a pick is a sample",
    varies_with_start="noise before the arrival is what it is held against",
)
REFRACTION_STATICS = Claims(beyond_suite="it needs first breaks of a whole survey")
