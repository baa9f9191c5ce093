"""`seisproc plugin new`: what it writes works as it is, and names stay names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from seisproc.new_plugin import new_plugin
from seisproc.plugin_command import plugin
from seisproc_core.errors import OutputExists, UsageError


def make(folder: Path, name: str = "seisproc-despike", **changes: str | None) -> Path:
    options: dict[str, str | None] = {"processor": None, "licence": "BSD-3-Clause", "author": "A. Hydro", **changes}
    return new_plugin(name, folder, **options)  # type: ignore[arg-type]


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, check=False, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_a_new_plugin_passes_its_own_tests(tmp_path: Path) -> None:
    made = make(tmp_path)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist", cwd=made)
    (wheel,) = (made / "dist").glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)  # what installing a pure Python wheel does
    here = {"PYTHONPATH": str(site), "SEISPROC_CACHE_DIR": str(tmp_path / "cache")}
    explained = json.loads(run(sys.executable, "-m", "seisproc", "processors", "despike", "--json", cwd=made, **here))
    assert explained["distribution"] == "seisproc-despike"
    assert explained["schema"]["properties"]["window_ms"]["unit"] == "ms"
    out = run(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "tests", cwd=made, **here)
    assert "failed" not in out and "skipped" not in out
    assert out.count("test_processor[despike-") >= 15
    assert (site / "seisproc_despike-0.1.0.dist-info" / "licenses" / "LICENSE").is_file()


def test_names_go_where_they_belong(tmp_path: Path) -> None:
    made = make(tmp_path, "acme-seismic", processor="acme_shape", licence="none", author="Ünal & Co.")
    about = tomllib.loads((made / "pyproject.toml").read_text("utf-8"))["project"]
    assert (about["name"], about["authors"]) == ("acme-seismic", [{"name": "Ünal & Co."}])
    assert "license" not in about and not (made / "LICENSE").exists()
    assert about["entry-points"]["seisproc.plugins"] == {"acme_seismic": "acme_seismic.plugin"}
    assert "seisproc-core>=0.1,<0.2" in about["dependencies"]
    assert (made / "src/acme_seismic/acme_shape_numba.py").is_file()
    texts = [path.read_text("utf-8") for path in made.rglob("*") if path.is_file()]
    assert len(texts) == 10 and not any("{{" in text or "PACKAGE" in text for text in texts)
    assert "class AcmeShape" in (made / "src/acme_seismic/acme_shape.py").read_text("utf-8")


@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "", ".", "..", "a/b", "A", "a_b", "-a", "a--b", "ä", "a\n", "a" * 61]
)
def test_a_name_cannot_leave_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a distribution's name"):
        make(tmp_path / "in", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("processor", ["../x", "a-b", "A", "", "class", "a" * 61, "sort", "agc"])
def test_a_step_needs_a_name_of_its_own(processor: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--processor NAME|--processor"):
        make(tmp_path, processor=processor or "..")
    assert not list(tmp_path.iterdir())


def test_names_of_others_are_refused(tmp_path: Path) -> None:
    for name, message in (("seisproc-signal", "installed already"), ("json", "module"), ("seisproc-core", "module")):
        with pytest.raises(UsageError, match=message):
            make(tmp_path, name, processor="mine")
    with pytest.raises(UsageError, match="author"):
        make(tmp_path, author='x" }]\nscripts = 1')


def test_nothing_is_written_over(tmp_path: Path) -> None:
    before = make(tmp_path) / "README.md"
    before.write_text("mine")
    with pytest.raises(OutputExists, match="already there"):
        make(tmp_path)
    assert before.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["seisproc-despike"]


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    arguments = ["new", "seisproc-despike", "--into", str(tmp_path), "--licence", "MIT"]
    done = CliRunner().invoke(plugin, arguments)
    assert done.exit_code == 0 and "pip install -e" in done.output
    assert (tmp_path / "seisproc-despike" / "LICENSE").read_text().startswith("MIT License")
