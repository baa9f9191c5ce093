"""Malformed input, one row of a table each: refused with one line, or read right; in seconds, and in bounded memory."""

from __future__ import annotations

import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.errors import SeisprocError
from seisproc_segy import describe
from seisproc_segy.storage import SegyStorage

SECONDS = 5.0
SPARSE = 1 << 40
COUNT, SAMPLES = 5, 20
STRIDE = 240 + 4 * SAMPLES
Case = tuple[str, Callable[[Path], Path]]


def sound(endian: str = ">") -> bytearray:
    """Five traces of 20 float32 samples, revision 2.1, everything stated rightly."""
    file = bytearray(b"\x40" * 3200 + bytes(400))
    struct.pack_into(endian + "H", file, 3216, 2000)
    struct.pack_into(endian + "HxxH", file, 3220, SAMPLES, 5)
    file[3500:3502] = b"\x02\x01"
    struct.pack_into(endian + "Q", file, 3512, COUNT)
    for trace in range(COUNT):
        header = bytearray(240)
        struct.pack_into(endian + "i", header, 0, trace + 1)
        struct.pack_into(endian + "HH", header, 114, SAMPLES, 2000)
        file += header + np.arange(1, SAMPLES + 1, dtype=endian + "f4").tobytes()
    return file


def written(content: bytes | bytearray, name: str = "case.sgy", size: int | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        if size is not None:
            os.truncate(path, size)
        return path

    return make


def changed(*words: tuple[int, str, Any], size: int | None = None) -> Callable[[Path], Path]:
    """The sound file with words (1-based byte, struct code, value) replaced."""
    file = sound()
    for byte, code, value in words:
        struct.pack_into(">" + code, file, byte - 1, value)
    return written(file, size=size)


def folder_(folder: Path) -> Path:
    (folder / "case.sgy").mkdir()
    return folder / "case.sgy"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "case.sgy")
    return folder / "case.sgy"


def unix_socket(folder: Path) -> Path:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("case.sgy")
    finally:
        os.chdir(here)
    return folder / "case.sgy"


def dangling(folder: Path) -> Path:
    (folder / "case.sgy").symlink_to(folder / "nothing")
    return folder / "case.sgy"


def looping(folder: Path) -> Path:
    (folder / "case.sgy").symlink_to(folder / "case.sgy")
    return folder / "case.sgy"


def cases() -> Iterator[Case]:
    """Name and maker of every case."""
    yield from {
        "folder": folder_, "pipe": fifo, "socket": unix_socket, "dangling link": dangling, "link to itself": looping,
        "no such file": lambda folder: folder / "case.sgy", "/dev/zero": lambda _: Path("/dev/zero"),
        "/dev/null": lambda _: Path("/dev/null"), "file as a folder": lambda f: written(b"x")(f) / "below.sgy",
    }.items()  # fmt: skip
    rng = np.random.default_rng(1)
    contents = {
        "empty": b"", "one byte": b"x", "text": b"Notes about the survey.\n" * 900, "zeros": bytes(9000),
        "ones": b"\xff" * 9000, "noise": rng.bytes(50_000), "page": b"<html>" + b" " * 9000, "short zip": b"PK\x03\x04",
        "gzip": b"\x1f\x8b\x08" + bytes(9000), "image": b"\x89PNG\r\n\x1a\n" + rng.bytes(9000), "blanks": b" " * 9000,
        "json": b'{"traces": 3}' * 700, "one header too few": bytes(sound()[:3599]),
        "headers only": bytes(sound()[:3600]),
        "a megabyte of zeros": bytes(1 << 20), "doubled": bytes(sound() + sound()), "reversed": bytes(sound()[::-1]),
        "tail": bytes(sound()) + b"tail", "carriage returns": bytes(sound()).replace(b"\n", b"\r\n"),
        "one byte lost": bytes(sound()[:100] + sound()[101:]), "SU cut off": bytes(sound()[3600:-7]),
    }  # fmt: skip
    yield from ((name, written(content)) for name, content in contents.items())
    yield "named .su", written(sound(), "case.su")
    fields = (80, 3200, 3204, 3217, 3221, 3225, 3226, 3260, 3300, 3501, 3505, 3521, 3600, 3601, 3628, 3714, 3716, 3718,
              3839, 3840, 3841, 3840 + 4 * SAMPLES, 3600 + STRIDE + 1, 3600 + 4 * STRIDE, len(sound()) - 1)  # fmt: skip
    yield from ((f"ends at byte {byte}", written(sound()[:byte])) for byte in fields)
    words: dict[str, tuple[tuple[int, str, Any], ...]] = {
        "no samples": ((3221, "H", 0), (3715, "H", 0)), "65535 samples": ((3221, "H", 65535), (3715, "H", 65535)),
        "one sample too many": ((3221, "H", SAMPLES + 1), (3715, "H", SAMPLES + 1)),
        "4294967295 samples": ((3269, "I", 0xFFFFFFFF), (3221, "H", 0)), "traces 2^64 - 1": ((3513, "Q", 2**64 - 1),),
        "first trace at 2^62": ((3521, "Q", 2**62),), "first trace at 1": ((3521, "Q", 1),),
        "32767 extensions": ((3507, "h", 32767),), "-1 extensions": ((3507, "h", -1),),
        "32767 text records": ((3505, "h", 32767),), "-1 text records": ((3505, "h", -1),),
        "-32768 text records": ((3505, "h", -32768),), "2^31 - 1 trailers": ((3529, "i", 2**31 - 1),),
        "-1 trailers": ((3529, "i", -1),), "pairs swapped": ((3297, "I", 0x02010403),),
        "the other byte order stated": ((3297, "I", 0x04030201),), "interval 0": ((3217, "H", 0), (3717, "H", 0)),
        "interval NaN": ((3273, "d", float("nan")),), "interval infinite": ((3273, "d", float("inf")),),
        "interval -1": ((3273, "d", -1.0), (3217, "H", 65535)), "interval 1e300": ((3273, "d", 1e300),),
        "other interval in a trace": ((3717 + STRIDE, "H", 4000),),
        "other start in a trace": ((3709 + STRIDE, "h", 8),),
        "other length in a trace": ((3715 + STRIDE, "H", 7),), "NaN sample": ((3841, "f", float("nan")),),
        "revision 255.255": ((3501, "H", 0xFFFF),),
        "time scalar 7": ((3815, "h", 7), (3709, "h", 100)),
        "coordinate scalar -32768": ((3671, "h", -32768), (3673, "i", 5)),
        "all units": ((3689, "h", 99), (3255, "h", 99)),
    }  # fmt: skip
    yield from ((name, changed(*changes)) for name, changes in words.items())
    yield from (
        (f"format {code}", changed((3225, "H", code))) for code in (0, 1, 2, 3, 4, 6, 7, 9, 13, 14, 15, 17, 256, 65535)
    )
    yield "sparse terabyte", changed(size=SPARSE)
    for name, changes in {
        "65535 samples": ((3221, "H", 65535), (3505, "h", 32767)),
        "extensions": ((3507, "h", 32767), (3269, "I", 0xFFFFFFFF)),
        "trailers": ((3513, "Q", 1), (3529, "i", 2**31 - 1)),
        "first trace": ((3521, "Q", 2**39),), "text": ((3505, "h", -1),),
    }.items():  # fmt: skip
        yield f"sparse terabyte, {name}", changed(*changes, size=SPARSE)
    yield "sparse terabyte of nothing", written(b"", size=SPARSE)


