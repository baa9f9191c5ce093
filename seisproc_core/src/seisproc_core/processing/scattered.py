"""Sorting what is too large to be read in any order: a stage of its own sorts the rows block by block beforehand.

Read sequentially and written so that the rows which any later segment wants of a block stand together, it turns reads
of single traces from all over the disk into runs: the distribution pass of an external merge sort (Knuth, The Art of
Computer Programming 3, section 5.4), in two passes over the data whatever their size.
"""

from __future__ import annotations

import numpy as np

READ_BYTES, READ_ROWS = 512 << 10, 64  # what storage reads at once, nominally
TIMES_READ = 4  # from where on a pass of reading and writing costs less
WORTHWHILE_BYTES = 4 << 30  # what is smaller, the system keeps in memory
TIMES_READ_CACHED = 20  # from where on the pass costs less even then: every byte that is read is held to a checksum
SMALL_BYTES = 256 << 20  # less is done in a moment either way
SHARDS_PER_BLOCK = 4


def times_read(order: np.ndarray, row_bytes: int, segment_rows: int) -> float:
    """How often the bytes of a survey are read when segments take its rows in this order.

    Parameters
    ----------
    order
        Row numbers in the order wanted, int64 ``(n_traces,)``.
    row_bytes
        Bytes of a trace.
    segment_rows
        How many rows a segment reads.
    """
    unit = min(max(READ_BYTES // row_bytes, 1), READ_ROWS)
    parts = (order[start : start + segment_rows] for start in range(0, len(order), segment_rows))
    return unit * sum(len(np.unique(part // unit)) for part in parts) / max(len(order), 1)


def too_scattered(order: np.ndarray | None, row_bytes: int, segment_rows: int) -> bool:
    """Whether rows in this order are better sorted by blocks first. Depends on the data alone, not on the machine."""
    size = 0 if order is None else len(order) * row_bytes
    if order is None or size < min(SMALL_BYTES, WORTHWHILE_BYTES):
        return False
    most = TIMES_READ if size >= WORTHWHILE_BYTES else TIMES_READ_CACHED
    return times_read(order, row_bytes, segment_rows) > most


def by_blocks(order: np.ndarray, block_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """An order in two steps: within blocks, then between them.

    Returns
    -------
    first
        Rows block by block, within each as they come in `order`: int64 ``(n_traces,)``.
    second
        The same as `order`, in row numbers of what `first` makes.
    """
    count = len(order)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    blocks = [start + np.argsort(rank[start : start + block_rows]) for start in range(0, count, block_rows)]
    first = np.concatenate(blocks)
    place = np.empty(count, np.int64)
    place[first] = np.arange(count)
    return first, place[order]
