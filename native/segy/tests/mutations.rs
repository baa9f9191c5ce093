//! A million damaged files, in memory: each is read or refused, and whatever is read is whole.
//!
//! Fields that decide the layout are mutated, with values at the edges of what they can hold: random bytes hardly ever
//! reach past the first check. `MUTATIONS=1000000 cargo test --release --test mutations` runs as many; two thousand by default.

use seisproc_native_segy::control::Control;
use seisproc_native_segy::fields::{Column, Field};
use seisproc_native_segy::formats::{Endian, Format};
use seisproc_native_segy::kind::Kind;
use seisproc_native_segy::open::{Options, Reader};
use seisproc_native_segy::source::Source;

/// Layout words: first byte and width.
const WORDS: &[(usize, usize)] = &[
    (3213, 2),
    (3217, 2),
    (3221, 2),
    (3225, 2),
    (3255, 2),
    (3261, 4),
    (3269, 4),
    (3273, 8),
    (3281, 8),
    (3297, 4),
    (3501, 1),
    (3502, 1),
    (3503, 2),
    (3505, 2),
    (3507, 2),
    (3507, 4),
    (3513, 8),
    (3521, 8),
    (3529, 4),
    (3601, 4),
    (3709, 2),
    (3715, 2),
    (3717, 2),
    (3815, 2),
    (3977, 4),
    (3985, 8),
    (4073, 8),
    (115, 2),
    (117, 2),
];
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    9,
    12,
    13,
    15,
    16,
    17,
    50,
    240,
    255,
    256,
    480,
    1000,
    3200,
    3600,
    3601,
    3840,
    6800,
    0x7FFF,
    0x8000,
    0xFFFE,
    0xFFFF,
    0x10000,
    0x0102_0304,
    0x0201_0403,
    0x0403_0201,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 40,
    1 << 62,
    1 << 63,
    u64::MAX,
];

/// xorshift64*: the cases are the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

fn put(file: &mut [u8], byte: usize, width: usize, value: u64, endian: Endian) {
    if let Some(word) = file.get_mut(byte - 1..byte - 1 + width) {
        word.copy_from_slice(&value.to_be_bytes()[8 - width..]);
        if endian == Endian::Little {
            word.reverse();
        }
    }
}

/// A sound file: SEG-Y or SU, any format, byte order, revision, text, extensions, equal or varying lengths.
fn sound(random: &mut Random) -> Vec<u8> {
    let endian = if random.one_in(2) { Endian::Big } else { Endian::Little };
    let formats = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16];
    let format = Format::from_code(formats[random.below(formats.len())]).expect("a known code");
    let (su, varying) = (random.one_in(5), random.one_in(4));
    let samples = [1, 3, 7, 40][random.below(4)];
    let two = random.one_in(2);
    let (extensions, records) = if two && !su { (random.below(3), random.below(3)) } else { (0, 0) };
    let mut file = vec![[0x40, b' ', 0][random.below(3)]; 3200];
    file.resize(3600 + records * 3200, b'C');
    for (byte, value) in
        [(3217, 2000), (3221, samples as u64), (3225, u64::from(format.code())), (3505, records as u64)]
    {
        put(&mut file, byte, 2, value, endian);
    }
    if two {
        file[3500] = 2;
        put(&mut file, 3507, 2, extensions as u64, endian);
        if random.one_in(2) {
            put(&mut file, 3297, 4, 0x0102_0304, endian);
        }
    }
    if records > 0 && random.one_in(2) {
        put(&mut file, 3505, 2, 0xFFFF, endian);
        let last = 3600 + (records - 1) * 3200;
        file[last..last + 16].copy_from_slice(b"((SEG: EndText))");
    }
    if su {
        file.clear();
    }
    for trace in 0..[0, 1, 2, 5, 9][random.below(5)] {
        let own = if varying { 1 + random.below(samples) } else { samples };
        let at = file.len();
        file.resize(at + 240 * (1 + extensions), 0);
        put(&mut file[at..], 1, 4, trace + 1, endian);
        put(&mut file[at..], 115, 2, own as u64, endian);
        put(&mut file[at..], 117, 2, 2000, endian);
        if extensions > 0 {
            file[at + 472..at + 480].copy_from_slice(b"SEG00001");
        }
        let bytes = if su { 4 } else { format.bytes() };
        (0..own * bytes).for_each(|_| file.push(random.next() as u8));
    }
    file
}

