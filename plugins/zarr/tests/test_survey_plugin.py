"""How the plugin presents itself, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import seisproc_zarr
from seisproc_core.specs import StorageSpec, resolve
from seisproc_zarr.storage import SurveyStorage


def test_the_entry_point_names_the_storage() -> None:
    (entry,) = entry_points(group="seisproc.plugins", name="zarr")
    (spec,) = entry.load().seisproc_storage()
    assert isinstance(spec, StorageSpec) and spec.working and spec.suffixes == (".seis",)
    assert resolve(spec.impl) is SurveyStorage and spec.id == SurveyStorage.id == "survey"


def test_public_names_load_when_asked_for() -> None:
    assert all(callable(getattr(seisproc_zarr, name)) for name in dir(seisproc_zarr))


def _loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_light_imports() -> None:
    assert not {"numpy", "pyarrow", "zarr"} & _loaded_by("import seisproc_zarr.plugin")
    assert not {"pyarrow", "zarr", "pandas"} & _loaded_by("import seisproc_zarr.storage")


def test_reading_rows_needs_no_parquet(survey: object) -> None:
    code = f"from seisproc_zarr import open_survey; open_survey({str(survey)!r}).read(slice(0, 100))"
    assert "pyarrow" not in _loaded_by(code)
