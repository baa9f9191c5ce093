"""Sources and receivers as groups of traces that agree in header words; sums over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from seisproc_core.data.gather import Layout
from seisproc_core.data.headers import Headers
from seisproc_core.data.tables import Table
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
    """Row of `table` that each row of `keys` is, the last of several; -1 for none."""
    merged, index = np.unique(np.concatenate([table, keys]), axis=0, return_inverse=True)
    index = index.reshape(-1)
    place = np.full(len(merged), -1)
    place[index[: len(table)]] = np.arange(len(table))
    found: np.ndarray = place[index[len(table) :]]
    return found


def rows_of(table: Table, names: tuple[str, ...], headers: Headers) -> tuple[np.ndarray, str]:
    """Row of a table that has the same values of some words, for each trace, and the first values that none has.

    -1 where there is none; the text is empty where that does not happen.
    """
    keys = keys_of(headers, names)
    row = station_of(keys, np.stack([table[name] for name in names], axis=1))
    if not (row < 0).any():
        return row, ""
    return row, ", ".join(f"{name} {value:g}" for name, value in zip(names, keys[np.argmax(row < 0)], strict=True))


def summed(values: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Sum of rows of `values` over each station, in the order of rows: float64 ``(count, ...)``."""
    order = np.argsort(index, kind="stable")
    total = np.zeros((count, *values.shape[1:]))
    present, starts = np.unique(index[order], return_index=True)
    if len(order):
        total[present] = np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
    return total


def decompose(
    values: np.ndarray, weight: np.ndarray, indexes: list[np.ndarray], damping: tuple[float, ...]
) -> list[np.ndarray]:
    """Split what belongs to traces into a sum of terms, by damped least squares.

    What the terms cannot share out between them (a mean, a trend) goes to those without damping.

    Parameters
    ----------
    values
        One number per trace, ``(n_traces,)``, or several that are split each by itself, ``(n_traces, n)``.
    weight
        How much each trace counts; boolean will do.
    indexes
        For each term the station of every trace.
    damping
        Of each term, as a share of the weight of a station's traces.

    Returns
    -------
    list of numpy.ndarray
        The value of every station for each term, float64 ``(stations,)`` or ``(stations, n)``; 0 where it has no trace
        that counts.

    Notes
    -----
    Wiggins, Larner and Wisecup, Residual statics analysis as a general linear inverse problem, Geophysics 41 (1976),
    922-938.
    """
    weight = weight.astype(np.float64)
    system = Terms(indexes, weight)
    share = np.repeat(damping, [len(part) for part in system.split(system.count)])
    normal = system.normal(weight) + scipy.sparse.diags_array(share * system.count)
    counted = weight.reshape(-1, *[1] * (values.ndim - 1))
    right = system.collect(counted * np.where(counted > 0, values, 0.0))
    return system.split(conjugate_gradients(lambda x: np.asarray(normal @ x), right, system.count))


def decompose_robustly(
    values: np.ndarray, weight: np.ndarray, indexes: list[np.ndarray], damping: tuple[float, ...], rounds: int = 5
) -> list[np.ndarray]:
    """As `decompose`, with traces far from the model counting less each time."""
    weight = weight.astype(np.float64)
    start = weight
    for turn in range(rounds):
        terms = decompose(values, weight, indexes, damping)
        left = np.abs(values - sum(term[index] for term, index in zip(terms, indexes, strict=True)))
        again = None if turn == rounds - 1 else bisquare(left, start)
        if again is None:
            break
        weight = again
    return terms


def bisquare(error: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Weights less the larger an absolute error is (Tukey's bisquare, tuning 4.685); None where errors are nothing.

    `weight` is what each counts without errors, boolean or a number.
    """
    counted = weight > 0
    scale = 4.685 * 1.4826 * float(np.median(error[counted])) if counted.any() else 0.0
    return None if scale <= 1e-9 else weight * np.square(1 - np.square(np.minimum(error / scale, 1)))


class Terms:
    """The sum of one value per station, term by term, on every trace, and back.

    Parameters
    ----------
    indexes
        For each term the station of every trace.
    weight
        How much each trace counts.
    """

    def __init__(self, indexes: list[np.ndarray], weight: np.ndarray) -> None:
        sizes = [int(index.max(initial=-1)) + 1 for index in indexes]
        self._ends = np.cumsum(sizes)
        shape = (len(weight), int(self._ends[-1]))
        columns = np.stack([index + end - size for index, size, end in zip(indexes, sizes, self._ends, strict=True)], 1)
        first = np.arange(len(weight) + 1) * len(indexes)
        self._spread = scipy.sparse.csr_array((np.ones(columns.size), columns.reshape(-1), first), shape)
        self._collect = self._spread.T.tocsr()
        self.count = self.collect(weight)

    def split(self, x: np.ndarray) -> list[np.ndarray]:
        return np.split(x, self._ends[:-1])

    def spread(self, x: np.ndarray) -> np.ndarray:
        """From stations to traces."""
        return np.asarray(self._spread @ x)

    def collect(self, y: np.ndarray) -> np.ndarray:
        """From traces to stations: the adjoint of `spread`."""
        return np.asarray(self._collect @ y)

    def normal(self, weight: np.ndarray) -> scipy.sparse.csr_array:
        """From stations to traces, times their weights, and back: as large as the pairs of stations with a trace."""
        return self._collect @ self._spread.multiply(weight[:, None]).tocsr()


def conjugate_gradients(
    normal: Callable[[np.ndarray], np.ndarray], right: np.ndarray, diagonal: np.ndarray, most: int = 300
) -> np.ndarray:
    """Solve a symmetric positive semi-definite system, from zero: what it leaves open stays zero.

    `right` may have several columns, which are solved each by itself, side by side. `diagonal` scales the unknowns;
    those where it is 0 stay zero. Source: Hestenes and Stiefel, Methods of conjugate gradients for solving linear
    systems, J. Res. NBS 49 (1952), 409-436.
    """
    scale = np.divide(1.0, diagonal, out=np.zeros(len(right)), where=diagonal > 0)
    scale = scale.reshape(-1, *[1] * (right.ndim - 1))
    x, left = np.zeros(right.shape), right.copy()
    along = scaled = scale * left
    now = first = (left * scaled).sum(axis=0)
    for _ in range(most):
        open_ = now > 1e-14 * first
        if not open_.any():
            break
        turned = normal(along)
        # A column that is done stays as it is while others go on.
        step = np.divide(now, (along * turned).sum(axis=0), out=np.zeros_like(now), where=open_)
        x, left = x + step * along, left - step * turned
        scaled = scale * left
        before, now = now, (left * scaled).sum(axis=0)
        along = scaled + np.divide(now, before, out=np.zeros_like(now), where=open_) * along
    return x


def check_words(step: Processor, layout: Layout, *names: str) -> None:
    """Refuse parameters that name no header word, or none at all."""
    for name in names:
        words = getattr(step, name)
        if not words:
            raise step.bad(name, "needs at least one header word")
        for each in words:
            layout.headers.column(each)
