//! Batches made ahead by worker threads and handed over in order, whatever the number of threads.

use crate::Result;
use std::sync::mpsc::sync_channel;

/// Batches a worker may be ahead: enough to hide an expensive picture, little memory.
const AHEAD: usize = 2;

/// Calls `consume(number, make(number))` for 0 <= number < `count`, in this order, on the calling
/// thread; `make` runs on `threads` others. Thread t makes every number whose remainder is t, so
/// nothing depends on which is faster.
///
/// # Errors
/// The first error of `consume`; nothing more is made then.
pub(super) fn in_order<T: Send>(
    count: u64,
    threads: usize,
    make: impl Fn(u64) -> T + Sync,
    mut consume: impl FnMut(u64, T) -> Result<()>,
) -> Result<()> {
    let threads = threads.max(1) as u64;
    let make = &make;
    std::thread::scope(|scope| {
        let mut lanes = Vec::new();
        for lane in 0..threads {
            let (sender, receiver) = sync_channel(AHEAD);
            scope.spawn(move || {
                for number in (lane..count).step_by(threads as usize) {
                    if sender.send(make(number)).is_err() {
                        return;
                    }
                }
            });
            lanes.push(receiver);
        }
        for number in 0..count {
            // A lane ends early when its thread panicked; the scope passes the panic on.
            let Ok(made) = lanes[(number % threads) as usize].recv() else { break };
            consume(number, made)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn the_order_is_that_of_the_numbers() {
        for threads in [1, 2, 5] {
            let mut seen = Vec::new();
            let slow_at_first = |number: u64| {
                std::thread::sleep(std::time::Duration::from_millis(3 * (number < 2) as u64));
                number * number
            };
            in_order(11, threads, slow_at_first, |number, made| {
                seen.push((number, made));
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, (0..11).map(|n| (n, n * n)).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn an_error_ends_it() {
        let mut consumed = 0;
        let error = in_order(
            1_000_000,
            2,
            |number| number,
            |number, _| {
                consumed += 1;
                if number == 4 {
                    return Err(Error::Setting("enough".into()));
                }
                Ok(())
            },
        )
        .unwrap_err();
        assert_eq!((error.to_string().as_str(), consumed), ("enough", 5));
    }
}
