//! Sample formats of SEG-Y: their codes, sizes, decoding to float32 and encoding from it.

use crate::ibm;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    Big,
    Little,
}

impl Endian {
    pub fn name(self) -> &'static str {
        if self == Endian::Big { "big" } else { "little" }
    }

    pub fn other(self) -> Endian {
        if self == Endian::Big { Endian::Little } else { Endian::Big }
    }

    pub fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let raw = [bytes[at], bytes[at + 1]];
        if self == Endian::Big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) }
    }

    pub fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let raw: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
        if self == Endian::Big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
    }

    pub fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let raw: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
        if self == Endian::Big { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) }
    }
}

/// The sample format codes of SEG-Y revision 2.1 (bytes 3225-3226); 13 and 14 are undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Ibm = 1,
    I32 = 2,
    I16 = 3,
    Gain = 4,
    F32 = 5,
    F64 = 6,
    I24 = 7,
    I8 = 8,
    I64 = 9,
    U32 = 10,
    U16 = 11,
    U64 = 12,
    U24 = 15,
    U8 = 16,
}

impl Format {
    pub const CODES: &'static str = "1-12, 15 and 16";

    pub fn from_code(code: u32) -> Option<Format> {
        use Format::*;
        [Ibm, I32, I16, Gain, F32, F64, I24, I8, I64, U32, U16, U64, U24, U8]
            .into_iter()
            .find(|format| format.code() == code)
    }

    pub fn code(self) -> u32 {
        self as u32
    }

    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        use Format::*;
        match self {
            I8 | U8 => 1,
            I16 | U16 => 2,
            I24 | U24 => 3,
            Ibm | I32 | Gain | F32 | U32 => 4,
            F64 | I64 | U64 => 8,
        }
    }

    /// Only the floats of IEEE can hold NaN and infinities.
    pub fn needs_finite(self) -> bool {
        !matches!(self, Format::F32 | Format::F64)
    }

    /// Decode samples to float32; true if every sample would be encoded to the same bytes again.
    pub fn decode(self, endian: Endian, bytes: &[u8], out: &mut [f32]) -> bool {
        debug_assert_eq!(bytes.len(), out.len() * self.bytes());
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has AVX2, the only requirement of the function.
            return unsafe { decode_avx2(self, endian, bytes, out) };
        }
        decode(self, endian, bytes, out)
    }

    /// Encode float32 samples: floats to nearest, integers to nearest even and saturated. The caller has refused
    /// non-finite values where `needs_finite`, and format 4 altogether.
    pub fn encode(self, endian: Endian, samples: &[f32], out: &mut [u8]) {
        debug_assert_eq!(out.len(), samples.len() * self.bytes());
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has AVX2, the only requirement of the function.
            return unsafe { encode_avx2(self, endian, samples, out) };
        }
        encode(self, endian, samples, out);
    }
}

