//! Header words: extraction of columns from trace headers and their writing back.

use std::ops::Range;

use crate::errors::Result;
use crate::formats::Endian;
use crate::ibm;
use crate::refuse;

/// The type of a header word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    I1,
    U1,
    I2,
    U2,
    I4,
    U4,
    I8,
    U8,
    F4,
    F8,
    /// IBM single, handed out as float64.
    Ibm,
}

impl Type {
    pub fn parse(name: &str) -> Option<Type> {
        use Type::*;
        Some(match name {
            "i1" => I1,
            "u1" => U1,
            "i2" => I2,
            "u2" => U2,
            "i4" => I4,
            "u4" => U4,
            "i8" => I8,
            "u8" => U8,
            "f4" => F4,
            "f8" => F8,
            "ibm" => Ibm,
            _ => return None,
        })
    }

    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    pub fn is_float(self) -> bool {
        matches!(self, Type::F4 | Type::F8 | Type::Ibm)
    }

    /// Bytes in the trace header.
    pub fn stored(self) -> usize {
        use Type::*;
        match self {
            I1 | U1 => 1,
            I2 | U2 => 2,
            I4 | U4 | F4 | Ibm => 4,
            I8 | U8 | F8 => 8,
        }
    }

    /// Bytes of a column's element.
    pub fn native(self) -> usize {
        if self == Type::Ibm { 8 } else { self.stored() }
    }
}

/// A word of the trace header: 1-based first byte and type.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub byte: usize,
    pub kind: Type,
}

impl Field {
    pub fn new(byte: i64, name: &str, header_bytes: usize) -> Result<Field> {
        let Some(kind) = Type::parse(name) else {
            return refuse!("field type {name:?} at byte {byte} is unknown; use i1 u1 i2 u2 i4 u4 i8 u8 f4 f8 or ibm");
        };
        let last = header_bytes as i64 - kind.stored() as i64 + 1;
        if byte < 1 || byte > last {
            return refuse!(
                "field at byte {byte} ({name}) lies outside the {header_bytes}-byte trace header; its first byte must be \
                 1 to {last}"
            );
        }
        Ok(Field { byte: byte as usize, kind })
    }
}

/// A field and the memory of its values, in native byte order.
pub struct Column<'a> {
    pub field: Field,
    pub values: &'a mut [u8],
}

impl<'a> Column<'a> {
    /// The column in pieces of `rows` values.
    pub fn split(self, rows: usize) -> impl Iterator<Item = Column<'a>> {
        let field = self.field;
        self.values.chunks_mut(rows * field.kind.native()).map(move |values| Column { field, values })
    }

    /// The bytes of a trace header (0-based) that hold all fields.
    pub fn window(columns: &[Column<'_>]) -> Option<Range<usize>> {
        let first = columns.iter().map(|column| column.field.byte - 1).min()?;
        let last = columns.iter().map(|c| c.field.byte - 1 + c.field.kind.stored()).max()?;
        Some(first..last)
    }

    /// Values `at..` from a block of headers `stride` bytes apart whose first byte is header byte `origin` (0-based).
    pub fn fill(&mut self, at: usize, block: &[u8], stride: usize, origin: usize, endian: Endian) {
        let native = self.field.kind.native();
        let words = block[self.field.byte - 1 - origin..].chunks(stride);
        let values = &mut self.values[at * native..];
        match (self.field.kind, self.field.kind.stored()) {
            (Type::Ibm, _) => {
                for (value, word) in values.chunks_exact_mut(8).zip(words) {
                    value.copy_from_slice(&ibm::to_f64(endian.u32(word, 0)).to_ne_bytes());
                }
            }
            (_, 1) => copy::<1>(values, words, endian),
            (_, 2) => copy::<2>(values, words, endian),
            (_, 4) => copy::<4>(values, words, endian),
            _ => copy::<8>(values, words, endian),
        }
    }
}

/// Copy words to native byte order.
fn copy<'b, const N: usize>(values: &mut [u8], words: impl Iterator<Item = &'b [u8]>, endian: Endian) {
    let swap = (endian == Endian::Big) != cfg!(target_endian = "big");
    for (value, word) in values.chunks_exact_mut(N).zip(words) {
        let mut bytes: [u8; N] = word[..N].try_into().expect("N bytes");
        if swap {
            bytes.reverse();
        }
        value.copy_from_slice(&bytes);
    }
}

