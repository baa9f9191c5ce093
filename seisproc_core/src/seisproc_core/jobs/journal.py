"""The journal: which segments are done, one checksummed line per commit, appended only after their bytes are durable.

A record torn by a crash fails its checksum and is dropped with everything behind it. What a record holds is decoded
when it is asked for: opening the journal of a job of a million segments finds their numbers and places only.
"""

from __future__ import annotations

import errno
import json
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from seisproc_core.errors import Damaged, StorageError
from seisproc_core.execution.executor import Receipt
from seisproc_core.jobs import durable, faults
from seisproc_core.jobs.receipts import Receipts

_AT_ONCE = 4 << 20  # bytes read together
_LARGEST = 2**62  # of what a record counts
# A record of one receipt as `append` writes it; without braces inside, so that it is one. Others are decoded.
_ONE = re.compile(
    rb'([0-9a-f]{8}) \{"stage":(\d{1,9}),"receipts":\[\{"segment":(\d{1,18}),"pieces":\[[^\n{}]*\],'
    rb'"traces_in":(\d{1,18}),"traces_out":\d{1,18}\}\]\}\n'
)
_CHECKSUM = 9  # bytes before the body


class Journal:
    """Append-only record of finished segments: ``{stage: {segment: receipt}}``.

    Opening it drops a torn tail; the file then holds only whole records.
    """

    def __init__(self, path: Path) -> None:
        self.done: dict[int, Receipts] = {}
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._end = self._load()
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
            durable.sync_folder(path.parent)  # else a power loss could take the whole file
        except OSError as error:
            raise StorageError.from_os(error, f"cannot open the journal {path}") from error

    def of(self, stage: int) -> Receipts:
        """Receipts of a stage, none if it has not begun."""
        return self.done.get(stage) or Receipts(self._read)

    def append(self, stage: int, receipts: Sequence[Receipt]) -> None:
        """Make receipts durable: when this returns, a crash or power loss no longer costs these segments."""
        body = json.dumps({"stage": stage, "receipts": [r.to_json() for r in receipts]}, separators=(",", ":"))
        line = f"{zlib.crc32(body.encode()):08x} {body}\n".encode()
        faults.point("before-journal")
        try:
            if os.write(self._handle, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(self._handle)
        except OSError as error:
            raise StorageError.from_os(error, "cannot write the journal") from error
        faults.point("after-journal")
        for receipt in receipts:
            self._of(stage).add(receipt.segment, self._end, len(line), receipt.traces_in)
        self._end += len(line)

    def close(self) -> None:
        os.close(self._handle)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside

    def _of(self, stage: int) -> Receipts:
        return self.done.setdefault(stage, Receipts(self._read))

    def _load(self) -> int:
        """Find whole records; returns the length of the valid part."""
        whole, rest, torn = 0, b"", False
        while not torn and (more := os.pread(self._handle, max(_AT_ONCE, len(rest)), whole + len(rest))):
            data = rest + more
            used, torn = self._take(data, whole)
            whole, rest = whole + used, data[used:]
        for receipts in self.done.values():
            receipts.loaded()
        return whole

    def _take(self, data: bytes, start: int) -> tuple[int, bool]:
        """Note the whole records at the beginning of some bytes of the file.

        Returns
        -------
        used, torn
            Length of these records; whether what comes then is a line, but no record.
        """
        view, at, crc32 = memoryview(data), 0, zlib.crc32
        rows: dict[int, list[int]] = {}
        while (found := _ONE.match(data, at)) or (end := data.find(b"\n", at) + 1):
            if found:
                checksum, stage, segment, traces_in = found.groups()
                end = found.end()
                if crc32(view[at + _CHECKSUM : end - 1]) != int(checksum, 16):
                    break
                rows.setdefault(int(stage), []).extend((int(segment), start + at, end - at, int(traces_in)))
            elif (record := _record(data[at:end])) is not None:
                for receipt in record[1]:
                    rows.setdefault(record[0], []).extend((receipt.segment, start + at, end - at, receipt.traces_in))
            else:
                break
            at = end
        for number, found_rows in rows.items():
            self._of(number).load(found_rows)
        return at, b"\n" in data[at:]

    def _read(self, offset: int, length: int) -> Sequence[Receipt]:
        """The receipts of a record that was found whole when the journal was opened, or was appended since."""
        record = _record(os.pread(self._handle, length, offset))
        if record is None:
            raise Damaged(f"the journal {self._path} was altered at byte {offset}; run again with --discard")
        return record[1]


def _record(line: bytes) -> tuple[int, list[Receipt]] | None:
    """Stage and receipts of a line; None when it is torn, altered, or was never a record: a checksum is no proof."""
    checksum, space, body = line.partition(b" ")
    if not space or not body.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body[:-1]):
        return None
    try:
        plain: Any = json.loads(body)
        stage, receipts = plain["stage"], [Receipt.from_json(item) for item in plain["receipts"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    counts = [stage, *(n for r in receipts for n in (r.segment, r.traces_in))]
    if not all(type(n) is int and 0 <= n < _LARGEST for n in counts):
        return None
    return stage, receipts
