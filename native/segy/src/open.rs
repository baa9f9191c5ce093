//! Opening a file: every decision about it, taken once.

use std::path::Path;

use crate::errors::Result;
use crate::formats::{Endian, Format};
use crate::interval;
use crate::kind::{self, Kind, TRACE_INTERVAL, TRACE_SAMPLES};
use crate::layout::{Question, Shape};
use crate::refuse;
use crate::source::Source;
use crate::text::{self, Encoding, RECORD};
use crate::words::{ByteOrder, FILE_HEADER, TRACE_HEADER, Words, byte_order};

/// What the caller states about a file; everything else is detected.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub kind: Option<Kind>,
    pub endian: Option<Endian>,
    pub format: Option<Format>,
    pub samples: Option<u32>,
    pub interval_us: Option<f64>,
    pub text_encoding: Option<Encoding>,
    pub lenient: bool,
}

/// An open file and its layout.
#[derive(Debug)]
pub struct Reader {
    pub source: Source,
    pub kind: Kind,
    pub endian: Endian,
    pub format: Format,
    pub revision: (u8, u8),
    pub interval_s: f64,
    pub shape: Shape,
    pub text_encoding: Encoding,
    pub findings: Vec<String>,
}

impl Reader {
    pub fn open(path: &Path, options: &Options) -> Result<Reader> {
        let source = Source::open(path)?;
        if options.samples == Some(0) {
            return refuse!("{}: samples=0 is no trace length; pass 1 or more", path.display());
        }
        let kind = match options.kind {
            Some(kind) => kind,
            None => kind::kind(&source)?,
        };
        let mut reader = match kind {
            Kind::Segy => open_segy(source, options)?,
            Kind::Su => open_su(source, options)?,
        };
        if let Some(interval_us) = options.interval_us {
            reader.interval_s = interval_us * 1e-6;
            reader.findings.push(format!("override: sample interval {interval_us} us"));
        }
        Ok(reader)
    }

    pub fn samples(&self) -> usize {
        self.shape.samples as usize
    }

    pub fn header_bytes(&self) -> usize {
        self.shape.header_bytes as usize
    }

    pub fn stride(&self) -> usize {
        self.shape.stride() as usize
    }

    /// The 40 lines of the text header; none in an SU file.
    pub fn text(&self) -> Result<Vec<String>> {
        if self.kind == Kind::Su {
            return Ok(Vec::new());
        }
        Ok(text::lines(&self.source.peek(0, RECORD)?, self.text_encoding))
    }

    /// The extended text records, each in the encoding it reads as.
    pub fn extended(&self) -> Result<Vec<String>> {
        let record = |i: u64| {
            let bytes = self.source.peek(FILE_HEADER + i * RECORD as u64, RECORD)?;
            Ok(text::decode(&bytes, text::guess(&bytes).0))
        };
        (0..self.shape.extended_text).map(record).collect()
    }
}

fn open_segy(source: Source, options: &Options) -> Result<Reader> {
    let path = source.path.display().to_string();
    if source.size < FILE_HEADER {
        return refuse!(
            "{path} has {} bytes; a SEG-Y file begins with {FILE_HEADER} bytes of headers; if it is SU pass kind=\"su\" \
             and endian=",
            source.size
        );
    }
    let head = source.peek(0, FILE_HEADER as usize)?;
    let mut findings = Vec::new();
    let endian = find_endian(&source, &head, options, &mut findings)?;
    let words = Words::parse(&head, endian);
    let format = find_format(&path, &words, endian, options, &mut findings)?;
    findings.extend(words.odd_revision.clone());
    let question = Question {
        source: &source,
        words: &words,
        endian,
        sample_bytes: format.bytes() as u64,
        samples: options.samples.map(u64::from),
        lenient: options.lenient,
    };
    let shape = question.answer(&mut findings)?;
    let text_encoding = find_text(&head[..RECORD], options, &mut findings);
    let trace_header = source.peek(shape.data_offset, TRACE_HEADER)?;
    let trace_interval = if trace_header.len() == TRACE_HEADER { endian.u16(&trace_header, TRACE_INTERVAL) } else { 0 };
    let interval_us = interval::choose(Some(&words), trace_interval, &mut findings);
    Ok(Reader {
        kind: Kind::Segy,
        endian,
        format,
        revision: words.revision,
        interval_s: interval_us * 1e-6,
        shape,
        text_encoding,
        findings,
        source,
    })
}

fn find_endian(source: &Source, head: &[u8], options: &Options, findings: &mut Vec<String>) -> Result<Endian> {
    if let Some(endian) = options.endian {
        findings.push(format!("override: {}-endian", endian.name()));
        if !matches!(byte_order(head), ByteOrder::Unstated | ByteOrder::Stated(_))
            || byte_order(head) == ByteOrder::Stated(other(endian))
        {
            findings.push("the byte-order constant at bytes 3297-3300 contradicts endian=".to_owned());
        }
        return Ok(endian);
    }
    let fits = |endian: Endian| {
        let words = Words::parse(head, endian);
        let format = options.format.or(Format::from_code(u32::from(words.format)));
        let Some(format) = format else { return Ok(false) };
        Question {
            source,
            words: &words,
            endian,
            sample_bytes: format.bytes() as u64,
            samples: options.samples.map(u64::from),
            lenient: false,
        }
        .has_answer()
    };
    kind::segy_endian(source, head, options.format.is_some(), fits, findings)
}

