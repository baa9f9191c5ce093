"""What this distribution offers to seisproc."""

from __future__ import annotations

from seisproc_core.hookspecs import hookimpl
from seisproc_core.specs import StorageSpec


@hookimpl
def seisproc_storage() -> list[StorageSpec]:
    return [
        StorageSpec(
            id="seg2",
            suffixes=(".sg2", ".seg2"),
            # Block id 0x3a55 and revision 1, in either byte order.
            marks=("553a0100", "3a550001"),
            impl="seisproc_seg2.storage:Seg2Storage",
            summary="SEG-2 records, read only",
        )
    ]
