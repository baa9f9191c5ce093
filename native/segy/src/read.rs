//! Reading traces, headers and header columns by positioned reads of large blocks into reused buffers.

use std::ops::Range;

use crate::control::{Control, in_parallel, share};
use crate::errors::Result;
use crate::fields::Column;
use crate::mapped::Mapped;
use crate::open::Reader;

/// Bytes of one positioned read: large enough to hide its cost, small enough to stay in the second-level cache and not to
/// cost fresh pages on every call.
const BLOCK: usize = 1 << 18;
/// When only headers are wanted and traces are no longer than `MAPPED_STRIDE`, this many blocks of `PIECE` bytes are mapped
/// at a time; longer traces are left on the disk and their headers read one by one.
const MAPPED_BLOCKS: usize = 16;
const PIECE: usize = 4 << 20;
const MAPPED_STRIDE: usize = 16 << 10;

impl Reader {
    fn offset(&self, trace: usize) -> u64 {
        self.shape.data_offset + trace as u64 * self.shape.stride()
    }

    /// Decode `range` into `samples` (traces x samples) and `headers` (traces x header bytes); true if every sample would
    /// be encoded to the same bytes again.
    pub fn read(
        &self,
        range: Range<usize>,
        samples: &mut [f32],
        headers: &mut [u8],
        threads: usize,
        control: Control<'_>,
    ) -> Result<bool> {
        let part = share(range.len(), threads);
        let parts: Vec<_> = range
            .clone()
            .step_by(part)
            .map(|start| start..(start + part).min(range.end))
            .zip(samples.chunks_mut(part * self.samples()).zip(headers.chunks_mut(part * self.header_bytes())))
            .collect();
        let exact = in_parallel(parts, |(range, (samples, headers))| self.read_part(range, samples, headers, control))?;
        Ok(exact.into_iter().all(|exact| exact))
    }

    fn read_part(
        &self,
        range: Range<usize>,
        samples: &mut [f32],
        headers: &mut [u8],
        control: Control<'_>,
    ) -> Result<bool> {
        let (stride, header_bytes) = (self.stride(), self.header_bytes());
        if stride > 4 * BLOCK {
            return self.read_long(range, samples, headers, control);
        }
        let per_block = (BLOCK / stride).max(1);
        let mut block = vec![0; per_block.min(range.len()) * stride];
        let mut exact = true;
        let rows = samples.chunks_mut(per_block * self.samples()).zip(headers.chunks_mut(per_block * header_bytes));
        for (start, (samples, headers)) in range.step_by(per_block).zip(rows) {
            control.check()?;
            let count = headers.len() / header_bytes;
            let block = &mut block[..count * stride];
            self.source.read(self.offset(start), block)?;
            let traces = block.chunks_exact(stride).zip(headers.chunks_exact_mut(header_bytes));
            for ((trace, header), samples) in traces.zip(samples.chunks_exact_mut(self.samples())) {
                let (head, body) = trace.split_at(header_bytes);
                header.copy_from_slice(head);
                exact &= self.format.decode(self.endian, body, samples);
            }
            control.done(count);
        }
        Ok(exact)
    }

    /// Traces longer than a few blocks: each is read piece by piece.
    fn read_long(
        &self,
        range: Range<usize>,
        samples: &mut [f32],
        headers: &mut [u8],
        control: Control<'_>,
    ) -> Result<bool> {
        let piece = BLOCK / self.format.bytes();
        let mut buffer = vec![0; piece * self.format.bytes()];
        let mut exact = true;
        let rows = samples.chunks_mut(self.samples()).zip(headers.chunks_mut(self.header_bytes()));
        for (trace, (samples, header)) in range.zip(rows) {
            self.source.read(self.offset(trace), header)?;
            let mut at = self.offset(trace) + header.len() as u64;
            for samples in samples.chunks_mut(piece) {
                control.check()?;
                let buffer = &mut buffer[..samples.len() * self.format.bytes()];
                self.source.read(at, buffer)?;
                exact &= self.format.decode(self.endian, buffer, samples);
                at += buffer.len() as u64;
            }
            control.done(1);
        }
        Ok(exact)
    }

