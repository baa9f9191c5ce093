//! IBM System/360 hexadecimal floats: sign, 7-bit power of 16 (excess 64), 24-bit fraction.
//!
//! value = (-1)^sign * fraction * 2^-24 * 16^(exponent - 64). Decoding rounds to nearest (ties to even) where float32
//! cannot hold the value: below 2^-126 bits may be lost, from 2^128 on the result is infinite. Every finite float32 fits
//! an IBM word's range, and encoding rounds to nearest (ties to even), losing up to three bits of the significand.

/// Largest magnitude an IBM single can hold: (1 - 2^-24) * 16^63.
const LARGEST: f64 = 7.237005145973116e75;

/// The exact value of a word as float64; every IBM single is a float64.
#[inline(always)]
pub fn to_f64(word: u32) -> f64 {
    let exponent = (word >> 24) & 0x7f;
    // 2^(4 * exponent - 280) is always a normal float64, so its bits can be put together directly.
    let scale = f64::from_bits(u64::from(4 * exponent + (1023 - 280)) << 52);
    let magnitude = f64::from((word & 0x00ff_ffff) as i32) * scale;
    f64::from_bits(magnitude.to_bits() | (u64::from(word >> 31) << 63))
}

/// The float32 nearest to the word's value.
#[inline(always)]
pub fn to_f32(word: u32) -> f32 {
    to_f64(word) as f32
}

/// Whether the float32 of this word encodes to the same word again.
#[inline(always)]
fn survives(word: u32, value: f32) -> bool {
    let normalised = word & 0x00f0_0000 != 0;
    (normalised && f64::from(value) == to_f64(word)) || word << 1 == 0
}

/// Decode words whose fraction is normalised and whose value is a normal float32 (or zero): the float32 is the fraction
/// converted, with 4 * exponent - 280 added to its exponent field. Returns false if any word was of another kind (its
/// output is then rubbish and the caller decodes the block by `decode_any`).
#[inline(always)]
fn decode_usual<const BIG: bool>(bytes: &[u8], out: &mut [f32]) -> bool {
    let mut unusual = false;
    for (raw, value) in bytes.chunks_exact(4).zip(out) {
        let word = load::<BIG>(raw);
        let fraction = word & 0x00ff_ffff;
        let shift = ((word >> 24) & 0x7f).wrapping_mul(4).wrapping_sub(280) << 23;
        let bits = (fraction as i32 as f32).to_bits().wrapping_add(shift);
        let zero = word & 0x7fff_ffff == 0;
        let normal = (word & 0x7fff_ffff).wrapping_sub(0x2200_0000) < 0x3f00_0000;
        unusual |= !((normal & (fraction >= 0x0010_0000)) | zero);
        *value = f32::from_bits((word & 0x8000_0000) | if zero { 0 } else { bits });
    }
    !unusual
}

/// Decode any words; true if each survives the way back.
#[inline(always)]
fn decode_any<const BIG: bool>(bytes: &[u8], out: &mut [f32]) -> bool {
    let mut exact = true;
    for (raw, value) in bytes.chunks_exact(4).zip(out) {
        let word = load::<BIG>(raw);
        *value = to_f32(word);
        exact &= survives(word, *value);
    }
    exact
}

