"""The compiled module: signatures and documentation. Use the names through `seisproc_native_segy`.

Terms used throughout. *Field*: a trace header word `(byte, type)`, `byte` counted from 1 as the standard does and
`type` one of `i1 u1 i2 u2 i4 u4 i8 u8 f4 f8 ibm`; `ibm` is an IBM single, handed out as float64. *flag*: any buffer
of bytes (a uint8 array, a slice of an mmap); as soon as its first byte is not 0, the call stops and raises
`Cancelled`. It is read atomically every quarter of a megabyte, about 0.1 ms of work. *progress*: a
writable uint64 or int64 array of length 1; finished traces are added to it atomically. *threads*: how many threads
share the work, 1 by default; the result does not depend on it. The GIL is released in every loop; arrays passed to a
running call must not be written to.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

class SegyError(ValueError):
    """The file or an argument cannot be used: one line that says what was found, where, and what to try."""

class Cancelled(Exception):
    """The caller's flag was raised during a long loop; output arrays hold unfinished data."""

@final
class SegyFile:
    """An open SEG-Y (revision 0 to 2.1) or SU file.

    Immutable, safe to use from many threads at once, and picklable as far as what it was opened on is: the copy opens
    the same path, or bytes, with the same options. All reads are positioned reads of at most a quarter of a megabyte: a
    file that is cut short while it is read gives a `SegyError`, a failing disk an `OSError`, and memory use does not
    depend on the file's size (traces of varying length cost 12 bytes each).
    """

    @classmethod
    def open(
        cls,
        source: Any,
        *,
        kind: str | None = None,
        endian: str | None = None,
        format: int | None = None,
        samples: int | None = None,
        interval_us: float | None = None,
        text_encoding: str | None = None,
        revision: tuple[int, int] | None = None,
        lengths: str = "same",
        lenient: bool = False,
    ) -> SegyFile:
        """Open a file, detecting all that is not given.

        The sample count is the one whose whole traces end exactly at the end of the file: of the extended count of
        revision 2, the binary header's, the first trace header's, the first that does. Costs a few reads of the headers
        whatever the file's size; `lengths="pad"` reads every trace header of a file whose lengths vary.

        Parameters
        ----------
        source : path of a regular file; or a buffer (bytes, memoryview, mmap, array, `io.BytesIO`), used where it lies;
            or a binary stream with `seek` and `readinto` or `read`, one read of which happens at a time
        kind : "segy" or "su"; by default SU is what begins with a trace header whose sample count fits the file's size
        endian : "big" or "little", byte order of headers and samples
        format : sample format code, 1-12, 15 or 16
        samples : samples per trace
        interval_us : sample interval in microseconds
        text_encoding : "ebcdic" or "ascii"
        revision : (major, minor); it decides whether the words of revision 2 are looked at
        lengths : "same" refuses traces of varying length, naming the lengths; "pad" reads them as long as the longest,
            zeros behind the shorter ones, and has no effect where they do not vary
        lenient : read the whole traces of a file that ends within one; there must be at least one

        Raises
        ------
        SegyError
            If the file is not SEG-Y or SU, is empty, cut short or contradicts itself in a way that cannot be resolved.
            The message names the trace lengths that would fit, with the options to use.
        OSError
            If it cannot be opened or read.
        TypeError
            If `source` is none of these.
        """

    @property
    def path(self) -> str:
        """The path; a stream's `name`, else "<stream>"; "<memory>"."""

    @property
    def kind(self) -> str:
        """Kind of file: "segy" or "su"."""

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""

    @property
    def endian(self) -> str:
        """Byte order of headers and samples: "big" or "little"."""

    @property
    def format(self) -> int:
        """Sample format code; 5 (float32) for SU."""

    @property
    def sample_bytes(self) -> int: ...
    @property
    def revision(self) -> tuple[int, int]:
        """Major and minor revision; (0, 0) if the word makes no sense (with a finding) and for SU."""

    @property
    def samples(self) -> int:
        """Samples per trace; of the longest, where lengths vary."""

    @property
    def interval_s(self) -> float:
        """Sample interval in seconds; 0.0 if the file states none (with a finding)."""

    @property
    def traces(self) -> int: ...
    @property
    def data_offset(self) -> int:
        """Bytes before the first trace header."""

    @property
    def trace_stride(self) -> int:
        """Bytes from one trace header to the next; of the longest trace, where lengths vary."""

    @property
    def header_bytes(self) -> int:
        """Bytes of a trace header with its extensions: 240 (1 + extensions)."""

    @property
    def extended_text(self) -> int:
        """Number of extended text records of 3200 bytes."""

    @property
    def text_encoding(self) -> str:
        """Encoding of the text header: "ebcdic", "ascii", or "blank" if it is (nearly) all NUL, and for SU."""

    @property
    def trailing_bytes(self) -> int:
        """Bytes after the last whole trace: data trailer records, or what `lenient` left over."""

    @property
    def findings(self) -> list[str]:
        """What was contradictory or odd, how it was decided, and which overrides were used."""

    @property
    def reasons(self) -> dict[str, str]:
        """Why it is read as it is: `kind endian format revision samples text_encoding interval` (as far as the kind
        of file has them), each with what decided it."""

    def text(self) -> list[str]:
        """The text header: 40 lines without trailing blanks, control characters as blanks; no line for SU."""

    def extended(self) -> list[str]:
        """The extended text records, 3200 characters each."""

    def prefix(self) -> bytes:
        """The exact bytes before the first trace."""

    def suffix(self) -> bytes:
        """The exact bytes after the last whole trace; more than 256 MiB are refused."""

    def headers(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Raw trace headers of traces start..stop, shape (stop - start, header_bytes)."""

    def raw_samples(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Undecoded samples of traces start..stop, padded with zero bytes: (stop - start, samples * sample_bytes)."""

    def lengths(self, start: int, stop: int) -> NDArray[np.uint32]:
        """Samples that traces start..stop have themselves, shape (stop - start,): `samples` unless lengths vary."""

    def columns(
        self,
        fields: Sequence[tuple[int, str]],
        start: int,
        stop: int,
        *,
        threads: int = 1,
        flag: Any | None = None,
    ) -> list[NDArray[Any]]:
        """Header words of traces start..stop, all fields in one pass over the file.

        Returns
        -------
        list of ndarray
            One array of shape (stop - start,) for each field, of the field's type in native byte order.

        Raises
        ------
        SegyError
            If a field lies outside the trace header, has an unknown type, or the range is outside the file.
        Cancelled
            If the flag is raised.
        """

    def read(
        self,
        start: int,
        stop: int,
        *,
        traces: NDArray[np.float32] | None = None,
        threads: int = 1,
        flag: Any | None = None,
        progress: NDArray[Any] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], bool]:
        """Decode traces start..stop.

        Parameters
        ----------
        start, stop : range of traces, 0-based, stop excluded
        traces : C-contiguous float32 array of shape (stop - start, samples) to fill instead of a new one; reusing one
            spares the cost of fresh memory, which is several times that of decoding

        Returns
        -------
        traces : float32, shape (stop - start, samples); rounded to nearest where float32 cannot hold a sample
        headers : uint8, shape (stop - start, header_bytes)
        exact : whether `encode` makes the same bytes of all these samples again. False for unnormalised IBM words, 32-
            and 64-bit integers and float64 beyond float32's precision, and format 4: keep `raw_samples` for those.
        """

    def __reduce__(self) -> tuple[Any, ...]: ...

