//! Text headers: EBCDIC (code page 037, as SEG-Y files use it) and ASCII, told apart by what they read as.

/// Latin-1 character of each EBCDIC byte; a bijection.
#[rustfmt::skip]
const EBCDIC: [u8; 256] = [
    0x00, 0x01, 0x02, 0x03, 0x9c, 0x09, 0x86, 0x7f, 0x97, 0x8d, 0x8e, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
    0x10, 0x11, 0x12, 0x13, 0x9d, 0x85, 0x08, 0x87, 0x18, 0x19, 0x92, 0x8f, 0x1c, 0x1d, 0x1e, 0x1f,
    0x80, 0x81, 0x82, 0x83, 0x84, 0x0a, 0x17, 0x1b, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x05, 0x06, 0x07,
    0x90, 0x91, 0x16, 0x93, 0x94, 0x95, 0x96, 0x04, 0x98, 0x99, 0x9a, 0x9b, 0x14, 0x15, 0x9e, 0x1a,
    0x20, 0xa0, 0xe2, 0xe4, 0xe0, 0xe1, 0xe3, 0xe5, 0xe7, 0xf1, 0xa2, 0x2e, 0x3c, 0x28, 0x2b, 0x7c,
    0x26, 0xe9, 0xea, 0xeb, 0xe8, 0xed, 0xee, 0xef, 0xec, 0xdf, 0x21, 0x24, 0x2a, 0x29, 0x3b, 0xac,
    0x2d, 0x2f, 0xc2, 0xc4, 0xc0, 0xc1, 0xc3, 0xc5, 0xc7, 0xd1, 0xa6, 0x2c, 0x25, 0x5f, 0x3e, 0x3f,
    0xf8, 0xc9, 0xca, 0xcb, 0xc8, 0xcd, 0xce, 0xcf, 0xcc, 0x60, 0x3a, 0x23, 0x40, 0x27, 0x3d, 0x22,
    0xd8, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0xab, 0xbb, 0xf0, 0xfd, 0xfe, 0xb1,
    0xb0, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0xaa, 0xba, 0xe6, 0xb8, 0xc6, 0xa4,
    0xb5, 0x7e, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0xa1, 0xbf, 0xd0, 0xdd, 0xde, 0xae,
    0x5e, 0xa3, 0xa5, 0xb7, 0xa9, 0xa7, 0xb6, 0xbc, 0xbd, 0xbe, 0x5b, 0x5d, 0xaf, 0xa8, 0xb4, 0xd7,
    0x7b, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0xad, 0xf4, 0xf6, 0xf2, 0xf3, 0xf5,
    0x7d, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0xb9, 0xfb, 0xfc, 0xf9, 0xfa, 0xff,
    0x5c, 0xf7, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0xb2, 0xd4, 0xd6, 0xd2, 0xd3, 0xd5,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0xb3, 0xdb, 0xdc, 0xd9, 0xda, 0x9f,
];

/// Byte length of a text record: 40 lines of 80 characters.
pub const RECORD: usize = 3200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Ebcdic,
    Ascii,
    /// Nearly all NUL: no text was written.
    Blank,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Ebcdic => "ebcdic",
            Encoding::Ascii => "ascii",
            Encoding::Blank => "blank",
        }
    }
}

pub fn ebcdic_decode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(EBCDIC[usize::from(*byte)])).collect()
}

/// The EBCDIC bytes of a text, or the first character that has none.
pub fn ebcdic_encode(text: &str) -> Result<Vec<u8>, char> {
    let byte = |c: char| {
        let latin = u8::try_from(c).map_err(|_| c)?;
        Ok(EBCDIC.iter().position(|x| *x == latin).expect("a bijection") as u8)
    };
    text.chars().map(byte).collect()
}

/// Share of the bytes (NULs aside) that read as letters, digits, blanks and common punctuation.
fn readable(bytes: &[u8], decode: impl Fn(u8) -> u8) -> f64 {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b" .,:;-+=/()_*#'\"&%@!?<>[]\r\n\t".contains(&c);
    let written = bytes.iter().filter(|byte| **byte != 0);
    let (mut count, mut good) = (0, 0);
    for byte in written {
        count += 1;
        good += usize::from(plain(decode(*byte)));
    }
    good as f64 / f64::from(count.max(1))
}

/// The encoding of a text record, and whether it really reads as text.
pub fn guess(bytes: &[u8]) -> (Encoding, bool) {
    let nul = bytes.iter().filter(|byte| **byte == 0).count();
    if nul * 10 > bytes.len() * 9 {
        return (Encoding::Blank, false);
    }
    let ascii = readable(bytes, |byte| byte);
    let ebcdic = readable(bytes, |byte| EBCDIC[usize::from(byte)]);
    let encoding = if ebcdic >= ascii { Encoding::Ebcdic } else { Encoding::Ascii };
    (encoding, ascii.max(ebcdic) > 0.7)
}

/// What speaks for the encoding that `guess` finds.
pub fn reason(bytes: &[u8]) -> String {
    if guess(bytes).0 == Encoding::Blank {
        return "nearly all bytes are NUL".to_owned();
    }
    let percent = |share: f64| (100.0 * share).round();
    let (ascii, ebcdic) = (readable(bytes, |byte| byte), readable(bytes, |byte| EBCDIC[usize::from(byte)]));
    format!("{} % of it reads as EBCDIC, {} % as ASCII", percent(ebcdic), percent(ascii))
}

/// Decode one record; control characters other than line ends become spaces. A blank record is read as ASCII, which
/// keeps the few characters some writers put among the NULs.
pub fn decode(bytes: &[u8], encoding: Encoding) -> String {
    let text = match encoding {
        Encoding::Ebcdic => ebcdic_decode(bytes),
        Encoding::Ascii | Encoding::Blank => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.chars().map(|c| if c.is_control() && !"\r\n\t".contains(c) { ' ' } else { c }).collect()
}

/// The 40 lines of a text header, each without trailing blanks.
pub fn lines(bytes: &[u8], encoding: Encoding) -> Vec<String> {
    let line = |card: &[u8]| {
        let text = decode(card, encoding).replace(['\r', '\n', '\t'], " ");
        text.trim_end().to_owned()
    };
    bytes.chunks(80).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ebcdic_is_a_bijection() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(ebcdic_encode(&ebcdic_decode(&all)).unwrap(), all);
        assert_eq!(ebcdic_decode(b"\xc3\xf4\xf0\x40\xc5\xd5\xc4"), "C40 END");
        assert_eq!(ebcdic_encode("x\u{2260}"), Err('\u{2260}'));
    }

    #[test]
    fn guesses() {
        let ascii = b"C 1 CLIENT  ".repeat(100);
        assert_eq!(guess(&ascii), (Encoding::Ascii, true));
        let ebcdic = ebcdic_encode(std::str::from_utf8(&ascii).unwrap()).unwrap();
        assert_eq!(guess(&ebcdic), (Encoding::Ebcdic, true));
        assert_eq!(guess(&[0; 3200]), (Encoding::Blank, false));
        assert_eq!(guess(&[0x20; 3200]), (Encoding::Ascii, true));
        let noise: Vec<u8> = (0..3200u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(!guess(&noise).1);
    }
}