#[inline(always)]
fn load<const BIG: bool>(raw: &[u8]) -> u32 {
    let raw = [raw[0], raw[1], raw[2], raw[3]];
    if BIG { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
}

/// Decode IBM words of `bytes` into `out`; true if every word would be encoded to the same bytes again.
#[inline(always)]
pub fn decode<const BIG: bool>(bytes: &[u8], out: &mut [f32]) -> bool {
    // Blocks small enough to stay in the first-level cache when an unusual word asks for a second pass.
    const BLOCK: usize = 1024;
    let mut exact = true;
    for (bytes, out) in bytes.chunks(4 * BLOCK).zip(out.chunks_mut(BLOCK)) {
        exact &= decode_usual::<BIG>(bytes, out) || decode_any::<BIG>(bytes, out);
    }
    exact
}

/// The IBM word nearest to a finite float32 (ties to even). Not meant for NaN and infinities.
#[inline(always)]
pub fn from_f32(value: f32) -> u32 {
    let magnitude = value.abs();
    // A denormal is scaled to a normal number first; both selections compile to blends.
    let tiny = magnitude < f32::MIN_POSITIVE;
    let bits = if tiny { magnitude * 16_777_216.0 } else { magnitude }.to_bits();
    // magnitude = significand * 2^power with a 24-bit significand.
    let power = (bits >> 23) as i32 - 150 - if tiny { 24 } else { 0 };
    let significand = (bits & 0x007f_ffff) | 0x0080_0000;
    // The smallest power of 16 whose 24-bit fraction can hold it, and the 0 to 3 bits it costs.
    let exponent = (power + 283) >> 2;
    let lost = (4 * exponent - 280 - power) as u32 & 3;
    let odd = (significand >> lost) & 1;
    let fraction = (significand + (((1 << lost) - 1 + odd) >> 1)) >> lost;
    let word = if magnitude == 0.0 { 0 } else { (exponent as u32) << 24 | fraction };
    word | (value.to_bits() & 0x8000_0000)
}

/// The IBM word nearest to a float64, or `None` if it is not finite or too large; too small becomes zero.
pub fn from_f64(value: f64) -> Option<u32> {
    let sign = if value.is_sign_negative() { 0x8000_0000 } else { 0 };
    let magnitude = value.abs();
    if !magnitude.is_finite() || magnitude > LARGEST {
        return None;
    }
    if magnitude < f64::MIN_POSITIVE {
        return Some(sign);
    }
    let power = (magnitude.to_bits() >> 52) as i32 - 1023;
    // fraction * 2^(4 * exponent - 280) with fraction below 2^24; exponent 0 also holds unnormalised fractions.
    let mut exponent = ((power + 260) >> 2).max(0);
    // Scaling by a power of two is exact here, so this rounds once.
    let mut fraction = (magnitude * 2f64.powi(280 - 4 * exponent)).round_ties_even() as u32;
    if fraction == 1 << 24 {
        fraction >>= 4;
        exponent += 1;
    }
    let word = if fraction == 0 { 0 } else { (exponent as u32) << 24 | fraction };
    (exponent <= 127).then_some(sign | word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_one(word: u32) -> (f32, bool) {
        let mut out = [0f32];
        let exact = decode::<true>(&word.to_be_bytes(), &mut out);
        (out[0], exact)
    }

    #[test]
    fn known_words() {
        for (word, value, exact) in [
            (0x4110_0000u32, 1.0f32, true),
            (0xc110_0000, -1.0, true),
            (0x4276_a000, 118.625, true),
            (0x4201_0000, 1.0, false), // 1.0 unnormalised
            (0x0000_0000, 0.0, true),
            (0x8000_0000, -0.0, true),
            (0x4100_0000, 0.0, false), // zero with an exponent
            (0x60ff_ffff, f32::MAX, true),
            (0x6110_0000, f32::INFINITY, false),
            (0x2110_0000, 2f64.powi(-128) as f32, true), // a denormal that keeps all bits
            (0x2010_0001, 2f64.powi(-132) as f32, false),
            (0x7fff_ffff, f32::INFINITY, false),
            (0x0010_0000, 0.0, false),
        ] {
            let (got, kept) = decode_one(word);
            assert_eq!((got.to_bits(), kept), (value.to_bits(), exact), "{word:08x}");
        }
    }

    proptest! {
        #[test]
        fn both_paths_agree(word: u32) {
            let (value, exact) = decode_one(word);
            prop_assert_eq!(value.to_bits(), to_f32(word).to_bits());
            prop_assert_eq!(exact, value.is_finite() && from_f32(value) == word);
        }

        #[test]
        fn encode_is_nearest(value: f32) {
            prop_assume!(value.is_finite());
            let word = from_f32(value);
            prop_assert_eq!(Some(word), from_f64(f64::from(value)));
            let error = (to_f64(word) - f64::from(value)).abs();
            // Half a unit of the 24-bit fraction at the word's exponent.
            let unit = to_f64((word & 0x7f00_0000) | 1);
            prop_assert!(error <= unit / 2.0);
        }

        #[test]
        fn wide_round_trip(word: u32) {
            let value = to_f64(word);
            let back = from_f64(value).unwrap();
            prop_assert_eq!(to_f64(back).to_bits(), value.to_bits());
        }
    }
}
