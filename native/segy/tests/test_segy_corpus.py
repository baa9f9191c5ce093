"""Every SEG-Y and SU file of the corpus against facts found by an independent reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_native_segy import SegyFile, decode_columns, encode

WORDS = {
    "tracl": (1, "i4"), "tracr": (5, "i4"), "fldr": (9, "i4"), "tracf": (13, "i4"), "ep": (17, "i4"),
    "cdp": (21, "i4"), "cdpt": (25, "i4"), "trid": (29, "i2"), "offset": (37, "i4"), "gelev": (41, "i4"),
    "selev": (45, "i4"), "scalel": (69, "i2"), "scalco": (71, "i2"), "sx": (73, "i4"), "sy": (77, "i4"),
    "gx": (81, "i4"), "gy": (85, "i4"), "counit": (89, "i2"), "delrt": (109, "i2"), "ns": (115, "u2"),
    "dt": (117, "u2"), "year": (157, "i2"), "day": (159, "i2"), "cdpx": (181, "i4"), "cdpy": (185, "i4"),
    "iline": (189, "i4"), "xline": (193, "i4"), "sp": (197, "i4"),
}  # fmt: skip
ENCODINGS = {"EBCDIC": "ebcdic", "ASCII": "ascii"}
# Its binary header says -2: the positive interval of the trace header is the only one that makes sense.
INTERVALS = {"equinor_segyio/interval-neg-bin-pos-trace.sgy": 4000.0}


@pytest.fixture(scope="session")
def facts(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "corpus" / "facts.json").read_text())
    return {name: fact for name, fact in found.items() if fact.get("kind") in ("segy", "su")}


def test_layout(shared: Path, facts: dict[str, Any]) -> None:
    assert len(facts) > 90
    for name, fact in facts.items():
        file = SegyFile.open(shared / "corpus" / name)
        found = {
            "kind": file.kind, "size": file.size, "endian": file.endian, "format": file.format,
            "traces": file.traces, "samples": file.samples, "trailing": file.trailing_bytes,
            "text": file.text_encoding, "revision": file.revision, "offset": file.data_offset,
            "extended": file.extended_text, "header_bytes": file.header_bytes,
        }  # fmt: skip
        expected = {
            "kind": fact["kind"], "size": fact["bytes"], "endian": fact["endian"], "format": fact["format"],
            "traces": fact["n_traces"], "samples": fact["n_samples"], "trailing": fact["trailing_bytes"],
            "text": ENCODINGS.get(fact.get("text_encoding", ""), "blank"),
            "revision": (fact.get("rev_major", 0), fact.get("rev_minor", 0)), "offset": fact.get("data_offset", 0),
            "extended": fact.get("ext_text", 0), "header_bytes": 240 * (1 + fact.get("max_trhdr_ext", 0)),
        }  # fmt: skip
        assert found == expected, name
        assert file.interval_s * 1e6 == pytest.approx(INTERVALS.get(name, fact["dt_us"])), name
        assert file.data_offset + file.traces * file.trace_stride + file.trailing_bytes == file.size, name


def test_contradictions_are_reported(shared: Path, facts: dict[str, Any]) -> None:
    for name, fact in facts.items():
        said = {fact.get("bin_ns", fact["n_samples"]), *fact.get("trace_ns_values", [])} - {0, fact["n_samples"]}
        findings = "\n".join(SegyFile.open(shared / "corpus" / name).findings)
        assert ("samples per trace" in findings) == bool(said), name
        assert all(str(count) in findings for count in said), name
        nonsense = fact.get("rev_bytes", [0, 0]) in ([0, 16], [0, 100])
        assert ("is no SEG-Y revision" in findings) == nonsense, name


def test_header_words(shared: Path, facts: dict[str, Any]) -> None:
    for name, fact in facts.items():
        words = fact["headers_first_last_min_max_nunique"]
        file = SegyFile.open(shared / "corpus" / name)
        fields = [WORDS[word] for word in words]
        columns = file.columns(fields, 0, file.traces)
        from_memory = decode_columns(file.headers(0, file.traces), fields, file.endian)
        for word, column, again in zip(words, columns, from_memory, strict=True):
            found = [int(column[0]), int(column[-1]), int(column.min()), int(column.max()), np.unique(column).size]
            assert found == words[word], f"{name} {word}"
            assert column.dtype == again.dtype and np.array_equal(column, again), f"{name} {word}"


def test_samples(shared: Path, facts: dict[str, Any]) -> None:
    for name, fact in facts.items():
        file = SegyFile.open(shared / "corpus" / name)
        traces, headers, _ = file.read(0, file.traces)
        assert traces.dtype == np.float32 and headers.shape == (file.traces, file.header_bytes)
        assert traces[0, :4].astype(float).tolist() == pytest.approx(fact["first_trace_first4"], rel=6e-8), name
        assert traces[-1, -4:].astype(float).tolist() == pytest.approx(fact["last_trace_last4"], rel=6e-8), name
        whole, wide = fact["whole_file"], traces.astype(float)
        # The facts were summed in the file's own precision: int32, int64 and float64 differ by float32's rounding.
        assert np.abs(wide).sum() == pytest.approx(whole["abs_sum"], rel=1e-8), name
        assert wide.sum() == pytest.approx(whole["sum"], abs=1e-8 * whole["abs_sum"] + 1e-300), name
        assert [wide.min(), wide.max()] == pytest.approx([whole["min"], whole["max"]], rel=6e-8), name
        assert int((traces == 0).sum()) == whole["n_zero"], name
        assert int((~np.isfinite(traces)).sum()) == whole["n_nonfinite"], name


def test_round_trip_is_byte_identical(shared: Path, facts: dict[str, Any]) -> None:
    for name, fact in facts.items():
        file = SegyFile.open(shared / "corpus" / name)
        traces, headers, exact = file.read(0, file.traces)
        raw = None if exact else file.raw_samples(0, file.traces)
        body = encode(traces, headers, format=file.format, endian=file.endian, raw_samples=raw)
        assert file.prefix() + body.tobytes() + file.suffix() == (shared / "corpus" / name).read_bytes(), name
        if fact["whole_file"].get("n_unnormalised_ibm"):
            assert not exact, name
        elif fact["format"] in (1, 3, 5, 8, 11):
            assert exact, name


def test_text(shared: Path) -> None:
    corpus = shared / "corpus"
    lines = SegyFile.open(corpus / "equinor_segyio/mapping-minimal.sgy").text()
    assert len(lines) == 40 and lines[0] == "C 1 DATE 2025-06-16"
    file = SegyFile.open(corpus / "equinor_segyio/stanzas-known-count.sgy")
    records = file.extended()
    assert len(records) == file.extended_text == 3
    assert records[0].startswith("((SEGYIO:TEST ASCII  DATA") and all(len(record) == 3200 for record in records)
    for name in ("equinor_segyio/text-embed-null.sgy", "obspy_obspy/one_trace_year_11.sgy"):
        assert all(line.isprintable() for line in SegyFile.open(corpus / name).text())
    assert SegyFile.open(corpus / "msacchi_SeismicLab/cdp700.su").text() == []


@pytest.mark.parametrize("case", ["cmp24_ibm", "cmp24_ieee"])
def test_written_by_seismic_unix(shared: Path, case: str) -> None:
    """Files and their read-back from another program; amplitudes span 24 decades."""
    folder = shared / "golden" / "segy"
    file = SegyFile.open(folder / f"{case}.sgy")
    meta = json.loads((folder / f"{case}.json").read_text())
    traces, headers, exact = file.read(0, file.traces)
    expected = np.load(folder / f"{case}.npy")
    if traces.shape != expected.shape:
        expected = expected.T
    np.testing.assert_array_equal(traces, expected)
    assert exact and file.format == meta["binary_header"]["format"] and file.samples == meta["binary_header"]["hns"]
    for word, values in meta["trace_headers_nonzero"].items():
        if word in WORDS:
            (column,) = decode_columns(headers, [WORDS[word]], file.endian)
            assert column.tolist() == values, word
    source = np.load(folder / "cmp24_source.npy").reshape(traces.shape)
    nearest = encode(source, headers, format=file.format, endian="big")
    again = nearest.reshape(file.traces, -1)[:, 240:].copy().view(">u4").astype("u4")
    written = file.raw_samples(0, file.traces).view(">u4").astype("u4")
    # The other program truncates IBM fractions, this one rounds: at most one unit apart, never below.
    assert ((again - written) <= (1 if file.format == 1 else 0)).all()
