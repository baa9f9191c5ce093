"""Tapers at the ends of traces."""

from __future__ import annotations

from typing import Literal

import numpy as np

from seisproc_core.data.gather import Gather, mute_outside
from seisproc_core.data.sampling import Sampling
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_signal import claims
from seisproc_signal.windows import scale_samples, whole_samples


@processor("taper", scope="trace", claims=claims.TAPER)
class Taper(Processor):
    """Taper the ends of the live window: weights rise from 0 at the first live sample to 1, and fall to 0 at the last.

    Over n samples sample k from the end is multiplied by p = k / n (``linear``), sin(pi p / 2) (``sine``) or
    sin^2(pi p / 2) (``cosine``, the default). Where both tapers overlap their weights multiply. It keeps filters and
    transforms from seeing an edge.

    Not a mute: the live window stays, and gains after it raise tapered samples again. A mute has a taper of its own.

    Source: Harris, On the use of windows for harmonic analysis, Proceedings of the IEEE 66 (1978), 51-83 (Tukey
    window).
    """

    start_ms: float = param(0.0, help="Length of the taper at the start.", unit="ms", minimum=0)
    end_ms: float = param(0.0, help="Length of the taper at the end.", unit="ms", minimum=0)
    shape: Literal["cosine", "sine", "linear"] = param("cosine", help="How weights rise.")

    def apply(self, batch: Gather, context: Context) -> Gather:
        first, end = batch.live_window
        out = context.empty(batch.traces.shape)
        np.copyto(out, batch.traces)
        mute_outside(out, first, end)
        scale_samples(out, first, self._weights(self.start_ms, batch.sampling))
        falling = self._weights(self.end_ms, batch.sampling)[::-1]
        scale_samples(out, end - len(falling), falling)
        return batch.with_traces(out)

    def _weights(self, length_ms: float, sampling: Sampling) -> np.ndarray:
        """Rising weights, float32, over a length rounded to samples."""
        count = whole_samples(length_ms, sampling)
        return _rising(np.arange(count) / max(count, 1), self.shape)


@processor("taper_traces", scope="gather", claims=claims.TAPER_TRACES)
class TaperTraces(Processor):
    """Taper the first and last traces of every gather: weights rise from the edge to 1 inside.

    Of n traces at an edge trace k from it is multiplied by p = (k + 1) / (n + 1) (``linear``), sin(pi p / 2)
    (``sine``) or sin^2(pi p / 2) (``cosine``, the default); with ``zero_edge`` p = k / n, which makes the outermost
    trace zero. Where both tapers overlap their weights multiply. Keeps transforms over traces (f-k, tau-p) and
    migration from seeing an edge.

    Not before amplitude work: those at the edges are wrong afterwards. Not before `fk_filter`, `fx_decon` and the Radon
    filters, which take care of their own edges; nor in front of a stack, which weighs far offsets less then.

    Source: Harris, On the use of windows for harmonic analysis, Proceedings of the IEEE 66 (1978), 51-83.
    """

    first_traces: int = param(0, help="Traces to taper at the beginning of a gather.", minimum=0)
    last_traces: int = param(0, help="Traces to taper at its end.", minimum=0)
    shape: Literal["cosine", "sine", "linear"] = param("cosine", help="How weights rise.")
    zero_edge: bool = param(False, help="Let weights begin with 0, as Seismic Unix does.")

    def apply(self, batch: Gather, context: Context) -> Gather:
        position = np.arange(batch.n_traces)
        starts = batch.gather_starts
        weight = self._weights(position - starts[:-1][batch.gather_of], self.first_traces)
        weight *= self._weights(starts[1:][batch.gather_of] - 1 - position, self.last_traces)
        out = context.empty(batch.traces.shape)
        np.multiply(batch.traces, weight[:, None], out=out)
        return batch.with_traces(out)

    def _weights(self, distance: np.ndarray, count: int) -> np.ndarray:
        """Weight of traces at a distance from an edge, float32."""
        if count == 0:
            return np.ones(len(distance), np.float32)
        part = distance / count if self.zero_edge else (distance + 1) / (count + 1)
        return _rising(np.minimum(part, 1), self.shape)


def _rising(part: np.ndarray, shape: str) -> np.ndarray:
    """Weights from 0 to 1 over parts of a taper, float32."""
    if shape != "linear":
        part = np.sin(np.pi / 2 * part) ** (2 if shape == "cosine" else 1)
    return part.astype(np.float32)
