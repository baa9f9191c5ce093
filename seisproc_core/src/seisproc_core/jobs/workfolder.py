"""The working folder ``OUT.<fingerprint>.part``: everything needed to go on with an unfinished output, and its sealing.

::

    job.json             the flow with references resolved, the plan, the fingerprint; checksums of it and the arrays
    stage<k>-*.npy       the plan's arrays
    journal, control     what is done; the command byte and counters
    stage-<k>/           intermediate stages
    side-<k>/            side outputs as they grow
    data                 the output as it grows: a folder, or one file

The rename of ``data`` to OUT is the commit: before it OUT is absent or the old version, after it OUT is whole. Side
outputs, whole too, are renamed just before it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seisproc_core.data.formats import unfinished
from seisproc_core.data.survey import Piece
from seisproc_core.errors import Damaged, Incomplete, OutputExists, StorageError, UsageError
from seisproc_core.jobs import durable, faults, provenance
from seisproc_core.jobs.journal import Journal
from seisproc_core.processing.plan import SidePlan, StagePlan, stage_from_json, stage_to_json

JOB_FORMAT, MANIFEST_FORMAT = 3, 2
MANIFEST = "manifest.json"
_REPLACED = "replaced"  # in the working folder: the old version, for the moment between two renames
_MAX_JSON = 256 << 20
_OF_SIDE = re.compile(r"@(\d+)/(.*)", re.DOTALL)  # key, in the journal, of a file of a side output

Written = tuple[str, int, int, int]  # key, offset, length and CRC-32C of what was written


class WorkFolder:
    """An unfinished output on disk; open one with `create` or `find`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        record = _read_record(path / "job.json")
        self.record: Mapping[str, Any] = record
        self.fingerprint = str(record["fingerprint"])
        self.stages: list[StagePlan] = [
            stage_from_json(plain, functools.partial(self._array, k)) for k, plain in enumerate(record["stages"])
        ]

    def _array(self, stage: int, name: str) -> np.ndarray | None:
        file = f"stage{stage}-{name}.npy"
        return _load(self.path / file) if file in self.record["arrays"] else None

    @property
    def target(self) -> Path:
        """The output this becomes; it lies beside the working folder."""
        return _target_of(self.path)

    @property
    def data(self) -> Path:
        return self.path / "data"

    def folder_of(self, stage: int) -> Path:
        """Where the rows of a stage go."""
        return self.data if stage == len(self.stages) - 1 else self.path / f"stage-{stage}"

    @property
    def sides(self) -> list[SidePlan]:
        """All side outputs."""
        return [side for stage in self.stages for side in stage.sides]

    def folder_of_side(self, number: int) -> Path:
        """Where the rows of a side output go; its own place once it is there."""
        side = self.sides[number]
        return Path(side.path) if self.is_in_place(side) else self._growing(number)

    def _growing(self, side: int) -> Path:
        """Where a side output grows."""
        return self.path / f"side-{side}"

    def is_in_place(self, side: SidePlan) -> bool:
        """Whether a side output has been renamed to its own place, and only the main output is missing."""
        return _is_of_job(Path(side.path), self.record["job"])

    @classmethod
    def create(
        cls,
        target: Path,
        fingerprint: str,
        stages: tuple[StagePlan, ...],
        file_bytes: int | None,
        record: dict[str, Any],
    ) -> WorkFolder:
        """Make the working folder durable; it appears whole, under its name, or not at all."""
        path = target.with_name(f"{target.name}.{fingerprint[:8]}.part")
        fresh = path.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        plain = {"format": JOB_FORMAT, "fingerprint": fingerprint, "target": target.name, **record}
        plain["stages"] = [stage_to_json(stage) for stage in stages]
        plain["arrays"] = {}
        try:
            fresh.mkdir()
            for k, stage in enumerate(stages):
                for name, array in stage.arrays():
                    if array is not None:
                        file = f"stage{k}-{name}.npy"
                        plain["arrays"][file] = _save(fresh / file, array)
                if k < len(stages) - 1:
                    (fresh / f"stage-{k}").mkdir()
                for side in stage.sides:
                    (fresh / f"side-{side.number}").mkdir()
            if file_bytes is None:
                (fresh / "data").mkdir()
            else:
                _preallocate(fresh / "data", file_bytes)
            plain["checksum"] = _checksum(plain)
            durable.write_file(fresh / "job.json", json.dumps(plain).encode())
            durable.sync_folder(fresh)
            os.rename(fresh, path)
            durable.sync_folder(path.parent)
        except OSError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise StorageError.from_os(error, f"cannot start writing {target}") from error
        faults.point("created")
        return cls(path)

    @staticmethod
    def find(target: Path) -> list[Path]:
        """Working folders of an output."""
        return unfinished(target)

    def check_plan(self) -> None:
        """Raise `Damaged` when the plan's arrays were altered."""
        for file, expected in self.record["arrays"].items():
            if not _matches(self.path / file, 0, *expected):
                raise Damaged(f"{self.path / file} was altered, it cannot be resumed; run again with --discard")

    def verify(self, journal: Journal) -> int:
        """Forget journalled segments whose bytes are not there or not right; returns how many were."""
        lost = 0
        roots: dict[int | None, Path] = {side.number: self.folder_of_side(side.number) for side in self.sides}
        for stage, done in journal.done.items():
            roots[None] = self.folder_of(stage)
            for segment in list(done):
                if not all(_matches(_place(roots, key), *rest) for key, *rest in done[segment].pieces):
                    del done[segment]
                    lost += 1
        return lost

    def put(self, stage: int, pieces: list[Piece]) -> list[Written]:
        """Write pieces of a stage - of a segment, or what completes it; durable when this returns."""
        root = self.folder_of(stage)
        own = [piece for piece in pieces if piece.side is None]
        written = durable.put_folder(root, own) if root.is_dir() else durable.put_file(root, own)
        for number in sorted({piece.side for piece in pieces if piece.side is not None}):
            mine = [piece for piece in pieces if piece.side == number]
            made = durable.put_folder(self._growing(number), mine)
            written += [(f"@{number}/{key}", offset, length, crc) for key, offset, length, crc in made]
        return written

    def seal(
        self, journal: Journal, finished: Mapping[int, list[Written]], record: dict[str, Any], *, replace: bool
    ) -> None:
        """Check that everything is there, write the manifests, rename: afterwards OUT and side outputs are whole.

        Parameters
        ----------
        finished
            What `put` wrote to complete each stage, and its side outputs.
        record
            How it was made: the provenance.
        """
        last = len(self.stages) - 1
        missing = journal.of(last).missing(self.stages[last].n_segments)
        if missing:
            raise Incomplete(f"{self.target}: segment {missing[0]} is not done; run: seisproc resume {self.target}")
        waiting = [side for side in self.sides if not self.is_in_place(side)]
        try:
            for number, stage in enumerate(self.stages):
                for side in (side for side in stage.sides if side in waiting):
                    about = {"output": self.target.name, "step": side.use, "saved": side.name}
                    self._write_manifest(side.number, journal, number, finished, {**record, "side_output": about})
            if self.data.is_dir():
                self._write_manifest(None, journal, last, finished, record)
            elif self.record["flow"]["sink"].get("sidecar"):
                self._write_sidecar(record)
            for side in waiting:
                faults.point("before-side-commit")
                _commit(self._growing(side.number), Path(side.path), replace=replace)
                durable.sync_folder(Path(side.path).parent)
            faults.point("before-commit")
            _commit(self.data, self.target, replace=replace)
            durable.sync_folder(self.target.parent)
        except OSError as error:
            raise StorageError.from_os(error, f"cannot finish {self.target}") from error
        faults.point("after-commit")
        with contextlib.suppress(StorageError):  # the output is whole; the next job that writes it sweeps the rest
            self.remove()

    def _write_sidecar(self, record: dict[str, Any]) -> None:
        """Provenance beside a single file, with the checksum that tells whether it is of this very file."""
        with self.data.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        about = {"file": self.target.name, "size": self.data.stat().st_size, "sha256": digest, **record}
        temporary = self.path / provenance.PROVENANCE
        durable.write_file(temporary, provenance.encode(about))
        os.replace(temporary, sidecar_of(self.target))

    def _write_manifest(
        self,
        side: int | None,
        journal: Journal,
        stage: int,
        finished: Mapping[int, list[Written]],
        record: dict[str, Any],
    ) -> None:
        """Complete the output, or a side output, that `stage` made."""
        folder = self.data if side is None else self._growing(side)
        receipts = journal.of(stage).values()
        # With the segment that made it: what has to be done again where a file is damaged.
        listed = {key: [length, crc, r.segment] for r in receipts for key, _, length, crc in _pieces_of(side, r.pieces)}
        listed |= {key: [length, crc] for key, _, length, crc in _pieces_of(side, finished[stage])}
        for path in [p for p in folder.rglob("*") if p.is_file()]:
            if path.relative_to(folder).as_posix() not in listed:
                path.unlink()
        manifest = {"format": MANIFEST_FORMAT, "fingerprint": self.fingerprint, "pieces": listed}
        manifest["root"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        durable.write_file(folder / provenance.PROVENANCE, provenance.encode(record))
        durable.write_file(folder / MANIFEST, json.dumps(manifest, sort_keys=True).encode())
        durable.sync_folder(folder)

    def remove(self) -> None:
        """Delete the working folder."""
        remove(self.path)


def _pieces_of(side: int | None, pieces: Iterable[Written]) -> list[Written]:
    """Those of one side output, or of none, with their keys inside it."""
    split = ((*_split(key), offset, length, crc) for key, offset, length, crc in pieces)
    return [(inside, offset, length, crc) for mine, inside, offset, length, crc in split if mine == side]


def _split(key: str) -> tuple[int | None, str]:
    """The side output, if any, that a key of the journal belongs to, and the key inside it."""
    found = _OF_SIDE.fullmatch(key)
    return (int(found[1]), found[2]) if found else (None, key)


def _place(roots: Mapping[int | None, Path], key: str) -> Path:
    """The file behind a key of the journal."""
    side, inside = _split(key)
    root = roots.get(side, Path(os.devnull))
    return root / inside if inside else root


def sidecar_of(target: Path) -> Path:
    """Where the provenance of a single-file output lies."""
    return target.with_name(f"{target.name}.{provenance.PROVENANCE}")


def remove(path: Path) -> None:
    """Delete a working folder, whole or damaged. Its name goes first: a half-deleted one is never taken up again."""
    gone = path.with_suffix(".gone")
    replaced, target = path / _REPLACED, _target_of(path)
    try:
        if replaced.exists() and not os.path.lexists(target):
            os.rename(replaced, target)
        os.rename(path, gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise StorageError.from_os(error, f"cannot remove {path}") from error


def is_committed(path: Path) -> bool:
    """True when a working folder's output was renamed into place and only the folder's removal is missing."""
    if not os.path.lexists(path / "data"):
        return True
    try:  # where the two were exchanged
        return _is_of_job(_target_of(path), _read_json(path / "job.json")["job"])
    except (OSError, KeyError, Damaged):
        return False


def _is_of_job(target: Path, job: Any) -> bool:
    """Whether a sealed output was made by this job; an older one may have the same fingerprint."""
    try:
        return bool(_read_json(target / provenance.PROVENANCE)["job"] == job)
    except (OSError, KeyError, Damaged):
        return False


def _target_of(path: Path) -> Path:
    """The output that a working folder ``OUT.<fingerprint>.part`` becomes."""
    return path.with_suffix("").with_suffix("")


def sweep(target: Path) -> None:
    """Remove what a crash while creating or deleting a working folder of this output left behind."""
    pattern = re.compile(re.escape(target.name) + r"\.[0-9a-f]{8}\.(new|gone)")
    for path in target.parent.iterdir() if target.parent.is_dir() else []:
        if pattern.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def sealed_checksums(target: Path) -> dict[str, tuple[int, int]] | None:
    """Length and CRC-32C of every file of a sealed folder output but its provenance, or None."""
    try:
        return {key: (entry[0], entry[1]) for key, entry in _read_json(target / MANIFEST)["pieces"].items()}
    except (OSError, KeyError, Damaged):
        return None


def sealed_fingerprint(target: Path) -> str | None:
    """Fingerprint of a sealed folder output, or None."""
    try:
        return str(_read_json(target / MANIFEST)["fingerprint"])
    except (OSError, KeyError, Damaged):
        return None


def check_target(target: Path, inputs: list[str], *, replace: bool) -> None:
    """Refuse an output that is an input, lies inside one, exists, or would replace something that is no output."""
    real = Path(os.path.realpath(target))
    for name in inputs:
        source = Path(os.path.realpath(name))
        if real == source or real in source.parents or source in real.parents:
            raise OutputExists(f"the output {target} is the input {name} or overlaps it; choose another output")
    if not target.parent.is_dir():
        raise UsageError(f"the folder {target.parent} does not exist; create it first")
    if not os.path.lexists(target):
        return
    if not replace:
        raise OutputExists(
            f"{target} exists; choose another output, or --replace to replace it when the new one is whole"
        )
    if target.is_symlink() or (target.is_dir() and not (target / MANIFEST).is_file()):
        raise OutputExists(f"{target} is not a seisproc output; it will not be replaced")


def _commit(data: Path, target: Path, *, replace: bool) -> None:
    if not (replace and os.path.lexists(target)):
        durable.rename_new(data, target)
    elif data.is_file() and target.is_file():
        os.replace(data, target)
    elif data.is_file() or not durable.exchange(data, target):
        # Without an exchange the old version steps aside first; a crash in between leaves both whole.
        os.rename(target, data.with_name(_REPLACED))
        os.rename(data, target)


def _preallocate(path: Path, size: int) -> None:
    """Take the space now, so that a full disk is known before any work."""
    with path.open("wb") as file:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
        os.fsync(file.fileno())


def _matches(path: Path, offset: int, length: int, crc: int) -> bool:
    try:
        if path.stat().st_size < offset + length:
            return False
        return durable.checksum(path, offset, length) == (length, crc)
    except OSError:
        return False


def _save(path: Path, array: np.ndarray) -> tuple[int, int]:
    """Write an array durably; returns length and CRC-32C of the file."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return durable.checksum(path)


def _load(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} cannot be read: {error}; run again with --discard") from error


def _checksum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps({key: value for key, value in record.items() if key != "checksum"}).encode())


def _read_record(path: Path) -> dict[str, Any]:
    """The job description, held to its own checksum: a changed digit would change the result."""
    try:
        record = _read_json(path)
    except (OSError, Damaged) as error:
        raise Damaged(f"{path} cannot be read ({error}), nor the job resumed; run again with --discard") from error
    if record.get("checksum") != _checksum(record):
        raise Damaged(f"{path} was altered, the job cannot be resumed; run again with --discard")
    if record.get("format") != JOB_FORMAT:
        raise Damaged(
            f"{path} was written by another version of seisproc (format {record.get('format')!r}); "
            "resume with that version, or run again with --discard"
        )
    return record


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON:
            raise Damaged(f"{path} is too large to be what it should")
        plain = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from error
    if not isinstance(plain, dict):
        raise Damaged(f"{path} does not hold what it should")
    return plain
