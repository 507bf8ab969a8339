//! The command `compare`: two looks at pictures, as by two networks, methods, thresholds, or by a
//! network and by people.
//!
//! In: two runs, each with a method, a rule for what is important and what its columns are. Out:
//! how far labels, boxes and maps agree, the cells of the matrices that differ, and the pictures
//! that changed most. Of runs over the same pictures each picture is compared with itself; runs
//! over different ones are two samples. No network runs.

mod picture;
mod published;
mod report;

pub use picture::PictureChange;
pub use published::{BesidePublished, PublishedMatrix};
pub use report::AgreementOfPictures;

use self::picture::LookedAt;
use crate::associate::{Columns, Counts, DifferenceTable, Importance, PairedCounts};
use crate::classify::Confusion;
use crate::config::AssociationConfig;
use crate::run::Run;
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// One of the two looks.
#[derive(Debug)]
pub struct ComparedLook<'a> {
    /// What it is called.
    pub name: String,
    /// The run.
    pub run: &'a Run,
    /// The place of its method among those of the run.
    pub method: usize,
    /// What is important in a picture.
    pub rule: AssociationConfig,
    /// What its columns are.
    pub columns: Columns,
}

/// How often is drawn, and what may differ between comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparisonSettings {
    /// Resamples of the pictures behind intervals.
    pub resamples: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Classes that are important in at least so many pictures of both looks together are compared.
    pub min_images: u64,
    /// Rows of the heatmap.
    pub top: usize,
}

/// Names that two lists have in common, whatever the case of their letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommonNames {
    /// As the first list spells them, in its order.
    pub names: Vec<String>,
    /// For each name of each list its place in `names`.
    places: [Vec<Option<usize>>; 2],
    /// Names that one list alone has.
    pub alone: [Vec<String>; 2],
}

impl CommonNames {
    /// Of two lists.
    pub fn new(first: &[String], second: &[String]) -> Self {
        let lower = |names: &[String]| -> HashMap<String, usize> {
            names
                .iter()
                .enumerate()
                .rev()
                .map(|(place, name)| (name.to_lowercase(), place))
                .collect()
        };
        let (of_first, of_second) = (lower(first), lower(second));
        let mut common =
            Self { places: [vec![None; first.len()], vec![None; second.len()]], ..Self::default() };
        for (place, name) in first.iter().enumerate() {
            match of_second.get(&name.to_lowercase()) {
                Some(&other) => {
                    common.places[0][place] = Some(common.names.len());
                    common.places[1][other] = Some(common.names.len());
                    common.names.push(name.clone());
                }
                None => common.alone[0].push(name.clone()),
            }
        }
        let missing = second.iter().filter(|name| !of_first.contains_key(&name.to_lowercase()));
        common.alone[1] = missing.cloned().collect();
        common
    }
}

/// Whether the two looks are at the same pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// So many pictures are in both; so many are in one alone, and count for nothing.
    Paired {
        /// In both.
        both: u64,
        /// In the first or the second alone.
        alone: [u64; 2],
    },
    /// No picture is in both: so many in each.
    Unpaired([u64; 2]),
}

/// Two looks compared.
#[derive(Debug)]
pub struct RunComparison {
    /// What the looks are called.
    pub names: [String; 2],
    /// Classes of both.
    pub classes: CommonNames,
    /// Labels of both.
    pub labels: CommonNames,
    /// How they are joined.
    pub pairing: Pairing,
    /// Cells of the matrices; the second is compared with the first.
    pub table: DifferenceTable,
    /// Labels by the first look (row) and by the second, over pictures that have a common label in
    /// both.
    pub confusion: Confusion,
    /// Of pictures in both, the most changed first.
    pub pictures: Vec<PictureChange>,
    settings: ComparisonSettings,
    rules: [String; 2],
}

