//! A regular file read by position. Positioned reads, not a memory map of the whole: a file cut short while it is being read
//! gives an error here, a bus error there.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::errors::{Error, Result};
use crate::mapped::Mapped;
use crate::refuse;

#[derive(Debug)]
pub struct Source {
    file: File,
    pub path: PathBuf,
    pub size: u64,
}

impl Source {
    pub fn open(path: &Path) -> Result<Source> {
        let shown = path.display();
        let io = |error| Error::Io(format!("cannot open {shown}"), error);
        let file = open_without_waiting(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            let what = if meta.is_dir() { "a folder" } else { "a pipe or device" };
            return refuse!("{shown} is {what}, not a regular file; give the path of a SEG-Y or SU file");
        }
        if meta.len() == 0 {
            return refuse!("{shown} is empty (0 bytes); check that its transfer finished");
        }
        Ok(Source { file, path: path.to_owned(), size: meta.len() })
    }

    /// Fill `buffer` from byte `offset` (0-based).
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, buffer, offset).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                let end = offset + buffer.len() as u64;
                Error::Refused(format!(
                    "{} ended before byte {end}; it had {} bytes when it was opened: it has been cut short since",
                    self.path.display(),
                    self.size
                ))
            } else {
                let what = format!("cannot read {} at byte {}", self.path.display(), offset + 1);
                Error::Io(what, error)
            }
        })
    }

    /// A mapping of the bytes from `offset`, where the system has what makes it safe.
    pub(crate) fn map(&self, offset: u64, length: usize) -> Option<Mapped> {
        Mapped::new(&self.file, offset, length)
    }

    /// Up to `length` bytes from `offset`, fewer at the end of the file.
    pub fn peek(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let length = self.size.saturating_sub(offset).min(length as u64) as usize;
        let mut buffer = vec![0; length];
        self.read(offset, &mut buffer)?;
        Ok(buffer)
    }
}

#[cfg(unix)]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // A pipe without a writer would hold up a plain open for ever; regular files ignore the flag.
    const O_NONBLOCK: i32 = if cfg!(target_os = "linux") { 0o4000 } else { 4 };
    File::options().read(true).custom_flags(O_NONBLOCK).open(path)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}
