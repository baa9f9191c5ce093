"""The storage behind ``segy``: opening files as a survey, and planning a file to write."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from seisproc_core.data.survey import OutputPlan
from seisproc_core.errors import DataError, StorageError, UsageError
from seisproc_segy.backend import default_backend
from seisproc_segy.options import read_options
from seisproc_segy.sink import SegySink
from seisproc_segy.survey import SegySurvey, translated

# First bytes of no SEG-Y text and of no plausible SU header.
_SEG2 = "a SEG-2 file; give it a name in .sg2 or .dat"
_FOREIGN = {
    b"\x55\x3a\x01\x00": _SEG2,
    b"\x3a\x55\x00\x01": _SEG2,
    b"\x1f\x8b\x08": "compressed with gzip; unpack it first",
    b"PK\x03\x04": "a ZIP archive; unpack it first",
}
_TEXT_HEADER, _FILE_HEADER = 3200, 3600
_TEXT = bytes([*range(0x20, 0x7F), *b"\t\n\r\f"])


class SegyStorage:
    """SEG-Y and SU files; see `seisproc_core.data.survey.Storage`.

    Parameters
    ----------
    backend
        Module with the reader's names; the native library where installed, else the fallback.
    """

    id = "segy"

    def __init__(self, backend: Any = None) -> None:
        self._backend = backend

    @property
    def backend(self) -> Any:
        return self._backend or default_backend()

    def open(self, paths: Sequence[str], options: Mapping[str, Any]) -> SegySurvey:
        """One survey from files of equal sampling; options as in `seisproc_segy.options.ReadOptions`."""
        checked = read_options(options)
        if not paths:
            raise UsageError("no SEG-Y file given")
        names = [os.fspath(path) for path in paths]
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
        if twice:
            raise UsageError(f"{min(twice)} is given twice; its traces would count twice")
        files = []
        for name in names:
            check_regular(name)
            with translated(self.backend, f"opening {name}"):
                files.append(self.backend.SegyFile.open(name, **checked.of_file))
        return SegySurvey(files, checked, self.backend)

    def sink(self, plan: OutputPlan) -> SegySink:
        """How to write that survey to one file; options as in `seisproc_segy.options.WriteOptions`."""
        return SegySink(plan, self.backend)


def _refuse_foreign(path: str, head: bytes) -> None:
    """Refuse by name what is often mistaken for SEG-Y; `head` are the first bytes, as many as the file headers have."""
    for mark, what in _FOREIGN.items():
        if head.startswith(mark):
            raise DataError(f"{path} is {what}")
    # No binary header is text throughout: it has unassigned bytes, which are 0. Blanks alone tell nothing.
    if len(head) > _TEXT_HEADER and head.strip() and not head.translate(None, _TEXT):
        line = head.strip().splitlines()[0][:40].decode("ascii")
        raise DataError(f"{path} is a text file, not SEG-Y or SU: it begins with {line!r}; is it the right file?")


def check_regular(path: str) -> None:
    """Refuse what is no readable regular file, without opening pipes (that could wait for ever)."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                _refuse_foreign(path, file.read(_FILE_HEADER))
            return
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise StorageError.from_os(error, "opening") from error
    what = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
    raise UsageError(f"{path} is {what}, not a file; give the path of a SEG-Y or SU file")
