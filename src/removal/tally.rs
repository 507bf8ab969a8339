//! Changes by class of region and label of the picture: what `classes.csv` and the picture are made
//! of.

use super::record::{RegionRecord, RemovalRecord};
use super::settings::RemovalKind;
use std::collections::BTreeMap;

/// How the answers change when regions, or their controls, are hidden (or all else is), by one
/// fill. A picture counts once: its values are means over its regions of the class, since regions
/// of one picture are not independent. Flips are counted region by region.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RemovalMeasure {
    /// Mean change of the own label's probability, a picture.
    pub change: Vec<f64>,
    /// Likewise of the controls, of pictures that have one.
    pub control: Vec<f64>,
    /// Change by the region less change by its control, over regions that have one.
    pub difference: Vec<f64>,
    /// Regions.
    pub regions: u64,
    /// Those after which the label is another.
    pub flips: u64,
    /// Controls.
    pub controls: u64,
    /// Those after which the label is another.
    pub control_flips: u64,
}

/// One class and label, or several together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Group {
    /// By fill, in the order of the settings: the region taken away, and the region alone kept.
    pub fills: Vec<[RemovalMeasure; 2]>,
}

/// Class of the regions and label of the pictures; `None` stands for all together.
pub(super) type Key = (Option<usize>, Option<usize>);

/// The groups in the order of the tables: by class, then by label, all together first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RemovalTally {
    /// Pictures.
    pub pictures: usize,
    /// Regions.
    pub regions: usize,
    /// Regions without a control.
    pub without_control: usize,
    groups: BTreeMap<Key, Group>,
}

impl RemovalTally {
    /// Counts a picture.
    pub fn add(&mut self, record: &RemovalRecord) {
        self.pictures += 1;
        self.regions += record.regions.len();
        self.without_control +=
            record.regions.iter().filter(|region| region.control.is_none()).count();
        let mut by_class: BTreeMap<Option<usize>, Vec<&RegionRecord>> = BTreeMap::new();
        for region in &record.regions {
            for class in [None, Some(region.class)] {
                by_class.entry(class).or_default().push(region);
            }
        }
        for (class, regions) in by_class {
            for label in [None, Some(record.label)] {
                self.groups.entry((class, label)).or_default().add(record, &regions);
            }
        }
    }

    /// Every group that has a region.
    pub fn groups(&self) -> impl Iterator<Item = (Key, &Group)> {
        self.groups.iter().map(|(key, group)| (*key, group))
    }

    /// One of them.
    pub fn group(&self, key: Key) -> Option<&Group> {
        self.groups.get(&key)
    }

    /// Classes with a region, those in most pictures first, the earlier of equals.
    pub fn classes(&self) -> Vec<usize> {
        let pictures =
            |group: &Group| group.fills.first().map_or(0, |[removed, _]| removed.change.len());
        let mut classes: Vec<(usize, usize)> = self
            .groups()
            .filter_map(|((class, label), group)| {
                label.is_none().then_some((class?, pictures(group)))
            })
            .collect();
        classes.sort_by_key(|&(class, pictures)| (std::cmp::Reverse(pictures), class));
        classes.into_iter().map(|(class, _)| class).collect()
    }
}

impl Group {
    fn add(&mut self, record: &RemovalRecord, regions: &[&RegionRecord]) {
        let fills = regions.first().map_or(0, |region| region.answers.len());
        self.fills.resize(fills.max(self.fills.len()), Default::default());
        for (fill, measures) in self.fills.iter_mut().enumerate().take(fills) {
            measures[0].add(
                record,
                regions,
                fill,
                [RemovalKind::Removed, RemovalKind::RemovedControl],
            );
            measures[1].add(record, regions, fill, [RemovalKind::Kept, RemovalKind::KeptControl]);
        }
    }
}

impl RemovalMeasure {
    fn add(
        &mut self,
        record: &RemovalRecord,
        regions: &[&RegionRecord],
        fill: usize,
        [own, control]: [RemovalKind; 2],
    ) {
        let (mut changes, mut controls, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        for region in regions {
            let Some(answer) = region.answers[fill].of_kind(own) else { continue };
            changes.push(record.change(answer));
            self.regions += 1;
            self.flips += u64::from(answer.label != record.label);
            let Some(of_control) = region.answers[fill].of_kind(control) else { continue };
            controls.push(record.change(of_control));
            differences.push(record.change(answer) - record.change(of_control));
            self.controls += 1;
            self.control_flips += u64::from(of_control.label != record.label);
        }
        self.change.extend(crate::stats::mean(&changes));
        self.control.extend(crate::stats::mean(&controls));
        self.difference.extend(crate::stats::mean(&differences));
    }
}
