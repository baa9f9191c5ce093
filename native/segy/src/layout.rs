//! Where the traces lie: the sample count, header extensions and data offset that agree with the file's size.

use std::fmt::Write;
use std::sync::Arc;

use crate::errors::Result;
use crate::fitting;
use crate::formats::Endian;
use crate::lengths::{Lengths, MOST_WALKED, Walk};
use crate::refuse;
use crate::source::Source;
use crate::text::{self, RECORD};
use crate::words::{FILE_HEADER, TRACE_HEADER, Words};

/// Most text or trailer records believed: what the 16-bit count of bytes 3505-3506 can state (105 MB).
const MOST_RECORDS: u64 = i16::MAX as u64;
/// Most extended text records looked at for the closing stanza when their number is not stated (13 MB of text).
const MOST_TEXT_RECORDS: u64 = 4096;
/// From so many text records on, the last one has to read as text.
const MANY_RECORDS: u64 = 100;
/// Most trace header extensions believed: revision 2.1 defines a few, and each costs 240 bytes a trace.
const MOST_EXTENSIONS: u64 = 255;

/// One way to read the file, and where its sample count comes from.
#[derive(Clone, Debug)]
pub struct Shape {
    pub data_offset: u64,
    pub extended_text: u64,
    pub header_bytes: u64,
    pub samples: u64,
    pub sample_bytes: u64,
    pub said_by: &'static str,
    pub traces: u64,
    pub trailing: u64,
    /// Traces and trailing records account for every byte of the file.
    pub fits: bool,
    /// Where traces lie whose lengths vary; `samples` is then that of the longest.
    pub lengths: Option<Arc<Lengths>>,
}

impl Shape {
    pub fn stride(&self) -> u64 {
        self.header_bytes + self.samples * self.sample_bytes
    }

    /// The shape with a length for each trace; `trailing` bytes follow the last of them, and belong there if it is `whole`.
    pub fn with_lengths(self, lengths: Lengths, trailing: u64, whole: bool, findings: &mut Vec<String>) -> Shape {
        let (traces, groups) = (lengths.samples.len() as u64, lengths.groups());
        findings.push(format!("traces vary in length: {groups}; the shorter ones are padded with zeros"));
        if !whole {
            findings.push(format!("lenient: {traces} traces, {trailing} bytes left over"));
        }
        Shape {
            samples: u64::from(lengths.longest()),
            traces,
            trailing,
            said_by: "the longest trace header (byte 115)",
            fits: whole,
            lengths: Some(Arc::new(lengths)),
            ..self
        }
    }

    /// Why the traces are believed to lie so.
    pub fn reason(&self) -> String {
        if self.lengths.is_some() {
            return "every trace header states its own count (byte 115); the longest has this many".to_owned();
        }
        let end = if self.fits { "end exactly at the end of the file" } else { "are whole" };
        let rest = match self.trailing {
            0 => String::new(),
            count => format!(", {count} bytes behind them"),
        };
        format!("{} says so, and {} traces of {} bytes {end}{rest}", self.said_by, self.traces, self.stride())
    }
}

/// What is known before the shape: the file, its words, how to read a sample, and the caller's override.
pub struct Question<'a> {
    pub source: &'a Source,
    pub words: &'a Words,
    pub endian: Endian,
    pub sample_bytes: u64,
    pub samples: Option<u64>,
    /// Traces of varying length are wanted, each at its own.
    pub varying: bool,
    pub lenient: bool,
}