fn other(endian: Endian) -> Endian {
    if endian == Endian::Big { Endian::Little } else { Endian::Big }
}

fn find_format(
    path: &str,
    words: &Words,
    endian: Endian,
    options: &Options,
    findings: &mut Vec<String>,
) -> Result<Format> {
    let code = u32::from(words.format);
    if let Some(format) = options.format {
        if format.code() != code {
            findings.push(format!("override: sample format {} where the file says {code}", format.code()));
        }
        return Ok(format);
    }
    match Format::from_code(code) {
        Some(format) => Ok(format),
        None => refuse!(
            "{path}: sample format code {code} ({}-endian) at bytes 3225-3226 is unknown, SEG-Y knows {}; pass format= \
             or another endian=",
            endian.name(),
            Format::CODES
        ),
    }
}

fn find_text(record: &[u8], options: &Options, findings: &mut Vec<String>) -> Encoding {
    let (found, readable) = text::guess(record);
    if let Some(encoding) = options.text_encoding {
        if encoding != found {
            findings.push(format!("override: text header read as {}, detected {}", encoding.name(), found.name()));
        }
        return encoding;
    }
    if !readable && found != Encoding::Blank {
        findings.push(format!("text header reads neither as ASCII nor as EBCDIC: {} assumed", found.name()));
    }
    found
}

fn open_su(source: Source, options: &Options) -> Result<Reader> {
    let path = source.path.display();
    let mut findings = Vec::new();
    let detected = kind::su_endian(&source)?;
    let endian = match (options.endian, detected) {
        (Some(endian), _) | (None, Some(endian)) => endian,
        // The caller's count or lenience can still save the file; SU is mostly written on little-endian machines today.
        (None, None) if options.samples.is_some() || options.lenient => Endian::Little,
        (None, None) => {
            let header = source.peek(0, TRACE_HEADER)?;
            if header.len() < TRACE_HEADER {
                return refuse!("{path} has {} bytes, less than one SU trace header (240)", source.size);
            }
            let (big, little) = (Endian::Big.u16(&header, TRACE_SAMPLES), Endian::Little.u16(&header, TRACE_SAMPLES));
            return refuse!(
                "{path}: {} bytes are no whole number of SU traces: the sample count at bytes 115-116 is {big} \
                 (big-endian) or {little} (little-endian), or it varies between traces; pass samples= and endian=, or \
                 kind=\"segy\"",
                source.size
            );
        }
    };
    // The trace header is all the header there is: words of a binary header that says nothing.
    let words = Words::parse(&[0; FILE_HEADER as usize], endian);
    let shape = su_shape(&source, endian, options, &mut findings)?;
    let header = source.peek(0, TRACE_HEADER)?;
    let interval_us = interval::choose(None, endian.u16(&header, TRACE_INTERVAL), &mut findings);
    Ok(Reader {
        kind: Kind::Su,
        endian,
        format: options.format.unwrap_or(Format::F32),
        revision: words.revision,
        interval_s: interval_us * 1e-6,
        shape,
        text_encoding: Encoding::Blank,
        findings,
        source,
    })
}

fn su_shape(source: &Source, endian: Endian, options: &Options, findings: &mut Vec<String>) -> Result<Shape> {
    let path = source.path.display();
    let header = source.peek(0, TRACE_HEADER)?;
    if header.len() < TRACE_HEADER {
        return refuse!("{path} has {} bytes, less than one SU trace header (240)", source.size);
    }
    let samples = options.samples.map_or(u64::from(endian.u16(&header, TRACE_SAMPLES)), u64::from);
    if samples == 0 {
        return refuse!("{path}: the first trace header says 0 samples (bytes 115-116); pass samples=");
    }
    let sample_bytes = options.format.unwrap_or(Format::F32).bytes() as u64;
    let stride = TRACE_HEADER as u64 + samples * sample_bytes;
    let (traces, trailing) = (source.size / stride, source.size % stride);
    let consistent = options.samples.is_some() || kind::su_samples(source, endian)?.is_some() || trailing > 0;
    if (trailing > 0 || !consistent) && !(options.lenient && traces > 0) {
        return refuse!(
            "{path}: {samples} samples give {traces} traces of {stride} bytes and {trailing} left over, or the count at \
             bytes 115-116 varies between traces; pass samples= if you know the count, or lenient=True to read the whole \
             traces"
        );
    }
    if trailing > 0 {
        findings.push(format!("lenient: {traces} traces of {samples} samples, {trailing} bytes left over"));
    }
    Ok(Shape {
        data_offset: 0,
        extended_text: 0,
        header_bytes: TRACE_HEADER as u64,
        samples,
        sample_bytes,
        said_by: "the first trace header (byte 115)",
        traces,
        trailing,
        fits: trailing == 0,
    })
}
