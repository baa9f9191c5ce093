//! Opening a SEG-Y file: byte order, format, layout, text and interval.

use crate::errors::Result;
use crate::fitting;
use crate::formats::{Endian, Format};
use crate::interval;
use crate::kind::{self, Kind};
use crate::layout::Question;
use crate::reader::{GIVEN, Options, Reader};
use crate::refuse;
use crate::source::Source;
use crate::text::{self, Encoding, RECORD};
use crate::words::{ByteOrder, FILE_HEADER, TRACE_HEADER, TRACE_INTERVAL, Words, byte_order};

/// Bytes of the label that a copy of a tape may begin with: unit number, "SY" and revision, "RECORD", ...
const TAPE_LABEL: usize = 128;

pub fn open_segy(source: Source, options: &Options) -> Result<Reader> {
    let path = source.path.display().to_string();
    if source.size < FILE_HEADER {
        return refuse!(
            "{path} has {} bytes; a SEG-Y file begins with {FILE_HEADER} bytes of headers; if it is SU pass kind=\"su\" \
             and endian=",
            source.size
        );
    }
    let head = source.peek(0, FILE_HEADER as usize)?;
    if head[4..6] == *b"SY" && head[9..15] == *b"RECORD" {
        return refuse!(
            "{path} begins with a SEG-Y tape label of {TAPE_LABEL} bytes, which is no part of the file: cut it off, with \
             tail -c +{} for instance",
            TAPE_LABEL + 1
        );
    }
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
