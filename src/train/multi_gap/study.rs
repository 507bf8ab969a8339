//! The paper's two studies: its Table 1 (streams, what lets blocks know of each other, fusion) and
//! its Fig. 4 (blocks taken off one by one).

use super::recipe::Part;
use super::workshop::{NetworkPlan, Workshop};
use crate::classify::Share;
use crate::networks::backbone::BLOCKS;
use crate::networks::multi_gap::{Dependency, Fusion};
use crate::plot::{Dot, Panel, Panels, Series, write};
use crate::run::table;
use crate::train::outcome::{Told, TrainingResult, WEIGHTS};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Which study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Study {
    /// All rows of the paper's Table 1.
    Table1,
    /// The paper's Fig. 4.
    Truncation,
}

/// Accuracies in the paper's Table 1, in percent, on FI; none where the paper has no such row.
const PUBLISHED: [(&str, f64); 10] = [
    ("object", 63.70),
    ("places", 59.21),
    ("anp", 47.37),
    ("object-gru", 63.40),
    ("object-gru-attention", 63.46),
    ("places-gru-attention", 58.40),
    ("early-fusion", 64.30),
    ("late-fusion", 63.48),
    ("late-fusion-object-places", 64.00),
    ("late-fusion-gru-attention", 63.76),
];

/// The two streams of both studies.
const STREAMS: [&str; 2] = ["object", "places"];

impl Study {
    /// Its name in options, folders and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table1 => "table1",
            Self::Truncation => "truncation",
        }
    }

    /// All networks of the study, in an order in which each comes behind those it begins from.
    ///
    /// # Errors
    /// The recipe lacks one of the streams.
    pub fn plans(self, workshop: &Workshop<'_>) -> Result<Vec<NetworkPlan>> {
        if let Some(missing) =
            STREAMS.iter().find(|name| !workshop.recipe.stream.contains_key(**name))
        {
            return Err(Error::Setting(format!(
                "the study needs [stream.{missing}] in the recipe"
            )));
        }
        let maker = Maker { workshop };
        Ok(match self {
            Self::Table1 => maker.table1(),
            Self::Truncation => maker.truncation(),
        })
    }

    /// Trains all networks that are not there yet and writes table and picture; `None`: stopped
    /// before the end.
    ///
    /// # Errors
    /// As [`Workshop::train`].
    pub fn run(
        self,
        workshop: &mut Workshop<'_>,
        told: &mut dyn FnMut(Told),
    ) -> Result<Option<Vec<TrainingResult>>> {
        let mut results = Vec::new();
        for plan in self.plans(workshop)? {
            match workshop.train(&plan, told)? {
                Some(result) => results.push(result),
                None => return Ok(None),
            }
        }
        self.write(workshop.folder, &results)?;
        Ok(Some(results))
    }

    fn write(self, folder: &Path, results: &[TrainingResult]) -> Result<()> {
        let name = self.name();
        table(&folder.join(format!("{name}.csv")), |table| {
            let mut header = vec!["network", "accuracy", "lower", "upper", "right", "pictures"];
            header.extend([
                "epochs",
                "best_epoch",
                "trained_numbers",
                "numbers",
                "seconds",
                "published_on_fi",
            ]);
            table.row(header)?;
            for result in results {
                let Share { hits, cases, share, interval: (lower, upper) } = result.accuracy;
                let published = PUBLISHED.iter().find(|(known, _)| *known == result.name);
                table.row([
                    result.name.clone(),
                    format!("{share:.6}"),
                    format!("{lower:.6}"),
                    format!("{upper:.6}"),
                    hits.to_string(),
                    cases.to_string(),
                    result.epochs.to_string(),
                    result.best_epoch.to_string(),
                    result.trained_numbers.to_string(),
                    result.numbers.to_string(),
                    format!("{:.0}", result.seconds),
                    published
                        .map_or(String::new(), |(_, percent)| format!("{:.4}", percent / 100.0)),
                ])?;
            }
            Ok(())
        })?;
        let picture = match self {
            Self::Table1 => table1_picture(results),
            Self::Truncation => truncation_picture(results),
        };
        write(
            &picture.svg()?,
            &folder.join(format!("{name}.png")),
            &folder.join(format!("{name}.svg")),
        )
    }
}

/// Plans for a recipe.
struct Maker<'a, 'b> {
    workshop: &'a Workshop<'b>,
}

impl Maker<'_, '_> {
    /// A stream with its own classifier.
    fn single(&self, stream: &str, dependency: Dependency, blocks: usize) -> NetworkPlan {
        let mut description = self.workshop.recipe.stream[stream].describe(stream);
        let plain = description.dependency == dependency && blocks == description.blocks;
        description.dependency = dependency;
        description.blocks = blocks;
        let suffix = match dependency {
            Dependency::None => "",
            Dependency::Gru => "-gru",
            Dependency::GruAttention => "-gru-attention",
        };
        let name = match blocks {
            BLOCKS => format!("{stream}{suffix}"),
            fewer => format!("{stream}-gap-{fewer}"),
        };
        // What only stands on a backbone begins where the plain network ended.
        let part = if plain {
            self.workshop.recipe.network.trained
        } else {
            self.workshop.recipe.study.variants
        };
        let initial =
            if !plain && part == Part::Heads { vec![self.weights(stream)] } else { Vec::new() };
        NetworkPlan {
            name,
            streams: vec![description],
            anp: false,
            fusion: Fusion::Single,
            initial,
            part: Some(part),
        }
    }

