//! Opening a file: every decision about it, taken once.

use std::path::Path;

use crate::errors::Result;
use crate::fitting;
use crate::formats::{Endian, Format};
use crate::interval;
use crate::kind::{self, Kind, TRACE_INTERVAL};
use crate::layout::{Question, Shape};
use crate::refuse;
use crate::source::Source;
use crate::su::open_su;
use crate::text::{self, Encoding, RECORD};
use crate::words::{ByteOrder, FILE_HEADER, Revision, TRACE_HEADER, Words, byte_order};

/// What the caller states about a file; everything else is detected.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub kind: Option<Kind>,
    pub endian: Option<Endian>,
    pub format: Option<Format>,
    pub samples: Option<u32>,
    pub interval_us: Option<f64>,
    pub text_encoding: Option<Encoding>,
    pub revision: Option<Revision>,
    /// Read traces of varying length, each at its own, instead of refusing them.
    pub varying: bool,
    pub lenient: bool,
}

/// A decision about a file: what was decided, and why.
pub type Reason = (&'static str, String);

/// An open file and its layout.
#[derive(Debug)]
pub struct Reader {
    pub source: Source,
    pub kind: Kind,
    pub endian: Endian,
    pub format: Format,
    pub revision: Revision,
    pub interval_s: f64,
    pub shape: Shape,
    pub text_encoding: Encoding,
    /// Why the file is read as it is, decision by decision.
    pub reasons: Vec<Reason>,
    /// What was contradictory, odd or overridden.
    pub findings: Vec<String>,
}

/// What an override is said to be decided by.
pub(crate) const GIVEN: &str = "given by the caller";

impl Reader {
    pub fn open(path: &Path, options: &Options) -> Result<Reader> {
        Reader::over(Source::open(path)?, options)
    }

    /// Read any source, in memory for instance.
    pub fn over(source: Source, options: &Options) -> Result<Reader> {
        if options.samples == Some(0) {
            return refuse!("{}: samples=0 is no trace length; pass 1 or more", source.path.display());
        }
        let (kind, why) = match options.kind {
            Some(kind) => (kind, GIVEN.to_owned()),
            None => kind::kind(&source)?,
        };
        let mut reader = match kind {
            Kind::Segy => open_segy(source, options)?,
            Kind::Su => open_su(source, options)?,
        };
        reader.reasons.insert(0, ("kind", why));
        if let Some(interval_us) = options.interval_us {
            reader.interval_s = interval_us * 1e-6;
            reader.findings.push(format!("override: sample interval {interval_us} us"));
            reader.reasons.retain(|(what, _)| *what != "interval");
            reader.reasons.push(("interval", GIVEN.to_owned()));
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
    let (mut findings, mut reasons) = (Vec::new(), Vec::new());
    let (endian, why) = find_endian(&source, &head, options, &mut findings)?;
    reasons.push(("endian", why));
    let words = Words::parse(&head, endian, options.revision);
    let (format, why) = find_format(&source, &words, endian, options, &mut findings)?;
    reasons.push(("format", why));
    reasons.push(("revision", words.revision_reason.clone()));
    findings.extend(words.odd_revision.clone());
    let question = Question {
        source: &source,
        words: &words,
        endian,
        sample_bytes: format.bytes() as u64,
        samples: options.samples.map(u64::from),
        varying: options.varying,
        lenient: options.lenient,
    };
    let shape = question.answer(&mut findings)?;
    reasons.push(("samples", shape.reason()));
    let (text_encoding, why) = find_text(&head[..RECORD], options, &mut findings);
    reasons.push(("text_encoding", why));
    let trace_header = source.peek(shape.data_offset, TRACE_HEADER)?;
    let trace_interval = if trace_header.len() == TRACE_HEADER { endian.u16(&trace_header, TRACE_INTERVAL) } else { 0 };
    let (interval_us, why) = interval::choose(Some(&words), trace_interval, &mut findings);
    reasons.push(("interval", why));
    Ok(Reader {
        kind: Kind::Segy,
        endian,
        format,
        revision: words.revision,
        interval_s: interval_us * 1e-6,
        shape,
        text_encoding,
        reasons,
        findings,
        source,
    })
}

fn find_endian(
    source: &Source,
    head: &[u8],
    options: &Options,
    findings: &mut Vec<String>,
) -> Result<(Endian, String)> {
    if let Some(endian) = options.endian {
        findings.push(format!("override: {}-endian", endian.name()));
        if !matches!(byte_order(head), ByteOrder::Unstated | ByteOrder::Stated(_))
            || byte_order(head) == ByteOrder::Stated(endian.other())
        {
            findings.push("the byte-order constant at bytes 3297-3300 contradicts endian=".to_owned());
        }
        return Ok((endian, GIVEN.to_owned()));
    }
    let fits = |endian: Endian| {
        let words = Words::parse(head, endian, options.revision);
        let format = options.format.or(Format::from_code(u32::from(words.format)));
        let Some(format) = format else { return Ok(false) };
        Question {
            source,
            words: &words,
            endian,
            sample_bytes: format.bytes() as u64,
            samples: options.samples.map(u64::from),
            varying: false,
            lenient: false,
        }
        .has_answer()
    };
    kind::segy_endian(source, head, options.format.is_some(), fits, findings)
}

fn find_format(
    source: &Source,
    words: &Words,
    endian: Endian,
    options: &Options,
    findings: &mut Vec<String>,
) -> Result<(Format, String)> {
    let code = u32::from(words.format);
    if let Some(format) = options.format {
        if format.code() != code {
            findings.push(format!("override: sample format {} where the file says {code}", format.code()));
        }
        return Ok((format, GIVEN.to_owned()));
    }
    match Format::from_code(code) {
        Some(format) => Ok((format, format!("code {code} at bytes 3225-3226"))),
        None => refuse!(
            "{}: sample format code {code} ({}-endian) at bytes 3225-3226 is unknown, SEG-Y knows {}{}; pass format= or \
             another endian=",
            source.path.display(),
            endian.name(),
            Format::CODES,
            fitting::named_if_alike(source, endian, FILE_HEADER)?
        ),
    }
}

fn find_text(record: &[u8], options: &Options, findings: &mut Vec<String>) -> (Encoding, String) {
    let (found, readable) = text::guess(record);
    if let Some(encoding) = options.text_encoding {
        if encoding != found {
            findings.push(format!("override: text header read as {}, detected {}", encoding.name(), found.name()));
        }
        return (encoding, GIVEN.to_owned());
    }
    if !readable && found != Encoding::Blank {
        findings.push(format!(
            "text header reads neither as ASCII nor as EBCDIC: {} assumed; text_encoding= overrules",
            found.name()
        ));
    }
    (found, text::reason(record))
}
