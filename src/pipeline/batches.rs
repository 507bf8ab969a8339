//! Batches that always have their full size, and that are halved where the memory does not suffice.
//!
//! A batch that is short is filled up with copies, because libtorch's results differ in their last
//! digits from one batch size to another, but neither with the place in a batch nor with its other
//! pictures. That is what makes a resumed run equal an uninterrupted one byte for byte.

use crate::Result;

/// Runs `items` in batches of `size`, the last one filled up with copies of its last item, and
/// returns one result an item. `run` gives at least one result for each item of a batch, in its
/// order. Where the memory does not suffice for a batch, `size` is halved, and what was done is
/// done again, so that all items are done alike.
///
/// # Errors
/// Whatever `run` reports, but for lack of memory in a batch that can be halved.
pub fn in_batches<T: Copy, R>(
    items: &[T],
    size: &mut usize,
    mut run: impl FnMut(&[T]) -> Result<Vec<R>>,
) -> Result<Vec<R>> {
    loop {
        match in_batches_of(*size, items, &mut run) {
            Err(error) if error.is_out_of_memory() && *size > 1 => *size = size.div_ceil(2),
            result => return result,
        }
    }
}

/// How many items of a batch of [`in_batches`] differ: what follows are copies of the last of them.
///
/// # Panics
/// Without items.
pub fn distinct<T>(batch: &[&T]) -> usize {
    let last = batch[batch.len() - 1];
    batch.iter().rposition(|item| !std::ptr::eq(*item, last)).map_or(1, |before| before + 2)
}

fn in_batches_of<T: Copy, R>(
    size: usize,
    items: &[T],
    run: &mut impl FnMut(&[T]) -> Result<Vec<R>>,
) -> Result<Vec<R>> {
    let mut all = Vec::with_capacity(items.len());
    for batch in items.chunks(size) {
        let mut filled = batch.to_vec();
        filled.resize(size, batch[batch.len() - 1]);
        all.extend(run(&filled)?.into_iter().take(batch.len()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use proptest::prelude::*;

    fn no_memory() -> Error {
        Error::Torch {
            doing: "testing",
            message: "DefaultCPUAllocator: can't allocate memory".into(),
        }
    }

    proptest! {
        #[test]
        fn every_item_has_its_result_whatever_the_memory(
            count in 0..40_usize, size in 1..20_usize, most in 1..20_usize,
        ) {
            let items: Vec<usize> = (0..count).collect();
            let mut now = size;
            let mut sizes = Vec::new();
            let found = in_batches(&items, &mut now, |batch| {
                sizes.push(batch.len());
                if batch.len() > most {
                    return Err(no_memory());
                }
                Ok(batch.iter().map(|item| item * 7).collect())
            });
            prop_assert_eq!(found.unwrap(), items.iter().map(|item| item * 7).collect::<Vec<_>>());
            prop_assert!(count == 0 || now <= most, "halved until it fits");
            prop_assert!(sizes.windows(2).all(|pair| pair[0] == pair[1] || pair[0] > most), "batches are full");
        }
    }

    #[test]
    fn copies_are_told_from_originals() {
        let items = ["a", "b", "b", "c"].map(String::from);
        let all: Vec<&String> = items.iter().collect();
        assert_eq!(distinct(&all), 4);
        // Equal, and not the same.
        assert_eq!(distinct(&all[..3]), 3);
        let (mut size, mut found) = (3, Vec::new());
        in_batches(&all, &mut size, |batch| {
            found.push(distinct(batch));
            Ok(vec![(); batch.len()])
        })
        .unwrap();
        assert_eq!(found, [3, 1]);
    }

    #[test]
    fn other_errors_and_single_pictures_that_do_not_fit_are_passed_on() {
        let mut size = 4;
        let error = in_batches(&[1, 2], &mut size, |_| -> Result<Vec<()>> {
            Err(Error::Setting("no".into()))
        });
        assert!(!error.unwrap_err().is_out_of_memory());
        assert_eq!(size, 4);
        let error = in_batches(&[1, 2], &mut size, |_| -> Result<Vec<()>> { Err(no_memory()) });
        assert!(error.unwrap_err().is_out_of_memory());
        assert_eq!(size, 1);
    }
}
