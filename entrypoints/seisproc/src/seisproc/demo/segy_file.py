"""A small SEG-Y rev 1 writer, so that the demonstration does not check the reader with its own other half."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from seisproc.demo.modelling import Model
from seisproc_core.data.words import STANDARD

TRACE_HEADER = 240
_BINARY = {  # first byte in the file, value type: the words of the binary header that are set
    "lines": (3205, ">i4"),
    "reels": (3209, ">i4"),
    "traces_per_record": (3213, ">i2"),
    "interval": (3217, ">u2"),
    "field_interval": (3219, ">u2"),
    "samples": (3221, ">u2"),
    "field_samples": (3223, ">u2"),
    "format": (3225, ">i2"),
    "fold": (3227, ">i2"),
    "sorting": (3229, ">i2"),
    "metres": (3255, ">i2"),
    "revision": (3501, ">u2"),
    "fixed_length": (3503, ">i2"),
}


def ibm_words(samples: np.ndarray) -> np.ndarray:
    """Samples as IBM System/360 single precision, uint32 of the same shape, rounded to nearest.

    A word is ``sign * 0.F * 16^(E - 64)`` with 24 bits of fraction, normalised to a first hexadecimal digit of 1 to 15.

    Raises
    ------
    ValueError
        A sample is not finite (IBM words have no NaN and no infinity).
    """
    values = np.asarray(samples, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("IBM words cannot hold NaN or infinity: mute or repair the traces first")
    mantissa, exponent = np.frexp(np.abs(values))  # 0.5 <= mantissa < 1
    digits = -(-exponent // 4)  # powers of 16, rounded up
    fraction = np.rint(np.ldexp(mantissa, exponent - 4 * digits + 24)).astype(np.int64)
    carried = fraction == 1 << 24  # rounding reached the next power of 16
    fraction = np.where(carried, 1 << 20, fraction)
    biased = np.where(fraction == 0, 0, digits + carried + 64)
    return (np.signbit(values).astype(np.uint32) << 31) | (biased.astype(np.uint32) << 24) | fraction.astype(np.uint32)


def write_segy(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a modelled line as SEG-Y rev 1: IBM floats, big-endian, text header in EBCDIC, geometry in the headers.

    Parameters
    ----------
    model
        The line; its header words go to the bytes of the SEG-Y standard.
    path
        The file; replaced if it exists.
    """
    count, samples = model.traces.shape
    words = {name: STANDARD[name] for name in model.headers}
    record = np.dtype(
        {
            "names": [*words, "samples"],
            "formats": [*(f">{word.type}" for word in words.values()), (">u4", (samples,))],
            "offsets": [*(word.byte - 1 for word in words.values()), TRACE_HEADER],
            "itemsize": TRACE_HEADER + 4 * samples,
        }
    )
    with Path(path).open("wb") as file:
        file.write(_text_header(model).encode("cp037"))
        file.write(_binary_header(model))
        for start in range(0, count, 1000):
            rows = slice(start, start + 1000)
            block = np.zeros(len(model.traces[rows]), record)
            for name, values in model.headers.items():
                block[name] = values[rows]
            block["samples"] = ibm_words(model.traces[rows])
            file.write(block.tobytes())


def _binary_header(model: Model) -> bytes:
    interval = round(model.interval_s * 1e6)
    samples = model.traces.shape[1]
    record = int(np.count_nonzero(model.headers["field_record"] == model.headers["field_record"][0]))
    values = {
        "lines": 1,
        "reels": 1,
        "traces_per_record": record,
        "interval": interval,
        "field_interval": interval,
        "samples": samples,
        "field_samples": samples,
        "format": 1,
        "fold": 1,
        "sorting": 1,  # as recorded
        "metres": 1,
        "revision": 0x0100,
        "fixed_length": 1,
    }
    header = bytearray(400)
    for name, (byte, type_) in _BINARY.items():
        value = np.array(values[name], type_).tobytes()
        header[byte - 3201 : byte - 3201 + len(value)] = value
    return bytes(header)


def _text_header(model: Model) -> str:
    """Forty lines of eighty characters."""
    count, samples = model.traces.shape
    headers = model.headers
    cdp, shots = headers["cdp"], len(np.unique(headers["field_record"]))
    lines = [
        "MODELLED LAND LINE, 2-D, SPLIT SPREAD: FLAT LAYERS, A FAULT, A DIPPING HORIZON",
        f"SHOTS {shots}   TRACES {count}   CDPS {cdp.min()} TO {cdp.max()}",
        f"SAMPLES {samples}   INTERVAL {model.interval_s * 1e3:g} MS   FIRST SAMPLE AT {model.start_s * 1e3:g} MS",
        f"WAVELET: RICKER, ZERO PHASE, {model.wavelet_hz:g} HZ",
        "POLARITY: SEG POSITIVE, AN INCREASE OF IMPEDANCE IS A POSITIVE NUMBER (PEAK)",
        "NOISE: GROUND ROLL, WHITE AND BAND-LIMITED NOISE, DEAD AND NOISY TRACES",
        "DATA: IBM FLOATING POINT, BIG-ENDIAN, AMPLITUDES AS MODELLED, NO GAIN",
        "COORDINATES IN CM (SCALAR -100), OFFSET IN M, RECEIVER MINUS SOURCE",
        "BYTES: FIELD RECORD 9, CHANNEL 13, SOURCE STATION 17, CDP 21, OFFSET 37,",
        "SOURCE X 73, RECEIVER X 81, CDP X 181, INLINE 189, CROSSLINE 193",
        "DEAD TRACES: TRACE IDENTIFICATION 2 AT BYTE 29, OR ALL SAMPLES ZERO",
    ]
    lines += [""] * (38 - len(lines)) + ["SEG Y REV1", "END TEXTUAL HEADER"]
    return "".join(f"C{number:2d} {line}"[:80].ljust(80) for number, line in enumerate(lines, 1))
