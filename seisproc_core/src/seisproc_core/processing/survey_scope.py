"""Processors that need the whole survey before they can change a trace: measure, solve, apply.

Residual statics, surface-consistent amplitudes: what is measured on gathers all over the survey is put together in one
solution, which is then applied trace by trace. Planning makes stages of it; their results are arrays in the working
folder, journalled like the rows of any other stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.processor import Processor

Tables = Mapping[str, Mapping[str, np.ndarray]]  # by name: columns of equal length


class SurveyProcessor(Processor):
    """Base of processors with ``scope="survey"``.

    Attributes
    ----------
    solves
        Names of the tables that `solve` makes. `apply` finds them in `Context.solution`; they are not saved as files,
        so what a user shall see of them goes into header words.
    """

    solves: ClassVar[tuple[str, ...]] = ()

    def measuring_order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Header words of the gathers that are measured, and of the order of traces inside them."""
        raise NotImplementedError(f"processor '{self.id}' does not say what gathers it measures")

    def rounds(self) -> int:
        """How often to measure and solve; from the second time on, `Context.solution` is that of the time before."""
        return 1

    def measured(self, layout: Layout) -> np.dtype[Any]:
        """The record that `measure` makes of every trace: a structured type, from sampling and parameters alone."""
        raise NotImplementedError(f"processor '{self.id}' does not say what it measures")

    def measure(self, batch: Gather, context: Context) -> np.ndarray:
        """One record for every trace of a batch of whole gathers.

        What a gather gives must not depend on which other gathers are in the batch.
        """
        raise NotImplementedError(f"processor '{self.id}' has no measure")

    def solve(self, records: np.ndarray, context: Context) -> Tables:
        """The solution, from the records of all traces in measuring order. Runs once, in one worker."""
        raise NotImplementedError(f"processor '{self.id}' has no solve")


def tables_of(arrays: Mapping[str, np.ndarray]) -> Tables:
    """The solution whose columns these are, by ``table.column.npy``."""
    tables: dict[str, dict[str, np.ndarray]] = {}
    for key, values in arrays.items():
        name, column, _ = key.split(".")
        tables.setdefault(name, {})[column] = values
    return tables
