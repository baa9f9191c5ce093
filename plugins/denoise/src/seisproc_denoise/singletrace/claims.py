"""What the processors here claim: examples, and properties that the conformance suite checks."""

from __future__ import annotations

from seisproc_core.processing.claims import Claims

MIRRORED = "the ends of a trace are continued by their mirror image, what silence ends is not: its first samples differ"

EMD_DENOISE = Claims(
    examples=(
        {"modes": 4, "threshold": 0.3},
        {"method": "eemd", "pairs": 1, "modes": 2, "siftings": 4, "mode": "hard"},
        {"method": "ceemdan", "pairs": 1, "modes": 2, "siftings": 4, "noise": "each", "mode": "garrote"},
    ),
    thresholded=True,
    slow_reference=True,
    varies_with_interval="sifting goes from extremum to extremum; thresholds follow the noise of samples",
)
MAD_DENOISE = Claims(
    examples=(
        {"aperture_traces": 5, "threshold": 1.5, "window_ms": 100},
        {"mode": "hard", "plane": ["source_x", "receiver_x"], "threshold": 1.2, "aperture_traces": 5},
        {"mode": "soft", "threshold": 1.2},
    )
)
OMP_DENOISE = Claims(
    examples=({"wavelets": 12}, {"dictionary": "gabor", "frequencies": 5, "cycles": 2, "wavelets": 6}),
    varies_with_interval=("", "a wavelet may lie at every sample: a finer interval has others to spend the few on"),
)
WAVELET_DENOISE = Claims(
    examples=(
        {"threshold": 0.4, "noise": "each"},
        {"mode": "hard", "rule": "sigma", "kind": "swt", "threshold": 2, "levels": 3},
        {"mode": "garrote", "kind": "wpt", "wavelet": "sym5"},
        {"mode": "adaptive"},
    ),
    thresholded=True,
    varies_with_interval="levels are octaves below Nyquist; thresholds grow with the number of samples",
    varies_with_start=(MIRRORED, "", MIRRORED, MIRRORED),
)
WAVELET_DENOISE_SPATIAL = Claims(
    examples=(
        {"aperture_traces": 5, "threshold": 0.3},
        {"mode": "hard", "rule": "sigma", "kind": "swt", "threshold": 2, "levels": 3},
        {"mode": "garrote", "kind": "wpt", "wavelet": "sym5"},
        {"mode": "adaptive"},
    ),
    thresholded=True,
    varies_with_interval="levels are octaves below Nyquist; thresholds grow with the number of samples",
    varies_with_start=(MIRRORED, "", MIRRORED, MIRRORED),
)
TF_DENOISE = Claims(
    examples=(
        {"threshold": 0.4},
        {"mode": "hard", "rule": "sigma", "kind": "gabor", "threshold": 2, "window_ms": 160},
        {"mode": "garrote", "kind": "stockwell", "low_hz": 8, "high_hz": 60},
        {"mode": "adaptive", "kind": "synchrosqueezing", "window_ms": 128},
    ),
    thresholded=True,
)
TF_REJECT = Claims(
    examples=(
        {"threshold": 1.5, "aperture_traces": 5},
        {"mode": "hard", "kind": "gabor", "plane": ["inline", "crossline"], "threshold": 1.5, "window_ms": 160},
        {"mode": "soft", "kind": "stockwell", "low_hz": 8, "high_hz": 60, "threshold": 1.3},
        {"mode": "adaptive", "window_ms": 128, "threshold": 1.3},
    ),
    thresholded=True,
)
