//! SEG-Y (revisions 0 to 2.1) and SU files: detection, exact decoding, header columns, encoding.
//!
//! The core is plain Rust; `python` (feature `python`) wraps it for NumPy.

pub mod control;
pub mod encode;
pub mod errors;
pub mod fields;
mod fitting;
pub mod formats;
pub mod ibm;
pub mod interval;
pub mod kind;
pub mod layout;
pub mod lengths;
#[cfg(target_os = "linux")]
mod map;
pub mod open;
mod picker;
pub mod read;
mod reader;
mod segy;
pub mod source;
mod su;
pub mod text;
pub mod words;

#[cfg(feature = "python")]
mod arguments;
#[cfg(feature = "python")]
mod buffers;
#[cfg(feature = "python")]
mod functions;
#[cfg(feature = "python")]
mod inputs;
#[cfg(feature = "python")]
mod python;