CASES = dict(cases())
OPTIONS: tuple[dict[str, Any], ...] = ({}, {"lenient": True}, {"kind": "su", "endian": "big"}, {"lengths": "pad"})


def test_there_are_enough() -> None:
    assert len(CASES) > 90


def attempt(storage: SegyStorage, path: Path, options: dict[str, Any]) -> str:
    """Open, look at some headers, read a little; "read", or what it was refused with."""
    try:
        survey = storage.open([str(path)], options)
        stop = min(survey.n_traces, 50, max(1, (1 << 20) // survey.sampling.count))
        gather = survey.read(slice(0, stop))
        assert gather.traces.shape == (stop, survey.sampling.count)
        if survey.n_traces < 1000:
            survey.headers().column("cdp")
    except SeisprocError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("name", CASES)
def test_malformed(storage: SegyStorage, tmp_path: Path, name: str) -> None:
    path = CASES[name](tmp_path)
    size = os.stat(path).st_size if path.exists() else 0
    for options in OPTIONS:
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        said = attempt(storage, path, options)
        assert time.monotonic() - began < SECONDS, options
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < max(4 * min(size, SPARSE // 10), 0) + (256 << 20 if size >= SPARSE else 32 << 20), options
        assert "\n" not in said and "Traceback" not in said
        if said != "read":
            assert path.name in said or "segy: parameter" in said, said


def test_what_is_whole_is_read_right(tmp_path: Path) -> None:
    """Contradictions that the file's size decides do not keep anybody from the samples."""
    expected = np.tile(np.arange(1, SAMPLES + 1, dtype=np.float32), (COUNT, 1))
    read = ("tail", "traces 2^64 - 1", "first trace at 2^62", "first trace at 1", "32767 text records",
            "-1 text records", "-32768 text records", "2^31 - 1 trailers", "interval NaN", "interval infinite",
            "other length in a trace",
            "revision 255.255", "-1 extensions", "coordinate scalar -32768", "all units")  # fmt: skip
    storage = SegyStorage(pytest.importorskip("seisproc_native_segy"))
    for name in read:
        (tmp_path / name.replace(" ", "-")).mkdir()
        path = CASES[name](tmp_path / name.replace(" ", "-"))
        survey = storage.open([str(path)], {"lenient": name == "tail"})
        assert np.array_equal(survey.read(slice(0, COUNT)).traces, expected), name
    for cut in range(3600 + STRIDE, len(sound()), 7):
        path = written(sound()[:cut])(tmp_path)
        whole = (cut - 3600) // STRIDE
        if whole * STRIDE + 3600 == cut:
            continue
        survey = storage.open([str(path)], {"lenient": True})
        assert survey.n_traces == whole and np.array_equal(survey.read(slice(0, whole)).traces, expected[:whole])


@pytest.mark.parametrize("name", ["noise", "text", "format 14", "ends at byte 3841", "sparse terabyte", "pipe"])
def test_describe_says_one_line(tmp_path: Path, name: str) -> None:
    began = time.monotonic()
    try:
        assert describe(str(CASES[name](tmp_path)))["traces"] >= 0
    except SeisprocError as error:
        assert "case.sgy" in str(error) and "\n" not in str(error)
    assert time.monotonic() - began < SECONDS
