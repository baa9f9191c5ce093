"""The configuration: environment variables, all read here.

===========================  ====================================================================================
variable                     meaning
===========================  ====================================================================================
``SEISPROC_RAY_ADDRESS``     ``host:port`` of the cluster to join, ``auto`` for the one on this machine; unset or
                             ``local``: a Ray of our own
``SEISPROC_RAY_RESOURCES``   what each worker asks for besides its CPUs, as JSON: ``{"GPU": 1, "bigmem": 0.5}``
``SEISPROC_RAY_KEEP_S``      how long a Ray of our own waits for the process's next job (10 seconds)
``SEISPROC_RAY_DASHBOARD``   ``1``: a Ray of our own shows its dashboard, on the loopback interface only
===========================  ====================================================================================

The token of a cluster is Ray's affair: ``RAY_AUTH_TOKEN``, ``RAY_AUTH_TOKEN_PATH`` or ``~/.ray/auth_token``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping

import attrs

from seisproc_core.errors import UsageError

LOCAL = "local"
_MOST_RESOURCES = 4096  # bytes of JSON


@attrs.frozen(kw_only=True)
class Settings:
    """How Ray is started or joined, and what workers ask it for.

    Attributes
    ----------
    address
        ``local``, ``auto`` or ``host:port``.
    resources
        Names and amounts, sorted by name, for each worker.
    keep_s
        Seconds that a local Ray outlives the last job.
    dashboard
        Whether a local Ray shows its dashboard.
    """

    address: str = LOCAL
    resources: tuple[tuple[str, float], ...] = ()
    keep_s: float = 10.0
    dashboard: bool = False

    @property
    def local(self) -> bool:
        return self.address == LOCAL

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables; `UsageError` names the one that makes no sense."""
        address = environment.get("SEISPROC_RAY_ADDRESS") or LOCAL
        if "://" in address:
            raise UsageError(
                f"SEISPROC_RAY_ADDRESS={address}: Ray Client is not supported; start seisproc on a node of the "
                "cluster and give host:port"
            )
        if address not in (LOCAL, "auto") and not re.fullmatch(r"[^\s:]+:\d{1,5}", address):
            raise UsageError(f"SEISPROC_RAY_ADDRESS={address}: give host:port, or auto")
        keep = environment.get("SEISPROC_RAY_KEEP_S") or "10"
        try:
            keep_s = float(keep)
        except ValueError:
            keep_s = -1.0
        if not 0 <= keep_s <= 86_400:
            raise UsageError(f"SEISPROC_RAY_KEEP_S={keep}: give seconds from 0 to 86400")
        return cls(
            address=address,
            resources=_resources(environment.get("SEISPROC_RAY_RESOURCES") or "{}"),
            keep_s=keep_s,
            dashboard=environment.get("SEISPROC_RAY_DASHBOARD") == "1",
        )

    def driver_environment(self, environment: Mapping[str, str], path: str) -> dict[str, str]:
        """The environment of the driver, and in a local Ray of all that it starts.

        Parameters
        ----------
        path
            ``PYTHONPATH`` for a local Ray's workers, which shall import what the engine would.
        """
        made = {**environment, "RAY_USAGE_STATS_ENABLED": "0"}
        if self.local:
            for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH"):
                made.pop(name, None)
            made |= {
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # keeps every socket on the loopback interface
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": secrets.token_hex(32),
                "PYTHONPATH": path,
            }
        return made


def _resources(text: str) -> tuple[tuple[str, float], ...]:
    try:
        plain = json.loads(text[:_MOST_RESOURCES])
        amounts = sorted((str(name), float(amount)) for name, amount in plain.items())
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f'SEISPROC_RAY_RESOURCES={text}: give JSON like {{"GPU": 1}} ({error})') from error
    for name, amount in amounts:
        if name == "CPU" or not 0 < amount < 1e6:
            raise UsageError(
                f"SEISPROC_RAY_RESOURCES: {name} {amount:g} cannot be asked for; amounts are positive, and CPUs are "
                "the job's threads"
            )
    return tuple(amounts)
