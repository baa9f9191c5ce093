"""What a processor may ask of the worker it runs in: memory, kernels, threads, and whether to stop."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.errors import Cancelled, PluginError

# What getrefcount says of an object that only a list holds. Interpreters differ, and being wrong by one would hand out
# a block that is still in use.
_PROBE = [object()]
_UNHELD = sys.getrefcount(_PROBE[0])


_PAGE = 4096


class BufferPool:
    """Output arrays that are used again once nobody holds them: fresh large arrays cost far more than arithmetic.

    They begin where a page of memory does. NumPy's own begin 16 bytes into one, and to a place a few bytes further into
    its page than the source, some processors copy five times more slowly (AMD's fast short `rep movsb`, by which the
    system copies what is read).
    """

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        """An uninitialised C-contiguous array."""
        dtype = np.dtype(dtype)
        size = max(1, math.prod(shape)) * dtype.itemsize
        block = self._block(size)
        start = -block.__array_interface__["data"][0] % _PAGE
        flat: np.ndarray = block[start : start + size].view(dtype)
        return flat[: math.prod(shape)].reshape(shape)

    def _block(self, size: int) -> np.ndarray:
        blocks, room = self._blocks, size + _PAGE
        held = [sys.getrefcount(blocks[i]) > _UNHELD for i in range(len(blocks))]
        for i, is_held in enumerate(held):
            if not is_held and room <= blocks[i].size <= 2 * room:
                return blocks[i]
        self._blocks = [blocks[i] for i in range(len(blocks)) if held[i]][-16:]
        made = np.empty(room, np.uint8)
        self._blocks.append(made)
        return made


class Context:
    """Handed to `Processor.apply`.

    Attributes
    ----------
    flag
        One byte, uint8 ``(1,)``: not 0 means stop. Kernels poll it atomically; Python code calls `check`.
    threads
        How many threads a kernel may use.
    solution
        What a `SurveyProcessor` solved: tables of columns; empty before its first solution.
    saving
        Names of the side outputs that the flow asks for.
    """

    def __init__(
        self,
        kernels: Mapping[str, Callable[..., Any]] | None = None,
        *,
        flag: np.ndarray | None = None,
        threads: int = 1,
        pool: BufferPool | None = None,
        inputs: Mapping[str, Gather] | None = None,
        solution: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        saving: frozenset[str] = frozenset(),
    ) -> None:
        self._kernels = kernels or {}
        self.solution = solution or {}
        self.saving = saving
        self._saved: dict[str, list[np.ndarray]] = {}
        self.begin({name: _giving(gather) for name, gather in (inputs or {}).items()})
        self.flag = np.zeros(1, np.uint8) if flag is None else flag
        self.threads = threads
        self._pool = pool or BufferPool()

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        """An uninitialised array from the worker's pool; the place for outputs."""
        return self._pool.empty(shape, dtype)

    def kernel(self, name: str) -> Callable[..., Any]:
        """The implementation of a kernel that the plan chose for this step."""
        try:
            return self._kernels[name]
        except KeyError:
            raise PluginError(f"kernel '{name}' is not declared by this processor (kernels=...)") from None

    def begin(self, inputs: Mapping[str, Callable[[], Gather]]) -> None:
        """Take up a batch: how to read the rows of further inputs that belong to it, by parameter."""
        self._inputs = inputs
        self._got: dict[str, Gather] = {}

    def input(self, name: str) -> Gather:
        """The traces of a further input that belong to those in hand: as many, in the same gathers and order.

        Parameters
        ----------
        name
            The `SurveyRef` parameter that names it.
        """
        if name not in self._inputs:
            raise PluginError(f"'{name}' is no further input of this step: declare it as a SurveyRef parameter")
        if name not in self._got:
            self._got[name] = self._inputs[name]()
        return self._got[name]

    def save(self, name: str, traces: np.ndarray) -> None:
        """Give samples of a side output: of the batch in hand or, gather by gather, of the next one.

        Parameters
        ----------
        name
            One of `Processor.saves`; where the flow does not ask for it, nothing happens.
        traces
            float32, of the shape of the step's own output; it gets that output's headers. Not changed afterwards.
        """
        if name in self.saving:
            self._saved.setdefault(name, []).append(traces)

    def saved(self) -> dict[str, np.ndarray]:
        """The samples given since the last call, by name."""
        saved = {name: parts[0] if len(parts) == 1 else np.concatenate(parts) for name, parts in self._saved.items()}
        self._saved.clear()
        return saved

    def of_gather(self, number: int) -> Context:
        """The context of one gather of the batch in hand."""
        if not self._inputs:
            return self
        part = copy.copy(self)
        part.begin({name: _giving(self.input(name).gather(number)) for name in self._inputs})
        return part

    def check(self) -> None:
        """Raise `Cancelled` when the job was told to stop; call it in long loops."""
        if self.flag[0]:
            raise Cancelled


def _giving(gather: Gather) -> Callable[[], Gather]:
    return lambda: gather
