"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import StorageSpec


@hookimpl
def seisproc_storage() -> list[StorageSpec]:
    return [
        StorageSpec(
            id="segy",
            suffixes=(".sgy", ".segy", ".su"),
            impl="seisproc_segy.storage:SegyStorage",
            suffix_options={".su": {"kind": "su"}},
            summary="SEG-Y revisions 0 to 2.1 and Seismic Unix files",
        )
    ]