    /// The trace headers of `range`, one after the other.
    pub fn headers(&self, range: Range<usize>, out: &mut [u8]) -> Result<()> {
        self.strided(range, 0..self.header_bytes(), Control::default(), |at, block, stride| {
            let rows = out[at * self.header_bytes()..].chunks_exact_mut(self.header_bytes());
            for (row, header) in rows.zip(block.chunks(stride)) {
                row.copy_from_slice(&header[..row.len()]);
            }
        })
    }

    /// The undecoded samples of `range`, one trace after the other.
    pub fn raw_samples(&self, range: Range<usize>, out: &mut [u8]) -> Result<()> {
        let bytes = self.samples() * self.format.bytes();
        if self.stride() > 4 * BLOCK {
            for (trace, row) in range.zip(out.chunks_exact_mut(bytes)) {
                self.source.read(self.offset(trace) + self.shape.header_bytes, row)?;
            }
            return Ok(());
        }
        let window = self.header_bytes()..self.stride();
        self.strided(range, window, Control::default(), |at, block, stride| {
            for (row, samples) in out[at * bytes..].chunks_exact_mut(bytes).zip(block.chunks(stride)) {
                row.copy_from_slice(&samples[..bytes]);
            }
        })
    }

    /// Fill header columns for `range`.
    pub fn columns(
        &self,
        range: Range<usize>,
        columns: Vec<Column<'_>>,
        threads: usize,
        control: Control<'_>,
    ) -> Result<()> {
        let part = share(range.len(), threads);
        let mut parts: Vec<(Range<usize>, Vec<Column<'_>>)> =
            range.clone().step_by(part).map(|start| (start..(start + part).min(range.end), Vec::new())).collect();
        for column in columns {
            for (piece, (_, columns)) in column.split(part).zip(&mut parts) {
                columns.push(piece);
            }
        }
        in_parallel(parts, |(range, mut columns)| {
            let Some(window) = Column::window(&columns) else { return Ok(()) };
            self.strided(range, window.clone(), control, |at, block, stride| {
                for column in &mut columns {
                    column.fill(at, block, stride, window.start, self.endian);
                }
            })
        })?;
        Ok(())
    }

    /// Hand over bytes `window` of every trace of `range` in blocks: `take(traces before, block, stride)`, where
    /// `block[i * stride..]` is the window of the i-th trace in the block.
    fn strided(
        &self,
        range: Range<usize>,
        window: Range<usize>,
        control: Control<'_>,
        mut take: impl FnMut(usize, &[u8], usize),
    ) -> Result<()> {
        let (distance, width) = (self.stride(), window.len());
        let sparse = distance > 4 * width;
        let mapped = sparse && distance <= MAPPED_STRIDE;
        let stride = if sparse { width } else { distance };
        let per_block = if mapped { PIECE / distance } else { (BLOCK / stride).clamp(1, 1024) };
        let mut block = vec![0; per_block.min(range.len()) * stride];
        let mut part: Option<Mapped> = None;
        for (number, start) in range.clone().step_by(per_block).enumerate() {
            control.check()?;
            let count = per_block.min(range.end - start);
            let first = self.offset(start) + window.start as u64;
            // Of the last trace only the window itself: bytes beyond it may lie behind the end of the file.
            let span = |stride: usize| (count - 1) * stride + width;
            let place = number % MAPPED_BLOCKS;
            if mapped && place == 0 {
                let traces = (MAPPED_BLOCKS * per_block).min(range.end - start);
                part = self.source.map(first, (traces - 1) * distance + width);
            }
            let at = place * per_block * distance;
            if let Some(bytes) = part.as_ref().and_then(|part| part.present(at, span(distance))) {
                take(start - range.start, bytes, distance);
            } else {
                let block = &mut block[..span(stride)];
                if sparse {
                    for (i, row) in block.chunks_mut(stride).enumerate() {
                        self.source.read(first + i as u64 * self.shape.stride(), row)?;
                    }
                } else {
                    self.source.read(first, block)?;
                }
                take(start - range.start, block, stride);
            }
            control.done(count);
        }
        Ok(())
    }
}
