"""Memory and streams instead of paths."""

from __future__ import annotations

import io
import mmap
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisproc_native_segy import SegyError, SegyFile

Maker = Callable[..., bytes]


class Dribble:
    """A stream that gives some bytes at a time and has `read` only."""

    def __init__(self, content: bytes, most: int) -> None:
        self.content, self.most, self.at = content, most, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (len(self.content) if whence == 2 else 0)
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, count: int) -> bytes:
        found = self.content[self.at : self.at + min(count, self.most)]
        self.at += len(found)
        return found


class Broken(Dribble):
    def read(self, count: int) -> bytes:
        raise ConnectionResetError("the bucket went away")


@pytest.fixture(scope="module")
def content(segy_bytes: Maker) -> bytes:
    values = (100 * np.arange(40)[:, None] + np.arange(11)).astype(">f4")
    return segy_bytes([row.tobytes() for row in values], samples=11)


def sources(content: bytes, path: Path) -> dict[str, Any]:
    path.write_bytes(content)
    with path.open("rb") as handle:
        mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    array = np.frombuffer(content, np.uint8).reshape(-1, 4)
    return {
        "path": path, "str": str(path), "bytes": content, "bytearray": bytearray(content), "mmap": mapped,
        "array": array, "view": memoryview(content), "BytesIO": io.BytesIO(content), "file": path.open("rb"),
        "raw file": path.open("rb", buffering=0), "read only": Dribble(content, 100),
    }  # fmt: skip


def test_all_sources_read_the_same(content: bytes, tmp_path: Path) -> None:
    whole = SegyFile.open(content)
    traces, headers, _ = whole.read(0, 40)
    assert traces[39, 10] == 3910
    for name, source in sources(content, tmp_path / "a.sgy").items():
        file = SegyFile.open(source)
        assert file.size == len(content), name
        again = file.read(0, 40, threads=3)
        assert np.array_equal(again[0], traces) and np.array_equal(again[1], headers), name
        assert np.array_equal(file.columns([(21, "i4")], 3, 9)[0], np.arange(103, 109)), name
        assert file.prefix() == content[:3600] and file.suffix() == b"" and file.text() == whole.text(), name


@given(most=st.integers(1, 5000), start=st.integers(0, 40), count=st.integers(0, 40))
def test_streams_that_give_less_than_asked(content: bytes, most: int, start: int, count: int) -> None:
    stop = min(40, start + count)
    expected = SegyFile.open(content).read(start, stop)
    found = SegyFile.open(Dribble(content, most)).read(start, stop)
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])


def test_one_stream_from_many_threads(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.sgy"
    path.write_bytes(content)
    with path.open("rb") as stream:
        file = SegyFile.open(stream)
        with ThreadPoolExecutor(8) as pool:
            for start, (traces, _, _) in enumerate(pool.map(lambda at: file.read(at, at + 3), range(37))):
                assert traces[:, 0].tolist() == [100 * (start + i) for i in range(3)]


def test_a_stream_s_own_error_comes_through(content: bytes) -> None:
    with pytest.raises(ConnectionResetError, match="the bucket went away"):
        SegyFile.open(Broken(content, 100))
    short = Dribble(content, 1000)
    file = SegyFile.open(short)
    short.content = content[:5000]
    with pytest.raises(SegyError, match="cut short"):
        file.read(0, 40)


def test_pickle(content: bytes, tmp_path: Path) -> None:
    for name in ("path", "bytes", "BytesIO"):
        again = pickle.loads(pickle.dumps(SegyFile.open(sources(content, tmp_path / "a.sgy")[name], lengths="pad")))
        assert again.read(39, 40)[0][0, 10] == 3910
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(SegyFile.open(sources(content, tmp_path / "a.sgy")["file"]))


def test_what_is_no_source(content: bytes) -> None:
    wrong: Any
    for wrong in (3, None, [content], {}, object()):
        with pytest.raises(TypeError, match="give a path, bytes"):
            SegyFile.open(wrong)
    with pytest.raises(SegyError, match="<memory> is empty"):
        SegyFile.open(b"")
    with pytest.raises(SegyError, match="<memory>: sample format code"):
        SegyFile.open(bytes(5000))
    with pytest.raises(BufferError):
        buffer = io.BytesIO(content)
        file = SegyFile.open(buffer)
        buffer.truncate(10)
        file.read(0, 1)
