#![allow(missing_docs)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
pub static N: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];
pub static C: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];
pub fn t<T>(i: usize, f: impl FnOnce() -> T) -> T { let c = Instant::now(); let r = f(); N[i].fetch_add(c.elapsed().as_nanos() as u64, Ordering::Relaxed); C[i].fetch_add(1, Ordering::Relaxed); r }
pub fn count(i: usize, n: usize) { C[i].fetch_add(n as u64, Ordering::Relaxed); }
pub fn print() { for i in 0..32 { let c = C[i].load(Ordering::Relaxed); if c > 0 { let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("SW {} {:.3}s {}\n", i, N[i].load(Ordering::Relaxed) as f64/1e9, c).as_bytes()); } } }
