"""Variants of a flow for comparison: the same steps with one thing changed, as the tables of its file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from seisproc_core.errors import FlowError


def before(flow: Mapping[str, Any], use: str, sink: str) -> dict[str, Any]:
    """The flow up to the first step `use`, written to the survey `sink`; `FlowError` when it has no such step."""
    made = copy.deepcopy(dict(flow))
    names = [step["use"] for step in made["step"]]
    if use not in names:
        raise FlowError(f"the flow has no step '{use}'")
    made["step"] = made["step"][: names.index(use)]
    made["sink"] = {"survey": sink}
    return made


def unweighted(flow: Mapping[str, Any]) -> dict[str, Any]:
    """The flow whose `combine` steps add traces as they are."""
    made = copy.deepcopy(dict(flow))
    for step in made["step"]:
        if step["use"] == "combine":
            step.pop("weight", None)
    return made


def at_other_velocities(flow: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """The flow whose NMO velocities are multiplied with a factor; `FlowError` when they are in a file of their own."""
    made = copy.deepcopy(dict(flow))
    for step in made["step"]:
        if step["use"] == "nmo":
            table = step["velocity"]
            if isinstance(table, str):
                raise FlowError(f"nmo reads its velocities from {table}; write them into the flow to have them scaled")
            table["rms_m_per_s"] = [velocity * factor for velocity in table["rms_m_per_s"]]
    return made
