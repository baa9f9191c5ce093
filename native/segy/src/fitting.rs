//! What a file whose counts contradict its size could be: trace lengths that fill it exactly, or at which headers recur.

use crate::errors::Result;
use crate::formats::{Endian, Format};
use crate::lengths::Walk;
use crate::source::Source;
use crate::words::{TRACE_HEADER, TRACE_SAMPLES};

/// Longest trace tried: what a 16-bit count can say.
const MOST_SAMPLES: u64 = u16::MAX as u64;
/// Sizes of a sample, likeliest first.
const SIZES: [u64; 5] = [4, 2, 8, 1, 3];
const MOST_NAMED: usize = 4;

/// One trace length, and what speaks for it.
struct Fit {
    samples: u64,
    sample_bytes: u64,
    traces: u64,
    exact: bool,
    alike: bool,
}

/// A clause that names the likeliest trace lengths, with the options that would read the file so; empty if there is none.
/// `said` are the sample counts that the file's headers state.
pub fn named(walk: Walk<'_>, said: &[u64]) -> Result<String> {
    let mut fits = candidates(walk)?;
    let usual = |fit: &Fit| fit.sample_bytes == walk.sample_bytes;
    fits.sort_by_key(|fit| (!fit.alike, !fit.exact, !said.contains(&fit.samples), !usual(fit), fit.samples));
    let certain = fits.iter().any(|fit| fit.alike);
    let mut named: Vec<String> = Vec::new();
    for fit in fits.iter().filter(|fit| fit.alike == certain).take(if certain { 2 } else { MOST_NAMED }) {
        let format = if usual(fit) { String::new() } else { format!(" format={}", format_of(fit.sample_bytes)) };
        let why = match (fit.alike, fit.exact) {
            (true, true) => "fill the file, headers alike",
            (true, false) => "headers alike, the end cut off",
            _ => "fill the file",
        };
        named.push(format!("samples={}{format} ({} traces; {why})", fit.samples, fit.traces));
    }
    Ok(if named.is_empty() { String::new() } else { format!("; what would fit: {}", named.join(", ")) })
}

/// The same where nothing is known of the samples, if headers recur: clutching at a length that merely fills the file would
/// lead astray.
pub fn named_if_alike(source: &Source, endian: Endian, data_offset: u64) -> Result<String> {
    let walk = Walk { source, endian, data_offset, header_bytes: TRACE_HEADER as u64, sample_bytes: 0 };
    let named = named(walk, &[])?;
    Ok(if named.contains("alike") { named } else { String::new() })
}

/// Whether sample count and interval of the first headers at this stride are the same, as they are in nearly all files;
/// `None` where they are 0, or there is one trace.
pub fn recurs(walk: Walk<'_>, stride: u64, traces: u64) -> Result<Option<bool>> {
    let word = |trace: u64| walk.source.peek(walk.data_offset + trace * stride + TRACE_SAMPLES as u64, 4);
    let first = word(0)?;
    if traces < 2 || first.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    Ok(Some(word(1)? == first && (traces < 3 || word(2)? == first)))
}

fn format_of(sample_bytes: u64) -> u32 {
    match sample_bytes {
        2 => Format::I16.code(),
        8 => Format::F64.code(),
        1 => Format::I8.code(),
        3 => Format::I24.code(),
        _ => Format::F32.code(),
    }
}

fn candidates(walk: Walk<'_>) -> Result<Vec<Fit>> {
    let body = walk.source.size - walk.data_offset;
    let longest = walk.header_bytes + MOST_SAMPLES * 8;
    let block = walk.source.peek(walk.data_offset, (3 * longest + 1024) as usize)?;
    let word = |at: u64| block.get(at as usize + TRACE_SAMPLES..at as usize + TRACE_SAMPLES + 4);
    // Sample count and interval as one word: the same in all headers of a file, and rare among samples unless it is 0.
    let first = word(0).filter(|word| word.iter().any(|byte| *byte != 0));
    let mut fits = Vec::new();
    let mut period = u64::MAX;
    for stride in walk.header_bytes + 1..=longest.min(body) {
        let alike = first.is_some() && body >= 3 * stride && word(stride) == first && word(2 * stride) == first;
        let alike = alike && !stride.is_multiple_of(period);
        let exact = body.is_multiple_of(stride);
        if !(alike || exact && stride < period) {
            continue;
        }
        for sample_bytes in SIZES {
            let samples = (stride - walk.header_bytes) / sample_bytes;
            if samples <= MOST_SAMPLES && (stride - walk.header_bytes).is_multiple_of(sample_bytes) {
                fits.push(Fit { samples, sample_bytes, traces: body / stride, exact, alike });
            }
        }
        if alike {
            period = period.min(stride);
        }
    }
    Ok(fits)
}