fn damage(file: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let (byte, width) = WORDS[random.below(WORDS.len())];
        let value = if random.one_in(2) { EDGES[random.below(EDGES.len())] } else { random.next() };
        let endian = if random.one_in(2) { Endian::Big } else { Endian::Little };
        put(file, byte, width, value, endian);
    }
    match random.below(8) {
        0 => file.truncate(random.below(file.len() + 1)),
        1 => file.extend((0..random.below(4000)).map(|i| i as u8)),
        2 if !file.is_empty() => {
            let at = random.below(file.len());
            file[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
}

fn options(random: &mut Random) -> Options {
    Options {
        kind: [None, None, None, Some(Kind::Su), Some(Kind::Segy)][random.below(5)],
        endian: [None, None, Some(Endian::Big), Some(Endian::Little)][random.below(4)],
        format: if random.one_in(6) { Format::from_code(random.below(17) as u32) } else { None },
        samples: if random.one_in(6) { Some([0, 1, 7, 40, u32::MAX][random.below(5)]) } else { None },
        revision: if random.one_in(6) { Some((random.below(3) as u8, 0)) } else { None },
        varying: random.one_in(3),
        lenient: random.one_in(3),
        ..Options::default()
    }
}

/// Read all of it; the numbers of the reader must agree with the file's size.
fn use_all(reader: &Reader) {
    let (traces, size) = (reader.shape.traces as usize, reader.source.size as usize);
    let count = traces.min(12);
    assert!(count * (reader.header_bytes() + 1) <= size, "more traces than the file has room for");
    let bytes = reader.format.bytes();
    if reader.shape.lengths.is_none() {
        assert_eq!(reader.shape.data_offset as usize + traces * reader.stride() + reader.shape.trailing as usize, size);
    } else {
        let own: usize = (0..traces).map(|trace| reader.header_bytes() + reader.own_samples(trace) * bytes).sum();
        assert_eq!(reader.shape.data_offset as usize + own + reader.shape.trailing as usize, size);
    }
    let mut headers = vec![0; count * reader.header_bytes()];
    let mut samples = vec![0.0; count * reader.samples()];
    reader.read(0..count, &mut samples, &mut headers, 2, Control::default()).expect("whole traces can be read");
    let mut raw = vec![0; count * reader.samples() * bytes];
    reader.raw_samples(0..count, &mut raw).expect("whole traces can be read");
    let mut again = vec![0; headers.len()];
    reader.headers(0..count, &mut again).expect("whole headers can be read");
    assert_eq!(headers, again);
    let mut words = vec![0; 4 * count];
    let field = Field::new(reader.header_bytes() as i64 - 3, "i4", reader.header_bytes()).expect("inside");
    let column = Column { field, values: &mut words };
    reader.columns(0..count, vec![column], 1, Control::default()).expect("whole headers can be read");
    assert!(reader.text().expect("read").iter().all(|line| !line.chars().any(char::is_control)));
    assert_eq!(reader.extended().expect("read").len() as u64, reader.shape.extended_text);
    assert!(reader.findings.iter().all(|finding| !finding.contains('\n')));
}

#[test]
fn damaged_files_are_read_or_refused() {
    let cases = std::env::var("MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(2000);
    let mut random = Random(0x5EED);
    let (mut read, mut refused) = (0u64, 0u64);
    for case in 0..cases {
        let mut file = sound(&mut random);
        if !random.one_in(20) {
            damage(&mut file, &mut random);
        }
        let length = file.len();
        let options = options(&mut random);
        let opened = Source::from_memory(file, "case.sgy").and_then(|source| Reader::over(source, &options));
        match opened {
            // No allocation follows from a header alone: what is handed out is bounded by the file.
            Ok(reader) if reader.samples() * 12 < 64 * (length + 4096) => {
                use_all(&reader);
                read += 1;
            }
            Ok(reader) => panic!("case {case}: {} samples out of {length} bytes", reader.samples()),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("case.sgy") && !message.contains('\n'), "case {case}: {message}");
                refused += 1;
            }
        }
    }
    println!("{cases} damaged files: {read} read, {refused} refused");
    assert!(read * 10 > cases && refused * 10 > cases, "{read} read, {refused} refused: both must be reached");
}
