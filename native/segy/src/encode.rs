//! Building the body of a SEG-Y file: headers and encoded samples, interleaved.

use crate::control::{Control, in_parallel, share};
use crate::errors::Result;
use crate::formats::{Endian, Format};
use crate::refuse;

/// What goes behind each header.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Samples(&'a [f32]),
    /// Bytes as they were read.
    Raw(&'a [u8]),
}

/// The shape of the arrays to interleave.
#[derive(Clone, Copy)]
pub struct Rows {
    pub traces: usize,
    pub header_bytes: usize,
    pub samples: usize,
}

/// Fill `out` (traces x (header bytes + samples x sample bytes)).
pub fn encode(
    rows: Rows,
    headers: &[u8],
    body: Body<'_>,
    (format, endian): (Format, Endian),
    out: &mut [u8],
    threads: usize,
    control: Control<'_>,
) -> Result<()> {
    if format == Format::Gain && matches!(body, Body::Samples(_)) {
        return refuse!("sample format 4 (fixed point with gain) is obsolete and not written; use 1, 2 or 5");
    }
    let stride = rows.header_bytes + rows.samples * format.bytes();
    if stride == 0 || rows.traces == 0 {
        return Ok(());
    }
    let part = share(rows.traces, threads);
    let parts: Vec<_> = out.chunks_mut(part * stride).enumerate().collect();
    in_parallel(parts, |(number, out)| {
        let mut since_check = 0;
        for (i, row) in out.chunks_exact_mut(stride).enumerate() {
            if since_check == 0 {
                control.check()?;
            }
            since_check = (since_check + 1) % (1 + (1 << 18) / stride);
            let trace = number * part + i;
            let (header, rest) = row.split_at_mut(rows.header_bytes);
            header.copy_from_slice(&headers[trace * rows.header_bytes..][..rows.header_bytes]);
            match body {
                Body::Raw(raw) => rest.copy_from_slice(&raw[trace * rest.len()..][..rest.len()]),
                Body::Samples(samples) => {
                    encode_trace(
                        trace,
                        &samples[trace * rows.samples..][..rows.samples],
                        format,
                        endian,
                        rest,
                        control,
                    )?;
                }
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn encode_trace(
    trace: usize,
    samples: &[f32],
    format: Format,
    endian: Endian,
    out: &mut [u8],
    control: Control<'_>,
) -> Result<()> {
    const PIECE: usize = 1 << 16;
    for (number, (samples, out)) in samples.chunks(PIECE).zip(out.chunks_mut(PIECE * format.bytes())).enumerate() {
        if number > 0 {
            control.check()?;
        }
        if format.needs_finite() && !all_finite(samples) {
            let at = samples.iter().position(|sample| !sample.is_finite()).expect("one is not finite");
            return refuse!(
                "sample {} of trace {trace} is {}, which sample format {} cannot hold; remove NaN and infinities first \
                 or use format 5",
                number * PIECE + at,
                samples[at],
                format.code()
            );
        }
        format.encode(endian, samples, out);
    }
    Ok(())
}

/// Without an early exit, so that it runs at memory speed.
fn all_finite(samples: &[f32]) -> bool {
    !samples.iter().fold(false, |found, sample| found | !sample.is_finite())
}