// The same code, compiled a second time for AVX2 where the CPU has it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn decode_avx2(format: Format, endian: Endian, bytes: &[u8], out: &mut [f32]) -> bool {
    decode(format, endian, bytes, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn encode_avx2(format: Format, endian: Endian, samples: &[f32], out: &mut [u8]) {
    encode(format, endian, samples, out)
}

#[inline(always)]
fn decode(format: Format, endian: Endian, bytes: &[u8], out: &mut [f32]) -> bool {
    match endian {
        Endian::Big => decode_as::<true>(format, bytes, out),
        Endian::Little => decode_as::<false>(format, bytes, out),
    }
}

#[inline(always)]
fn encode(format: Format, endian: Endian, samples: &[f32], out: &mut [u8]) {
    match endian {
        Endian::Big => encode_as::<true>(format, samples, out),
        Endian::Little => encode_as::<false>(format, samples, out),
    }
}

/// `each(raw bytes in big-endian order, fixed size) -> (value, survives the way back)` over all samples.
#[inline(always)]
fn each<const BIG: bool, const N: usize>(
    bytes: &[u8],
    out: &mut [f32],
    convert: impl Fn([u8; N]) -> (f32, bool),
) -> bool {
    let mut exact = true;
    for (raw, value) in bytes.chunks_exact(N).zip(out) {
        let mut sample: [u8; N] = raw.try_into().expect("chunks are of size N");
        if !BIG {
            sample.reverse();
        }
        let (converted, kept) = convert(sample);
        *value = converted;
        exact &= kept;
    }
    exact
}

/// Decode an integer type: to the nearest float32, exact if it converts back to the same integer.
macro_rules! integers {
    ($big:expr, $type:ty, $bytes:expr, $out:expr) => {
        each::<$big, { size_of::<$type>() }>($bytes, $out, |raw| {
            let sample = <$type>::from_be_bytes(raw);
            let value = sample as f32;
            (value, value as $type == sample)
        })
    };
}

#[inline(always)]
fn decode_as<const BIG: bool>(format: Format, bytes: &[u8], out: &mut [f32]) -> bool {
    match format {
        Format::Ibm => ibm::decode::<BIG>(bytes, out),
        Format::F32 => each::<BIG, 4>(bytes, out, |raw| (f32::from_be_bytes(raw), true)),
        Format::F64 => each::<BIG, 8>(bytes, out, |raw| {
            let sample = f64::from_be_bytes(raw);
            let value = sample as f32;
            (value, f64::from(value).to_bits() == sample.to_bits())
        }),
        Format::I8 => integers!(BIG, i8, bytes, out),
        Format::U8 => integers!(BIG, u8, bytes, out),
        Format::I16 => integers!(BIG, i16, bytes, out),
        Format::U16 => integers!(BIG, u16, bytes, out),
        Format::I32 => integers!(BIG, i32, bytes, out),
        Format::U32 => integers!(BIG, u32, bytes, out),
        Format::I64 => integers!(BIG, i64, bytes, out),
        Format::U64 => integers!(BIG, u64, bytes, out),
        Format::I24 => each::<BIG, 3>(bytes, out, |[a, b, c]| ((i32::from_be_bytes([a, b, c, 0]) >> 8) as f32, true)),
        Format::U24 => each::<BIG, 3>(bytes, out, |[a, b, c]| (u32::from_be_bytes([0, a, b, c]) as i32 as f32, true)),
        // SEG-Y revision 0: a zero byte, the gain as a power of two, a 16-bit mantissa. Obsolete: decoded, never written.
        Format::Gain => each::<BIG, 4>(bytes, out, |[_, gain, a, b]| {
            let scale = f64::from_bits((u64::from(gain) + 1023) << 52);
            ((f64::from(i16::from_be_bytes([a, b])) * scale) as f32, false)
        }),
    }
}

#[inline(always)]
fn put<const BIG: bool, const N: usize>(samples: &[f32], out: &mut [u8], convert: impl Fn(f32) -> [u8; N]) {
    for (sample, raw) in samples.iter().zip(out.chunks_exact_mut(N)) {
        let mut bytes = convert(*sample);
        if !BIG {
            bytes.reverse();
        }
        raw.copy_from_slice(&bytes);
    }
}

/// Encode an integer type; Rust's `as` saturates.
macro_rules! put_integers {
    ($big:expr, $type:ty, $samples:expr, $out:expr) => {
        put::<$big, { size_of::<$type>() }>($samples, $out, |x| (x.round_ties_even() as $type).to_be_bytes())
    };
}

#[inline(always)]
fn encode_as<const BIG: bool>(format: Format, samples: &[f32], out: &mut [u8]) {
    match format {
        Format::Ibm => put::<BIG, 4>(samples, out, |x| ibm::from_f32(x).to_be_bytes()),
        Format::F32 => put::<BIG, 4>(samples, out, |x| x.to_be_bytes()),
        Format::F64 => put::<BIG, 8>(samples, out, |x| f64::from(x).to_be_bytes()),
        Format::I8 => put_integers!(BIG, i8, samples, out),
        Format::U8 => put_integers!(BIG, u8, samples, out),
        Format::I16 => put_integers!(BIG, i16, samples, out),
        Format::U16 => put_integers!(BIG, u16, samples, out),
        Format::I32 => put_integers!(BIG, i32, samples, out),
        Format::U32 => put_integers!(BIG, u32, samples, out),
        Format::I64 => put_integers!(BIG, i64, samples, out),
        Format::U64 => put_integers!(BIG, u64, samples, out),
        Format::I24 => put::<BIG, 3>(samples, out, |x| {
            let [_, a, b, c] = (x.round_ties_even() as i32).clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
            [a, b, c]
        }),
        Format::U24 => put::<BIG, 3>(samples, out, |x| {
            let [_, a, b, c] = (x.round_ties_even() as u32).min(0xff_ffff).to_be_bytes();
            [a, b, c]
        }),
        Format::Gain => unreachable!("format 4 is refused before encoding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn formats() -> impl Strategy<Value = Format> {
        (1u32..=16).prop_filter_map("writable", |code| Format::from_code(code).filter(|format| *format != Format::Gain))
    }

    proptest! {
        /// `exact` is precisely "encodes to the same bytes", for all formats and bytes.
        #[test]
        fn exact_means_same_bytes(format in formats(), bytes in proptest::collection::vec(any::<u8>(), 0..400),
                                  little: bool, single: bool) {
            let endian = if little { Endian::Little } else { Endian::Big };
            let count = if single { 1.min(bytes.len() / format.bytes()) } else { bytes.len() / format.bytes() };
            let bytes = &bytes[..count * format.bytes()];
            let mut samples = vec![0f32; count];
            let exact = format.decode(endian, bytes, &mut samples);
            let mut plain = vec![0f32; count];
            prop_assert_eq!(decode(format, endian, bytes, &mut plain), exact, "with and without AVX2");
            prop_assert!(plain.iter().zip(&samples).all(|(a, b)| a.to_bits() == b.to_bits()));
            if samples.iter().all(|x| x.is_finite()) || !format.needs_finite() {
                let mut back = vec![0u8; bytes.len()];
                format.encode(endian, &samples, &mut back);
                prop_assert_eq!(exact, back == bytes);
                let mut plain = vec![0u8; bytes.len()];
                encode(format, endian, &samples, &mut plain);
                prop_assert_eq!(plain, back, "with and without AVX2");
            } else {
                prop_assert!(!exact);
            }
        }
    }

    #[test]
    fn integers_round_and_saturate() {
        let samples = [0.5, 1.5, -2.5, 300.0, -300.0];
        let mut out = [0u8; 5];
        Format::I8.encode(Endian::Big, &samples, &mut out);
        assert_eq!(out.map(|x| x as i8), [0, 2, -2, 127, -128]);
        Format::U8.encode(Endian::Big, &samples, &mut out);
        assert_eq!(out, [0, 2, 0, 255, 0]);
        let mut out = [0u8; 6];
        Format::I24.encode(Endian::Little, &[-1.0, 1e9], &mut out);
        assert_eq!(out, [255, 255, 255, 255, 255, 127]);
    }

    #[test]
    fn fixed_point_with_gain() {
        let mut out = [0f32; 2];
        Format::Gain.decode(Endian::Big, &[0, 3, 0, 5, 0, 0, 0xff, 0xff], &mut out);
        assert_eq!(out, [40.0, -1.0]);
    }
}
