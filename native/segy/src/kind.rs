//! SEG-Y or SU, and the byte order of either.

use crate::errors::Result;
use crate::fitting;
use crate::formats::{Endian, Format};
use crate::refuse;
use crate::source::Source;
use crate::text;
use crate::words::{ByteOrder, FILE_HEADER, TRACE_HEADER, TRACE_INTERVAL, TRACE_SAMPLES, Words, byte_order};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Segy,
    Su,
}

impl Kind {
    pub fn name(self) -> &'static str {
        if self == Kind::Segy { "segy" } else { "su" }
    }
}

/// The sample count of an SU file read in this byte order, if its size and all trace headers looked at agree.
pub fn su_samples(source: &Source, endian: Endian) -> Result<Option<u16>> {
    let header = source.peek(0, TRACE_HEADER)?;
    if header.len() < TRACE_HEADER {
        return Ok(None);
    }
    let samples = endian.u16(&header, TRACE_SAMPLES);
    let stride = TRACE_HEADER as u64 + 4 * u64::from(samples);
    if samples == 0 || !source.size.is_multiple_of(stride) {
        return Ok(None);
    }
    let traces = source.size / stride;
    for trace in [traces.min(2) - 1, traces / 2, traces - 1] {
        let word = source.peek(trace * stride + TRACE_SAMPLES as u64, 2)?;
        if endian.u16(&word, 0) != samples {
            return Ok(None);
        }
    }
    Ok(Some(samples))
}

/// The byte order in which a file reads as SU, if any. When both do, smaller header numbers are likelier.
pub fn su_endian(source: &Source) -> Result<Option<Endian>> {
    let big = su_samples(source, Endian::Big)?;
    let little = su_samples(source, Endian::Little)?;
    Ok(match (big, little) {
        (Some(_), Some(_)) => {
            let header = source.peek(0, TRACE_HEADER)?;
            let size = |endian: Endian| {
                let number = endian.u32(&header, 0).min(endian.u32(&header, 0).wrapping_neg());
                (endian.u16(&header, TRACE_INTERVAL) as i16 <= 0, endian.u16(&header, 28), number)
            };
            Some(if size(Endian::Little) < size(Endian::Big) { Endian::Little } else { Endian::Big })
        }
        (Some(_), None) => Some(Endian::Big),
        (None, Some(_)) => Some(Endian::Little),
        (None, None) => None,
    })
}

/// SEG-Y begins with a page of text (or of NULs), SU with a trace header whose sample count fits the file's size.
pub fn kind(source: &Source) -> Result<(Kind, String)> {
    let named_su = source.path.extension().is_some_and(|name| name.eq_ignore_ascii_case("su"));
    let (_, reads_as_text) = text::guess(&source.peek(0, text::RECORD)?);
    let fits = su_endian(source)?.is_some();
    let su = if reads_as_text { named_su && fits } else { named_su || fits };
    let start = if reads_as_text { "it begins with a page of text" } else { "it does not begin with text" };
    let counts = if fits { "would fit" } else { "would not fit" };
    let reason = format!("{start}; read as SU, its sample counts {counts} its size");
    Ok((if su { Kind::Su } else { Kind::Segy }, if named_su { reason + "; it is named .su" } else { reason }))
}

/// The byte order of a SEG-Y file's binary header, trace headers and samples. `fits` tells whether a sample count of the
/// file agrees with its size when it is read in that order.
pub fn segy_endian(
    source: &Source,
    head: &[u8],
    format_given: bool,
    fits: impl Fn(Endian) -> Result<bool>,
    findings: &mut Vec<String>,
) -> Result<(Endian, String)> {
    let path = source.path.display();
    match byte_order(head) {
        ByteOrder::Stated(endian) => return Ok((endian, "the byte-order constant at bytes 3297-3300".to_owned())),
        ByteOrder::Pairwise => {
            return refuse!(
                "{path}: the byte-order constant at bytes 3297-3300 says 16-bit pairs are swapped inside words; \
                 swap them back with another program first, or pass endian= if the constant is wrong"
            );
        }
        ByteOrder::Unstated => {}
    }
    let code = |endian: Endian| u32::from(endian.u16(head, 3224));
    let known = |endian| Format::from_code(code(endian)).is_some();
    let read_so = |endian: Endian| {
        let (code, other) = (code(endian), code(endian.other()));
        Ok((endian, format!("read so, the sample format code (bytes 3225-3226) is {code}, else {other}")))
    };
    match (known(Endian::Big), known(Endian::Little)) {
        (true, false) if !format_given => return read_so(Endian::Big),
        (false, true) if !format_given => return read_so(Endian::Little),
        (false, false) if !format_given => {
            return refuse!(
                "{path}: sample format code at bytes 3225-3226 is {} (big-endian) or {} (little-endian), SEG-Y knows \
                 {}{}; if this is a SEG-Y file pass format= and endian=, if it is an SU file pass kind=\"su\"",
                code(Endian::Big),
                code(Endian::Little),
                Format::CODES,
                fitting::named_if_alike(source, Endian::Big, FILE_HEADER)?
            );
        }
        _ => {}
    }
    let score = |endian: Endian| -> Result<u32> {
        let words = Words::parse(head, endian, None);
        Ok(8 * u32::from(fits(endian)?)
            + 4 * u32::from(known(endian))
            + 2 * u32::from((50..=20_000).contains(&words.interval))
            + u32::from(words.revision != (0, 0) && words.odd_revision.is_none()))
    };
    let (big, little) = (score(Endian::Big)?, score(Endian::Little)?);
    if big == little {
        findings.push("nothing tells the byte order: big-endian assumed; pass endian= if it is not".to_owned());
        return Ok((Endian::Big, "assumed: nothing tells".to_owned()));
    }
    let why = "read so, sample count, format, interval and revision make more sense together".to_owned();
    Ok((if little > big { Endian::Little } else { Endian::Big }, why))
}
