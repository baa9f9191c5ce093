//! Any bytes as a file: the first three choose the options, the rest is the content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use seisproc_native_segy::control::Control;
use seisproc_native_segy::formats::{Endian, Format};
use seisproc_native_segy::kind::Kind;
use seisproc_native_segy::open::{Options, Reader};
use seisproc_native_segy::source::Source;

fuzz_target!(|data: &[u8]| {
    let Some((choice, content)) = data.split_first_chunk::<3>() else { return };
    let options = Options {
        kind: [None, Some(Kind::Segy), Some(Kind::Su)][usize::from(choice[0] % 3)],
        endian: [None, Some(Endian::Big), Some(Endian::Little)][usize::from(choice[0] / 3 % 3)],
        format: Format::from_code(u32::from(choice[1] % 24)),
        samples: (choice[2] >= 128).then_some(u32::from(choice[2] % 64)),
        varying: choice[2] & 64 != 0,
        lenient: choice[2] & 32 != 0,
        ..Options::default()
    };
    let Ok(reader) = Source::from_memory(content.to_vec(), "fuzz").and_then(|source| Reader::over(source, &options)) else {
        return;
    };
    let count = (reader.shape.traces as usize).min(8);
    if count == 0 {
        return;
    }
    let mut headers = vec![0; count * reader.header_bytes()];
    let mut samples = vec![0.0; count * reader.samples()];
    reader.read(0..count, &mut samples, &mut headers, 1, Control::default()).expect("whole traces can be read");
    reader.text().expect("the text header is there");
    reader.extended().expect("the extended text is there");
});
