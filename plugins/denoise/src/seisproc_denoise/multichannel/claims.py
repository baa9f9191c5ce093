"""What the processors here claim: examples, and properties that the conformance suite checks."""

from __future__ import annotations

from seisproc_core.processing.claims import Claims

RINGING = "the ends of the band ring in time and wrap round the padded trace, whose length differs"

FK_FILTER = Claims(
    examples=(
        {"max_m_per_s": 1500},
        {"kind": "pass", "min_m_per_s": 1000, "side": "positive"},
        {"dips_ms_per_m": [-1, -0.5, 0.5, 1], "amplitudes": [0, 1, 1, 0], "padding": "su"},
        {
            "max_m_per_s": 900,
            "agc_ms": 200,
            "panel_traces": 8,
            "moveout_ms_per_m": 0.2,
            "spacing_m": 25,
            "position": "receiver_x",
        },
    ),
    varies_with_start=("", "", "the padding of Seismic Unix lets events wrap round", ""),
)
FKK_FILTER = Claims(
    examples=(
        {"max_m_per_s": 1500},
        {"kind": "pass", "min_m_per_s": 700, "azimuth_deg": 30},
        {
            "max_m_per_s": 900,
            "x_position": "receiver_x",
            "y_position": "receiver_y",
            "x_spacing_m": 25,
            "y_spacing_m": 40,
        },
    )
)
FX_DECON = Claims(
    examples=(
        {"filter_traces": 3, "window_traces": 8, "window_ms": 300, "taper_ms": 60},
        {"low_hz": 10, "high_hz": 60, "outside": "zero"},
        {"su_length": 1024, "prewhitening_percent": 1},
    ),
    varies_with_start="design windows are laid out from the first sample on",
    varies_with_interval=("", "the band ends at whole components of a window", "lengths of transforms are in samples"),
)
FX_INTERPOLATE = Claims(
    examples=({"window_traces": 12}, {"filter_traces": 2, "window_traces": 10}),
    varies_with_start="design windows are laid out from the first sample on",
)
FX_FILL = Claims(
    examples=(
        {"filter_traces": 2, "window_traces": 10, "position": "receiver_station"},
        {"filter_traces": 2, "window_traces": 10, "revive": False},
    ),
    varies_with_start="design windows are laid out from the first sample on",
)
LINEAR_MOVEOUT = Claims(
    examples=(
        {"velocity_m_per_s": 1900},
        {"slope_ms_per_m": 0.3, "sign": "signed", "position": "receiver_x"},
        {"velocity_m_per_s": 1900, "inverse": True},
    )
)
RADON_DEMULTIPLE = Claims(
    examples=(
        {"cut_ms": 15, "taper_ms": 10, "reference_offset_m": 350, "max_ms": 200, "high_hz": 60},
        {
            "cut_ms": 40,
            "reference_offset_m": 350,
            "curve": "hyperbolic",
            "reference_depth_m": 400,
            "curves": 40,
            "low_hz": 8,
            "high_hz": 60,
        },
        {
            "cut_ms": 30,
            "reference_offset_m": 350,
            "min_ms": -50,
            "max_ms": 150,
            "curves": 24,
            "high_hz": 60,
            "sparse_iterations": 2,
            "output": "multiples",
        },
    ),
    events="multiples",
    varies_with_start=RINGING,
)
TAU_P_FILTER = Claims(
    examples=(
        {"low_ms_per_m": 0.3, "high_ms_per_m": 1, "min_ms_per_m": -1, "max_ms_per_m": 1.2},
        {
            "low_ms_per_m": -0.2,
            "high_ms_per_m": 0.3,
            "min_ms_per_m": -1,
            "max_ms_per_m": 1,
            "kind": "pass",
            "taper_ms_per_m": 0.1,
            "slopes": 31,
            "low_hz": 5,
            "high_hz": 60,
            "position": "receiver_x",
        },
    ),
    varies_with_start=RINGING,
)
SLANT_MEDIAN = Claims(
    examples=(
        {"min_ms_per_m": -0.5, "max_ms_per_m": 0.5},
        {
            "kind": "remove",
            "min_ms_per_m": -0.5,
            "max_ms_per_m": 0.8,
            "slopes": 9,
            "statistic": "mean",
            "least_semblance": 0.3,
        },
        {"half_traces": 2, "position": "receiver_x", "spacing_m": 25},
    ),
    slow_reference=True,
)
ADAPTIVE_SUBTRACT = Claims(beyond_suite="it reads a second survey")
