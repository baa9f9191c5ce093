//! The core without Python: files are built, opened, read, and built again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use proptest::prelude::*;
use seisproc_native_segy::control::Control;
use seisproc_native_segy::encode::{Body, Rows, encode};
use seisproc_native_segy::errors::Error;
use seisproc_native_segy::fields::{Column, Field, Values, patch};
use seisproc_native_segy::formats::{Endian, Format};
use seisproc_native_segy::open::{Options, Reader};

/// A file in the temporary folder, removed when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(content: &[u8]) -> Temporary {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("segy-core-{}-{}.sgy", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn put(bytes: &mut [u8], byte: usize, value: u16, endian: Endian) {
    let raw = if endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
    bytes[byte - 1..byte + 1].copy_from_slice(&raw);
}

/// Binary header, and trace headers numbered from 0, of a plain SEG-Y file.
fn headers(traces: usize, samples: u16, format: Format, endian: Endian) -> (Vec<u8>, Vec<u8>) {
    let mut head = vec![0x40; 3200];
    head.resize(3600, 0);
    for (byte, value) in [(3217, 2000), (3221, samples), (3225, format.code() as u16)] {
        put(&mut head, byte, value, endian);
    }
    let mut heads = vec![0; traces * 240];
    let numbers: Vec<i64> = (0..traces as i64).collect();
    patch(&mut heads, 240, &[(Field::new(1, "i4", 240).unwrap(), Values::Signed(&numbers))], endian).unwrap();
    heads.chunks_exact_mut(240).for_each(|header| put(header, 115, samples, endian));
    (head, heads)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// write -> open -> read -> write gives the same bytes, for all formats, byte orders, sizes and numbers of threads.
    #[test]
    fn round_trip(code in 1u32..=16, little: bool, traces in 1usize..40, samples in 1u16..90, threads in 1usize..4,
                  values in proptest::collection::vec(-2000i16..2000, 90)) {
        let Some(format) = Format::from_code(code).filter(|format| *format != Format::Gain) else { return Ok(()) };
        let endian = if little { Endian::Little } else { Endian::Big };
        let (mut file, heads) = headers(traces, samples, format, endian);
        let row: Vec<f32> = values[..usize::from(samples)].iter().map(|x| f32::from(*x).abs() % 128.0).collect();
        let rows = Rows { traces, header_bytes: 240, samples: row.len() };
        let mut body = vec![0; traces * (240 + row.len() * format.bytes())];
        encode(rows, &heads, Body::Samples(&row.repeat(traces)), (format, endian), &mut body, threads, Control::default())?;
        file.extend(&body);

        let temporary = Temporary::new(&file);
        let reader = Reader::open(&temporary.0, &Options::default())?;
        prop_assert_eq!((reader.shape.traces as usize, reader.samples()), (traces, row.len()));
        prop_assert_eq!((reader.format, reader.endian), (format, endian));
        let (mut read, mut again) = (vec![0f32; traces * row.len()], vec![0; traces * 240]);
        prop_assert!(reader.read(0..traces, &mut read, &mut again, threads, Control::default())?);
        prop_assert_eq!(read, row.repeat(traces));
        prop_assert_eq!(&again, &heads);
        let mut numbers = vec![0u8; 4 * traces];
        let column = Column { field: Field::new(1, "i4", 240)?, values: &mut numbers };
        reader.columns(0..traces, vec![column], threads, Control::default())?;
        let expected: Vec<u8> = (0..traces as i32).flat_map(i32::to_ne_bytes).collect();
        prop_assert_eq!(numbers, expected);
    }
}

#[test]
fn flag_and_progress() {
    let (mut file, heads) = headers(9, 4, Format::I16, Endian::Big);
    heads.chunks_exact(240).for_each(|header| file.extend(header.iter().chain(&[0; 8])));
    let temporary = Temporary::new(&file);
    let reader = Reader::open(&temporary.0, &Options::default()).unwrap();
    let (flag, progress) = (AtomicU8::new(0), AtomicU64::new(0));
    let control = Control { flag: Some(&flag), progress: Some(&progress) };
    let (mut samples, mut again) = (vec![0f32; 36], vec![0; 9 * 240]);
    reader.read(0..9, &mut samples, &mut again, 2, control).unwrap();
    assert_eq!(progress.load(Ordering::Relaxed), 9);
    flag.store(1, Ordering::Relaxed);
    assert!(matches!(reader.read(0..9, &mut samples, &mut again, 2, control), Err(Error::Cancelled)));
}

#[test]
fn a_cut_file_is_refused() {
    let (mut file, heads) = headers(3, 4, Format::F32, Endian::Little);
    heads.chunks_exact(240).for_each(|header| file.extend(header.iter().chain(&[0; 16])));
    let temporary = Temporary::new(&file[..file.len() - 1]);
    let error = Reader::open(&temporary.0, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("says 4, giving 2 traces of 256 bytes and 255 left over"), "{error}");
    let options = Options { lenient: true, ..Options::default() };
    assert_eq!(Reader::open(&temporary.0, &options).unwrap().shape.traces, 2);
}
