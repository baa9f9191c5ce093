//! Where the bytes come from: a regular file, memory, or an object of the caller's; always read by position.
//!
//! Positioned reads, not accesses to a memory map: a file cut short while it is being read gives an error here, a bus error
//! there. Where small pieces are wanted of a large file, `Picker` has the kernel make these accesses.

use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::errors::{Error, Result};
use crate::picker::Picker;
use crate::refuse;

/// Something that can be read at any position, from several threads at once.
pub trait ReadAt: Debug + Send + Sync {
    /// Fill `buffer` from byte `offset` (0-based), or fail with `UnexpectedEof` if the bytes end before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()>;

    /// The file that the bytes are, if they are one.
    fn file(&self) -> Option<&File> {
        None
    }
}

/// A name for messages, a size, and the bytes.
#[derive(Debug)]
pub struct Source {
    input: Box<dyn ReadAt>,
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
        Source::new(Box::new(file), path, meta.len())
    }

    /// A file held in memory.
    pub fn from_memory(bytes: Vec<u8>, name: &str) -> Result<Source> {
        let size = bytes.len() as u64;
        Source::new(Box::new(bytes), Path::new(name), size)
    }

    /// Any input of `size` bytes, called `name` in messages.
    pub fn new(input: Box<dyn ReadAt>, name: &Path, size: u64) -> Result<Source> {
        if size == 0 {
            return refuse!("{} is empty (0 bytes); check that its transfer finished", name.display());
        }
        Ok(Source { input, path: name.to_owned(), size })
    }

    /// Fill `buffer` from byte `offset` (0-based).
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.input.read_exact_at(buffer, offset).map_err(|error| {
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

    /// What picks small pieces out of a file; `None` where the input is no file.
    pub fn picker(&self) -> Option<Picker<'_>> {
        self.input.file().map(|file| Picker::new(file, self.size))
    }

    /// Up to `length` bytes from `offset`, fewer at the end of the file.
    pub fn peek(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let length = self.size.saturating_sub(offset).min(length as u64) as usize;
        let mut buffer = vec![0; length];
        self.read(offset, &mut buffer)?;
        Ok(buffer)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        copy_at(self, buffer, offset)
    }
}

/// Copy from bytes in memory.
pub fn copy_at(bytes: &[u8], buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    let from = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)?.get(..buffer.len()));
    buffer.copy_from_slice(from.ok_or(std::io::ErrorKind::UnexpectedEof)?);
    Ok(())
}

#[cfg(unix)]
impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn file(&self) -> Option<&File> {
        Some(self)
    }
}

#[cfg(windows)]
impl ReadAt for File {
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
        while !buffer.is_empty() {
            let count = std::os::windows::fs::FileExt::seek_read(self, buffer, offset)?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            buffer = &mut buffer[count..];
            offset += count as u64;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // A pipe without a writer would hold up a plain open for ever; regular files ignore the flag.
    const O_NONBLOCK: i32 = if cfg!(target_os = "linux") { 0o4000 } else { 4 };
    File::options().read(true).custom_flags(O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    File::open(path)
}
