//! Reading traces, headers and header columns by positioned reads of large blocks into reused buffers.

use std::ops::{Range, RangeInclusive};

use crate::control::{Control, in_parallel, share};
use crate::errors::Result;
use crate::fields::Column;
use crate::open::Reader;
use crate::picker::{MOST_ROWS, Picker};

/// Bytes of one positioned read: large enough to hide its cost, small enough to stay in the second-level cache and not to
/// cost fresh pages on every call.
const BLOCK: usize = 1 << 18;
/// Lengths of traces whose headers are picked out by the system, where it can: shorter ones are copied whole in the same time,
/// of longer ones so much would be mapped at once, and read ahead from the disk, that one read for each costs less.
const PICKED: RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Fewer headers are scanned before another thread has started.
const FEWEST_ROWS: usize = 2048;
/// Otherwise, when only headers are wanted, traces up to this length are read whole: copying 8 KiB out of the page cache costs as much
/// as the system call that skips it.
const SCANNED: usize = 8 << 10;

impl Reader {
    fn offset(&self, trace: usize) -> u64 {
        match &self.shape.lengths {
            Some(lengths) => lengths.starts[trace],
            None => self.shape.data_offset + trace as u64 * self.shape.stride(),
        }
    }

    /// Samples that a trace itself has; behind them the rows handed out are padded with zeros.
    pub fn own_samples(&self, trace: usize) -> usize {
        self.shape.lengths.as_ref().map_or(self.samples(), |lengths| lengths.samples[trace] as usize)
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
        if stride > 4 * BLOCK || self.shape.lengths.is_some() {
            return self.read_each(range, samples, headers, control);
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

    /// Traces longer than a few blocks, or of varying length: each is read by itself, piece by piece.
    fn read_each(
        &self,
        range: Range<usize>,
        samples: &mut [f32],
        headers: &mut [u8],
        control: Control<'_>,
    ) -> Result<bool> {
        let piece = (BLOCK / self.format.bytes()).min(self.samples());
        let mut buffer = vec![0; piece * self.format.bytes()];
        let mut exact = true;
        let rows = samples.chunks_mut(self.samples()).zip(headers.chunks_mut(self.header_bytes()));
        for (trace, (samples, header)) in range.zip(rows) {
            self.source.read(self.offset(trace), header)?;
            let mut at = self.offset(trace) + header.len() as u64;
            let (own, padding) = samples.split_at_mut(self.own_samples(trace));
            padding.fill(0.0);
            for samples in own.chunks_mut(piece) {
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
        if self.stride() > 4 * BLOCK || self.shape.lengths.is_some() {
            for (trace, row) in range.zip(out.chunks_exact_mut(bytes)) {
                let (own, padding) = row.split_at_mut(self.own_samples(trace) * self.format.bytes());
                padding.fill(0);
                self.source.read(self.offset(trace) + self.shape.header_bytes, own)?;
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
        let part = share(range.len(), threads).max(FEWEST_ROWS);
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
        let mut buffer = Vec::new();
        let mut picker = self.picker(window.len());
        for start in range.clone().step_by(MOST_ROWS) {
            let traces = start..(start + MOST_ROWS).min(range.end);
            let before = start - range.start;
            control.check()?;
            let picked = picker.as_mut().is_some_and(|picker| self.pick(picker, traces.clone(), &window, &mut buffer));
            if picked {
                take(before, &buffer, window.len());
                control.done(traces.len());
            } else {
                self.read_windows(traces, &window, &mut buffer, control, |at, block, stride| {
                    take(before + at, block, stride);
                })?;
            }
        }
        Ok(())
    }

    /// Whether the window is a small part of a trace, so that samples need not be read along.
    fn sparse(&self, width: usize) -> bool {
        self.stride() > 4 * width || self.shape.lengths.is_some()
    }

    fn picker(&self, width: usize) -> Option<Picker<'_>> {
        if self.sparse(width) && PICKED.contains(&self.stride()) { self.source.picker() } else { None }
    }

    /// Fill the buffer with the windows of up to `MOST_ROWS` traces, end to end; false where they have to be read.
    fn pick(&self, picker: &mut Picker<'_>, traces: Range<usize>, window: &Range<usize>, buffer: &mut Vec<u8>) -> bool {
        buffer.resize(traces.len() * window.len(), 0);
        let offsets: Vec<u64> = traces.map(|trace| self.offset(trace) + window.start as u64).collect();
        picker.pick(buffer, window.len(), &offsets)
    }

    /// As `strided`, by positioned reads.
    fn read_windows(
        &self,
        traces: Range<usize>,
        window: &Range<usize>,
        buffer: &mut Vec<u8>,
        control: Control<'_>,
        mut take: impl FnMut(usize, &[u8], usize),
    ) -> Result<()> {
        let (distance, width) = (self.stride(), window.len());
        let one_by_one = self.sparse(width) && (distance > SCANNED || self.shape.lengths.is_some());
        let stride = if one_by_one { width } else { distance };
        let per_block = (BLOCK / stride).max(1);
        for start in traces.clone().step_by(per_block) {
            control.check()?;
            let count = per_block.min(traces.end - start);
            // Of the last trace only the window itself: bytes beyond it may lie behind the end of the file.
            buffer.resize((count - 1) * stride + width, 0);
            if one_by_one {
                for (trace, row) in (start..).zip(buffer.chunks_mut(stride)) {
                    self.source.read(self.offset(trace) + window.start as u64, row)?;
                }
            } else {
                self.source.read(self.offset(start) + window.start as u64, buffer)?;
            }
            take(start - traces.start, buffer, stride);
            control.done(count);
        }
        Ok(())
    }
}
