"""Ranges, output arrays, threads, cancelling, progress, pickling, and a file that changes underneath."""

from __future__ import annotations

import pickle
import runpy
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_native_segy import Cancelled, SegyError, SegyFile, encode

Builder = Callable[..., Path]

FIELDS = [(1, "i4"), (21, "i4"), (115, "u2"), (240, "u1"), (181, "ibm")]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 MB of IBM traces whose header words count the traces."""
    traces = np.random.default_rng(3).standard_normal((30_000, 500), np.float32)
    headers = np.zeros((30_000, 240), np.uint8)
    headers[:, :4] = np.arange(30_000, dtype=">i4").view(np.uint8).reshape(-1, 4)
    headers[:, 114:116] = np.frombuffer(b"\x01\xf4", np.uint8)
    head = bytearray(3600)
    head[3216:3218], head[3220:3222], head[3224:3226] = b"\x07\xd0", b"\x01\xf4", b"\x00\x01"
    path = tmp_path_factory.mktemp("large") / "large.sgy"
    path.write_bytes(bytes(head) + encode(traces, headers, format=1, endian="big", threads=2).tobytes())
    return path


def test_ranges(simple: Path) -> None:
    file = SegyFile.open(simple)
    whole, heads, _ = file.read(0, 7)
    for start in range(8):
        for stop in range(start, 8):
            traces, headers, exact = file.read(start, stop, threads=3)
            np.testing.assert_array_equal(traces, whole[start:stop])
            np.testing.assert_array_equal(headers, heads[start:stop])
            np.testing.assert_array_equal(file.headers(start, stop), heads[start:stop])
            raw = file.raw_samples(start, stop)
            np.testing.assert_array_equal(raw.view(">f4"), whole[start:stop])
            assert file.columns([(1, "i4")], start, stop)[0].tolist() == list(range(start + 1, stop + 1))
            assert exact
    for start, stop in ((3, 2), (0, 8), (8, 8)):
        with pytest.raises(SegyError, match="which has 7"):
            file.read(start, stop)
    with pytest.raises(OverflowError):
        file.read(-1, 2)


@pytest.mark.parametrize("samples", [1, 300, 5_000, 40_000, 2_000_000])
@pytest.mark.parametrize("extensions", [0, 1])
def test_block_and_sparse_reads_agree(build: Builder, samples: int, extensions: int) -> None:
    """Trace lengths on both sides of every switch of reading strategy; count no multiple of a block."""
    count = max(3, min(3_001, 3_000_000 // samples))
    raw = [np.full(samples, t, ">i2").tobytes() for t in range(count)]
    words: dict[tuple[int, str], float] = {(3269, "I"): samples, (3501, "B"): 2, (3507, "h"): extensions}
    path = build(raw, samples=0, format=3, words=words, extensions=extensions, trace_samples=0)
    file = SegyFile.open(path)
    assert (file.samples, file.traces) == (samples, count)
    for threads in (1, 3):
        traces, headers, exact = file.read(0, count, threads=threads)
        assert exact and (traces == np.arange(count)[:, None]).all()
        (numbers,) = file.columns([(1, "i4")], 0, count, threads=threads)
        np.testing.assert_array_equal(numbers, np.arange(1, count + 1))
    np.testing.assert_array_equal(headers, file.headers(0, count))
    assert b"".join(row.tobytes() for row in file.raw_samples(0, count)) == b"".join(raw)


def test_output_array(simple: Path) -> None:
    file = SegyFile.open(simple)
    out = np.full((3, 11), np.nan, np.float32)
    traces, _, _ = file.read(2, 5, traces=out)
    assert traces is out and out[0, 0] == 200
    rows = np.zeros((9, 11), np.float32)
    file.read(0, 7, traces=rows[1:8])
    assert rows[1, 1] == 1 and not rows[[0, 8]].any()
    frozen = np.zeros((3, 11), np.float32)
    frozen.flags.writeable = False
    wrong: Any
    for wrong in (np.zeros((3, 10), np.float32), np.zeros((3, 11)), np.zeros((3, 22), np.float32)[:, ::2], frozen):
        with pytest.raises(TypeError):
            file.read(2, 5, traces=wrong)


def test_read_only_inputs_of_encode() -> None:
    traces, headers = np.ones((2, 5), np.float32), np.zeros((2, 240), np.uint8)
    expected = encode(traces, headers, format=5, endian="big").tobytes()
    traces.flags.writeable = headers.flags.writeable = False
    assert encode(traces, headers, format=5, endian="big").tobytes() == expected
    assert encode(traces[:, ::1], headers[::-1], format=5, endian="big").tobytes() == expected
    bad: dict[str, Any]
    arguments: dict[str, Any] = {"traces": traces, "headers": headers}
    for bad in ({"traces": traces.astype(float)}, {"headers": headers.astype(int)}, {"headers": headers[:1]}):
        with pytest.raises(TypeError):
            encode(**(arguments | bad), format=5, endian="big")


def test_threads_give_the_same(large: Path) -> None:
    file = SegyFile.open(large)
    one = file.read(0, file.traces)
    two = file.read(0, file.traces, threads=2)
    assert one[2] and two[2]
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert np.array_equal(one[1][:, :4].copy().view(">i4")[:, 0], np.arange(file.traces))
    for a, b in zip(file.columns(FIELDS, 5, 29_000), file.columns(FIELDS, 5, 29_000, threads=2), strict=True):
        np.testing.assert_array_equal(a, b)
    body = [encode(one[0], one[1], format=1, endian="big", threads=n) for n in (1, 2)]
    assert body[0].tobytes() == body[1].tobytes() == large.read_bytes()[3600:]


def test_one_file_from_many_threads(large: Path) -> None:
    file = SegyFile.open(large)
    whole = file.read(0, 8_000)[0]

    def piece(start: int) -> bool:
        return bool(np.array_equal(file.read(start, start + 100)[0], whole[start : start + 100]))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(piece, range(0, 7_900, 37)))


def test_pickle(simple: Path) -> None:
    file = SegyFile.open(simple, interval_us=123.0, text_encoding="ascii")
    again = pickle.loads(pickle.dumps(file))
    assert (again.path, again.interval_s, again.text_encoding) == (file.path, file.interval_s, "ascii")
    np.testing.assert_array_equal(again.read(0, 7)[0], file.read(0, 7)[0])
    for error in (SegyError("trace 3"), Cancelled("stop")):
        same = pickle.loads(pickle.dumps(error))
        assert type(same) is type(error) and same.args == error.args, "errors come back from worker processes"


def test_raised_flag_stops_everything(large: Path) -> None:
    file = SegyFile.open(large)
    traces, headers, _ = file.read(0, 100)
    flag = np.ones(1, np.uint8)
    for call in (
        lambda: file.read(0, 100, flag=flag, threads=2),
        lambda: file.columns(FIELDS, 0, 100, flag=flag),
        lambda: encode(traces, headers, format=1, endian="big", flag=flag),
        lambda: file.read(0, 100, flag=memoryview(bytes(flag))),
    ):
        with pytest.raises(Cancelled):
            call()
    flag[0] = 0
    file.read(0, 100, flag=flag)
    for wrong in (np.ones(1, np.int32), np.empty(0, np.uint8), 3):
        with pytest.raises(TypeError):
            file.read(0, 1, flag=wrong)


def test_cancel_latency(large: Path) -> None:
    """A flag raised by another thread ends a long read within 20 ms; the reading thread does not hold the GIL."""
    file = SegyFile.open(large)
    out = np.empty((file.traces, file.samples), np.float32)
    delays = []
    for _ in range(10):
        flag, raised = np.zeros(1, np.uint8), [0.0]

        def raise_flag(flag: np.ndarray = flag, raised: list[float] = raised) -> None:
            time.sleep(0.003)
            raised[0] = time.perf_counter()
            flag[0] = 1

        canceller = threading.Thread(target=raise_flag)
        canceller.start()
        with pytest.raises(Cancelled):
            while True:
                file.read(0, file.traces, traces=out, flag=flag)
        delays.append(time.perf_counter() - raised[0])
        canceller.join()
    assert sorted(delays)[5] < 0.02, delays


def test_progress_counts_traces(large: Path) -> None:
    file = SegyFile.open(large)
    for dtype in (np.uint64, np.int64):
        done = np.full(1, 5, dtype)
        file.read(0, 20_000, threads=2, progress=done)
        file.read(20_000, 20_001, progress=done)
        assert done[0] == 5 + 20_001
    for wrong in (np.zeros(1, np.int32), np.zeros(0, np.int64)):
        with pytest.raises(TypeError):
            file.read(0, 1, progress=wrong)


def test_file_cut_short_after_opening(large: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.sgy"
    path.write_bytes(large.read_bytes()[: 3600 + 2240 * 1000])
    file = SegyFile.open(path)
    with path.open("r+b") as handle:
        handle.truncate(3600 + 2240 * 500)
    assert file.read(0, 500)[0].shape == (500, 500)
    for call in (lambda: file.read(0, 1000), lambda: file.columns(FIELDS, 0, 1000), lambda: file.headers(400, 600)):
        with pytest.raises(SegyError, match="cut short"):
            call()


def test_file_cut_short_while_headers_are_scanned(large: Path, tmp_path: Path) -> None:
    """Scans of headers while another thread cuts the file and lets it grow again: an error or values, no bus error."""
    path = tmp_path / "shrinking.sgy"
    content = large.read_bytes()[: 3600 + 2240 * 2000]
    path.write_bytes(content)
    file = SegyFile.open(path)
    done = threading.Event()

    def shrink() -> None:
        with path.open("r+b") as handle:
            while not done.is_set():
                handle.truncate(3600 + 2240 * 100)
                handle.truncate(len(content))

    thread = threading.Thread(target=shrink)
    thread.start()
    outcomes = set()
    for _ in range(300):
        try:
            outcomes.add(file.columns(FIELDS, 0, 2000)[0].shape)
        except SegyError as error:
            assert "cut short" in str(error)
            outcomes.add("refused")
    done.set()
    thread.join()
    assert outcomes <= {(2000,), "refused"}


def test_example_of_the_readme(build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (tmp_path / "example.py").write_text(readme.split("```python")[1].split("```")[0])
    path = build([bytes(range(40))] * 5, samples=10, format=2, name="line.sgy")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert (tmp_path / "copy.sgy").read_bytes() == path.read_bytes()