def encode(
    traces: NDArray[np.float32] | None,
    headers: NDArray[np.uint8],
    *,
    format: int,
    endian: str,
    raw_samples: NDArray[np.uint8] | None = None,
    flag: Any | None = None,
    threads: int = 1,
) -> NDArray[np.uint8]:
    """The body of a SEG-Y file: each header followed by its encoded samples.

    IBM floats are rounded to nearest, ties to even (all finite float32 are in their range); integers are rounded to
    nearest, ties to even, and saturate at the ends of their range.

    Parameters
    ----------
    traces : float32, shape (n, samples); may be None if raw_samples is given
    headers : uint8, shape (n, header bytes), in the byte order of the file to be
    endian : "big" or "little", for the samples
    format : sample format code; 4 is not written
    raw_samples : uint8, shape (n, samples * sample bytes), written as they are instead of `traces`

    Returns
    -------
    ndarray
        uint8, one-dimensional: n * (header bytes + samples * sample bytes).

    Raises
    ------
    SegyError
        If a sample is NaN or infinite and the format is not IEEE: names trace and sample.
    TypeError
        If an array has the wrong type or shape.
    """

def decode_columns(headers: NDArray[np.uint8], fields: Sequence[tuple[int, str]], endian: str) -> list[NDArray[Any]]:
    """`SegyFile.columns` from headers in memory, shape (n, header bytes)."""

def patch_columns(
    headers: NDArray[np.uint8],
    fields: Sequence[tuple[int, str]],
    values: Sequence[ArrayLike],
    endian: str,
) -> None:
    """Write columns into headers, shape (n, header bytes), in place, where a word has another value.

    Elsewhere its bytes stay: those of an unnormalised IBM word, or of another word that lies there too.

    Raises
    ------
    SegyError
        If a value does not fit the field's type (out of range, a fraction for an integer type, NaN for an integer or
        IBM type): names the bytes, the trace and the value; nothing is then written at all.
    """

def ibm_to_float(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """IBM singles in native byte order to float32, rounded to nearest; any shape."""

def float_to_ibm(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """float32 to IBM singles in native byte order, rounded to nearest, ties to even; NaN and infinities raise."""

def ebcdic_decode(data: bytes) -> str:
    """Text of EBCDIC bytes (code page 037)."""

def ebcdic_encode(text: str) -> bytes:
    """EBCDIC bytes (code page 037) of a text; a character without a code raises `SegyError`."""
