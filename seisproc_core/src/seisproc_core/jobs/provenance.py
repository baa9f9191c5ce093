"""The provenance record of a sealed output: how it was made, with a checksum of its own.

The manifest does not cover it: times and host differ between runs whose data are equal to the byte.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seisproc_core.errors import Damaged

PROVENANCE = "provenance.json"
_CHECKSUM = "checksum"
_MAX_BYTES = 256 << 20


def encode(record: Mapping[str, Any]) -> bytes:
    """The record as it stands in the file: plain JSON, sorted, with the CRC-32 of all else under ``checksum``."""
    plain = {key: value for key, value in record.items() if key != _CHECKSUM}
    return _text({**plain, _CHECKSUM: zlib.crc32(_text(plain))})


def read(folder: Path) -> dict[str, Any]:
    """The record of a sealed output.

    Raises
    ------
    Damaged
        It is not there, or is not what was written: every byte counts.
    """
    path = folder / PROVENANCE
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise Damaged(f"{path} is too large to be a provenance record")
        data = path.read_bytes()
        plain = json.loads(data)
    except FileNotFoundError:
        raise Damaged(f"{path} is missing: nothing says how {folder} was made") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from error
    if not isinstance(plain, dict) or _CHECKSUM not in plain or encode(plain) != data:
        raise Damaged(f"{path} does not match its checksum")
    return plain


def _text(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, indent=1, sort_keys=True).encode()
