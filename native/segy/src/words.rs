//! The words of the 400-byte binary header that decide how a SEG-Y file is read.

use crate::formats::Endian;

/// Bytes before the extended text records.
pub const FILE_HEADER: u64 = 3600;
/// Bytes of one trace header, and of each of its extensions.
pub const TRACE_HEADER: usize = 240;
/// Byte positions (0-based) of the sample count and interval words in a trace header.
pub const TRACE_SAMPLES: usize = 114;
pub const TRACE_INTERVAL: usize = 116;
/// Byte-order constant of revision 2 (bytes 3297-3300).
const ORDER: u32 = 0x0102_0304;

/// Major and minor revision.
pub type Revision = (u8, u8);

#[derive(Clone, Debug)]
pub struct Words {
    pub interval: u16,
    pub samples: u16,
    pub format: u16,
    pub revision: Revision,
    pub revision_reason: String,
    /// Remark on a revision word that is overridden or not one of the standard's.
    pub odd_revision: Option<String>,
    pub extended_text: i16,
    /// The words below exist from revision 2 on and are zero before it.
    pub ext_samples: u32,
    pub ext_interval: f64,
    /// Trace header extensions by bytes 3507-3508, as revision 2.1 has them, and by bytes 3507-3510, as revision 2.0 has;
    /// writers of either use both.
    pub header_extensions: i16,
    pub header_extensions_wide: i32,
    pub traces: u64,
    pub first_trace: u64,
    pub trailers: i32,
}

impl Words {
    /// Read the words from the first 3600 bytes of a file; a revision that is given stands for the file's own.
    pub fn parse(head: &[u8], endian: Endian, given: Option<Revision>) -> Words {
        let (found, remark) = revision(head[3500], head[3501], endian);
        let revision = given.unwrap_or(found);
        let odd_revision = match given {
            Some(given) if given != found => {
                Some(format!("override: revision {}.{} where the file says {}.{}", given.0, given.1, found.0, found.1))
            }
            _ => remark,
        };
        let revision_reason = match given {
            Some(_) => "given by the caller".to_owned(),
            None => format!("bytes 3501-3502 are {} and {}", head[3500], head[3501]),
        };
        let two = revision.0 >= 2 || given.is_none() && byte_order(head) == ByteOrder::Stated(endian);
        let i16 = |byte: usize| endian.u16(head, byte - 1) as i16;
        let u32 = |byte: usize| if two { endian.u32(head, byte - 1) } else { 0 };
        let u64 = |byte: usize| if two { endian.u64(head, byte - 1) } else { 0 };
        Words {
            interval: endian.u16(head, 3216),
            samples: endian.u16(head, 3220),
            format: endian.u16(head, 3224),
            revision,
            revision_reason,
            odd_revision,
            extended_text: i16(3505),
            ext_samples: u32(3269),
            ext_interval: f64::from_bits(u64(3273)),
            header_extensions: if two { i16(3507) } else { 0 },
            header_extensions_wide: u32(3507) as i32,
            traces: u64(3513),
            first_trace: u64(3521),
            trailers: u32(3529) as i32,
        }
    }
}

/// The revision of bytes 3501-3502: major, minor. Revision 1 defined them as one 16-bit number and revision 2 as two
/// bytes, so both orders are met in files of either endianness.
fn revision(first: u8, second: u8, endian: Endian) -> (Revision, Option<String>) {
    let known = |major: u8, minor: u8| matches!((major, minor), (0, 0) | (1, 0)) || (major == 2 && minor < 10);
    if known(first, second) {
        return ((first, second), None);
    }
    let word = format!("revision word 0x{first:02x}{second:02x} at bytes 3501-3502");
    if known(second, first) {
        let swapped = endian == Endian::Big;
        return ((second, first), swapped.then(|| format!("{word} is byte-swapped: read as {second}.{first}")));
    }
    ((0, 0), Some(format!("{word} is no SEG-Y revision: read as revision 0")))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    Unstated,
    Stated(Endian),
    /// 16-bit pairs swapped inside 32-bit words.
    Pairwise,
}

/// What the byte-order constant of revision 2 says.
pub fn byte_order(head: &[u8]) -> ByteOrder {
    match Endian::Big.u32(head, 3296) {
        ORDER => ByteOrder::Stated(Endian::Big),
        0x0403_0201 => ByteOrder::Stated(Endian::Little),
        0x0201_0403 | 0x0304_0102 => ByteOrder::Pairwise,
        _ => ByteOrder::Unstated,
    }
}
