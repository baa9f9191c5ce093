"""Fixtures of the core's tests: plugins that exist only as files on the path."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from seisproc_core import plugins

sys.path.insert(0, str(Path(__file__).parent))  # for modules that other processes import too

settings.register_profile("thorough", deadline=None, max_examples=20_000)  # pytest --hypothesis-profile=thorough


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's plugin index."""
    monkeypatch.setenv("SEISPROC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Install a made-up distribution: ``install("dist-name", source of its plugin module)``."""
    root = tmp_path / "site"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    names: list[str] = []

    def put(name: str, source: str) -> Path:
        module = name.replace("-", "_")
        for known in [m for m in sys.modules if m.partition(".")[0] == module]:
            monkeypatch.delitem(sys.modules, known)
        importlib.invalidate_caches()
        package = root / module
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "plugin.py").write_text(textwrap.dedent(source))
        info = root / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[seisproc.plugins]\n{module} = {module}.plugin\n")
        names.append(name)
        monkeypatch.setenv("SEISPROC_PLUGINS", ",".join(names))
        monkeypatch.setattr(plugins, "_registries", {})
        return package

    return put
