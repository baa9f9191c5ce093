//! The functions of the Python module that work on arrays in memory.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arguments::{SegyError, as_columns, new_columns, parse_endian, parse_fields, parse_format};
use crate::buffers::{Array, Watch, contiguous, empty};
use crate::encode::{Body, Rows, encode as encode_rows};
use crate::fields::{Field, Values, patch};
use crate::{ibm, text};

/// The rows and columns of a (n, header bytes) array.
fn header_shape(headers: &Array<u8>) -> PyResult<(usize, usize)> {
    match headers.shape() {
        [rows, bytes] if *bytes > 0 => Ok((*rows, *bytes)),
        shape => Err(PyTypeError::new_err(format!("headers has shape {shape:?}, it must be (traces, header bytes)"))),
    }
}

#[pyfunction]
pub fn decode_columns<'py>(
    py: Python<'py>,
    headers: &Bound<'py, PyAny>,
    fields: Vec<(i64, String)>,
    endian: &str,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let endian = parse_endian(endian)?;
    let headers = Array::<u8>::take(&contiguous(headers, None)?, "headers", "uint8")?;
    let (rows, header_bytes) = header_shape(&headers)?;
    let fields = parse_fields(&fields, header_bytes)?;
    let (arrays, mut memory) = new_columns(py, &fields, rows)?;
    let mut columns = as_columns(&fields, &mut memory);
    let block = headers.slice();
    if rows > 0 {
        py.detach(|| columns.iter_mut().for_each(|column| column.fill(0, block, header_bytes, 0, endian)));
    }
    Ok(arrays)
}

#[pyfunction]
pub fn patch_columns<'py>(
    py: Python<'py>,
    headers: &Bound<'py, PyAny>,
    fields: Vec<(i64, String)>,
    values: Vec<Bound<'py, PyAny>>,
    endian: &str,
) -> PyResult<()> {
    let endian = parse_endian(endian)?;
    let mut headers = Array::<u8>::take_mut(headers, "headers", "uint8")?;
    let (rows, header_bytes) = header_shape(&headers)?;
    let fields = parse_fields(&fields, header_bytes)?;
    if fields.len() != values.len() {
        return Err(SegyError::new_err(format!(
            "{} fields and {} columns of values; give one for each",
            fields.len(),
            values.len()
        )));
    }
    let held = fields
        .iter()
        .zip(&values)
        .map(|(field, column)| Held::take(py, *field, column, rows))
        .collect::<PyResult<Vec<_>>>()?;
    let columns: Vec<_> = fields.into_iter().zip(held.iter().map(Held::values)).collect();
    let out = headers.slice_mut();
    Ok(py.detach(|| patch(out, header_bytes, &columns, endian))?)
}

/// A column of values to write, held for the length of a call.
enum Held {
    Signed(Array<i64>),
    Unsigned(Array<u64>),
    Float(Array<f64>),
    Own(Array<u8>),
}

impl Held {
    fn take<'py>(py: Python<'py>, field: Field, column: &Bound<'py, PyAny>, rows: usize) -> PyResult<Held> {
        let column = contiguous(column, None)?;
        let given: usize = column.getattr(intern!(py, "size"))?.extract()?;
        if given != rows {
            let message = format!("{given} values for byte {}, but {rows} headers", field.byte);
            return Err(SegyError::new_err(message));
        }
        let dtype = column.getattr(intern!(py, "dtype"))?;
        let code: String = dtype.getattr(intern!(py, "str"))?.extract()?;
        let native = if cfg!(target_endian = "big") { '>' } else { '<' };
        if code.trim_start_matches([native, '|']) == field.kind.name() && !field.kind.is_float() {
            let bytes = column.call_method1(intern!(py, "view"), ("u1",))?;
            return Ok(Held::Own(Array::take(&bytes, "values", "uint8")?));
        }
        let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
        let wide = |dtype: &str| contiguous(&column, Some(dtype));
        Ok(match kind.as_str() {
            "b" | "i" => Held::Signed(Array::take(&wide("int64")?, "values", "int64")?),
            "u" => Held::Unsigned(Array::take(&wide("uint64")?, "values", "uint64")?),
            "f" => Held::Float(Array::take(&wide("float64")?, "values", "float64")?),
            _ => {
                let message = format!("values for byte {} must be integers or floats", field.byte);
                return Err(PyTypeError::new_err(message));
            }
        })
    }

    fn values(&self) -> Values<'_> {
        match self {
            Held::Signed(array) => Values::Signed(array.slice()),
            Held::Unsigned(array) => Values::Unsigned(array.slice()),
            Held::Float(array) => Values::Float(array.slice()),
            Held::Own(array) => Values::Own(array.slice()),
        }
    }
}

