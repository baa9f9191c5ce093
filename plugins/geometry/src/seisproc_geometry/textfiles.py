"""Tables with text in files: CSV in the field's dialects, and Parquet."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from seisproc_core.errors import UsageError

MAX_BYTES = 256 << 20
_LARGEST_WHOLE = 2.0**53


@attrs.frozen(eq=False)
class TextTable:
    """Columns as text, and the line of the file that each row stands in.

    Attributes
    ----------
    name
        The file, for messages.
    decimal
        What may stand for the decimal point.
    """

    name: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    decimal: str = "."

    def __len__(self) -> int:
        return len(self.lines)

    def number(self, column: str, *, gaps: bool = False) -> np.ndarray:
        """A column as float64; with `gaps`, NaN where it is empty.

        Raises
        ------
        UsageError
            There is no such column, or an entry is no finite number; names the line.
        """
        texts = self.text(column)
        if self.decimal == ",":
            texts = [text.replace(",", ".") if text.count(",") == 1 and "." not in text else text for text in texts]
        try:
            values = np.array(texts, np.float64)
        except ValueError:
            values = np.array([self._one(column, row, text, gaps=gaps) for row, text in enumerate(texts)], np.float64)
        bad = ~np.isfinite(values) & ~(np.array([not text for text in texts], bool) if gaps else False)
        bad |= np.abs(values) > _LARGEST_WHOLE
        if bad.any():
            raise self.wrong(int(np.argmax(bad)), column, "is not a number that fits")
        return values

    def _one(self, column: str, row: int, text: str, *, gaps: bool) -> float:
        if gaps and not text:
            return float("nan")
        try:
            return float(text)
        except ValueError:
            raise self.wrong(row, column, "is not a number") from None

    def text(self, column: str) -> Sequence[str]:
        """A column as text; `UsageError` where there is none, listing those there are."""
        if column not in self.columns:
            raise UsageError(f"{self.name} has no column '{column}'; it has {', '.join(self.columns)}")
        return self.columns[column]

    def wrong(self, row: int, column: str, problem: str) -> UsageError:
        """The error for one entry."""
        return UsageError(f"{self.name}, line {self.lines[row]}: {column} {self.columns[column][row]!r} {problem}")


def read_text_table(path: Path) -> TextTable:
    """Read ``.parquet``, or any other name as CSV: comma, semicolon or tab between columns, else blanks; ``#`` before
    remarks, names in the first line. Numbers may have decimal commas where semicolons part the columns. Rows and
    columns without any entry, which spreadsheets leave behind, do not count."""
    check_file(path)
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    text = read_text(path)
    lines = [
        (n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise UsageError(f"{path} holds no table")
    head = lines[0][1]
    delimiter = max(",;\t", key=head.count)
    rows = _cells(path, lines, delimiter) if delimiter in head else [line.split() for _, line in lines]
    lines = [line for line, row in zip(lines, rows, strict=True) if any(row)]
    rows = [row for row in rows if any(row)]
    width = max(len(row) for row in rows)
    while width > 1 and not any(len(row) >= width and row[width - 1] for row in rows):
        width -= 1
        rows = [row[:width] for row in rows]
    names = rows[0]
    if len(set(names)) < len(names) or not all(names):
        raise UsageError(f"{path}, line {lines[0][0]}: every column needs a name of its own, found {', '.join(names)}")
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            raise UsageError(f"{path}, line {number}: {len(row)} entries under {len(names)} column names")
    if len(rows) < 2:
        raise UsageError(f"{path} has column names but no rows")
    columns = {name: [row[i] for row in rows[1:]] for i, name in enumerate(names)}
    return TextTable(path.name, columns, [number for number, _ in lines[1:]], "," if delimiter == ";" else ".")


def _cells(path: Path, lines: Sequence[tuple[int, str]], delimiter: str) -> list[list[str]]:
    """The entries of every line."""
    try:
        rows = list(csv.reader((line for _, line in lines), delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path} cannot be read as a table: {error}") from None
    if len(rows) != len(lines):
        raise UsageError(f"{path}: line breaks inside quotes are not read")
    return [[cell.strip() for cell in row] for row in rows]


def check_file(path: Path) -> None:
    """Refuse what is no regular file of sensible size."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES >> 20} MiB")


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, UTF-16 with a byte-order mark, else Latin-1, which survey files of the field are."""
    check_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        data = data.decode("utf-16", "replace").encode()
    data = data.removesuffix(b"\x1a")  # the end of a file of DOS
    if b"\0" in data:
        raise UsageError(f"{path} is not a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parquet(path: Path) -> TextTable:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(f"{path}: reading Parquet needs pyarrow: pip install 'seisproc-geometry[parquet]'") from None
    try:
        held = pq.read_table(path)
        columns = {
            name: ["" if value is None else str(value) for value in held.column(name).to_pylist()]
            for name in held.column_names
        }
    except Exception as error:  # Arrow has many kinds
        raise UsageError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    if not held.num_rows:
        raise UsageError(f"{path} has no rows")
    return TextTable(path.name, columns, list(range(1, held.num_rows + 1)))
