"""Verifying a whole survey against its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from seisproc_core.data.checksums import crc32c
from seisproc_core.errors import Damaged, SeisprocError
from seisproc_core.jobs import provenance
from seisproc_core.jobs.workfolder import MANIFEST
from seisproc_zarr.folder import Folder
from seisproc_zarr.survey import describe

BLOCK = 4 << 20
BESIDE = (MANIFEST, provenance.PROVENANCE)  # files of a sealed survey that the manifest does not list


def verify(path: str | os.PathLike[str]) -> list[str]:
    """Everything that is wrong with a sealed survey; an empty list where it is whole.

    Reads every file once, in blocks of 4 MiB.

    Parameters
    ----------
    path
        The survey folder.

    Returns
    -------
    list of str
        One line per missing, damaged or unexpected file, the key first.

    Raises
    ------
    UsageError
        There is no survey at `path`.
    Incomplete
        It was never sealed.
    Damaged
        Its manifest cannot be read, so that there is nothing to hold the files to.
    """
    folder = Folder(os.fspath(path))
    pieces = folder.pieces or {}
    problems = []
    if folder.pieces is not None and folder.root_hash() != folder.seal:
        problems.append(f"{MANIFEST}: does not match its own root hash")
    problems.extend(_compare(folder))
    problems.extend(_provenance(folder))
    known = {*pieces, *BESIDE}
    problems.extend(f"{key}: is not part of the survey" for key in _files(folder.root) if key not in known)
    problems.extend(_unlisted(folder))
    return problems


def _compare(folder: Folder) -> Iterator[str]:
    """Files that differ from their manifest entry."""
    buffer = bytearray(BLOCK)
    for key, (length, crc) in sorted((folder.pieces or {}).items()):
        try:
            file = folder.open(key)
        except SeisprocError as error:
            yield f"{key}: cannot be opened ({error})" if os.path.lexists(f"{folder.root}/{key}") else f"{key}: missing"
            continue
        if file.size != length:
            yield f"{key}: has {file.size} bytes instead of {length}"
            continue
        found = 0
        try:
            for at in range(0, length, BLOCK):
                part = memoryview(buffer)[: min(BLOCK, length - at)]
                if not file.read_into([part], at):
                    break
                found = crc32c(part, found)
        except OSError as error:
            yield f"{key}: cannot be read ({error.strerror})"
            continue
        if found != crc:
            yield f"{key}: does not match its checksum"


def _provenance(folder: Folder) -> Iterator[str]:
    """The record of how it was made, which the manifest does not list."""
    try:
        provenance.read(Path(folder.root))
    except Damaged:
        there = os.path.lexists(f"{folder.root}/{provenance.PROVENANCE}")
        yield f"{provenance.PROVENANCE}: {'does not match its checksum' if there else 'missing'}"


def _files(root: str) -> Iterator[str]:
    """Keys of everything in a folder that is not a folder; links are not followed."""
    for here, folders, files in os.walk(root):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted(files + links):
            yield Path(here, name).relative_to(root).as_posix()


def _unlisted(folder: Folder) -> Iterator[str]:
    """Shards and header files that the survey's own description needs and the manifest does not list."""
    try:
        about = describe(folder)
    except SeisprocError as error:
        yield f"zarr.json: {error}"
        return
    arrays = [about.traces, about.header_words, *([about.raw_headers] if about.raw_header_bytes else [])]
    for shard in range(about.grid.n_shards):
        for key in (*(array.key(shard) for array in arrays), about.headers_key(shard)):
            if not folder.has(key):
                yield f"{key}: is not in the manifest"
                if shard > len(folder.pieces or {}):  # a description that no manifest backs
                    return
