//! Pieces of a file copied out of a memory map by the kernel, many with one system call.
//!
//! Touching a mapped page that the file no longer has kills the process (SIGBUS). The kernel that touches it on our behalf
//! stops there and says so instead: `process_vm_writev` is told to write pieces of the map into memory of this very process.

use std::fs::File;

#[cfg(target_os = "linux")]
use crate::map::Map;

/// Most pieces of one call: what Linux takes (`IOV_MAX`).
pub const MOST_ROWS: usize = 1024;
/// Bytes mapped at once: enough to make and drop their page tables together, and no more counts as memory of the process.
const MAPPED: u64 = 64 << 20;

/// Picks equal pieces out of a file.
pub struct Picker<'a> {
    file: &'a File,
    /// Of the file when it was opened.
    size: u64,
    map: Option<Map>,
}

impl<'a> Picker<'a> {
    pub fn new(file: &'a File, size: u64) -> Picker<'a> {
        Picker { file, size, map: None }
    }

    /// Fill `rows`, each of `width` bytes, from up to `MOST_ROWS` ascending offsets.
    ///
    /// False, with anything in the rows, where that cannot be done, whatever the reason: the system refuses the call
    /// (containers may), the file cannot be mapped or no longer reaches so far. Positioned reads then tell what is the
    /// matter, if anything is.
    pub fn pick(&mut self, rows: &mut [u8], width: usize, offsets: &[u64]) -> bool {
        let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else { return true };
        assert!(rows.len() == width * offsets.len() && offsets.len() <= MOST_ROWS && offsets.is_sorted());
        let Some(end) = last.checked_add(width as u64) else { return false };
        if !self.map.as_ref().is_some_and(|map| map.covers(first, end)) {
            self.map = None; // before the next is made: two would be twice the memory
            self.map = Map::new(self.file, first, end.max(self.size.min(first + MAPPED)));
        }
        let Some(map) = &self.map else { return false };
        // What follows the end of a file in its last page reads as zeros: after the copy the file must still be that long.
        map.copy(rows, width, offsets) && self.file.metadata().is_ok_and(|meta| meta.len() >= end)
    }
}

/// Elsewhere there is nothing of the kind.
#[cfg(not(target_os = "linux"))]
struct Map;

#[cfg(not(target_os = "linux"))]
impl Map {
    fn new(_file: &File, _from: u64, _to: u64) -> Option<Map> {
        None
    }

    fn covers(&self, _from: u64, _to: u64) -> bool {
        false
    }

    fn copy(&self, _rows: &mut [u8], _width: usize, _offsets: &[u64]) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};

    use super::*;

    /// A file of 3 pages and a half, and what is in it.
    fn file(name: &str) -> (File, Vec<u8>) {
        let content: Vec<u8> = (0..14 * 1024).map(|at| (at % 251) as u8 + 1).collect();
        let path = std::env::temp_dir().join(format!("picker-{name}-{}", std::process::id()));
        fs::write(&path, &content).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        fs::remove_file(path).unwrap();
        (file, content)
    }

    #[test]
    fn pieces_are_those_of_the_file() {
        let (file, content) = file("whole");
        let mut picker = Picker::new(&file, content.len() as u64);
        let offsets = [7, 4090, 4095, 8192, content.len() as u64 - 9];
        let mut rows = vec![0; 5 * 9];
        assert!(picker.pick(&mut rows, 9, &offsets), "does this system refuse process_vm_writev?");
        for (row, offset) in rows.chunks_exact(9).zip(offsets) {
            assert_eq!(row, &content[offset as usize..][..9]);
        }
        assert!(!picker.pick(&mut rows[..9], 9, &[content.len() as u64 - 8]));
        assert!(!picker.pick(&mut rows[..9], 9, &[u64::MAX - 3]));
    }

    #[test]
    fn what_was_cut_off_is_not_picked() {
        // To whole pages less, and inside the last page, whose rest reads as zeros.
        for left in [0, 4096, 3 * 4096 + 100] {
            let (file, content) = file(&format!("cut-{left}"));
            let mut picker = Picker::new(&file, content.len() as u64);
            let (near, far) = ([0, 20], [20, content.len() as u64 - 10]);
            let mut rows = vec![0; 20];
            assert!(picker.pick(&mut rows, 10, &far));
            file.set_len(left).unwrap();
            assert!(!picker.pick(&mut rows, 10, &far), "{left} bytes left");
            assert_eq!(picker.pick(&mut rows, 10, &near), left > 0);
        }
    }
}
