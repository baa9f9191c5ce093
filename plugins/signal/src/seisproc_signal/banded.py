"""Linear operators on the sample axis that are the same for all traces: resampling, time-variant filters."""

from __future__ import annotations

import attrs
import numpy as np

from seisproc_core.processing.context import Context

ROWS = 64  # traces multiplied between two looks at the cancel flag
OUTPUTS = 64  # output samples that share one dense block


@attrs.frozen(eq=False)
class Block:
    """Output samples from `output` on, computed from input samples from `input` on.

    Attributes
    ----------
    weights
        float32, shape ``(inputs, outputs)``.
    """

    output: int
    input: int
    weights: np.ndarray


@attrs.frozen(eq=False)
class Banded:
    """An operator y[i] = sum_j w[i, j] x[j] whose row i is zero but for a band of j.

    Neighbouring outputs share dense blocks, so that the work is done by products with matrices: a band costs more
    multiplications than it needs, and still much less time than any loop. Every trace is multiplied by itself: in a
    product of two matrices the rounding of a row may depend on where it stands, and so on its neighbours.
    """

    n_in: int
    n_out: int
    blocks: tuple[Block, ...]

    @classmethod
    def of_rows(cls, first: np.ndarray, weights: np.ndarray, n_in: int) -> Banded:
        """From rows of equal length.

        Parameters
        ----------
        first
            First input sample of each row, int64 ``(n_out,)``; may lie outside the trace, whose samples there are 0.
        weights
            float64, shape ``(n_out, taps)``.
        n_in
            Samples of an input trace.
        """
        starts = range(0, len(first), OUTPUTS)
        blocks = (dense_block(i, first[i : i + OUTPUTS], weights[i : i + OUTPUTS], n_in) for i in starts)
        return cls(n_in, len(first), tuple(block for block in blocks if block.weights.size))

    @property
    def adjoint(self) -> Banded:
        """The transposed operator."""
        return Banded(self.n_out, self.n_in, tuple(Block(b.input, b.output, b.weights.T) for b in self.blocks))

    def apply(self, traces: np.ndarray, live: tuple[np.ndarray, np.ndarray], out: np.ndarray, context: Context) -> None:
        """Apply the operator to every trace.

        Parameters
        ----------
        traces, out
            float32, shapes ``(n_traces, n_in)`` and ``(n_traces, n_out)``.
        live
            Live windows of the input; samples outside count as 0.

        Raises
        ------
        Cancelled
            When the job was told to stop.
        """
        sample = np.arange(self.n_in)
        work = np.zeros((ROWS, self.n_in), np.float32)
        result = np.zeros((ROWS, self.n_out), np.float32)
        for row in range(0, len(traces), ROWS):
            rows = slice(row, min(row + ROWS, len(traces)))
            count = rows.stop - row
            inside = (sample >= live[0][rows, None]) & (sample < live[1][rows, None])
            work[:count] = np.where(inside, traces[rows], np.float32(0))
            result[...] = 0
            for block in self.blocks:
                context.check()
                columns = slice(block.output, block.output + block.weights.shape[1])
                taken = work[:, None, block.input : block.input + len(block.weights)]
                result[:, columns] += np.matmul(taken, block.weights)[:, 0]
            out[rows] = result[:count]


def dense_block(output: int, first: np.ndarray, weights: np.ndarray, n_in: int) -> Block:
    """The block of successive output samples, cut at the ends of the input."""
    column = first[:, None] + np.arange(weights.shape[1])
    row = np.broadcast_to(np.arange(len(first))[:, None], column.shape)
    inside = (column >= 0) & (column < n_in)
    if not inside.any():
        return Block(output, 0, np.zeros((0, len(first)), np.float32))
    low, high = int(column[inside].min()), int(column[inside].max()) + 1
    dense = np.zeros((high - low, len(first)), np.float32)
    dense[column[inside] - low, row[inside]] = weights[inside]
    return Block(output, low, dense)