    fn plain(&self, stream: &str) -> NetworkPlan {
        self.single(stream, Dependency::None, BLOCKS)
    }

    fn weights(&self, network: &str) -> PathBuf {
        self.workshop.folder.join(network).join(WEIGHTS)
    }

    /// Trained networks together.
    fn fused(&self, name: &str, fusion: Fusion, plans: &[&NetworkPlan]) -> NetworkPlan {
        NetworkPlan {
            name: name.into(),
            streams: plans.iter().flat_map(|plan| plan.streams.clone()).collect(),
            anp: plans.iter().any(|plan| plan.anp),
            fusion,
            initial: plans.iter().map(|plan| self.weights(&plan.name)).collect(),
            part: (fusion == Fusion::Early).then_some(Part::Fusion),
        }
    }

    fn table1(&self) -> Vec<NetworkPlan> {
        let [object, places] = STREAMS.map(|stream| self.plain(stream));
        let anp = NetworkPlan {
            name: "anp".into(),
            streams: Vec::new(),
            anp: true,
            fusion: Fusion::Single,
            initial: Vec::new(),
            part: Some(Part::All),
        };
        let gru = self.single("object", Dependency::Gru, BLOCKS);
        let [object_attention, places_attention] =
            STREAMS.map(|stream| self.single(stream, Dependency::GruAttention, BLOCKS));
        let mut all: Vec<&NetworkPlan> = vec![&object, &places];
        if self.workshop.pairs.is_some() {
            all.push(&anp);
        }
        let fused = [
            self.fused("early-fusion", Fusion::Early, &all),
            self.fused("late-fusion", Fusion::Late, &all),
            self.fused("late-fusion-object-places", Fusion::Late, &all[..2]),
            self.fused(
                "late-fusion-gru-attention",
                Fusion::Late,
                &[&object_attention, &places_attention],
            ),
        ];
        let mut plans: Vec<NetworkPlan> = all.into_iter().cloned().collect();
        plans.extend([gru, object_attention, places_attention]);
        // Without adjective-noun pairs the two late fusions of plain streams are one.
        let twice = |plan: &NetworkPlan| {
            self.workshop.pairs.is_none() && plan.name == "late-fusion-object-places"
        };
        plans.extend(fused.into_iter().filter(|plan| !twice(plan)));
        plans
    }

    fn truncation(&self) -> Vec<NetworkPlan> {
        let shortened = |stream: &&str| {
            let stream = *stream;
            (1..=BLOCKS)
                .rev()
                .map(move |blocks| self.single(stream, Dependency::None, blocks))
                .collect::<Vec<_>>()
        };
        STREAMS.iter().flat_map(shortened).collect()
    }
}

fn table1_picture(results: &[TrainingResult]) -> Panels {
    let dots = |value: &dyn Fn(&TrainingResult) -> Option<Dot>| results.iter().map(value).collect();
    let here = |result: &TrainingResult| {
        let Share { share, interval, cases, .. } = result.accuracy;
        Some(Dot { value: share, interval: Some(interval), mark: "", n: Some(cases as usize) })
    };
    let published = |result: &TrainingResult| {
        let (_, percent) = PUBLISHED.iter().find(|(known, _)| *known == result.name)?;
        Some(Dot { value: percent / 100.0, interval: None, mark: "", n: None })
    };
    let panel = |title: &str, dots| Panel::Dots {
        title: title.into(),
        scale: "accuracy".into(),
        better: "higher is better".into(),
        dots,
        reference: None,
    };
    Panels {
        title: "Multi-GAP: streams, feature dependency, fusion".into(),
        subtitle: "The rows of the paper's Table 1".into(),
        series: results
            .iter()
            .map(|result| Series { name: result.name.clone(), baseline: false })
            .collect(),
        panels: vec![
            panel("these pictures", dots(&here)),
            panel("FI, as published", dots(&published)),
        ],
        notes: vec![
            "Other data: the order of rows can be compared, not the numbers. Wilson's intervals, \
             95 %."
                .into(),
        ],
    }
}

fn truncation_picture(results: &[TrainingResult]) -> Panels {
    let line = |stream: &str| -> Vec<(f64, f64)> {
        let blocks = |name: &str| match name.strip_prefix(stream)? {
            "" => Some(BLOCKS as f64),
            rest => rest.strip_prefix("-gap-")?.parse().ok(),
        };
        let mut points: Vec<(f64, f64)> = results
            .iter()
            .filter_map(|result| Some((blocks(&result.name)?, result.accuracy.share)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    Panels {
        title: "Multi-GAP: blocks taken off one by one".into(),
        subtitle: "The paper's Fig. 4: accuracy with the first blocks alone".into(),
        series: STREAMS.map(|name| Series { name: name.into(), baseline: false }).into(),
        panels: vec![Panel::Lines {
            title: "accuracy".into(),
            across: "blocks".into(),
            up: "accuracy".into(),
            lines: STREAMS.map(line).into(),
            whole_numbers: true,
            n: results.first().map(|result| result.accuracy.cases as usize),
        }],
        notes: Vec::new(),
    }
}
