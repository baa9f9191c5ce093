//! What `SegyFile.open` takes beside a path: bytes in memory, and objects with `seek` and `read` or `readinto`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::buffers::Array;
use crate::source::{ReadAt, Source, copy_at};

/// The argument as a source. Nothing is copied; a stream is asked for its size by seeking to its end.
pub fn source(object: &Bound<'_, PyAny>) -> PyResult<Source> {
    let py = object.py();
    let has = |name: &str| object.hasattr(name);
    let buffer = if has("getbuffer")? { object.call_method0(intern!(py, "getbuffer"))? } else { object.clone() };
    if let Ok(view) = PyMemoryView::from(&buffer) {
        let memory = Memory(Array::take(&view.call_method1(intern!(py, "cast"), ("B",))?, "source", "uint8")?);
        let size = memory.0.slice().len() as u64;
        return Ok(Source::new(Box::new(memory), Path::new("<memory>"), size)?);
    }
    if has("seek")? && (has("readinto")? || has("read")?) {
        object.call_method1(intern!(py, "seek"), (0, 2))?;
        let size: u64 = object.call_method0(intern!(py, "tell"))?.extract()?;
        let name = object.getattr(intern!(py, "name")).and_then(|name| name.extract::<PathBuf>());
        let stream = Stream { into: has("readinto")?, object: Mutex::new(object.clone().unbind()) };
        return Ok(Source::new(Box::new(stream), &name.unwrap_or_else(|_| PathBuf::from("<stream>")), size)?);
    }
    let Ok(path) = object.extract::<PathBuf>() else {
        let kind = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "source is a {kind}; give a path, bytes or another buffer, or an object with seek and read"
        )));
    };
    Ok(py.detach(|| Source::open(&path))?)
}

/// A buffer of the caller's, kept exported (so neither freed nor resized) while the file is open.
struct Memory(Array<u8>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl ReadAt for Memory {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        copy_at(self.0.slice(), buffer, offset)
    }
}

/// A stream has one position: seek and read are one step, under a lock.
struct Stream {
    object: Mutex<Py<PyAny>>,
    into: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl ReadAt for Stream {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        // First the lock, then the interpreter, and never a call from here with the interpreter held: no two threads can wait
        // for each other.
        let object = self.object.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Python::attach(|py| {
            let object = object.bind(py);
            object.call_method1(intern!(py, "seek"), (offset,)).map_err(io::Error::other)?;
            let mut filled = 0;
            while filled < buffer.len() {
                let count = self.some(object, &mut buffer[filled..]).map_err(io::Error::other)?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                filled += count;
            }
            Ok(())
        })
    }
}

impl Stream {
    /// Read some bytes; 0 at the end.
    fn some(&self, object: &Bound<'_, PyAny>, buffer: &mut [u8]) -> PyResult<usize> {
        let py = object.py();
        let bytes = if self.into {
            let room = py.import(intern!(py, "builtins"))?.getattr(intern!(py, "bytearray"))?.call1((buffer.len(),))?;
            let count: usize = object.call_method1(intern!(py, "readinto"), (&room,))?.extract()?;
            let bytes = Array::<u8>::take(&room, "readinto", "uint8")?;
            let read = bytes.slice().get(..count.min(buffer.len())).unwrap_or_default();
            buffer[..read.len()].copy_from_slice(read);
            return Ok(read.len());
        } else {
            object.call_method1(intern!(py, "read"), (buffer.len(),))?
        };
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }
}
