//! Opening a file of either kind: every decision about it, taken once.

use std::path::Path;

use crate::errors::Result;
use crate::kind::{self, Kind};
use crate::reader::GIVEN;
pub use crate::reader::{Options, Reader};
use crate::refuse;
use crate::segy::open_segy;
use crate::source::Source;
use crate::su::open_su;

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
}
