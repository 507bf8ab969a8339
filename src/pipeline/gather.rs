//! Which pictures go through the networks together, and how what comes of them is put in order
//! again.
//!
//! A batch has pictures of one shape on the detector's canvas. All have the same shape unless
//! `--rect` is given; then a picture waits for others of its shape, but not for ever: when the
//! oldest has seen [`PATIENCE`] batches' worth of pictures come after it, it goes with those of its
//! shape in a batch that is short, and filled up with copies. A full batch gives the same results
//! whatever else is in it, so that all this changes only the time, and pictures may be gathered
//! anew when a run is resumed.

use crate::image::Size;
use std::collections::{BTreeMap, VecDeque};

/// Batches that the pictures behind the oldest may fill: the bound on memory, and on the work that
/// a kill costs.
const PATIENCE: usize = 8;

/// Why batches that are not full go too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// They do not.
    No,
    /// No more pictures come.
    All,
    /// The pass is to stop soon: only what the records of others wait for.
    Stop,
}

/// Pictures that wait for others of their shape, numbered from 0 as they come.
pub(super) struct Gathering<T> {
    batch: usize,
    /// In the order in which the shapes were met first; within a shape by number.
    shapes: Vec<(Size, VecDeque<(usize, T)>)>,
    /// Of the next picture.
    number: usize,
    /// No picture from this number on has gone yet.
    gone: usize,
}

impl<T> Gathering<T> {
    /// For batches of this size.
    pub(super) fn new(batch: usize) -> Self {
        Self { batch, shapes: Vec::new(), number: 0, gone: 0 }
    }

    /// Takes the next picture.
    pub(super) fn push(&mut self, shape: Size, picture: T) {
        let numbered = (self.number, picture);
        self.number += 1;
        match self.shapes.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, waiting)) => waiting.push_back(numbered),
            None => self.shapes.push((shape, VecDeque::from([numbered]))),
        }
    }

    /// The pictures that should go next, of one shape and with their numbers, at most a batch; to
    /// be called until there are none.
    pub(super) fn next(&mut self, ending: Ending) -> Option<Vec<(usize, T)>> {
        if let Some((_, full)) =
            self.shapes.iter_mut().find(|(_, waiting)| waiting.len() >= self.batch)
        {
            return Some(Self::go(full, self.batch, &mut self.gone));
        }
        let front = |(_, waiting): &&mut (Size, VecDeque<(usize, T)>)| {
            waiting.front().map(|(number, _)| *number)
        };
        let (_, oldest) = self
            .shapes
            .iter_mut()
            .filter(|one| front(one).is_some())
            .min_by_key(|one| front(one))?;
        let first = oldest.front().map(|(number, _)| *number)?;
        let count = match ending {
            Ending::All => oldest.len(),
            Ending::Stop => oldest.iter().filter(|(number, _)| *number < self.gone).count(),
            Ending::No if self.number - first > PATIENCE * self.batch => oldest.len(),
            Ending::No => 0,
        };
        (count > 0).then(|| Self::go(oldest, count, &mut self.gone))
    }

    fn go(waiting: &mut VecDeque<(usize, T)>, count: usize, gone: &mut usize) -> Vec<(usize, T)> {
        let batch: Vec<(usize, T)> = waiting.drain(..count).collect();
        *gone = batch.last().map_or(*gone, |(number, _)| (number + 1).max(*gone));
        batch
    }
}

/// What came of numbered pictures, given out in the order of the numbers.
pub(super) struct InOrder<T> {
    early: BTreeMap<usize, T>,
    next: usize,
}

impl<T> InOrder<T> {
    /// Waits for number 0.
    pub(super) fn new() -> Self {
        Self { early: BTreeMap::new(), next: 0 }
    }

    /// Takes what came of a picture.
    pub(super) fn push(&mut self, number: usize, result: T) {
        self.early.insert(number, result);
    }

    /// All for which none before is missing.
    pub(super) fn due(&mut self) -> Vec<T> {
        let mut due = Vec::new();
        while let Some(result) = self.early.remove(&self.next) {
            due.push(result);
            self.next += 1;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Batches as they went, results as they came, what was left behind.
    type Went = (Vec<Vec<usize>>, Vec<usize>, usize);

    /// Sends pictures of these shapes through, to the end or until `stop` have come.
    fn gathered(shapes: &[u32], size: usize, stop: Option<usize>) -> Result<Went, TestCaseError> {
        let (mut gathering, mut order) = (Gathering::new(size), InOrder::new());
        let (mut batches, mut results) = (Vec::new(), Vec::new());
        for (at, &shape) in shapes.iter().enumerate() {
            gathering.push(Size::new(shape, 1), at);
            let ending = match stop {
                Some(stop) if at == stop => Ending::Stop,
                _ if at + 1 == shapes.len() => Ending::All,
                _ => Ending::No,
            };
            while let Some(batch) = gathering.next(ending) {
                prop_assert!(!batch.is_empty() && batch.len() <= size);
                prop_assert!(batch.iter().all(|&(number, picture)| number == picture));
                batch.iter().for_each(|&(number, picture)| order.push(number, picture));
                results.extend(order.due());
                batches.push(batch.into_iter().map(|(number, _)| number).collect());
            }
            prop_assert!(at < results.len() + PATIENCE * size);
            if ending == Ending::Stop {
                break;
            }
        }
        Ok((batches, results, order.early.len()))
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_and_in_order(
            shapes in prop::collection::vec(1..6_u32, 0..200), size in 1..7_usize,
        ) {
            let (batches, results, left) = gathered(&shapes, size, None)?;
            prop_assert_eq!(results, (0..shapes.len()).collect::<Vec<_>>());
            prop_assert_eq!(left, 0);
            for batch in batches {
                prop_assert!(batch.iter().all(|&at| shapes[at] == shapes[batch[0]]));
            }
        }

        #[test]
        fn of_one_shape_every_batch_is_full_but_the_last(count in 0..100_usize, size in 1..7_usize) {
            let (batches, ..) = gathered(&vec![3; count], size, None)?;
            let all: Vec<usize> = (0..count).collect();
            let expected: Vec<Vec<usize>> = all.chunks(size).map(<[usize]>::to_vec).collect();
            prop_assert_eq!(batches, expected);
        }

        /// Nothing that has gone through the networks is lost by stopping.
        #[test]
        fn what_has_gone_comes_out_when_the_pass_stops(
            shapes in prop::collection::vec(1..6_u32, 1..200), size in 1..7_usize, stop in any::<prop::sample::Index>(),
        ) {
            let (batches, results, left) = gathered(&shapes, size, Some(stop.index(shapes.len())))?;
            prop_assert_eq!(left, 0);
            prop_assert_eq!(results.len(), batches.iter().map(Vec::len).sum::<usize>());
        }
    }
}
