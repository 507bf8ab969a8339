//! Which pictures go through the networks together, and how their records come out in the order they came in.
//!
//! A batch has pictures of one shape on the detector's canvas. All have the same shape unless `--rect` is given; then a
//! picture waits for others of its shape, but no longer than until the window is full: then the oldest goes, with those of
//! its shape, in a batch that is filled up. A full batch gives the same results whatever else is in it, so that this
//! choice changes only the time.

use super::Prepared;
use crate::corpus::Source;
use crate::record::ImageRecord;
use std::collections::VecDeque;

/// Batches that the pictures of the window would fill: the bound on memory, and on the work that a kill takes.
const BATCHES: usize = 8;

/// Pictures on their way, in the order of the corpus.
pub(super) struct Window<'a> {
    batch: usize,
    slots: VecDeque<(&'a Source, State)>,
}

enum State {
    Waiting(Prepared),
    Done(ImageRecord),
}

impl<'a> Window<'a> {
    /// For batches of this size.
    pub(super) fn new(batch: usize) -> Self {
        Self { batch, slots: VecDeque::new() }
    }

    /// Takes the next picture.
    pub(super) fn push(&mut self, source: &'a Source, prepared: Prepared) {
        self.slots.push_back((source, State::Waiting(prepared)));
    }

    /// Places of the pictures that should go next, at most a batch: those of the shape that came last when they fill one;
    /// those like the oldest when the window is full or `ending`.
    pub(super) fn next(&self, ending: bool) -> Option<Vec<usize>> {
        let waiting = |at: usize| match &self.slots[at].1 {
            State::Waiting(prepared) => Some(prepared.canvas()),
            State::Done(_) => None,
        };
        let alike = |at: usize| -> Vec<usize> {
            (0..self.slots.len()).filter(|&other| waiting(other) == waiting(at)).take(self.batch).collect()
        };
        let last = self.slots.len().checked_sub(1).filter(|&at| waiting(at).is_some()).map(alike);
        if let Some(full) = last.filter(|places| places.len() == self.batch) {
            return Some(full);
        }
        let oldest = (0..self.slots.len()).find(|&at| waiting(at).is_some())?;
        (ending || self.slots.len() >= BATCHES * self.batch).then(|| alike(oldest))
    }

    /// Whether records wait for a picture that came before theirs.
    pub(super) fn holds_back(&self) -> bool {
        self.slots.iter().any(|(_, state)| matches!(state, State::Done(_)))
    }

    /// The pictures at these places, filled up with copies of the last to a whole batch.
    pub(super) fn filled(&self, places: &[usize]) -> Vec<&Prepared> {
        let prepared = |&at: &usize| match &self.slots[at].1 {
            State::Waiting(prepared) => prepared,
            State::Done(_) => unreachable!("the places of a batch are waiting"),
        };
        let mut batch: Vec<&Prepared> = places.iter().map(prepared).collect();
        let last = *batch.last().expect("a batch has pictures");
        batch.resize(self.batch, last);
        batch
    }

    /// Takes the records of the pictures at `places`, names them, and gives out those for which none before is missing.
    pub(super) fn finish(&mut self, places: &[usize], records: Vec<ImageRecord>) -> Vec<ImageRecord> {
        for (&at, record) in places.iter().zip(records) {
            self.slots[at].1 = State::Done(record);
        }
        let mut finished = Vec::new();
        while matches!(self.slots.front(), Some((_, State::Done(_)))) {
            if let Some((_, State::Done(record))) = self.slots.pop_front() {
                finished.push(record);
            }
        }
        finished
    }

    /// The picture at a place.
    pub(super) fn source(&self, at: usize) -> &'a Source {
        self.slots[at].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Letterbox;
    use crate::image::{Rgb8, Size};
    use proptest::prelude::*;
    use std::path::Path;

    fn prepared(side: u32) -> Prepared {
        let size = Size::new(side, 1);
        let picture = Rgb8::filled(size, [0; 3]);
        Prepared { letterbox: Letterbox::fit(size, size), detector: picture.clone(), emotion: picture, seed: 0 }
    }

    fn record(source: &Source) -> ImageRecord {
        ImageRecord {
            path: source.path.clone(),
            width: 1,
            height: 1,
            label: 0,
            probabilities: Vec::new(),
            valence: None,
            arousal: None,
            clipped: 0,
            outside: 0,
            maps: Vec::new(),
            boxes: Vec::new(),
        }
    }

    proptest! {
        /// Every record comes out once and in order; batches have one shape; little waits; and with one shape, all are full
        /// but the last.
        #[test]
        fn records_come_out_in_order(shapes in prop::collection::vec(1..6_u32, 0..200), size in 1..7_usize, one in any::<bool>()) {
            let file: std::sync::Arc<Path> = Path::new("x").into();
            let source = |at: usize| Source { path: at.to_string(), file: file.clone(), size: 0, member: None };
            let sources: Vec<Source> = (0..shapes.len()).map(source).collect();
            let shape = |at: usize| if one { 1 } else { shapes[at] };
            let mut window = Window::new(size);
            let (mut out, mut batches) = (Vec::new(), Vec::new());
            for (at, source) in sources.iter().enumerate() {
                window.push(source, prepared(shape(at)));
                while let Some(places) = window.next(at + 1 == sources.len()) {
                    prop_assert_eq!(window.filled(&places).len(), size);
                    let of = |at: &usize| window.source(*at).path.parse::<usize>().unwrap();
                    let pictures: Vec<usize> = places.iter().map(of).collect();
                    prop_assert!(pictures.iter().all(|&other| shape(other) == shape(pictures[0])));
                    batches.push(pictures.len());
                    let records = places.iter().map(|&at| record(window.source(at))).collect();
                    out.extend(window.finish(&places, records).into_iter().map(|record| record.path));
                }
                prop_assert!(at + 1 - out.len() < BATCHES * size);
            }
            prop_assert_eq!(out, (0..shapes.len()).map(|at| at.to_string()).collect::<Vec<_>>());
            prop_assert!(!window.holds_back());
            if one && !batches.is_empty() {
                prop_assert!(batches[..batches.len() - 1].iter().all(|&length| length == size));
            }
        }
    }
}
