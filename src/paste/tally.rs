//! Counts over photos: what `paste.csv` and the tests are made of. A commutative monoid, so that
//! parts of a corpus add up to the whole; sums of probabilities are kept in fixed point, so that
//! they do so to the last bit in any order.

use super::record::{Focus, PasteRecord, Pasted};
use super::settings::PasteSettings;

/// Fixed point: 60 binary places. Probabilities are f32 between 0 and 1.
const PLACES: f64 = (1_u64 << 60) as f64;

fn fixed(value: f64) -> i128 {
    (value * PLACES).round() as i128
}

/// A sum and the number of its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    count: u64,
    sum: i128,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += fixed(value);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
    }

    /// `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / PLACES / self.count as f64)
    }
}

/// One object, fill and position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Photos with at least one spot here.
    pub images: u64,
    /// Spots.
    pub pastes: u64,
    /// Those whose label changed.
    pub changed: u64,
    /// The new label of each change.
    pub to: Vec<u64>,
    /// Change of every label's probability.
    pub probability: Vec<Sum>,
    /// Change of the original label's probability.
    pub original: Sum,
    /// Share of the photo that is hidden.
    pub covered: Sum,
    /// Mass inside the outline before and after, importance of the box before and after,
    /// correlation of the maps.
    pub focus: [Sum; 5],
}

impl Cell {
    fn new(labels: usize) -> Self {
        Self {
            images: 0,
            pastes: 0,
            changed: 0,
            to: vec![0; labels],
            probability: vec![Sum::default(); labels],
            original: Sum::default(),
            covered: Sum::default(),
            focus: [Sum::default(); 5],
        }
    }

    fn add(&mut self, record: &PasteRecord, pasted: &Pasted) {
        self.pastes += 1;
        if pasted.label != record.label {
            self.changed += 1;
            self.to[pasted.label] += 1;
        }
        let change = |label: usize| {
            f64::from(pasted.probabilities[label]) - f64::from(record.probabilities[label])
        };
        self.probability.iter_mut().enumerate().for_each(|(label, sum)| sum.add(change(label)));
        self.original.add(change(record.label));
        self.covered.add(f64::from(pasted.covered));
        if let Some(Focus { mass_before, mass_after, box_before, box_after, correlation }) =
            pasted.focus
        {
            let values = [mass_before, mass_after, box_before, box_after, correlation];
            for (sum, value) in self.focus.iter_mut().zip(values) {
                value.into_iter().for_each(|value| sum.add(f64::from(value)));
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.images += other.images;
        self.pastes += other.pastes;
        self.changed += other.changed;
        self.to.iter_mut().zip(&other.to).for_each(|(count, more)| *count += more);
        self.probability.iter_mut().zip(&other.probability).for_each(|(sum, more)| sum.merge(more));
        self.original.merge(&other.original);
        self.covered.merge(&other.covered);
        self.focus.iter_mut().zip(&other.focus).for_each(|(sum, more)| sum.merge(more));
    }

    /// The label most often switched to, the first of equals; `None` when no label changed.
    pub fn switched_to(&self) -> Option<usize> {
        let most = self.to.iter().copied().max().filter(|&most| most > 0)?;
        self.to.iter().position(|&count| count == most)
    }
}

/// Photos that have every position exactly once, for Cochran's Q.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    /// Their number.
    pub images: u64,
    /// Changes at each position.
    pub of_positions: Vec<u64>,
    /// Sum over photos of the square of the photo's number of changes.
    pub squares: u64,
}

/// Counts of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    labels: usize,
    fills: usize,
    positions: usize,
    /// Photos.
    pub images: u64,
    cells: Vec<Cell>,
    blocks: Vec<Blocks>,
    /// Per object, fill and original label: new labels.
    switches: Vec<Vec<u64>>,
    /// Per object, fill and position: pairs of object and fill at one spot in which only the
    /// object, only the fill changed the label.
    pairs: Vec<(u64, u64)>,
}

impl Tally {
    /// Counts of no photos.
    pub fn new(settings: &PasteSettings, labels: usize) -> Self {
        let (objects, fills, positions) =
            (settings.objects.len(), settings.fills.len(), settings.places.names().len());
        let blocks = Blocks { images: 0, of_positions: vec![0; positions], squares: 0 };
        Self {
            labels,
            fills,
            positions,
            images: 0,
            cells: vec![Cell::new(labels); objects * fills * positions],
            blocks: vec![blocks; objects * fills],
            switches: vec![vec![0; labels]; objects * fills * labels],
            pairs: vec![(0, 0); objects * fills * positions],
        }
    }

    /// Adds a photo.
    ///
    /// # Panics
    /// When the record does not fit the settings; [`super::write`] has checked it.
    pub fn add(&mut self, record: &PasteRecord) {
        self.images += 1;
        let spots = record.spots.len();
        let mut at_position = vec![0_u64; self.positions];
        record.spots.iter().for_each(|spot| at_position[spot.position] += 1);
        let complete = at_position.iter().all(|&count| count == 1);
        for (group, pasted) in record.pasted.chunks(spots.max(1)).enumerate() {
            // The object itself comes first among its fills.
            let object = &record.pasted[group / self.fills * self.fills * spots..][..spots];
            let mut changes = 0;
            for ((spot, pasted), object) in record.spots.iter().zip(pasted).zip(object) {
                let cell = group * self.positions + spot.position;
                self.cells[cell].add(record, pasted);
                self.switches[group * self.labels + record.label][pasted.label] += 1;
                let changed = pasted.label != record.label;
                match (object.label != record.label, changed) {
                    (true, false) => self.pairs[cell].0 += 1,
                    (false, true) => self.pairs[cell].1 += 1,
                    _ => {}
                }
                if complete && changed {
                    changes += 1;
                    self.blocks[group].of_positions[spot.position] += 1;
                }
            }
            for (position, _) in at_position.iter().enumerate().filter(|&(_, &count)| count > 0) {
                self.cells[group * self.positions + position].images += 1;
            }
            self.blocks[group].images += u64::from(complete);
            self.blocks[group].squares += changes * changes;
        }
    }

