"""Processors that shrink the coefficients of a transform towards zero."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np
import pywt

from seisproc_core.data.gather import Gather, Layout
from seisproc_core.processing.context import Context
from seisproc_core.processing.params import param
from seisproc_core.processing.processor import Processor, processor
from seisproc_denoise.singletrace import claims
from seisproc_denoise.singletrace.aperture import chunks, nearest
from seisproc_denoise.singletrace.bands import Block, Modify, Transform, blocks, shrinker
from seisproc_denoise.singletrace.wavelets import Dwt, Swt, Wpt

KERNELS = ("band_noise", "band_shrink")
MOST_LEVELS = 5  # taken by default: the coarser ones hold mostly signal
DECIMATED: dict[str, type[Dwt] | type[Wpt]] = {"dwt": Dwt, "wpt": Wpt}


@attrs.frozen(kw_only=True)
class Shrinking(Processor):
    """What these processors share: the threshold, its rule, and what happens beyond it."""

    threshold: float = param(1.0, help="Multiple of the threshold that the rule gives; 0 changes nothing.", minimum=0)
    rule: Literal["sigma", "universal"] = param(
        "sigma", help="Threshold sigma, the level of noise, or sigma sqrt(2 ln n)."
    )
    mode: Literal["soft", "hard", "garrote", "adaptive"] = param(
        "garrote", help="What happens beyond the threshold; adaptive sets it from signal and noise."
    )

    def transform(self, layout: Layout) -> Transform:
        """The transform for traces of this layout."""
        raise NotImplementedError

    def shrinker(self, context: Context, aperture: np.ndarray | None = None) -> Modify:
        """What shrinks the bands of one block."""
        return shrinker(context, self.threshold, self.rule, self.mode, aperture)

    def apply(self, batch: Gather, context: Context) -> Gather:
        out = context.empty(batch.traces.shape)
        transform = self.transform(batch)
        for rows in blocks(batch.n_traces, context):
            modify = self.shrinker(context)
            block = Block.of(batch, rows)
            block.finish(transform.rework(block.traces, block.first, block.end, modify), out, rows)
        return batch.with_traces(out)


@attrs.frozen(kw_only=True)
class _ByWavelets(Shrinking):
    """What the wavelet processors share: the choice of the transform."""

    kind: Literal["dwt", "swt", "wpt"] = param("dwt", help="Decimated, stationary (undecimated) or packets.")
    wavelet: str = param("db4", help="Name of a discrete wavelet: db4, sym8, coif3, bior3.5 ...")
    levels: int | None = param(
        None, help="Levels; by default as many as the trace holds from time 0 on, at most 5.", minimum=1
    )

    noise: Literal["finest", "each"] = param(
        "finest", help="Level that tells the noise: the finest for all, noise being white, or each its own."
    )

    def shrinker(self, context: Context, aperture: np.ndarray | None = None) -> Modify:
        return shrinker(context, self.threshold, self.rule, self.mode, aperture, self.noise)

    def check(self, layout: Layout) -> None:
        if self.wavelet not in pywt.wavelist(kind="discrete"):
            raise self.bad("wavelet", f"must be a discrete wavelet such as db4, sym8 or coif3, not '{self.wavelet}'")
        most = self._most_levels(layout)
        if (self.levels or 1) > most:
            raise self.bad(
                "levels",
                f"must be at most {most} for {layout.n_samples} samples and wavelet {self.wavelet}, "
                f"not {self.levels or 1}; take fewer levels or a shorter wavelet",
            )

    def _most_levels(self, layout: Layout) -> int:
        return int(pywt.dwt_max_level(layout.n_samples, pywt.Wavelet(self.wavelet).dec_len))

    def _levels(self, layout: Layout) -> int:
        """As many as asked for; what was recorded before the source gives no further one."""
        if self.levels:
            return self.levels
        after = layout.n_samples - max(_origin(layout), 0)
        most = int(pywt.dwt_max_level(max(after, 1), pywt.Wavelet(self.wavelet).dec_len))
        return max(1, min(MOST_LEVELS, most))

    def transform(self, layout: Layout) -> Transform:
        levels = self._levels(layout)
        if self.kind == "swt":
            return Swt(self.wavelet, levels)
        # The dyadic grid counts from time 0, wherever the recording begins.
        return DECIMATED[self.kind](self.wavelet, levels, -_origin(layout) % 2**levels)


def _origin(layout: Layout) -> int:
    """Samples from the first one to time 0."""
    return round(-layout.sampling.start_s / layout.sampling.interval_s)


@processor("wavelet_denoise", scope="trace", version=4, kernels=KERNELS, claims=claims.WAVELET_DENOISE)
class WaveletDenoise(_ByWavelets):
    """Attenuate random noise by shrinking wavelet coefficients, trace by trace.

    The noise is taken from the live coefficients c of the finest level (of packets, the highest in frequency), where
    signal has least: sigma = median |c| / 0.6745, alike in all levels if the noise is white. ``noise = "each"``
    measures it in each level (packet) by itself. Coefficients up to the threshold L = `threshold` * sigma (rule
    ``sigma``) or `threshold` * sigma sqrt(2 ln n) (``universal``, n the independent values of the level) become 0;
    beyond it soft gives sign(c) (|c| - L), hard c, garrote c - L^2 / c. ``mode = "adaptive"`` is soft with L =
    `threshold` * sigma^2 / s, s^2 = mean c^2 - sigma^2, level by level: little where signal is strong, all where there
    is only noise. The coarsest approximation is kept.

    After a band-pass, or an anti-alias filter at half the Nyquist frequency, the finest level holds no noise, and next
    to nothing is removed: denoise before, or measure in each level. That is for events with silence between them, as is
    the rule ``universal``: where reflections follow each other closely their own median counts as noise, and a third to
    nearly all of their amplitude is taken.

    ``dwt`` is fast but its result depends on how events fall on the dyadic grid, which counts from time 0; ``swt`` has
    none and leaves fewer artefacts, at `levels` times the work; ``wpt`` divides high frequencies as finely as low ones.

    Not for coherent noise. Not before amplitude work: soft and adaptive lower amplitudes.

    Sources: Donoho and Johnstone, Biometrika 81 (1994), 425-455; Donoho, IEEE Trans. Inf. Theory 41 (1995), 613-627;
    Gao, J. Comp. Graph. Stat. 7 (1998), 469-488 (garrote); Chang, Yu and Vetterli, IEEE Trans. Image Proc. 9 (2000),
    1532-1546 (adaptive); Nason and Silverman, Lecture Notes in Statistics 103 (1995), 281-299 (stationary).
    """


@processor("wavelet_denoise_spatial", scope="gather", version=4, kernels=KERNELS, claims=claims.WAVELET_DENOISE_SPATIAL)
class WaveletDenoiseSpatial(_ByWavelets):
    """Attenuate random noise by shrinking wavelet coefficients, the noise measured over neighbouring traces.

    As `wavelet_denoise`, but the median of sigma = median |c| / 0.6745 is taken over the live coefficients c of the
    nearest `aperture_traces` traces of the gather (fewer where the gather has fewer). Short or strongly muted traces
    get a steadier threshold, and amplitudes stay comparable from trace to trace. Dead traces are gaps.

    Not where noise changes from trace to trace: a noisy trace among quiet ones keeps its noise; `tf_reject` is for
    those.

    Sources: those of `wavelet_denoise`; Johnstone and Silverman, J. Royal Stat. Soc. B 59 (1997), 319-351 (a threshold
    for each level, noise alike along the data).
    """

    aperture_traces: int = param(11, help="Neighbouring traces that tell the noise, itself included.", minimum=1)

    def apply(self, batch: Gather, context: Context) -> Gather:
        return Processor.apply(self, batch, context)  # gather by gather, not trace by trace as the others

    def apply_gather(self, gather: Gather, context: Context) -> Gather:
        out = context.empty(gather.traces.shape)
        transform = self.transform(gather)
        for chunk in chunks(nearest(gather.n_traces, self.aperture_traces), context):
            block = Block.of(gather, chunk.needed, together=True)
            modify = self.shrinker(context, block.only_usable(chunk.aperture))
            restored = transform.rework(block.traces, block.first, block.end, modify)
            block.finish(restored, out, chunk.rows, chunk.mine)
        return gather.with_traces(out)