#[pyfunction]
#[pyo3(signature = (traces, headers, *, format, endian, raw_samples=None, flag=None, threads=1))]
#[allow(clippy::too_many_arguments)]
pub fn encode<'py>(
    py: Python<'py>,
    traces: Option<&Bound<'py, PyAny>>,
    headers: &Bound<'py, PyAny>,
    format: u32,
    endian: &str,
    raw_samples: Option<&Bound<'py, PyAny>>,
    flag: Option<&Bound<'py, PyAny>>,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let (format, endian) = (parse_format(format)?, parse_endian(endian)?);
    let watch = Watch::new(flag, None)?;
    let headers = Array::<u8>::take(&contiguous(headers, None)?, "headers", "uint8")?;
    let (rows, header_bytes) = header_shape(&headers)?;
    let two = |shape: &[usize], what: &str| match shape {
        [count, width] if *count == rows => Ok(*width),
        _ => Err(PyTypeError::new_err(format!("{what} has shape {shape:?}, but there are {rows} headers"))),
    };
    let (floats, raw);
    let (samples, body) = match (raw_samples, traces) {
        (Some(array), _) => {
            raw = Array::<u8>::take(&contiguous(array, None)?, "raw_samples", "uint8")?;
            let width = two(raw.shape(), "raw_samples")?;
            if width % format.bytes() != 0 {
                return Err(SegyError::new_err(format!(
                    "raw_samples has {width} bytes a trace, no whole number of {}-byte samples (format {})",
                    format.bytes(),
                    format.code()
                )));
            }
            (width / format.bytes(), Body::Raw(raw.slice()))
        }
        (None, Some(array)) => {
            floats = Array::<f32>::take(&contiguous(array, None)?, "traces", "float32")?;
            (two(floats.shape(), "traces")?, Body::Samples(floats.slice()))
        }
        (None, None) => return Err(PyTypeError::new_err("give traces or raw_samples")),
    };
    let rows = Rows { traces: rows, header_bytes, samples };
    let (array, mut memory) = empty::<u8>(py, rows.traces * (header_bytes + samples * format.bytes()), "u1")?;
    let (out, heads) = (memory.slice_mut(), headers.slice());
    let control = watch.control();
    py.detach(|| encode_rows(rows, heads, body, (format, endian), out, threads, control))?;
    Ok(array)
}

#[pyfunction]
pub fn ibm_to_float<'py>(py: Python<'py>, words: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let words = Array::<u32>::take(&contiguous(words, None)?, "words", "uint32")?;
    let (array, mut memory) = empty::<f32>(py, words.shape().to_vec(), "f4")?;
    let (words, out) = (words.slice(), memory.slice_mut());
    py.detach(|| out.iter_mut().zip(words).for_each(|(value, word)| *value = ibm::to_f32(*word)));
    Ok(array)
}

#[pyfunction]
pub fn float_to_ibm<'py>(py: Python<'py>, values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let values = Array::<f32>::take(&contiguous(values, None)?, "values", "float32")?;
    let (array, mut memory) = empty::<u32>(py, values.shape().to_vec(), "u4")?;
    let (values, out) = (values.slice(), memory.slice_mut());
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let message =
            format!("value {} at position {at} has no IBM float; remove NaN and infinities first", values[at]);
        return Err(SegyError::new_err(message));
    }
    py.detach(|| out.iter_mut().zip(values).for_each(|(word, value)| *word = ibm::from_f32(*value)));
    Ok(array)
}

#[pyfunction]
pub fn ebcdic_decode(data: &[u8]) -> String {
    text::ebcdic_decode(data)
}

#[pyfunction]
pub fn ebcdic_encode<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyBytes>> {
    match text::ebcdic_encode(text) {
        Ok(bytes) => Ok(PyBytes::new(py, &bytes)),
        Err(c) => Err(SegyError::new_err(format!("character {c:?} has no EBCDIC code (page 037); replace it"))),
    }
}
