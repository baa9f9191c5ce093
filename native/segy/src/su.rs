//! Opening an SU file: SEG-Y's trace headers and float32 samples with nothing before them.

use crate::errors::{Error, Result};
use crate::fitting;
use crate::formats::{Endian, Format};
use crate::interval;
use crate::kind::{self, Kind};
use crate::layout::Shape;
use crate::lengths::{MOST_WALKED, Walk};
use crate::reader::{GIVEN, Options, Reader};
use crate::refuse;
use crate::source::Source;
use crate::text::Encoding;
use crate::words::{FILE_HEADER, TRACE_HEADER, TRACE_INTERVAL, TRACE_SAMPLES, Words};

pub fn open_su(source: Source, options: &Options) -> Result<Reader> {
    let mut findings = Vec::new();
    let detected = kind::su_endian(&source)?;
    let (endian, why) = match (options.endian, detected) {
        (Some(endian), _) => (endian, GIVEN),
        (None, Some(endian)) => (endian, "so read, the sample counts of all headers looked at fit the file's size"),
        // The caller's count, lengths or lenience can still save the file; SU is mostly written on little-endian machines.
        (None, None) if options.samples.is_some() || options.lenient || options.varying => {
            (likely_su_endian(&source)?, "so read, the first trace header's numbers are the smaller ones")
        }
        (None, None) => return Err(no_su(&source)?),
    };
    // The trace header is all the header there is: words of a binary header that says nothing.
    let words = Words::parse(&[0; FILE_HEADER as usize], endian, None);
    let shape = su_shape(&source, endian, options, &mut findings)?;
    let header = source.peek(0, TRACE_HEADER)?;
    let (interval_us, interval_why) = interval::choose(None, endian.u16(&header, TRACE_INTERVAL), &mut findings);
    let format = options.format.unwrap_or(Format::F32);
    let reasons = vec![
        ("endian", why.to_owned()),
        ("format", if options.format.is_some() { GIVEN } else { "SU files hold float32" }.to_owned()),
        ("samples", shape.reason()),
        ("interval", interval_why),
    ];
    Ok(Reader {
        kind: Kind::Su,
        endian,
        format,
        revision: words.revision,
        interval_s: interval_us * 1e-6,
        shape,
        text_encoding: Encoding::Blank,
        reasons,
        findings,
        source,
    })
}

/// The byte order in which sample count and interval of the first header are smaller: both are small numbers in two bytes.
fn likely_su_endian(source: &Source) -> Result<Endian> {
    let header = source.peek(0, TRACE_HEADER)?;
    if header.len() < TRACE_HEADER {
        return Ok(Endian::Little);
    }
    let size = |endian: Endian| {
        let (samples, interval) = (endian.u16(&header, TRACE_SAMPLES), endian.u16(&header, TRACE_INTERVAL));
        u32::from(samples.max(1)) * u32::from(interval.max(1))
    };
    Ok(if size(Endian::Big) < size(Endian::Little) { Endian::Big } else { Endian::Little })
}

/// The refusal of what is no SU file of one trace length in either byte order.
fn no_su(source: &Source) -> Result<Error> {
    let path = source.path.display();
    let header = source.peek(0, TRACE_HEADER)?;
    if header.len() < TRACE_HEADER {
        return Ok(Error::Refused(format!("{path} has {} bytes, less than one SU trace header (240)", source.size)));
    }
    for endian in [Endian::Big, Endian::Little] {
        let (lengths, behind) = su_walk(source, endian, 4).lengths(source.size, MOST_WALKED)?;
        if lengths.vary() && (behind == source.size || lengths.samples.len() == MOST_WALKED) {
            return Ok(lengths.refusal(source));
        }
    }
    let (big, little) = (Endian::Big.u16(&header, TRACE_SAMPLES), Endian::Little.u16(&header, TRACE_SAMPLES));
    let named = fitting::named(su_walk(source, likely_su_endian(source)?, 4), &[])?;
    Ok(Error::Refused(format!(
        "{path}: {} bytes are no whole number of SU traces: the sample count at bytes 115-116 is {big} (big-endian) or \
         {little} (little-endian), or it varies between traces{named}; pass samples= and endian=, or lengths=\"pad\" if \
         the lengths vary, or kind=\"segy\"",
        source.size
    )))
}

fn su_walk(source: &Source, endian: Endian, sample_bytes: u64) -> Walk<'_> {
    Walk { source, endian, data_offset: 0, header_bytes: TRACE_HEADER as u64, sample_bytes }
}

fn su_shape(source: &Source, endian: Endian, options: &Options, findings: &mut Vec<String>) -> Result<Shape> {
    let path = source.path.display();
    let header = source.peek(0, TRACE_HEADER)?;
    if header.len() < TRACE_HEADER {
        return refuse!("{path} has {} bytes, less than one SU trace header (240)", source.size);
    }
    let stated = u64::from(endian.u16(&header, TRACE_SAMPLES));
    let samples = options.samples.map_or(stated, u64::from);
    let said_by = if options.samples.is_some() { "samples=" } else { "the first trace header (byte 115)" };
    if samples == 0 {
        return refuse!("{path}: the first trace header says 0 samples (bytes 115-116); pass samples=");
    }
    let sample_bytes = options.format.unwrap_or(Format::F32).bytes() as u64;
    let stride = TRACE_HEADER as u64 + samples * sample_bytes;
    let (traces, trailing) = (source.size / stride, source.size % stride);
    let shape = Shape {
        data_offset: 0,
        extended_text: 0,
        header_bytes: TRACE_HEADER as u64,
        samples,
        sample_bytes,
        said_by,
        traces,
        trailing,
        fits: trailing == 0,
        lengths: None,
    };
    let alike = options.samples.is_some() || kind::su_samples(source, endian)?.is_some();
    if trailing == 0 && alike {
        return Ok(shape);
    }
    if options.varying {
        let (lengths, behind) = su_walk(source, endian, sample_bytes).lengths(source.size, usize::MAX)?;
        if lengths.vary() && (behind == source.size || options.lenient) {
            return Ok(shape.with_lengths(lengths, source.size - behind, behind == source.size, findings));
        }
    }
    if !(options.lenient && traces > 0) {
        let named = fitting::named(su_walk(source, endian, sample_bytes), &[stated])?;
        return refuse!(
            "{path}: {samples} samples give {traces} traces of {stride} bytes and {trailing} left over, or the count at \
             bytes 115-116 varies between traces{named}; pass samples= if you know the count, lengths=\"pad\" if it \
             varies, or lenient=True to read the whole traces"
        );
    }
    if trailing > 0 {
        findings.push(format!("lenient: {traces} traces of {samples} samples, {trailing} bytes left over"));
    }
    Ok(shape)
}
