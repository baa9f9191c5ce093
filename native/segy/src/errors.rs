//! One error type for the core; the Python layer maps it to `SegyError`, `OSError` and `Cancelled`.

use std::fmt;

#[derive(Debug)]
pub enum Error {
    /// The file or an argument cannot be used: what was found, where, what to try.
    Refused(String),
    /// The operating system failed; the text says at what.
    Io(String, std::io::Error),
    /// The caller's flag was raised.
    Cancelled,
}

pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(message) => f.write_str(message),
            Error::Io(what, error) => write!(f, "{what}: {error}"),
            Error::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {}

/// Shorthand for a refusal with a formatted message.
#[macro_export]
macro_rules! refuse {
    ($($arg:tt)*) => { Err($crate::errors::Error::Refused(format!($($arg)*))) };
}