    /// Adds the counts of other photos by the same settings.
    pub fn merge(&mut self, other: &Self) {
        self.images += other.images;
        self.cells.iter_mut().zip(&other.cells).for_each(|(cell, more)| cell.merge(more));
        for (blocks, more) in self.blocks.iter_mut().zip(&other.blocks) {
            blocks.images += more.images;
            blocks.squares += more.squares;
            blocks
                .of_positions
                .iter_mut()
                .zip(&more.of_positions)
                .for_each(|(count, more)| *count += more);
        }
        for (to, more) in self.switches.iter_mut().zip(&other.switches) {
            to.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        for (pair, more) in self.pairs.iter_mut().zip(&other.pairs) {
            *pair = (pair.0 + more.0, pair.1 + more.1);
        }
    }

    /// The counts of an object, fill and position, by their indices.
    pub fn cell(&self, object: usize, fill: usize, position: usize) -> &Cell {
        &self.cells[(object * self.fills + fill) * self.positions + position]
    }

    /// The complete photos of an object and fill.
    pub fn blocks(&self, object: usize, fill: usize) -> &Blocks {
        &self.blocks[object * self.fills + fill]
    }

    /// How often each new label followed the label `from`.
    pub fn switches(&self, object: usize, fill: usize, from: usize) -> &[u64] {
        &self.switches[(object * self.fills + fill) * self.labels + from]
    }

    /// Pairs in which only the object, and only the fill changed the label.
    pub fn pairs(&self, object: usize, fill: usize, position: usize) -> (u64, u64) {
        self.pairs[(object * self.fills + fill) * self.positions + position]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Positions;
    use super::super::record::Spot;
    use super::super::settings::{Fill, ObjectInfo, Places};
    use super::*;
    use proptest::prelude::*;

    fn settings() -> PasteSettings {
        PasteSettings {
            objects: vec![ObjectInfo { name: "ball".into(), sha256: String::new() }],
            fills: vec![Fill::Object, Fill::Mean],
            scale: 0.2,
            places: Places::Positions(Positions::grid(2, 1).positions),
            focus: None,
        }
    }

    /// A photo with label 0 of 3, and the label at every paste.
    fn record(spots: &[usize], labels: &[usize]) -> PasteRecord {
        let probabilities = |label: usize| {
            (0..3).map(|index| if index == label { 0.7 } else { 0.15 }).collect::<Vec<f32>>()
        };
        let spot = |&position: &usize| Spot { position, x: 0.5, y: 0.5, bounding_box: None };
        let pasted = |&label: &usize| Pasted {
            label,
            probabilities: probabilities(label),
            covered: 0.1,
            focus: None,
        };
        PasteRecord {
            path: "a".into(),
            width: 9,
            height: 7,
            label: 0,
            probabilities: probabilities(0),
            spots: spots.iter().map(spot).collect(),
            pasted: labels.iter().map(pasted).collect(),
        }
    }

    #[test]
    fn one_photo_by_hand() {
        let mut tally = Tally::new(&settings(), 3);
        // The object changes the label at the first position only, its control at the second only.
        tally.add(&record(&[0, 1], &[2, 0, 0, 1]));
        tally.add(&record(&[], &[]));
        let (first, second) = (tally.cell(0, 0, 0), tally.cell(0, 0, 1));
        assert_eq!((tally.images, first.images, first.changed, second.changed), (2, 1, 1, 0));
        assert_eq!((first.switched_to(), second.switched_to()), (Some(2), None));
        approx::assert_abs_diff_eq!(first.original.mean().unwrap(), -0.55, epsilon = 1e-7);
        approx::assert_abs_diff_eq!(first.probability[2].mean().unwrap(), 0.55, epsilon = 1e-7);
        assert_eq!((tally.pairs(0, 1, 0), tally.pairs(0, 1, 1)), ((1, 0), (0, 1)));
        // The photo without spots has not every position.
        assert_eq!(tally.blocks(0, 0), &Blocks { images: 1, of_positions: vec![1, 0], squares: 1 });
        assert_eq!(tally.switches(0, 1, 0), [1, 1, 0]);
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_in_any_order(
            photos in prop::collection::vec(prop::collection::vec((0..2_usize, 0..3_usize, 0..3_usize), 0..4), 0..12),
            cut in 0..13_usize,
        ) {
            let records: Vec<PasteRecord> = photos
                .iter()
                .map(|spots| {
                    let labels: Vec<usize> =
                        spots.iter().map(|spot| spot.1).chain(spots.iter().map(|spot| spot.2)).collect();
                    record(&spots.iter().map(|spot| spot.0).collect::<Vec<_>>(), &labels)
                })
                .collect();
            let tallied = |records: &[PasteRecord]| {
                let mut tally = Tally::new(&settings(), 3);
                records.iter().for_each(|record| tally.add(record));
                tally
            };
            let (first, second) = records.split_at(cut.min(records.len()));
            for (a, b) in [(first, second), (second, first)] {
                let mut merged = tallied(a);
                merged.merge(&tallied(b));
                prop_assert_eq!(&merged, &tallied(&records));
            }
        }
    }
}
