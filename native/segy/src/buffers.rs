//! NumPy arrays in and out, through the buffer protocol and `numpy.empty`: no dependency on NumPy's C interface.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU64};

use pyo3::buffer::{Element, PyBuffer, PyUntypedBuffer};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::control::Control;

/// A contiguous array held for the length of a call.
pub struct Array<T: Element>(PyBuffer<T>);

impl<T: Element> Array<T> {
    /// Take an argument as it is; `what` and `type_name` name it in errors.
    pub fn take(object: &Bound<'_, PyAny>, what: &str, type_name: &str) -> PyResult<Array<T>> {
        let wrong = |error: PyErr| {
            let message = format!("{what} must be a C-contiguous {type_name} array: {error}");
            PyTypeError::new_err(message)
        };
        let buffer = PyBuffer::<T>::get(object).map_err(wrong)?;
        if !buffer.is_c_contiguous() {
            return Err(PyTypeError::new_err(format!("{what} must be C-contiguous; use numpy.ascontiguousarray")));
        }
        Ok(Array(buffer))
    }

    /// As `take`, and the array must be writable.
    pub fn take_mut(object: &Bound<'_, PyAny>, what: &str, type_name: &str) -> PyResult<Array<T>> {
        let array = Array::take(object, what, type_name)?;
        if array.0.readonly() {
            return Err(PyTypeError::new_err(format!("{what} is read-only; pass a writable array")));
        }
        Ok(array)
    }

    pub fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    pub fn slice(&self) -> &[T] {
        match self.0.as_slice_ptr() {
            // SAFETY: the buffer is contiguous, its element type was checked, and it is kept exported (so neither freed nor
            // resized) while `self` lives. The caller must not write to arrays that are being read, as with any NumPy call.
            Some(slice) => unsafe { slice.as_ref() },
            None => &[],
        }
    }

    pub fn slice_mut(&mut self) -> &mut [T] {
        match self.0.as_slice_ptr() {
            // SAFETY: as in `slice`; the buffer is writable (made by `take_mut` or `empty`) and `&mut self` makes this the
            // only slice handed out here. The caller must not share an output array between calls that run at once.
            Some(mut slice) => unsafe { slice.as_mut() },
            None => &mut [],
        }
    }
}

/// `numpy.empty(shape, dtype)` and its memory.
pub fn empty<'py, T: Element>(
    py: Python<'py>,
    shape: impl IntoPyObject<'py>,
    dtype: &str,
) -> PyResult<(Bound<'py, PyAny>, Array<T>)> {
    let array = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "empty"), (shape, dtype))?;
    let memory = Array::take_mut(&array, "a new array", dtype)?;
    Ok((array, memory))
}

/// The argument as a contiguous array of `dtype` (any dtype if `None`), copied only if it is not one already.
pub fn contiguous<'py>(object: &Bound<'py, PyAny>, dtype: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "ascontiguousarray"), (object, dtype))
}

/// The caller's flag and progress counter, held for the length of a call.
pub struct Watch<'py> {
    flag: Option<PyUntypedBuffer>,
    progress: Option<PyUntypedBuffer>,
    py: PhantomData<Python<'py>>,
}

impl<'py> Watch<'py> {
    pub fn new(flag: Option<&Bound<'py, PyAny>>, progress: Option<&Bound<'py, PyAny>>) -> PyResult<Watch<'py>> {
        let flag = flag.map(PyUntypedBuffer::get).transpose()?;
        let progress = progress.map(PyUntypedBuffer::get).transpose()?;
        if flag.as_ref().is_some_and(|flag| flag.item_size() != 1 || flag.len_bytes() < 1) {
            return Err(PyTypeError::new_err("flag must be a buffer of bytes (uint8) with at least one element"));
        }
        let fits = |counter: &PyUntypedBuffer| {
            let aligned = (counter.buf_ptr() as usize).is_multiple_of(align_of::<AtomicU64>());
            counter.item_size() == 8 && counter.len_bytes() >= 8 && aligned && !counter.readonly()
        };
        if progress.as_ref().is_some_and(|counter| !fits(counter)) {
            return Err(PyTypeError::new_err("progress must be a writable, aligned uint64 or int64 array of length 1"));
        }
        Ok(Watch { flag, progress, py: PhantomData })
    }

    pub fn control(&self) -> Control<'_> {
        Control {
            // SAFETY: the buffer holds at least one byte, stays exported while `self` lives, and is only read.
            flag: self.flag.as_ref().map(|flag| unsafe { AtomicU8::from_ptr(flag.buf_ptr().cast()) }),
            // SAFETY: the buffer holds eight writable, aligned bytes and stays exported while `self` lives; every access
            // from here is atomic, and other readers see whole words on the platforms supported.
            progress: self.progress.as_ref().map(|counter| unsafe { AtomicU64::from_ptr(counter.buf_ptr().cast()) }),
        }
    }
}
