//! Cancel flag and progress counter shared with the caller, and the splitting of work over threads.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::errors::{Error, Result};

/// What a long loop watches and reports; both parts live in memory the caller owns.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    pub flag: Option<&'a AtomicU8>,
    pub progress: Option<&'a AtomicU64>,
}

impl Control<'_> {
    /// Fail if the flag is raised. Loops call this every quarter of a megabyte, about 0.1 ms of work.
    pub fn check(&self) -> Result<()> {
        match self.flag {
            Some(flag) if flag.load(Ordering::Relaxed) != 0 => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Add finished traces to the caller's counter.
    pub fn done(&self, traces: usize) {
        if let Some(progress) = self.progress {
            progress.fetch_add(traces as u64, Ordering::Relaxed);
        }
    }
}

/// Run `work` on every part, one thread a part (the first on this thread); all results, or the first error.
pub fn in_parallel<P: Send, R: Send>(parts: Vec<P>, work: impl Fn(P) -> Result<R> + Sync) -> Result<Vec<R>> {
    if parts.len() <= 1 {
        return parts.into_iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let mut parts = parts.into_iter();
        let first = parts.next();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let first = first.map(work);
        let others =
            others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        first.into_iter().chain(others).collect()
    })
}

/// Traces per part when `count` traces are shared by `threads` threads.
pub fn share(count: usize, threads: usize) -> usize {
    count.div_ceil(threads.clamp(1, 256)).max(1)
}
