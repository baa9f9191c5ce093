//! An open file: what its caller stated, what was decided about it and why.

use crate::errors::Result;
use crate::formats::{Endian, Format};
use crate::kind::Kind;
use crate::layout::Shape;
use crate::source::Source;
use crate::text::{self, Encoding, RECORD};
use crate::words::{FILE_HEADER, Revision};

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
