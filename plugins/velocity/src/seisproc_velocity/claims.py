"""What the processors here claim: examples, and properties that the conformance suite checks."""

from __future__ import annotations

from seisproc_core.processing.claims import Claims

VELOCITY = {"time_ms": [0, 300, 700], "rms_m_per_s": [1500, 1800, 2300]}

NMO = Claims(
    examples=(
        {"velocity": VELOCITY},
        {
            "velocity": {"cdp": [10, 10, 90], "time_ms": [0, 700, 0], "rms_m_per_s": [1500, 2300, 1900]},
            "lateral": "slowness_squared",
            "outside": "error",
            "taper_ms": 0,
        },
        {"velocity": VELOCITY, "eta": {"time_ms": [0], "eta": [0.1]}, "scale_stretch": True, "mute_scan": "up"},
        {"velocity": VELOCITY, "inverse": True, "interpolation": "linear"},
        {"velocity": VELOCITY, "mode": "su", "max_stretch_percent": 30},
    ),
    linear=True,
    inert={"outside": "it refuses data or does not; what is made is the same"},
)
PARTIAL_STACK = Claims(
    examples=(
        {"edges": [0, 150, 300]},
        {"edges": [-50, 0, 200], "signed": True, "method": "median"},
        {"edges": [0, 5, 20], "word": "channel", "normalise_power": 0.5, "weight": "receiver_static"},
    ),
    events="flat",
)
VELOCITY_PICK = Claims(
    examples=({}, {"least": 0.1, "separation_ms": 60, "change_ms": 30}, {"guide": VELOCITY, "guide_percent": 30}),
    events="spectrum",
    values="velocity (m/s)",
    words={"velocity_m_per_s": (1500, 100)},
    drops=("velocity_m_per_s",),
)
STACK = Claims(
    examples=({}, {"method": "median"}, {"normalise_power": 0.5, "weight": "receiver_static"}), events="flat"
)
SEMBLANCE = Claims(
    examples=(
        {"first_m_per_s": 1400, "last_m_per_s": 2600, "step_m_per_s": 100},
        {"first_m_per_s": 1500, "last_m_per_s": 2500, "step_m_per_s": 500, "every": 2, "measure": "ab"},
        {"first_m_per_s": 1500, "last_m_per_s": 2500, "step_m_per_s": 500, "measure": "stack_power", "mode": "su"},
    )
)
VELOCITY_STACKS = Claims(
    examples=(
        {"first_m_per_s": 1400, "last_m_per_s": 2600, "step_m_per_s": 100},
        {"first_m_per_s": 1500, "last_m_per_s": 2500, "step_m_per_s": 500, "max_stretch_percent": 100, "taper_ms": 0},
    )
)