impl Question<'_> {
    /// The shape the file's words describe and its size confirms, with remarks on every contradiction.
    pub fn answer(&self, findings: &mut Vec<String>) -> Result<Shape> {
        let mut shapes = self.candidates(findings)?;
        if !shapes.iter().any(|shape| shape.fits) {
            self.fit_before_text(&mut shapes)?;
        }
        if let Some(shape) = self.best(&shapes)? {
            if let Some(varying) = self.check_lengths(shape, findings)? {
                return Ok(varying);
            }
            self.remark(shape, &shapes, findings);
            self.check_headers(shape, &shapes, findings)?;
            return Ok(shape.clone());
        }
        self.settle(&shapes, findings)
    }

    /// The likeliest of the shapes that fit: one in which trace headers recur, of several that with the shortest traces, for
    /// headers recur at multiples of their distance too; where headers tell nothing the first that has traces. Another data
    /// offset than the likeliest counts only where there is nothing at that: pages of blanks recur as well.
    fn best<'s>(&self, shapes: &'s [Shape]) -> Result<Option<&'s Shape>> {
        let whole: Vec<_> = shapes.iter().filter(|shape| shape.fits && shape.traces > 0).collect();
        for group in whole.chunk_by(|one, next| one.data_offset == next.data_offset) {
            let mut told = Vec::new();
            for shape in group {
                let walk = self.walk(shape.data_offset, shape.header_bytes);
                told.push((*shape, fitting::recurs(walk, shape.stride(), shape.traces)?));
            }
            let recurring =
                told.iter().filter(|(_, recurs)| *recurs == Some(true)).min_by_key(|(shape, _)| shape.stride());
            let untold = told.iter().find(|(_, recurs)| recurs.is_none());
            if let Some((shape, _)) = recurring.or(untold) {
                return Ok(Some(shape));
            }
        }
        Ok(whole.first().copied().or(shapes.iter().find(|shape| shape.fits)))
    }

    /// Whether any reading agrees with the size: evidence for a byte order.
    pub fn has_answer(&self) -> Result<bool> {
        Ok(self.candidates(&mut Vec::new())?.iter().any(|shape| shape.fits && shape.traces > 0))
    }

    fn candidates(&self, findings: &mut Vec<String>) -> Result<Vec<Shape>> {
        let mut shapes: Vec<Shape> = Vec::new();
        for (data_offset, extended_text) in self.offsets(findings)? {
            for extensions in self.extensions() {
                let header_bytes = TRACE_HEADER as u64 * (1 + extensions);
                let trace = self.walk(data_offset, header_bytes).samples(data_offset)?;
                for (samples, said_by) in self.sample_counts(trace) {
                    shapes.push(self.fit(Shape {
                        data_offset,
                        extended_text,
                        header_bytes,
                        samples,
                        sample_bytes: self.sample_bytes,
                        said_by,
                        traces: 0,
                        trailing: 0,
                        fits: false,
                        lengths: None,
                    }));
                }
            }
        }
        Ok(shapes)
    }

    fn walk(&self, data_offset: u64, header_bytes: u64) -> Walk<'_> {
        Walk { source: self.source, endian: self.endian, data_offset, header_bytes, sample_bytes: self.sample_bytes }
    }

    /// Possible data offsets, each with its number of extended text records, likeliest first.
    fn offsets(&self, findings: &mut Vec<String>) -> Result<Vec<(u64, u64)>> {
        let size = self.source.size;
        let mut offsets = Vec::new();
        let stated = self.words.first_trace;
        if stated != 0 {
            if (FILE_HEADER..=size.min(FILE_HEADER + MOST_RECORDS * RECORD as u64)).contains(&stated) {
                offsets.push((stated, (stated - FILE_HEADER) / RECORD as u64));
            } else {
                findings.push(format!(
                    "offset of the first trace {stated} at bytes 3521-3528 makes no sense here: ignored"
                ));
            }
        }
        let records = match self.words.extended_text {
            -1 => self.count_stanzas(findings)?,
            count if count < -1 => {
                findings.push(format!("{count} extended text records at bytes 3505-3506: ignored"));
                0
            }
            count => count as u64,
        };
        let after = FILE_HEADER + records * RECORD as u64;
        if records > MANY_RECORDS && after <= size && !self.is_text(after - RECORD as u64)? {
            findings.push(format!("{records} extended text records at bytes 3505-3506 would not end in text: ignored"));
        } else if after <= size {
            offsets.push((after, records));
        } else {
            findings.push(format!(
                "{records} extended text records at bytes 3505-3506 do not fit in {size} bytes: ignored"
            ));
        }
        offsets.push((FILE_HEADER, 0));
        let pages = self.count_pages()?;
        offsets.push((FILE_HEADER + pages * RECORD as u64, pages));
        let mut known = Vec::new();
        offsets.retain(|offset| {
            let news = !known.contains(offset);
            known.push(*offset);
            news
        });
        Ok(offsets)
    }

    /// Pages of text behind the binary header, whatever their stated number.
    fn count_pages(&self) -> Result<u64> {
        let present = (self.source.size - FILE_HEADER) / RECORD as u64;
        let most = present.min(MOST_TEXT_RECORDS);
        for page in 0..most {
            if !self.is_text(FILE_HEADER + page * RECORD as u64)? {
                return Ok(page);
            }
        }
        Ok(most)
    }

    fn is_text(&self, at: u64) -> Result<bool> {
        Ok(text::guess(&self.source.peek(at, RECORD)?).1)
    }

    /// Extended text records up to the closing stanza, when their number is stated as -1.
    fn count_stanzas(&self, findings: &mut Vec<String>) -> Result<u64> {
        let present = (self.source.size - FILE_HEADER) / RECORD as u64;
        for record in 0..present.min(MOST_TEXT_RECORDS) {
            let bytes = self.source.peek(FILE_HEADER + record * RECORD as u64, 80)?;
            let opening = text::decode(&bytes, text::guess(&bytes).0).to_ascii_lowercase();
            if opening.trim_start().replace(' ', "").starts_with("((seg:endtext))") {
                return Ok(record + 1);
            }
        }
        findings.push("no ((SEG: EndText)) stanza closes the extended text: none is read".to_owned());
        Ok(0)
    }

    /// Possible numbers of trace header extensions, likeliest first.
    fn extensions(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for word in self.extension_words().into_iter().chain([0]) {
            match u64::try_from(word) {
                Ok(count) if count <= MOST_EXTENSIONS && !counts.contains(&count) => counts.push(count),
                _ => {}
            }
        }
        counts
    }

    /// The number of trace header extensions by the word of the file's revision, and by that of the other: 2.0 states it in
    /// four bytes, 2.1 in two.
    fn extension_words(&self) -> [i64; 2] {
        let (narrow, wide) = (i64::from(self.words.header_extensions), i64::from(self.words.header_extensions_wide));
        if self.words.revision == (2, 0) { [wide, narrow] } else { [narrow, wide] }
    }

    fn sample_counts(&self, trace: u32) -> Vec<(u64, &'static str)> {
        if let Some(samples) = self.samples {
            return vec![(samples, "samples=")];
        }
        let said = [
            (u64::from(self.words.ext_samples), "the extended sample count (byte 3269)"),
            (u64::from(self.words.samples), "the binary header (byte 3221)"),
            (u64::from(trace), "the first trace header (byte 115)"),
        ];
        let mut counts: Vec<(u64, &str)> = Vec::new();
        for (count, by) in said {
            if count > 0 && counts.iter().all(|(known, _)| *known != count) {
                counts.push((count, by));
            }
        }
        counts
    }

    /// Fill in the traces and trailing bytes the file's size gives.
    fn fit(&self, mut shape: Shape) -> Shape {
        let (body, stride) = (self.source.size - shape.data_offset, shape.stride());
        let stated = self.words.traces;
        let trailers = u64::try_from(self.words.trailers).ok().filter(|count| *count <= MOST_RECORDS).unwrap_or(0);
        // An unstated number of trailer records (-1): the trace count says where they begin.
        if self.words.trailers < 0 && stated > 0 {
            let length = stated.saturating_mul(stride);
            let rest = body.saturating_sub(length);
            if length <= body && rest.is_multiple_of(RECORD as u64) && rest <= MOST_RECORDS * RECORD as u64 {
                return Shape { traces: stated, trailing: rest, fits: true, ..shape };
            }
        }
        for trailing in [trailers * RECORD as u64, 0] {
            if trailing <= body && (body - trailing).is_multiple_of(stride) {
                return Shape { traces: (body - trailing) / stride, trailing, fits: true, ..shape };
            }
        }
        (shape.traces, shape.trailing) = (body / stride, body % stride);
        shape
    }

    /// Pages of text that end the file may be a trailer that no word states: see whether traces end where they begin.
    fn fit_before_text(&self, shapes: &mut [Shape]) -> Result<()> {
        let (size, page) = (self.source.size, RECORD as u64);
        let most = MOST_TEXT_RECORDS.min((size - FILE_HEADER) / page);
        for pages in 1..=most {
            if !self.is_text(size - pages * page)? {
                break;
            }
            for shape in shapes.iter_mut().filter(|shape| !shape.fits) {
                let body = (size - shape.data_offset).checked_sub(pages * page).filter(|body| *body > 0);
                if let Some(body) = body.filter(|body| body.is_multiple_of(shape.stride())) {
                    (shape.traces, shape.trailing, shape.fits) = (body / shape.stride(), pages * page, true);
                }
            }
        }
        Ok(())
    }

    /// Remarks on words that contradict the chosen shape.
    fn remark(&self, shape: &Shape, all: &[Shape], findings: &mut Vec<String>) {
        let mut told = vec![shape.samples];
        // Away from the true data offset a "first trace header" is something else: only agreement would be news.
        let comparable = |other: &&Shape| other.data_offset == shape.data_offset || other.fits;
        for other in all.iter().filter(comparable) {
            if !told.contains(&other.samples) {
                told.push(other.samples);
                findings.push(format!(
                    "samples per trace: {} says {}, {} says {}: {} fits the file's size and is taken",
                    shape.said_by, shape.samples, other.said_by, other.samples, shape.samples
                ));
            }
        }
        let extensions = shape.header_bytes / TRACE_HEADER as u64 - 1;
        let (narrow, wide) = (self.words.header_extensions, self.words.header_extensions_wide);
        if self.extension_words()[0] != extensions as i64 {
            findings.push(format!(
                "trace header extensions: bytes 3507-3508 say {narrow} (revision 2.1), bytes 3507-3510 {wide} (2.0): \
                 {extensions} fit the file's size"
            ));
        }
        let stated = self.words.traces;
        if stated != 0 && stated != shape.traces {
            findings
                .push(format!("trace count at bytes 3513-3520 is {stated}, the file's size gives {}", shape.traces));
        }
        let records = u64::try_from(self.words.extended_text).unwrap_or(shape.extended_text);
        if records != shape.extended_text {
            findings.push(format!(
                "{records} extended text records stated at bytes 3505-3506, {} fit the file's size",
                shape.extended_text
            ));
        }
        if shape.trailing > 0 && self.words.trailers == 0 {
            findings.push(format!("{} bytes of text behind the last trace, which no word states", shape.trailing));
        }
        if shape.traces == 0 {
            findings.push("the file holds headers and no trace".to_owned());
        }
    }

    /// A file of varying trace lengths may have a fitting size by chance: look at some trace headers.
    fn check_lengths(&self, shape: &Shape, findings: &mut Vec<String>) -> Result<Option<Shape>> {
        let walk = self.walk(shape.data_offset, shape.header_bytes);
        let first = walk.samples(shape.data_offset)?;
        if self.samples.is_some() {
            return Ok(None);
        }
        if u64::from(first) != shape.samples {
            // The trace headers' counts mean something else, unless no header stands where the count taken puts it.
            let here = fitting::recurs(walk, shape.stride(), shape.traces)? != Some(false);
            return if here { Ok(None) } else { self.varying(shape, findings) };
        }
        let step = (shape.traces / 16).max(1);
        for trace in (0..shape.traces).step_by(step as usize) {
            let found = walk.samples(shape.data_offset + trace * shape.stride())?;
            if found != first {
                let varying = self.varying(shape, findings)?;
                if varying.is_none() {
                    findings.push(format!(
                        "trace {} says {found} samples, the first trace {first}: all are read with {first}",
                        trace + 1
                    ));
                }
                return Ok(varying);
            }
        }
        Ok(None)
    }

    /// A wrong sample count or format may fit by chance: then headers recur at another distance.
    fn check_headers(&self, shape: &Shape, all: &[Shape], findings: &mut Vec<String>) -> Result<()> {
        let walk = self.walk(shape.data_offset, shape.header_bytes);
        if fitting::recurs(walk, shape.stride(), shape.traces)? != Some(false) {
            return Ok(());
        }
        let said: Vec<_> = all.iter().map(|shape| shape.samples).collect();
        let named = fitting::named(walk, &said)?;
        if named.contains("alike") {
            findings.push(format!("trace headers do not recur every {} bytes{named}", shape.stride()));
        }
        Ok(())
    }

    /// No reading fits: refuse with all that was found, or read whole traces if the caller is lenient.
    fn settle(&self, shapes: &[Shape], findings: &mut Vec<String>) -> Result<Shape> {
        let path = self.source.path.display();
        let Some(first) = shapes.first() else {
            return refuse!(
                "{path}: samples per trace is 0 in the binary header (byte 3221) and in the first trace header \
                 (byte 115){}; pass samples=",
                fitting::named_if_alike(self.source, self.endian, FILE_HEADER)?
            );
        };
        if (self.samples.is_none() || !self.lenient)
            && let Some(shape) = self.varying(first, findings)?
        {
            return Ok(shape);
        }
        if let Some(shape) = shapes.iter().find(|shape| self.lenient && shape.traces > 0) {
            findings.push(format!(
                "lenient: {} traces of {} samples as {} says, {} bytes left over",
                shape.traces, shape.samples, shape.said_by, shape.trailing
            ));
            return Ok(shape.clone());
        }
        let body = self.source.size - first.data_offset;
        let mut message =
            format!("{path}: no sample count fits the {body} bytes from byte {} to the end: ", first.data_offset + 1);
        for (i, shape) in shapes.iter().take(6).enumerate() {
            let _ = write!(
                message,
                "{}{} says {}, giving {} traces of {} bytes and {} left over",
                if i > 0 { "; " } else { "" },
                shape.said_by,
                shape.samples,
                shape.traces,
                shape.stride(),
                shape.trailing
            );
            if shape.data_offset != first.data_offset {
                let _ = write!(message, " (traces from byte {})", shape.data_offset + 1);
            }
        }
        let said: Vec<_> = shapes.iter().map(|shape| shape.samples).collect();
        message += &fitting::named(self.walk(first.data_offset, first.header_bytes), &said)?;
        refuse!(
            "{message}; the file may be cut short: pass samples= if you know the count, or lenient=True to read the \
             whole traces"
        )
    }

    /// The shape with a length for each trace, if stepping from trace header to trace header, each with its own count, ends
    /// exactly at the file's end (or, for a lenient caller, within its last trace). Refused unless the caller wants it.
    fn varying(&self, shape: &Shape, findings: &mut Vec<String>) -> Result<Option<Shape>> {
        let records = u64::try_from(self.words.trailers).ok().filter(|count| *count <= MOST_RECORDS).unwrap_or(0);
        let walk = self.walk(shape.data_offset, shape.header_bytes);
        let most = if self.varying { usize::MAX } else { MOST_WALKED };
        let mut end = self.source.size;
        let (mut lengths, mut behind) = walk.lengths(end, most)?;
        if records > 0 && records * RECORD as u64 <= end - shape.data_offset && behind != end {
            end -= records * RECORD as u64;
            (lengths, behind) = walk.lengths(end, most)?;
        }
        let whole = behind == end || lengths.samples.len() == MOST_WALKED && !self.varying;
        if !lengths.vary() || !(whole || self.lenient && self.varying) {
            return Ok(None);
        }
        if !self.varying {
            return Err(lengths.refusal(self.source));
        }
        Ok(Some(shape.clone().with_lengths(lengths, self.source.size - behind, whole, findings)))
    }
}
