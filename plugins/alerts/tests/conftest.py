"""Fixtures: a state folder of the test's own, plugins that exist only as files on the path, situations made by hand."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for alerts_kit, which the test modules share

from seisproc_core import plugins


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where alerts.toml and alerts.log are during the test."""
    folder = tmp_path / "state"
    monkeypatch.setenv("SEISPROC_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Install a made-up distribution beside this one: ``install("dist-name", source of its plugin module)``."""
    root = tmp_path / "site"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setenv("SEISPROC_PLUGINS", "seisproc-alerts")
    monkeypatch.setattr(plugins, "_registries", {})

    def put(name: str, source: str) -> None:
        module = name.replace("-", "_")
        for known in [m for m in sys.modules if m.partition(".")[0] == module]:
            monkeypatch.delitem(sys.modules, known)
        importlib.invalidate_caches()
        (root / module).mkdir()
        (root / module / "__init__.py").write_text("")
        (root / module / "plugin.py").write_text(textwrap.dedent(source))
        info = root / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[seisproc.plugins]\n{module} = {module}.plugin\n")
        monkeypatch.setenv("SEISPROC_PLUGINS", f"seisproc-alerts,{name}")

    return put