impl RunComparison {
    /// Compares two looks.
    ///
    /// # Errors
    /// Records or maps that cannot be read; a rule that does not fit its network; no class or no
    /// label in common.
    pub fn of(looks: &[ComparedLook<'_>; 2], settings: ComparisonSettings) -> Result<Self> {
        let [first, second] = looks;
        let names = |look: &ComparedLook<'_>| look.columns.names(&look.run.manifest.labels);
        let labels = CommonNames::new(&names(first), &names(second));
        let classes = CommonNames::new(&first.run.manifest.classes, &second.run.manifest.classes);
        for (what, common) in [("class", &classes), ("label", &labels)] {
            if common.names.is_empty() {
                let found =
                    |alone: &[String]| alone.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
                return Err(Error::Setting(format!(
                    "{} and {} have no {what} in common: the one has {} and so on, the other {}",
                    first.name,
                    second.name,
                    found(&common.alone[0]),
                    found(&common.alone[1])
                )));
            }
        }
        let places =
            |side: usize| Places { classes: &classes.places[side], labels: &labels.places[side] };
        let (one, other) = (first.read(&places(0))?, second.read(&places(1))?);
        let mut confusion = Confusion::new(&labels.names);
        let both: Vec<(&String, &LookedAt, &LookedAt)> =
            one.iter().filter_map(|(path, seen)| Some((path, seen, other.get(path)?))).collect();
        let counted = [one.len() as u64, other.len() as u64];
        let (pairing, table, pictures);
        if both.is_empty() {
            pairing = Pairing::Unpaired(counted);
            let counts = |seen: &HashMap<String, LookedAt>| {
                let mut counts = Counts::new(classes.names.len(), labels.names.len());
                seen.values().for_each(|seen| {
                    seen.label.into_iter().for_each(|label| counts.add(label, &seen.classes));
                });
                counts
            };
            table = DifferenceTable::unpaired(&counts(&one), &counts(&other), settings.min_images);
            pictures = Vec::new();
        } else {
            let count = both.len() as u64;
            pairing = Pairing::Paired { both: count, alone: counted.map(|all| all - count) };
            let mut paired = PairedCounts::new(labels.names.len());
            for (_, seen, again) in &both {
                paired.add(seen.as_seen(), again.as_seen());
                if let Some((label, answer)) = seen.label.zip(again.label) {
                    confusion.add(label, answer);
                }
            }
            let &ComparisonSettings { resamples, seed, min_images, .. } = &settings;
            table =
                DifferenceTable::paired(&paired, classes.names.len(), min_images, resamples, seed);
            pictures = changes(looks, &both)?;
        }
        let described = |look: &ComparedLook<'_>| {
            let notes = [
                Some(look.rule.described()),
                look.rule.images_described(),
                look.columns.described(),
            ];
            format!("{}: {}", look.name, notes.into_iter().flatten().collect::<Vec<_>>().join(" "))
        };
        let names = [first.name.clone(), second.name.clone()];
        let rules = [described(first), described(second)];
        Ok(Self { names, classes, labels, pairing, table, confusion, pictures, settings, rules })
    }
}

/// What changed in each picture, the most changed first.
fn changes(
    looks: &[ComparedLook<'_>; 2],
    both: &[(&String, &LookedAt, &LookedAt)],
) -> Result<Vec<PictureChange>> {
    let maps = looks
        .each_ref()
        .map(|look| (look.run.path("maps"), look.run.manifest.configuration.cam.names()));
    let files = maps.each_ref().map(|(folder, _)| folder.as_path());
    let methods = [&maps[0].1[looks[0].method], &maps[1].1[looks[1].method]].map(String::as_str);
    let have_maps = files.iter().all(|folder| folder.is_dir());
    let change = |(path, seen, again): &(&String, &LookedAt, &LookedAt)| {
        let maps = if have_maps { picture::maps_agree(files, methods, path)? } else { None };
        Ok(PictureChange::new(path, [seen, again], maps))
    };
    let mut pictures = both.par_iter().map(change).collect::<Result<Vec<_>>>()?;
    pictures.sort_by(|a, b| b.change.total_cmp(&a.change).then_with(|| a.path.cmp(&b.path)));
    Ok(pictures)
}

/// Where a run's classes and labels are among the common ones.
struct Places<'a> {
    classes: &'a [Option<usize>],
    labels: &'a [Option<usize>],
}

impl ComparedLook<'_> {
    /// The pictures that its rule takes and that have a label.
    fn read(&self, places: &Places<'_>) -> Result<HashMap<String, LookedAt>> {
        let importance = Importance::of_run(self.run, &self.rule)?;
        let answers = self.columns.names(&self.run.manifest.labels);
        let mut seen = HashMap::new();
        self.run.for_each_record(|record| {
            if !self.rule.takes(record.margin()) {
                return Ok(());
            }
            let Some(label) = self.columns.of(&record) else { return Ok(()) };
            let classes = importance.classes(&record, self.method);
            let mut classes: Vec<usize> =
                classes.into_iter().filter_map(|class| places.classes[class]).collect();
            classes.sort_unstable();
            let boxes = record.boxes.iter().enumerate().filter_map(|(place, region)| {
                let number = || importance.number(&record, self.method, place);
                Some((places.classes[region.class]?, region.bounding_box, number()))
            });
            let looked = LookedAt {
                label: places.labels[label],
                name: answers[label].clone(),
                classes,
                boxes: boxes.collect(),
                // Of people's labels the network's probabilities say nothing.
                probabilities: if matches!(self.columns, Columns::Answers) {
                    places
                        .labels
                        .iter()
                        .zip(&record.probabilities)
                        .filter_map(|(place, &p)| place.map(|index| (index, p)))
                        .collect()
                } else {
                    BTreeMap::new()
                },
            };
            seen.insert(record.path, looked);
            Ok(())
        })?;
        match seen.is_empty() {
            true => Err(Error::file(
                self.run.folder(),
                "has no image that counts: there is nothing to compare",
            )),
            false => Ok(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_are_found_whatever_their_case() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let common = CommonNames::new(
            &names(&["Person", "Dog", "Tree"]),
            &names(&["dog", "kite", "PERSON"]),
        );
        assert_eq!(common.names, ["Person", "Dog"]);
        assert_eq!(common.places, [vec![Some(0), Some(1), None], vec![Some(1), None, Some(0)]]);
        assert_eq!(common.alone, [names(&["Tree"]), names(&["kite"])]);
    }
}
