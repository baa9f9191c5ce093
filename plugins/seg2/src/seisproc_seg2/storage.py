"""The storage behind ``seg2``: opening files as a survey. Nothing is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from seisproc_core.data.survey import OutputPlan
from seisproc_core.errors import StorageError, UsageError
from seisproc_seg2.fileformat import Seg2File, read_file
from seisproc_seg2.options import read_options
from seisproc_seg2.survey import Seg2Survey


class Seg2Storage:
    """SEG-2 files; see `seisproc_core.data.survey.Storage`."""

    id = "seg2"

    def open(self, paths: Sequence[str], options: Mapping[str, Any]) -> Seg2Survey:
        """One survey from files of equal sampling; options as in `seisproc_seg2.options.ReadOptions`."""
        checked = read_options(options)
        if not paths:
            raise UsageError("no SEG-2 file given")
        names = [os.fspath(path) for path in paths]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"{twice} is given twice; its traces would count twice")
        return Seg2Survey([open_file(name) for name in names], checked)

    def sink(self, plan: OutputPlan) -> NoReturn:
        raise UsageError("SEG-2 files are read, not written; export to NAME.sgy")


def open_file(path: str) -> Seg2File:
    """Read what a file says of itself; what is no regular file is refused unopened, as a pipe could wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise StorageError.from_os(error, "opening") from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise UsageError(f"{path} is {what}, not a file; give the path of a SEG-2 file")
    return read_file(path)
