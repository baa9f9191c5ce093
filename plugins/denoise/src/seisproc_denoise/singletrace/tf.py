"""Processors in the time-frequency plane: shrinking trace by trace, rejection against neighbouring traces."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.singletrace import claims
from seisproc_denoise.singletrace.aperture import CLIP, HARD, MEDIAN, chunks, nearest, nearest_in_plane
from seisproc_denoise.singletrace.bands import Band, Block, Transform
from seisproc_denoise.singletrace.shrinking import KERNELS, Shrinking
from seisproc_denoise.singletrace.synchrosqueezing import Synchrosqueezing
from seisproc_denoise.singletrace.timefrequency import Stft, Stockwell, coarseness

OVERLAP = 4  # frames that share a sample
SHORTEST = 8  # samples of a window
REMEDIES = {"hard": HARD, "soft": CLIP, "scaled": MEDIAN, "adaptive": MEDIAN}


@attrs.frozen(kw_only=True, slots=False)  # two such bases may meet in one class
class _TimeFrequency(Processor):
    """What processors in the time-frequency plane share: the choice of the transform."""

    kind: Literal["stft", "gabor", "stockwell", "synchrosqueezing"] = param("stft", help="The transform.")
    # 4 hops of 48 ms are whole samples at all usual intervals.
    window_ms: float = param(192.0, help="Window of stft and gabor, rounded to 4 equal hops.", unit="ms", above=0)
    low_hz: float = param(5.0, help="Lowest frequency that may change.", unit="Hz", above=0)
    high_hz: float | None = param(None, help="Highest; by default Nyquist.", unit="Hz", above=0)

    def check(self, layout: Layout) -> None:
        interval = layout.sampling.interval_s
        nyquist, high = layout.sampling.nyquist_hz, self._high(layout)
        if high > nyquist:
            raise self.bad("high_hz", f"must be at most the Nyquist frequency of {nyquist:g} Hz, not {high:g} Hz")
        if self.low_hz >= high:
            raise self.bad("low_hz", f"must be below high_hz ({high:g} Hz), not {self.low_hz:g} Hz")
        if self.kind in ("stft", "gabor"):
            span = OVERLAP * self._hop(layout)
            if not SHORTEST <= span <= max(layout.n_samples, SHORTEST):
                raise self.bad(
                    "window_ms",
                    f"must span {SHORTEST} samples ({1000 * SHORTEST * interval:g} ms) to the trace's "
                    f"{layout.n_samples} ({1000 * layout.n_samples * interval:g} ms), not {self.window_ms:g} ms",
                )
        elif layout.n_samples * interval < 1 / self.low_hz:
            raise self.bad("low_hz", f"must be at least {1 / (layout.n_samples * interval):g} Hz: one period a trace")

    def _high(self, layout: Layout) -> float:
        return layout.sampling.nyquist_hz if self.high_hz is None else self.high_hz

    def _hop(self, layout: Layout) -> int:
        return round(self.window_ms / 1000 / layout.sampling.interval_s / OVERLAP)

    def transform(self, layout: Layout) -> Transform:
        """The transform for traces of this layout."""
        interval, high = layout.sampling.interval_s, self._high(layout)
        if self.kind == "stockwell":
            coarsest = coarseness(self.low_hz, interval)
            return Stockwell(interval, self.low_hz, high, round(layout.sampling.start_s / interval) % coarsest)
        if self.kind == "synchrosqueezing":
            return Synchrosqueezing(interval, self.low_hz, high)
        hop = self._hop(layout)
        step = 1 / (OVERLAP * hop * interval)
        bins = int(np.ceil(self.low_hz / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1
        lead = round(layout.sampling.start_s / interval) % hop  # frames count from time 0
        return Stft("hann" if self.kind == "stft" else "gaussian", hop, OVERLAP, bins, lead)


@processor("tf_denoise", scope="trace", version=3, kernels=KERNELS, claims=claims.TF_DENOISE)
class TfDenoise(_TimeFrequency, Shrinking):
    """Attenuate random noise by shrinking cells of the time-frequency plane, trace by trace.

    At each frequency from `low_hz` to `high_hz` the noise is taken from the magnitudes |X| over live times, as
    sigma = median |X| / 1.1774 (Rayleigh), and cells shrink as in `wavelet_denoise`: to 0 up to the threshold
    L = `threshold` * sigma (rule ``sigma``) or `threshold` * sigma sqrt(2 ln n) (``universal``, n the independent
    values of a frequency, fewer than its cells, which overlap), beyond it by 1 - L / |X| (soft), 1 (hard) or
    1 - L^2 / |X|^2 (garrote); adaptive is soft with L = `threshold` * sigma^2 / s, s^2 the power of the signal. Phases
    stay. Other frequencies pass untouched.

    ``stft`` (Hann window) and ``gabor`` (Gaussian) have one window for all frequencies and are fast; ``stockwell``
    has a window of one period at each of 16 frequencies to the octave; ``synchrosqueezing`` sharpens a wavelet
    transform to ridges, for signal that is a few tones at a time. With nothing shrunk each gives the trace back to
    rounding.

    Not for signal that goes on through more than half of the trace at a frequency (vibrators without correlation,
    harmonics): its median measures the signal. Not for bursts on single traces: `tf_reject`.

    Sources: Gabor, J. IEE 93 (1946), 429-457; Griffin and Lim, IEEE Trans. ASSP 32 (1984), 236-243; Stockwell, Mansinha
    and Lowe, IEEE Trans. Signal Proc. 44 (1996), 998-1001; Daubechies, Lu and Wu, Appl. Comp. Harm. Anal. 30 (2011),
    243-261; Donoho and Johnstone, Biometrika 81 (1994), 425-455.
    """


@processor("tf_reject", scope="gather", version=3, kernels=("aperture_reject",), claims=claims.TF_REJECT)
class TfReject(_TimeFrequency):
    """Attenuate noise bursts that stand out of neighbouring traces in the time-frequency plane.

    In each cell (time, frequency) the magnitude a is compared with the median m over the same cell of the
    `aperture_traces` nearest traces of the gather. Where a exceeds L = `threshold` m it becomes 0 (hard), L (soft) or
    m (scaled, as published); ``adaptive`` is scaled with L = m + `threshold` 1.4826 MAD, which follows the spread of
    the amplitudes. Phases stay. Neighbours lie next in the gather, or nearest in the plane of two header words
    (`plane`, 3-D: ``["inline", "crossline"]``). Dead traces and muted times are gaps; where fewer than 3 traces
    are live nothing changes.

    For swell noise, cable jerks, traffic, strum: strong, of a few neighbouring traces, and none of the signal's moveout
    within the aperture. Choose it wider than twice the noise.

    Not for steep events that few traces of the aperture see in the same window, nor where amplitudes change strongly
    from trace to trace: balance or sort first.

    Sources: Elboth, Qaisrani and Hertweck, SEG Expanded Abstracts 27 (2008), 2622-2626; Elboth, Presterud and
    Hermansen, Geophysical Prospecting 58 (2010), 441-453.
    """

    aperture_traces: int = param(11, help="Traces compared with each, itself included.", minimum=3)
    threshold: float = param(3.0, help="Multiple of the median (adaptive: of the spread) that is allowed.", minimum=1)
    mode: Literal["hard", "soft", "scaled", "adaptive"] = param("scaled", help="What becomes of cells beyond it.")
    plane: tuple[str, ...] = param((), help="Two header words in which neighbours are near; else gather order.")

    def check(self, layout: Layout) -> None:
        _TimeFrequency.check(self, layout)
        if self.kind == "synchrosqueezing":
            raise self.bad("kind", "must be stft, gabor or stockwell: ridges of neighbours lie in different cells")
        if len(self.plane) not in (0, 2):
            raise self.bad("plane", f"must be two header words, not {list(self.plane)}")
        for name in self.plane:
            layout.headers.column(name)

    def apply_gather(self, gather: Gather, context: Context) -> Gather:
        out = context.empty(gather.traces.shape)
        transform = self.transform(gather)
        reject = context.kernel("aperture_reject")
        for chunk in chunks(self._aperture(gather), context):
            block = Block.of(gather, chunk.needed, together=True)
            aperture = block.only_usable(chunk.aperture)

            def modify(band: Band, aperture: np.ndarray = aperture) -> None:
                context.check()
                by_spread, remedy = self.mode == "adaptive", REMEDIES[self.mode]
                window = band.first, band.end
                reject(band.reals, band.parts, *window, aperture, self.threshold, by_spread, remedy, context.flag)

            restored = transform.rework(block.traces, block.first, block.end, modify)
            block.finish(restored, out, chunk.rows, chunk.mine)
        return gather.with_traces(out)

    def _aperture(self, gather: Gather) -> np.ndarray:
        if not self.plane:
            return nearest(gather.n_traces, self.aperture_traces)
        x, y = (gather.headers[name].astype(np.float64) for name in self.plane)
        return nearest_in_plane(x, y, self.aperture_traces)
