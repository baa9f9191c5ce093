//! What Python hands over and gets back: checked names and codes, header columns, errors as exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

use crate::buffers::{Array, empty};
use crate::errors::Error;
use crate::fields::{Column, Field, Type};
use crate::formats::{Endian, Format};

create_exception!(seisproc_native_segy, SegyError, PyValueError, "The file or an argument cannot be used as asked.");
create_exception!(seisproc_native_segy, Cancelled, PyException, "The flag was raised during a long loop.");

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        match error {
            Error::Refused(message) => SegyError::new_err(message),
            // What a stream of the caller's raised is raised again.
            Error::Io(_, error) if error.get_ref().is_some_and(|inner| inner.is::<PyErr>()) => error.into(),
            Error::Io(what, error) => std::io::Error::new(error.kind(), format!("{what}: {error}")).into(),
            Error::Cancelled => Cancelled::new_err("cancelled by the caller's flag"),
        }
    }
}

pub fn parse<T>(what: &str, given: &str, choices: &[(&str, T)]) -> PyResult<T>
where
    T: Copy,
{
    choices.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        SegyError::new_err(format!("{what}={given:?} is unknown; use {}", names.join(" or ")))
    })
}

pub fn parse_endian(name: &str) -> PyResult<Endian> {
    parse("endian", name, &[("big", Endian::Big), ("little", Endian::Little)])
}

pub fn parse_format(code: u32) -> PyResult<Format> {
    Format::from_code(code).ok_or_else(|| {
        SegyError::new_err(format!("format={code} is no SEG-Y sample format; SEG-Y knows {}", Format::CODES))
    })
}

pub fn parse_fields(fields: &[(i64, String)], header_bytes: usize) -> PyResult<Vec<Field>> {
    fields.iter().map(|(byte, name)| Ok(Field::new(*byte, name, header_bytes)?)).collect()
}

/// New arrays, and their memory as bytes.
type NewColumns<'py> = (Vec<Bound<'py, PyAny>>, Vec<Array<u8>>);

pub fn new_columns<'py>(py: Python<'py>, fields: &[Field], rows: usize) -> PyResult<NewColumns<'py>> {
    let mut arrays = Vec::new();
    let mut memory = Vec::new();
    for field in fields {
        let dtype = match field.kind {
            Type::I1 => "i1",
            Type::U1 => "u1",
            Type::I2 => "i2",
            Type::U2 => "u2",
            Type::I4 => "i4",
            Type::U4 => "u4",
            Type::I8 => "i8",
            Type::U8 => "u8",
            Type::F4 => "f4",
            Type::F8 | Type::Ibm => "f8",
        };
        let (bytes, view) = empty::<u8>(py, rows * field.kind.native(), "u1")?;
        arrays.push(bytes.call_method1(intern!(py, "view"), (dtype,))?);
        memory.push(view);
    }
    Ok((arrays, memory))
}

pub fn as_columns<'m>(fields: &[Field], memory: &'m mut [Array<u8>]) -> Vec<Column<'m>> {
    let pairs = fields.iter().zip(memory);
    pairs.map(|(field, memory)| Column { field: *field, values: memory.slice_mut() }).collect()
}
