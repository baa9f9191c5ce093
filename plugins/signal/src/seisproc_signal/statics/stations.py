"""Sources and receivers as groups of traces that agree in header words; sums over them."""

from __future__ import annotations

import numpy as np

from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.words import canonical, word
from seisproc_core.processing.processor import Processor

SOURCE, RECEIVER = ("source_x", "source_y"), ("receiver_x", "receiver_y")


def keys_of(headers: Headers, words: tuple[str, ...]) -> np.ndarray:
    """Values of some words, float64 ``(n_traces, len(words))``: identifiers as stored, lengths in metres to 1 mm.

    Rounding makes one station of coordinates that were stored with different scalars.
    """
    columns = [headers[name].astype(np.float64) for name in words]
    kinds = [word(canonical(name)).kind for name in words]
    columns = [c if kind == "plain" else np.round(c, 3) for c, kind in zip(columns, kinds, strict=True)]
    return np.stack(columns, axis=1)


def stations(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of `keys` in ascending order, and which of them each row is."""
    found, index = np.unique(keys, axis=0, return_inverse=True)
    return found, index.reshape(-1)


def station_of(keys: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Row of `table`, which is in ascending order as from `stations`, that each row of `keys` is; -1 for none."""
    merged, index = np.unique(np.concatenate([table, keys]), axis=0, return_inverse=True)
    index = index.reshape(-1)
    place = np.full(len(merged), -1)
    place[index[: len(table)]] = np.arange(len(table))
    found: np.ndarray = place[index[len(table) :]]
    return found


def summed(values: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Sum of rows of `values` over each station, in the order of rows: float64 ``(count, ...)``."""
    order = np.argsort(index, kind="stable")
    total = np.zeros((count, *values.shape[1:]))
    present, starts = np.unique(index[order], return_index=True)
    if len(order):
        total[present] = np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
    return total


def decompose(
    values: np.ndarray,
    usable: np.ndarray,
    indexes: list[np.ndarray],
    damping: tuple[float, ...],
    sweeps: int = 30,
) -> list[np.ndarray]:
    """Split what belongs to traces into a sum of terms, by damped least squares.

    Gauss-Seidel: each term in turn takes the mean of what the others leave, the last one first, from zero. What the
    terms cannot share out between them (a mean, a trend) stays with the last, or fades by the damping.

    Parameters
    ----------
    values
        One number per trace.
    usable
        Which traces count, boolean.
    indexes
        For each term the station of every trace.
    damping
        Of each term, as a share of a station's traces.

    Returns
    -------
    list of numpy.ndarray
        The value of every station for each term, float64; 0 where it has no usable trace.

    Notes
    -----
    Wiggins, Larner and Wisecup, Residual statics analysis as a general linear inverse problem, Geophysics 41 (1976),
    922-938.
    """
    left = np.where(usable, values, 0.0)
    counts = [np.bincount(index, usable, minlength=int(index.max(initial=-1)) + 1) for index in indexes]
    terms = [np.zeros(len(count)) for count in counts]
    for _ in range(sweeps):
        for k in reversed(range(len(terms))):
            index, count = indexes[k], np.maximum(counts[k] * (1 + damping[k]), 1e-9)
            mean = np.bincount(index, np.where(usable, left + terms[k][index], 0.0), minlength=len(count)) / count
            left -= (mean - terms[k])[index]
            terms[k] = mean
    return terms


def check_words(step: Processor, layout: Layout, *names: str) -> None:
    """Refuse parameters that name no header word, or none at all."""
    for name in names:
        words = getattr(step, name)
        if not words:
            raise step.bad(name, "needs at least one header word")
        for each in words:
            layout.headers.column(each)
