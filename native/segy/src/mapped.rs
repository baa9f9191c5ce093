//! A short-lived mapping of a part of a file, for scans of trace headers: only the cache lines of the headers are touched,
//! where positioned reads cost a system call for each header or a copy of all the samples between them.
//!
//! A mapping's danger is the bus error: a page that cannot be read when it is touched, because the file was cut short or
//! its disk fails, kills the process. So the kernel is asked to read the pages of each piece first (MADV_POPULATE_READ,
//! Linux 5.14), which fails with an ordinary error instead; then, and on other systems, the caller reads by position. What
//! remains is a file cut short within the fraction of a millisecond in which the piece is used.

use std::fs::File;

#[cfg(target_os = "linux")]
pub struct Mapped {
    address: *mut u8,
    length: usize,
    page: usize,
    /// Bytes between the start of the first page and the part asked for.
    skip: usize,
}

#[cfg(target_os = "linux")]
impl Mapped {
    /// Map bytes `offset..offset + length` of the file; nothing is read yet.
    pub fn new(file: &File, offset: u64, length: usize) -> Option<Mapped> {
        use std::os::fd::AsRawFd;
        // SAFETY: asks a number of the system.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        let skip = (offset % page as u64) as usize;
        let start = libc::off_t::try_from(offset - skip as u64).ok()?;
        let length = length + skip;
        // SAFETY: a new mapping at an address of the kernel's choice; it touches no memory of ours.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), start)
        };
        (address != libc::MAP_FAILED).then_some(Mapped { address: address.cast(), length, page, skip })
    }

    /// `length` bytes from `at`, counted from the mapping's `offset`, with all their pages read in; `None` if that fails.
    pub fn present(&self, at: usize, length: usize) -> Option<&[u8]> {
        let (from, to) = (self.skip + at, self.skip + at + length);
        let first = from / self.page * self.page;
        // SAFETY: the mapping is at least as long as the slice below.
        let pages = unsafe { std::slice::from_raw_parts(self.address, self.length) }.get(first..to)?;
        let address = pages.as_ptr().cast_mut().cast();
        // SAFETY: pages of this mapping; the advice only reads them in.
        let read = unsafe { libc::madvise(address, pages.len(), libc::MADV_POPULATE_READ) } == 0;
        // Another process may change the file meanwhile; the bytes are only copied out, as by a read at that moment.
        read.then(|| &pages[from - first..])
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, unmapped once; no slice of it outlives `self`.
        unsafe { libc::munmap(self.address.cast(), self.length) };
    }
}

#[cfg(not(target_os = "linux"))]
pub enum Mapped {}

#[cfg(not(target_os = "linux"))]
impl Mapped {
    pub fn new(_file: &File, _offset: u64, _length: usize) -> Option<Mapped> {
        None
    }

    pub fn present(&self, _at: usize, _length: usize) -> Option<&[u8]> {
        match *self {}
    }
}
