//! The Python module `seisproc_native_segy._internal`. Signatures and their documentation stand in `_internal.pyi`.

use std::ops::Range;
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};

use crate::arguments::{SegyError, as_columns, new_columns, parse, parse_endian, parse_fields, parse_format};
use crate::buffers::{Array, Watch, empty};
use crate::inputs::source;
use crate::kind::Kind;
use crate::open::{Options, Reader};
use crate::text::Encoding;

/// Most bytes handed out as a suffix; the largest trailer believed has 105 MB.
const MOST_SUFFIX: u64 = 1 << 28;

/// What `open` was told, kept for pickling.
#[derive(IntoPyObject)]
struct Told {
    source: Py<PyAny>,
    kind: Option<String>,
    endian: Option<String>,
    format: Option<u32>,
    samples: Option<u32>,
    interval_us: Option<f64>,
    text_encoding: Option<String>,
    revision: Option<(u8, u8)>,
    lengths: String,
    lenient: bool,
}

impl Told {
    fn options(&self) -> PyResult<Options> {
        if let Some(interval) = self.interval_us.filter(|us| !(us.is_finite() && *us > 0.0)) {
            return Err(SegyError::new_err(format!(
                "interval_us={interval} is no sample interval; pass microseconds above 0"
            )));
        }
        if let Some((major, minor)) = self.revision.filter(|(major, minor)| *major > 2 || *minor > 9) {
            return Err(SegyError::new_err(format!(
                "revision=({major}, {minor}) is no SEG-Y revision; use (0, 0) to (2, 1)"
            )));
        }
        let kinds = [("segy", Kind::Segy), ("su", Kind::Su)];
        let encodings = [("ebcdic", Encoding::Ebcdic), ("ascii", Encoding::Ascii)];
        Ok(Options {
            kind: self.kind.as_deref().map(|name| parse("kind", name, &kinds)).transpose()?,
            endian: self.endian.as_deref().map(parse_endian).transpose()?,
            format: self.format.map(parse_format).transpose()?,
            samples: self.samples,
            interval_us: self.interval_us,
            text_encoding: self
                .text_encoding
                .as_deref()
                .map(|name| parse("text_encoding", name, &encodings))
                .transpose()?,
            revision: self.revision,
            varying: parse("lengths", &self.lengths, &[("same", false), ("pad", true)])?,
            lenient: self.lenient,
        })
    }

    fn open(self, py: Python<'_>) -> PyResult<SegyFile> {
        let options = self.options()?;
        let source = source(self.source.bind(py))?;
        let reader = py.detach(|| Reader::over(source, &options))?;
        Ok(SegyFile { reader: Arc::new(reader), told: self })
    }
}

#[pyclass(frozen, module = "seisproc_native_segy")]
struct SegyFile {
    reader: Arc<Reader>,
    told: Told,
}

impl SegyFile {
    fn range(&self, start: usize, stop: usize) -> PyResult<Range<usize>> {
        let traces = self.reader.shape.traces;
        if start > stop || stop as u64 > traces {
            return Err(SegyError::new_err(format!(
                "traces {start}..{stop} of {}, which has {traces}; ask for 0 <= start <= stop <= {traces}",
                self.reader.source.path.display()
            )));
        }
        Ok(start..stop)
    }

    fn bytes<'py>(&self, py: Python<'py>, from: u64, to: u64) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, (to - from) as usize, |buffer| Ok(py.detach(|| self.reader.source.read(from, buffer))?))
    }
}

