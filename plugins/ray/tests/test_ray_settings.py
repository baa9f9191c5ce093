"""The environment variables, and what the driver is given."""

from __future__ import annotations

import pytest

from seisproc_core.errors import UsageError
from seisproc_ray.settings import Settings


def test_nothing_set_is_a_ray_of_our_own() -> None:
    settings = Settings.from_environment({})
    assert settings.local
    assert settings.resources == ()
    given = settings.driver_environment({"RAY_ADDRESS": "elsewhere:1", "RAY_AUTH_TOKEN": "known", "HOME": "/h"}, "/p")
    assert "RAY_ADDRESS" not in given
    assert given["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert given["RAY_AUTH_MODE"] == "token"
    assert given["RAY_AUTH_TOKEN"] != "known" and len(given["RAY_AUTH_TOKEN"]) == 64
    assert given["RAY_AUTH_TOKEN"] != settings.driver_environment({}, "/p")["RAY_AUTH_TOKEN"]
    assert (given["PYTHONPATH"], given["HOME"]) == ("/p", "/h")


def test_a_cluster_keeps_its_token() -> None:
    settings = Settings.from_environment({"SEISPROC_RAY_ADDRESS": "head:6379"})
    given = settings.driver_environment({"RAY_AUTH_TOKEN": "known"}, "/p")
    assert not settings.local
    assert given == {"RAY_AUTH_TOKEN": "known", "RAY_USAGE_STATS_ENABLED": "0"}


def test_resources_are_sorted_numbers() -> None:
    settings = Settings.from_environment({"SEISPROC_RAY_RESOURCES": '{"bigmem": 0.5, "GPU": 1}'})
    assert settings.resources == (("GPU", 1.0), ("bigmem", 0.5))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SEISPROC_RAY_ADDRESS", "ray://head:10001"),
        ("SEISPROC_RAY_ADDRESS", "head"),
        ("SEISPROC_RAY_KEEP_S", "soon"),
        ("SEISPROC_RAY_KEEP_S", "-1"),
        ("SEISPROC_RAY_KEEP_S", "nan"),
        ("SEISPROC_RAY_RESOURCES", "[1]"),
        ("SEISPROC_RAY_RESOURCES", '{"GPU": "many"}'),
        ("SEISPROC_RAY_RESOURCES", '{"GPU": 0}'),
        ("SEISPROC_RAY_RESOURCES", '{"CPU": 4}'),
        ("SEISPROC_RAY_RESOURCES", '{"GPU": 1' + " " * 5000 + "}"),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        Settings.from_environment({name: value})
