//! What an input costs: seconds of processor time, bytes of memory, and whether something panicked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Counts what the program has from the allocator, and the most that it ever had.
pub(crate) struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static PANICS: AtomicU64 = AtomicU64::new(0);
/// Where the last panic was, and what it said.
static LAST: Mutex<String> = Mutex::new(String::new());

fn taken(bytes: usize) {
    PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is the system allocator's; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        taken(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What came of reading one input.
#[derive(Debug)]
pub(crate) struct Measured<T> {
    /// The reader's answer; the panic's message where it did not give one.
    pub result: Result<T, String>,
    /// Processor time of all threads.
    pub seconds: f64,
    /// The most bytes that were taken at one time.
    pub bytes: usize,
    /// Panics, those that the program itself caught among them.
    pub panics: u64,
}

/// Silences panics and counts them.
pub(crate) fn count_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Relaxed);
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
}

/// Runs `read`. With `native`, memory that C code takes counts too, at the cost of some system
/// calls.
pub(crate) fn measure<T>(native: bool, read: impl FnOnce() -> T) -> Measured<T> {
    let (before, panics) = (NOW.load(Relaxed), PANICS.load(Relaxed));
    PEAK.store(before, Relaxed);
    let resident = if native { resident_anew() } else { 0 };
    let start = processor_seconds();
    let last = |_| LAST.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let result = catch_unwind(AssertUnwindSafe(read)).map_err(last);
    let seconds = processor_seconds() - start;
    let native = if native { most_resident().saturating_sub(resident) } else { 0 };
    let bytes = PEAK.load(Relaxed).saturating_sub(before).max(native);
    Measured { result, seconds, bytes, panics: PANICS.load(Relaxed) - panics }
}

/// Processor time of this process: other processes do not change it.
fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Unix, and the place for the answer is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Bytes in memory, and from here on [`most_resident`] counts anew (Linux alone; elsewhere nothing
/// is counted).
fn resident_anew() -> usize {
    match std::fs::write("/proc/self/clear_refs", "5") {
        Ok(()) => most_resident(),
        Err(_) => usize::MAX,
    }
}

/// The most bytes that were in memory.
fn most_resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or(0_usize) * 1024
}

/// The most memory that a process takes before it is refused more: an input that wants all of the
/// machine's ends its own process, and not somebody else's.
pub(crate) fn limit_memory(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the limit is ours, and is read alone.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
}