#[pymethods]
impl SegyFile {
    #[classmethod]
    #[pyo3(signature = (source, *, kind=None, endian=None, format=None, samples=None, interval_us=None,
                        text_encoding=None, revision=None, lengths="same", lenient=false))]
    #[allow(clippy::too_many_arguments)]
    fn open(
        _class: &Bound<'_, PyType>,
        py: Python<'_>,
        source: Py<PyAny>,
        kind: Option<String>,
        endian: Option<String>,
        format: Option<u32>,
        samples: Option<u32>,
        interval_us: Option<f64>,
        text_encoding: Option<String>,
        revision: Option<(u8, u8)>,
        lengths: &str,
        lenient: bool,
    ) -> PyResult<SegyFile> {
        let lengths = lengths.to_owned();
        Told { source, kind, endian, format, samples, interval_us, text_encoding, revision, lengths, lenient }.open(py)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Told,))> {
        let module = py.import(intern!(py, "seisproc_native_segy._internal"))?;
        let told = &self.told;
        let told = Told {
            source: told.source.clone_ref(py),
            kind: told.kind.clone(),
            endian: told.endian.clone(),
            text_encoding: told.text_encoding.clone(),
            lengths: told.lengths.clone(),
            ..*told
        };
        Ok((module.getattr(intern!(py, "_reopen"))?, (told,)))
    }

    fn __repr__(&self) -> String {
        let r = &self.reader;
        format!(
            "SegyFile({:?}, kind={:?}, traces={}, samples={}, format={}, endian={:?})",
            r.source.path.display().to_string(),
            r.kind.name(),
            r.shape.traces,
            r.samples(),
            r.format.code(),
            r.endian.name()
        )
    }

    #[getter]
    fn path(&self) -> String {
        self.reader.source.path.to_string_lossy().into_owned()
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.reader.kind.name()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.reader.source.size
    }

    #[getter]
    fn endian(&self) -> &'static str {
        self.reader.endian.name()
    }

    #[getter]
    fn format(&self) -> u32 {
        self.reader.format.code()
    }

    #[getter]
    fn sample_bytes(&self) -> usize {
        self.reader.format.bytes()
    }

    #[getter]
    fn revision(&self) -> (u8, u8) {
        self.reader.revision
    }

    #[getter]
    fn samples(&self) -> u64 {
        self.reader.shape.samples
    }

    #[getter]
    fn interval_s(&self) -> f64 {
        self.reader.interval_s
    }

    #[getter]
    fn traces(&self) -> u64 {
        self.reader.shape.traces
    }

    #[getter]
    fn data_offset(&self) -> u64 {
        self.reader.shape.data_offset
    }

    #[getter]
    fn trace_stride(&self) -> u64 {
        self.reader.shape.stride()
    }

    #[getter]
    fn header_bytes(&self) -> u64 {
        self.reader.shape.header_bytes
    }

    #[getter]
    fn extended_text(&self) -> u64 {
        self.reader.shape.extended_text
    }

    #[getter]
    fn text_encoding(&self) -> &'static str {
        self.reader.text_encoding.name()
    }

    #[getter]
    fn trailing_bytes(&self) -> u64 {
        self.reader.shape.trailing
    }

    #[getter]
    fn findings(&self) -> Vec<String> {
        self.reader.findings.clone()
    }

    #[getter]
    fn reasons<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let reasons = PyDict::new(py);
        self.reader.reasons.iter().try_for_each(|(what, why)| reasons.set_item(what, why))?;
        Ok(reasons)
    }

    fn text(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.reader.text())?)
    }

    fn extended(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.reader.extended())?)
    }

    fn prefix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.bytes(py, 0, self.reader.shape.data_offset)
    }

    fn suffix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let (size, trailing) = (self.reader.source.size, self.reader.shape.trailing);
        if trailing > MOST_SUFFIX {
            return Err(SegyError::new_err(format!(
                "the {trailing} bytes after the last trace of {} are no trailer; the sample count {} of {} may be wrong: \
                 pass samples=",
                self.reader.source.path.display(),
                self.reader.shape.samples,
                self.reader.shape.said_by
            )));
        }
        self.bytes(py, size - trailing, size)
    }

    fn headers<'py>(&self, py: Python<'py>, start: usize, stop: usize) -> PyResult<Bound<'py, PyAny>> {
        let range = self.range(start, stop)?;
        let (array, mut memory) = empty::<u8>(py, (range.len(), self.reader.header_bytes()), "u1")?;
        let out = memory.slice_mut();
        py.detach(|| self.reader.headers(range, out))?;
        Ok(array)
    }

    fn raw_samples<'py>(&self, py: Python<'py>, start: usize, stop: usize) -> PyResult<Bound<'py, PyAny>> {
        let range = self.range(start, stop)?;
        let row = self.reader.samples() * self.reader.format.bytes();
        let (array, mut memory) = empty::<u8>(py, (range.len(), row), "u1")?;
        let out = memory.slice_mut();
        py.detach(|| self.reader.raw_samples(range, out))?;
        Ok(array)
    }

    fn lengths<'py>(&self, py: Python<'py>, start: usize, stop: usize) -> PyResult<Bound<'py, PyAny>> {
        let range = self.range(start, stop)?;
        let (array, mut memory) = empty::<u32>(py, range.len(), "u4")?;
        memory.slice_mut().iter_mut().zip(range).for_each(|(n, trace)| *n = self.reader.own_samples(trace) as u32);
        Ok(array)
    }

    #[pyo3(signature = (fields, start, stop, *, threads=1, flag=None))]
    fn columns<'py>(
        &self,
        py: Python<'py>,
        fields: Vec<(i64, String)>,
        start: usize,
        stop: usize,
        threads: usize,
        flag: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let range = self.range(start, stop)?;
        let watch = Watch::new(flag, None)?;
        let fields = parse_fields(&fields, self.reader.header_bytes())?;
        let (arrays, mut memory) = new_columns(py, &fields, range.len())?;
        let columns = as_columns(&fields, &mut memory);
        let control = watch.control();
        py.detach(|| self.reader.columns(range, columns, threads, control))?;
        Ok(arrays)
    }

    #[pyo3(signature = (start, stop, *, traces=None, threads=1, flag=None, progress=None))]
    #[allow(clippy::too_many_arguments)]
    fn read<'py>(
        &self,
        py: Python<'py>,
        start: usize,
        stop: usize,
        traces: Option<Bound<'py, PyAny>>,
        threads: usize,
        flag: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, bool)> {
        let range = self.range(start, stop)?;
        let watch = Watch::new(flag, progress)?;
        let (count, samples) = (range.len(), self.reader.samples());
        let (traces, mut values) = match traces {
            Some(array) => {
                let memory = Array::<f32>::take_mut(&array, "traces", "float32")?;
                if memory.shape() != [count, samples] {
                    return Err(PyTypeError::new_err(format!(
                        "traces has shape {:?}, {count} traces of {samples} samples need ({count}, {samples})",
                        memory.shape()
                    )));
                }
                (array, memory)
            }
            None => empty::<f32>(py, (count, samples), "f4")?,
        };
        let (headers, mut header_memory) = empty::<u8>(py, (count, self.reader.header_bytes()), "u1")?;
        let (values, bytes) = (values.slice_mut(), header_memory.slice_mut());
        let control = watch.control();
        let exact = py.detach(|| self.reader.read(range, values, bytes, threads, control))?;
        Ok((traces, headers, exact))
    }
}

#[pyfunction]
fn _reopen(py: Python<'_>, told: &Bound<'_, PyAny>) -> PyResult<SegyFile> {
    let get = |name: &str| told.get_item(name);
    Told {
        source: get("source")?.unbind(),
        kind: get("kind")?.extract()?,
        endian: get("endian")?.extract()?,
        format: get("format")?.extract()?,
        samples: get("samples")?.extract()?,
        interval_us: get("interval_us")?.extract()?,
        text_encoding: get("text_encoding")?.extract()?,
        revision: get("revision")?.extract()?,
        lengths: get("lengths")?.extract()?,
        lenient: get("lenient")?.extract()?,
    }
    .open(py)
}

#[pymodule]
mod _internal {
    #[pymodule_export]
    use super::{_reopen, SegyFile};
    #[pymodule_export]
    use crate::arguments::{Cancelled, SegyError};
    #[pymodule_export]
    use crate::functions::{
        decode_columns, ebcdic_decode, ebcdic_encode, encode, float_to_ibm, ibm_to_float, patch_columns,
    };
}
