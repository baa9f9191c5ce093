"""What this distribution brings to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import StorageSpec


@hookimpl
def seisproc_storage() -> list[StorageSpec]:
    return [
        StorageSpec(
            id="survey",
            suffixes=(".seis",),
            impl="seisproc_zarr.storage:SurveyStorage",
            summary="survey folder: Zarr v3 traces, Parquet headers, checksums throughout",
            working=True,
        )
    ]
