//! A part of a file mapped into memory, which the kernel copies from.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

/// A part of a file in the address space of this process, never accessed from here.
pub struct Map {
    address: *mut libc::c_void,
    length: usize,
    /// Offset in the file of the first mapped byte.
    start: u64,
}

impl Map {
    /// Map the pages that hold bytes `from..to` of the file; `None` if the system or the file does not allow it.
    pub fn new(file: &File, from: u64, to: u64) -> Option<Map> {
        // SAFETY: asks for a number.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        let start = from - from % page;
        let length = usize::try_from(to - start).ok()?;
        let offset = libc::off_t::try_from(start).ok()?;
        let (access, kind) = (libc::PROT_READ, libc::MAP_SHARED);
        // SAFETY: a new, read-only mapping at an address that the system chooses.
        let address = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, file.as_raw_fd(), offset) };
        if address == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: advice on reading ahead from the disk, for the mapping just made; it does not matter whether it is taken.
        unsafe { libc::madvise(address, length, libc::MADV_SEQUENTIAL) };
        Some(Map { address, length, start })
    }

    pub fn covers(&self, from: u64, to: u64) -> bool {
        self.start <= from && to <= self.start + self.length as u64
    }

    /// Copy a piece of `width` bytes from every offset, all of them covered, to `rows`; whether that went well to the end.
    pub fn copy(&self, rows: &mut [u8], width: usize, offsets: &[u64]) -> bool {
        let piece = |offset: &u64| libc::iovec {
            iov_base: self.address.wrapping_byte_add((offset - self.start) as usize),
            iov_len: width,
        };
        let pieces: Vec<libc::iovec> = offsets.iter().map(piece).collect();
        let target = libc::iovec { iov_base: rows.as_mut_ptr().cast(), iov_len: rows.len() };
        // SAFETY: the counts are those of the arrays. The pieces are only read, and by the kernel, which does not mind what
        // they are; it writes to `rows` alone, which is borrowed mutably.
        let copied = unsafe {
            libc::process_vm_writev(libc::getpid(), pieces.as_ptr(), pieces.len() as libc::c_ulong, &target, 1, 0)
        };
        copied == rows.len() as isize
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; no pointer into it was handed out.
        unsafe { libc::munmap(self.address, self.length) };
    }
}
