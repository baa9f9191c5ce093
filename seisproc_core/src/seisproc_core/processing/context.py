"""What a processor may ask of the worker it runs in: memory, kernels, threads, and whether to stop."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seisproc_core.errors import Cancelled, PluginError


class BufferPool:
    """Output arrays that are used again once nobody holds them: fresh large arrays cost far more than arithmetic."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        """An uninitialised C-contiguous array."""
        dtype = np.dtype(dtype)
        size = max(1, math.prod(shape)) * dtype.itemsize
        flat: np.ndarray = self._block(size)[:size].view(dtype)
        return flat[: math.prod(shape)].reshape(shape)

    def _block(self, size: int) -> np.ndarray:
        # Free means: only the list, the loop variable and getrefcount's argument still refer to the block.
        best = -1
        for i, block in enumerate(self._blocks):
            if sys.getrefcount(block) == 3 and size <= block.size <= 2 * size + 4096:
                best = i
                break
        if best >= 0:
            return self._blocks[best]
        self._blocks = [block for block in self._blocks if sys.getrefcount(block) > 3][-16:]
        made = np.empty((size + 63) // 64 * 64, np.uint8)
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
    """

    def __init__(
        self,
        kernels: Mapping[str, Callable[..., Any]] | None = None,
        *,
        flag: np.ndarray | None = None,
        threads: int = 1,
        pool: BufferPool | None = None,
    ) -> None:
        self._kernels = kernels or {}
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

    def check(self) -> None:
        """Raise `Cancelled` when the job was told to stop; call it in long loops."""
        if self.flag[0]:
            raise Cancelled
