"""Every file of the corpus: read as the recorded facts say, written back byte for byte, alike in both libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisproc_core.errors import DataError
from seisproc_segy import fallback
from seisproc_segy.storage import SegyStorage

Facts = dict[str, dict[str, Any]]
# Header words of the facts that go by a name which is no SU key.
_NAMES = {"sp": "shotpoint"}


def _options(fact: dict[str, Any]) -> dict[str, Any]:
    return {} if fact["dt_us"] else {"interval_us": 4000}


def test_facts(storage: SegyStorage, backend: Any, shared: Path, facts: Facts, refuses: Any) -> None:
    assert len(facts) > 90
    for name, fact in facts.items():
        path = str(shared / "corpus" / name)
        if refuses(backend, name, fact):
            with pytest.raises(DataError, match="install seisproc-native-segy"):
                storage.open([path], {})
            continue
        survey = storage.open([path], _options(fact))
        file = survey.info.file
        assert (file["kind"], file["endian"], file["format"]) == (fact["kind"], fact["endian"], fact["format"]), name
        assert (survey.n_traces, survey.sampling.count) == (fact["n_traces"], fact["n_samples"]), name
        if fact["dt_us"] > 0:
            assert survey.sampling.interval_s == pytest.approx(fact["dt_us"] * 1e-6), name
        if fact["kind"] == "segy":
            assert fact["text_encoding"].lower().startswith(file["text_encoding"]), name
        _check_words(survey, fact, name)
        _check_samples(survey, fact, name)


def _check_words(survey: Any, fact: dict[str, Any], name: str) -> None:
    headers, gather = survey.headers(), survey.read(slice(0, survey.n_traces))
    for word, (first, last, low, high, different) in fact["headers_first_last_min_max_nunique"].items():
        column = headers.column(_NAMES.get(word, word))
        found = [column[0], column[-1], column.min(), column.max(), len(np.unique(column))]
        assert found == [first, last, low, high, different], (name, word)
        assert np.array_equal(gather.headers.column(_NAMES.get(word, word)), column), (name, word)


def _check_samples(survey: Any, fact: dict[str, Any], name: str) -> None:
    traces = survey.read(slice(0, survey.n_traces)).traces
    whole = fact["whole_file"]
    assert np.allclose(traces[0, :4], np.array(fact["first_trace_first4"], np.float64)[: traces.shape[1]], rtol=1e-6), (
        name
    )
    last = np.array(fact["last_trace_last4"], np.float64)
    assert np.allclose(traces[-1, -len(last) :], last, rtol=1e-6), name
    wide = traces.astype(np.float64)
    assert np.abs(wide).sum() == pytest.approx(whole["abs_sum"], rel=1e-6), name
    assert wide.sum() == pytest.approx(whole["sum"], rel=1e-6, abs=1e-7 * whole["abs_sum"]), name
    assert (wide.min(), wide.max()) == pytest.approx((whole["min"], whole["max"]), rel=1e-7), name


def test_untouched_files_come_back_byte_for_byte(
    storage: SegyStorage, backend: Any, shared: Path, facts: Facts, refuses: Any, plan_of: Any, written: Any
) -> None:
    unchanged = 0
    for name, fact in facts.items():
        if refuses(backend, name, fact) or not fact["dt_us"]:
            continue
        path = shared / "corpus" / name
        survey = storage.open([str(path)], {})
        sink = storage.sink(plan_of(survey))
        file = written(sink, lambda start, stop, survey=survey: survey.read(slice(start, stop)), survey.n_traces)
        assert file == path.read_bytes(), name
        unchanged += 1
    assert unchanged >= len(facts) - 4


def test_both_libraries_agree(shared: Path, facts: Facts, refuses: Any) -> None:
    native: Any = pytest.importorskip("seisproc_native_segy")
    fields = [(1, "i4"), (3, "u2"), (5, "ibm"), (71, "i2"), (100, "f8"), (233, "i8"), (240, "u1"), (181, "f4")]
    for name, fact in facts.items():
        if refuses(fallback, name, fact):
            continue
        one = native.SegyFile.open(str(shared / "corpus" / name))
        two = fallback.SegyFile.open(str(shared / "corpus" / name))
        for attribute in (
            "kind", "size", "endian", "format", "sample_bytes", "revision", "samples", "interval_s", "traces",
            "data_offset", "trace_stride", "header_bytes", "extended_text", "text_encoding", "trailing_bytes",
        ):  # fmt: skip
            assert getattr(one, attribute) == getattr(two, attribute), (name, attribute)
        assert one.text() == two.text(), name
        assert one.prefix() == two.prefix(), name
        start, stop = one.traces // 3, one.traces
        for mine, yours in zip(one.read(start, stop), two.read(start, stop), strict=True):
            assert np.array_equal(mine, yours, equal_nan=True), name
        assert np.array_equal(one.raw_samples(start, stop), two.raw_samples(start, stop)), name
        with np.errstate(invalid="ignore"):
            for field, mine, yours in zip(
                fields, one.columns(fields, 0, stop), two.columns(fields, 0, stop), strict=True
            ):
                assert mine.dtype == yours.dtype and np.array_equal(mine, yours, equal_nan=True), (name, field)


def test_reference_files_of_seismic_unix(storage: SegyStorage, shared: Path) -> None:
    folder = shared / "golden" / "segy"
    for name in ("cmp24_ibm", "cmp24_ieee"):
        gather = storage.open([str(folder / f"{name}.sgy")], {}).read(slice(0, 24))
        assert np.array_equal(gather.traces, np.load(folder / f"{name}.npy")), name
        source = np.load(folder / "cmp24_source.npy")
        # segywrite truncates the IBM fraction: up to three bits of the significand.
        assert np.all(np.abs(gather.traces - source) <= (9.6e-7 if name == "cmp24_ibm" else 0) * np.abs(source)), name


def test_delay_and_time_scalar(storage: SegyStorage, shared: Path) -> None:
    corpus = shared / "corpus"
    assert storage.open([str(corpus / "equinor_segyio" / "delay-scalar.sgy")], {}).sampling.start_s == 1.0
    assert storage.open([str(corpus / "derived" / "loma_blanca_sh_rec001-030.sgy")], {}).sampling.start_s == -0.01
    # Bytes 215-216 of these two hold 10016 and -2536, which are no scalars.
    unix = corpus / "JohnWStockwellJr_SeisUnix"
    assert storage.open([str(unix / "ozdata.16")], {}).sampling.start_s == 0.004
    assert storage.open([str(unix / "data.sgy")], {}).sampling.start_s == 0.3
