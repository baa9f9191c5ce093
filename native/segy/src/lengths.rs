//! Traces of varying length: where each begins and how many samples it has.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::errors::{Error, Result};
use crate::formats::Endian;
use crate::source::Source;
use crate::words::{TRACE_HEADER, TRACE_INTERVAL, TRACE_SAMPLES};

/// First trace header extension of revision 2: its name in its last eight bytes, the sample count at bytes 137-140.
const EXTENSION_NAME: &[u8] = b"SEG00001";
const EXTENSION_SAMPLES: usize = 136;
/// Most traces walked to tell a file of varying trace length from a damaged one.
pub const MOST_WALKED: usize = 100_000;
/// Most lengths listed in a message.
const MOST_LISTED: usize = 4;

/// Position and sample count of every trace: 12 bytes a trace, a twentieth of its header.
#[derive(Debug, Default)]
pub struct Lengths {
    pub starts: Vec<u64>,
    pub samples: Vec<u32>,
}

impl Lengths {
    pub fn longest(&self) -> u32 {
        self.samples.iter().copied().max().unwrap_or(0)
    }

    pub fn vary(&self) -> bool {
        self.samples.windows(2).any(|pair| pair[0] != pair[1])
    }

    /// What to say to a caller who did not ask for traces of varying length.
    pub fn refusal(&self, source: &Source) -> Error {
        Error::Refused(format!(
            "{}: traces vary in length by their trace headers (byte 115): {}; lengths=\"pad\" reads them, zeros behind the \
             shorter ones, samples= all with one",
            source.path.display(),
            self.groups()
        ))
    }

    /// The lengths, each with the number of traces that have it and the first of them; the commonest first.
    pub fn groups(&self) -> String {
        let mut found: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (trace, samples) in self.samples.iter().enumerate() {
            found.entry(*samples).or_insert((0, trace)).0 += 1;
        }
        let mut groups: Vec<_> = found.into_iter().collect();
        groups.sort_by_key(|(_, (count, first))| (std::cmp::Reverse(*count), *first));
        let mut listed = String::new();
        for (i, (samples, (count, first))) in groups.iter().take(MOST_LISTED).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let _ = write!(listed, "{comma}{count} with {samples} samples (first: trace {})", first + 1);
        }
        if groups.len() > MOST_LISTED {
            let _ = write!(listed, " and {} more lengths", groups.len() - MOST_LISTED);
        }
        listed
    }
}

/// Where traces lie before their sample counts are known.
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    pub source: &'a Source,
    pub endian: Endian,
    pub data_offset: u64,
    pub header_bytes: u64,
    pub sample_bytes: u64,
}

impl Walk<'_> {
    /// The sample count that the trace header at byte `at` states, its first extension's (if any) before its own; 0 if none.
    pub fn samples(&self, at: u64) -> Result<u32> {
        let header = self.source.peek(at + TRACE_SAMPLES as u64, 2)?;
        if self.header_bytes > TRACE_HEADER as u64 {
            let extension = self.source.peek(at + TRACE_HEADER as u64, TRACE_HEADER)?;
            if extension.ends_with(EXTENSION_NAME) && self.endian.u32(&extension, EXTENSION_SAMPLES) > 0 {
                return Ok(self.endian.u32(&extension, EXTENSION_SAMPLES));
            }
        }
        Ok(if header.len() == 2 { u32::from(self.endian.u16(&header, 0)) } else { 0 })
    }

    /// Step from trace header to trace header, each with its own count, through at most `most` traces or up to byte `end`.
    /// Returns the whole traces met, and the byte behind the last of them.
    pub fn lengths(&self, end: u64, most: usize) -> Result<(Lengths, u64)> {
        let mut lengths = Lengths::default();
        let (mut at, mut interval) = (self.data_offset, None);
        while at < end && lengths.samples.len() < most {
            let samples = self.samples(at)?;
            let next = at.saturating_add(self.header_bytes + u64::from(samples) * self.sample_bytes);
            // One survey has one sample interval: where the word changes, this is no trace header.
            let word = self.source.peek(at + TRACE_INTERVAL as u64, 2)?;
            if samples == 0 || next > end || interval.get_or_insert_with(|| word.clone()) != &word {
                break;
            }
            lengths.starts.push(at);
            lengths.samples.push(samples);
            at = next;
        }
        Ok((lengths, at))
    }
}
