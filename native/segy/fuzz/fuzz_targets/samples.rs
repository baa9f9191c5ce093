//! Any bytes as samples of any format: what `decode` calls exact encodes to the same bytes again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use seisproc_native_segy::formats::{Endian, Format};

fuzz_target!(|data: &[u8]| {
    let Some((choice, raw)) = data.split_first_chunk::<2>() else { return };
    let Some(format) = Format::from_code(u32::from(choice[0] % 17)) else { return };
    let endian = if choice[1] % 2 == 0 { Endian::Big } else { Endian::Little };
    let count = raw.len() / format.bytes();
    let raw = &raw[..count * format.bytes()];
    let mut values = vec![0f32; count];
    let exact = format.decode(endian, raw, &mut values);
    let finite = values.iter().all(|value| value.is_finite());
    if exact && format != Format::Gain && (finite || !format.needs_finite()) {
        let mut again = vec![0; raw.len()];
        format.encode(endian, &values, &mut again);
        assert_eq!(again, raw);
    }
});