/// Values to be written: in the widest type of their kind, or whole numbers of the field's own type as bytes.
pub enum Values<'a> {
    Signed(&'a [i64]),
    Unsigned(&'a [u64]),
    Float(&'a [f64]),
    Own(&'a [u8]),
}

impl Values<'_> {
    fn get(&self, i: usize) -> Value {
        match self {
            Values::Signed(values) => Value::Whole(i128::from(values[i])),
            Values::Unsigned(values) => Value::Whole(i128::from(values[i])),
            Values::Float(values) => Value::Float(values[i]),
            Values::Own(_) => unreachable!("copied without looking at values"),
        }
    }
}

/// One value, kept in the kind it came in: neither int64 nor float64 holds all of the others.
#[derive(Clone, Copy)]
enum Value {
    Whole(i128),
    Float(f64),
}

impl Value {
    fn whole(self) -> Option<i128> {
        match self {
            Value::Whole(value) => Some(value),
            Value::Float(value) => (value.trunc() == value && value.abs() < 2e19).then_some(value as i128),
        }
    }

    fn float(self) -> f64 {
        match self {
            Value::Whole(value) => value as f64,
            Value::Float(value) => value,
        }
    }

    fn same(self, other: Value) -> bool {
        match (self, other) {
            (Value::Whole(one), Value::Whole(other)) => one == other,
            _ => self.float() == other.float() || self.float().is_nan() && other.float().is_nan(),
        }
    }
}

/// The value of a word.
fn decode(kind: Type, word: &[u8], endian: Endian) -> Value {
    let mut bytes = [0; 8];
    bytes[8 - word.len()..].copy_from_slice(word);
    if endian == Endian::Little {
        bytes[8 - word.len()..].reverse();
    }
    let bits = u64::from_be_bytes(bytes);
    match kind {
        Type::I1 => Value::Whole(i128::from(bits as i8)),
        Type::I2 => Value::Whole(i128::from(bits as i16)),
        Type::I4 => Value::Whole(i128::from(bits as i32)),
        Type::I8 => Value::Whole(i128::from(bits as i64)),
        Type::U1 | Type::U2 | Type::U4 | Type::U8 => Value::Whole(i128::from(bits)),
        Type::F4 => Value::Float(f64::from(f32::from_bits(bits as u32))),
        Type::F8 => Value::Float(f64::from_bits(bits)),
        Type::Ibm => Value::Float(ibm::to_f64(bits as u32)),
    }
}

/// The value's big-endian bytes in the type, right-aligned; `None` if it does not fit.
fn encode(kind: Type, value: Value) -> Option<[u8; 8]> {
    macro_rules! whole {
        ($type:ty) => {
            <$type>::try_from(value.whole()?).ok()? as u64
        };
    }
    let bits = match kind {
        Type::I1 => whole!(i8),
        Type::U1 => whole!(u8),
        Type::I2 => whole!(i16),
        Type::U2 => whole!(u16),
        Type::I4 => whole!(i32),
        Type::U4 => whole!(u32),
        Type::I8 => whole!(i64),
        Type::U8 => whole!(u64),
        Type::F4 => {
            let (wide, narrow) = (value.float(), value.float() as f32);
            (narrow.is_finite() || !wide.is_finite()).then_some(u64::from(narrow.to_bits()))?
        }
        Type::F8 => value.float().to_bits(),
        Type::Ibm => u64::from(ibm::from_f64(value.float())?),
    };
    Some(bits.to_be_bytes())
}

/// Headers patched at once: so many stay in the first-level cache while all columns are written.
const PATCHED: usize = 64;

/// Write columns into headers of `header_bytes` bytes each, where a word has another value: elsewhere its bytes stay, which
/// may say the same in another way or belong to another word too. Nothing is written if a value does not fit.
pub fn patch(headers: &mut [u8], header_bytes: usize, columns: &[(Field, Values<'_>)], endian: Endian) -> Result<()> {
    let rows = headers.len() / header_bytes;
    for (field, values) in columns.iter().filter(|(_, values)| !matches!(values, Values::Own(_))) {
        if let Some(i) = (0..rows).find(|i| encode(field.kind, values.get(*i)).is_none()) {
            return does_not_fit(*field, values.get(i), i);
        }
    }
    let mut before = vec![0; PATCHED * header_bytes];
    for (number, block) in headers.chunks_mut(PATCHED * header_bytes).enumerate() {
        let before = &mut before[..block.len()];
        before.copy_from_slice(block);
        for (field, values) in columns {
            let first = number * PATCHED;
            match (values, field.kind.stored()) {
                (Values::Own(bytes), 1) => {
                    patch_own::<1>(block, before, header_bytes, field.byte, &bytes[first..], endian)
                }
                (Values::Own(bytes), 2) => {
                    patch_own::<2>(block, before, header_bytes, field.byte, &bytes[2 * first..], endian)
                }
                (Values::Own(bytes), 4) => {
                    patch_own::<4>(block, before, header_bytes, field.byte, &bytes[4 * first..], endian)
                }
                (Values::Own(bytes), _) => {
                    patch_own::<8>(block, before, header_bytes, field.byte, &bytes[8 * first..], endian)
                }
                _ => patch_values(block, before, header_bytes, *field, |i| values.get(first + i), endian),
            }
        }
    }
    Ok(())
}

fn does_not_fit(field: Field, value: Value, trace: usize) -> Result<()> {
    let value = match value {
        Value::Whole(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
    };
    refuse!(
        "value {value} of trace {trace} does not fit header bytes {}-{} as {}; choose a wider type or another scale",
        field.byte,
        field.byte + field.kind.stored() - 1,
        field.kind.name()
    )
}

/// Whole numbers are the same where their bytes are.
fn patch_own<const N: usize>(
    headers: &mut [u8],
    before: &[u8],
    header_bytes: usize,
    byte: usize,
    values: &[u8],
    endian: Endian,
) {
    let swap = (endian == Endian::Big) != cfg!(target_endian = "big");
    let rows = headers.chunks_exact_mut(header_bytes).zip(before.chunks_exact(header_bytes));
    for ((header, before), value) in rows.zip(values.chunks_exact(N)) {
        let mut word: [u8; N] = value.try_into().expect("N bytes");
        if swap {
            word.reverse();
        }
        if before[byte - 1..byte - 1 + N] != word {
            header[byte - 1..byte - 1 + N].copy_from_slice(&word);
        }
    }
}

fn patch_values(
    headers: &mut [u8],
    before: &[u8],
    header_bytes: usize,
    field: Field,
    get: impl Fn(usize) -> Value,
    endian: Endian,
) {
    let word = field.byte - 1..field.byte - 1 + field.kind.stored();
    let rows = headers.chunks_exact_mut(header_bytes).zip(before.chunks_exact(header_bytes));
    for (i, (header, before)) in rows.enumerate() {
        if decode(field.kind, &before[word.clone()], endian).same(get(i)) {
            continue;
        }
        let encoded = encode(field.kind, get(i)).expect("checked before");
        let word = &mut header[word.clone()];
        word.copy_from_slice(&encoded[8 - word.len()..]);
        if endian == Endian::Little {
            word.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_then_fill() {
        for endian in [Endian::Big, Endian::Little] {
            for (name, value) in
                [("i2", -7.0), ("u4", 4e9), ("f4", 0.5), ("ibm", -118.625), ("u8", 1e19), ("i1", -128.0)]
            {
                let field = Field::new(9, name, 240).unwrap();
                let mut headers = vec![0u8; 480];
                patch(&mut headers, 240, &[(field, Values::Float(&[value, value]))], endian).unwrap();
                let mut values = vec![0u8; 2 * field.kind.native()];
                Column { field, values: &mut values }.fill(0, &headers, 240, 0, endian);
                let again = match name {
                    "i1" => f64::from(values[1] as i8),
                    "i2" => f64::from(i16::from_ne_bytes(values[2..4].try_into().unwrap())),
                    "u4" => f64::from(u32::from_ne_bytes(values[4..8].try_into().unwrap())),
                    "u8" => u64::from_ne_bytes(values[8..].try_into().unwrap()) as f64,
                    "f4" => f64::from(f32::from_ne_bytes(values[4..8].try_into().unwrap())),
                    _ => f64::from_ne_bytes(values[8..].try_into().unwrap()),
                };
                assert_eq!(again, value, "{name} {endian:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut headers = vec![1u8; 240];
        for (name, value) in
            [("i2", 40_000.0), ("u1", -1.0), ("i4", 0.5), ("f4", 1e300), ("ibm", f64::NAN), ("u8", 2e19)]
        {
            let field = Field::new(1, name, 240).unwrap();
            let error = patch(&mut headers, 240, &[(field, Values::Float(&[value]))], Endian::Big).unwrap_err();
            assert!(error.to_string().contains("trace 0 does not fit header bytes 1-"), "{error}");
        }
        assert_eq!(headers, vec![1u8; 240]);
        assert!(Field::new(238, "i4", 240).is_err() && Field::new(0, "i1", 240).is_err());
    }
}
