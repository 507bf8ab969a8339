//! The files of a comparison: one square table a measure, `reliability.csv`, `rsa.json`, and the
//! heatmap.

use super::{Agreement, Inputs, MatrixKind, Pair, ResamplingPlan};
use crate::config::{AssociationConfig, Nested};
use crate::files::{write_bytes, write_whole};
use crate::plot::{self, Heatmap};
use crate::stats::STRATUM;
use crate::{Error, Result};
use serde::Serialize;
use std::path::Path;

/// The file name and the measure of a square table.
type SquareTable = (&'static str, fn(&Pair) -> Option<f64>);
const TABLES: [SquareTable; 9] = [
    ("spearman.csv", |pair| pair.spearman),
    ("rho_a.csv", |pair| pair.rho_a),
    ("kendall_tau_b.csv", |pair| pair.kendall),
    ("p_value.csv", |pair| pair.p_value),
    ("p_value_kendall.csv", |pair| pair.p_kendall),
    ("p_permutation.csv", |pair| pair.p_permutation),
    ("spearman_lower.csv", |pair| pair.interval.map(|interval| interval.lower)),
    ("spearman_upper.csv", |pair| pair.interval.map(|interval| interval.upper)),
    ("partial.csv", |pair| pair.partial),
];

/// A number for a cell: shortest digits that read back the same, as a power of ten where it is
/// tiny.
fn cell(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value != 0.0 && value.abs() < 1e-5 => format!("{value:e}"),
        Some(value) => (value + 0.0).to_string(),
    }
}

/// `rsa.json`.
#[derive(Serialize)]
struct Summary<'a> {
    emocam: &'static str,
    /// What stands in the cells.
    matrix: MatrixKind,
    settings: ResamplingPlan,
    /// Classes a stratum of the permutation test, about.
    stratum: usize,
    classes: usize,
    labels: &'a [String],
    cells: usize,
    items: Vec<ItemSummary<'a>>,
    pairs: Vec<PairSummary<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct ItemSummary<'a> {
    name: &'a str,
    input: String,
    images: Option<usize>,
    constant: bool,
    /// Which boxes count, in a run.
    boxes: Option<BoxRule<'a>>,
}

#[derive(Serialize)]
struct BoxRule<'a> {
    importance: f32,
    min_confidence: f32,
    score: &'a crate::score::ScoreRule,
    /// What counts of nested boxes, where not all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    nested: Option<Nested>,
    /// Of images that count, where not all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_margin: Option<f32>,
}

#[derive(Serialize)]
struct PairSummary<'a> {
    a: &'a str,
    b: &'a str,
    spearman: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    /// Mean of the resamples less the estimate.
    bootstrap_bias: Option<f64>,
    /// Resamples in which the correlation is defined.
    resamples: usize,
    rho_a: Option<f64>,
    kendall_tau_b: Option<f64>,
    partial: Option<f64>,
    p_value: Option<f64>,
    p_value_kendall: Option<f64>,
    p_permutation: Option<f64>,
}

impl Agreement {
    /// Writes everything into `folder`, which is made if need be.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, inputs: &Inputs, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let count = self.items.len();
        let names = || self.items.iter().map(|item| item.name.clone());
        for (name, measure) in TABLES {
            let rows = (0..count).map(|a| {
                let cells = (0..count).map(|b| cell(measure(self.pair(a, b))));
                [self.items[a].name.clone()].into_iter().chain(cells).collect()
            });
            let head = [String::new()].into_iter().chain(names()).collect();
            table(&folder.join(name), [head].into_iter().chain(rows))?;
        }
        table(&folder.join("reliability.csv"), self.reliability_rows())?;
        let mut json = serde_json::to_vec_pretty(&self.summary(inputs))
            .map_err(|e| Error::file(folder, e.to_string()))?;
        json.push(b'\n');
        write_bytes(&folder.join("rsa.json"), &json)?;
        plot::write(
            &self.heatmap(inputs).svg()?,
            &folder.join("heatmap.png"),
            &folder.join("heatmap.svg"),
        )
    }

    fn reliability_rows(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        let head = [
            "",
            "images",
            "split_half",
            "spearman_brown",
            "ceiling_lower",
            "ceiling_upper",
            "splits",
        ];
        let rows = self.items.iter().map(|item| {
            let found = item.reliability;
            vec![
                item.name.clone(),
                item.images.map(|images| images.to_string()).unwrap_or_default(),
                cell(found.map(|reliability| reliability.split_half)),
                cell(found.and_then(|reliability| reliability.spearman_brown)),
                cell(found.map(|reliability| reliability.ceiling_lower)),
                cell(found.map(|reliability| reliability.ceiling_upper)),
                found.map(|reliability| reliability.splits.to_string()).unwrap_or_default(),
            ]
        });
        [head.map(String::from).to_vec()].into_iter().chain(rows)
    }

    fn summary<'a>(&'a self, inputs: &'a Inputs) -> Summary<'a> {
        let rule = |of: &'a AssociationConfig| {
            // The others are about statistics and pictures of a single run.
            let AssociationConfig {
                importance,
                min_confidence,
                score,
                min_margin,
                min_images: _,
                top: _,
                heatmap: _,
                mark: _,
                background: _,
                nested,
                nested_table: _,
            } = of;
            let min_margin = (*min_margin > 0.0).then_some(*min_margin);
            let nested = (*nested != Nested::Separate).then_some(*nested);
            BoxRule {
                importance: *importance,
                min_confidence: *min_confidence,
                score,
                nested,
                min_margin,
            }
        };
        let item = |(at, of): (usize, &'a super::Compared)| ItemSummary {
            name: &of.name,
            input: inputs.paths[inputs.items[at].input].display().to_string(),
            images: of.images,
            constant: of.constant,
            boxes: inputs.rule(inputs.items[at].input).map(rule),
        };
        let count = self.items.len();
        let upper = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        Summary {
            matrix: inputs.matrix,
            emocam: env!("CARGO_PKG_VERSION"),
            settings: self.plan,
            stratum: STRATUM,
            classes: inputs.classes.len(),
            labels: &self.labels,
            cells: self.cells,
            items: self.items.iter().enumerate().map(item).collect(),
            pairs: upper.map(|(a, b)| self.pair_summary(a, b)).collect(),
            warnings: &self.warnings,
        }
    }

    fn pair_summary(&self, a: usize, b: usize) -> PairSummary<'_> {
        let pair = self.pair(a, b);
        PairSummary {
            a: &self.items[a].name,
            b: &self.items[b].name,
            spearman: pair.spearman,
            lower: pair.interval.map(|interval| interval.lower),
            upper: pair.interval.map(|interval| interval.upper),
            bootstrap_bias: pair.interval.map(|interval| interval.bias),
            resamples: pair.resamples,
            rho_a: pair.rho_a,
            kendall_tau_b: pair.kendall,
            partial: pair.partial,
            p_value: pair.p_value,
            p_value_kendall: pair.p_kendall,
            p_permutation: pair.p_permutation,
        }
    }

    /// The paper's Fig. 6.
    pub(super) fn heatmap(&self, inputs: &Inputs) -> Heatmap {
        let count = self.items.len();
        let pairs =
            || (0..count).flat_map(|a| (0..a).map(move |b| (a, b))).map(|(a, b)| self.pair(a, b));
        let negative = pairs().any(|pair| pair.spearman.is_some_and(|rho| rho < 0.0));
        let most = |of: fn(&Pair) -> Option<f64>| pairs().filter_map(of).max_by(f64::total_cmp);
        let mut notes = Vec::new();
        if let Some(p) = most(|pair| pair.p_permutation) {
            notes.push(format!(
                "Permutation test (rows exchanged among classes of similar frequency, {} times): p \
                 is {} at most.",
                self.plan.permutations,
                short(p)
            ));
        }
        if let Some(p) = most(|pair| pair.p_value) {
            notes.push(format!(
                "Naive p (t-test): {} at most. It takes the cells for independent, which they are \
                 not.",
                short(p)
            ));
        }
        if let Some(width) =
            most(|pair| pair.interval.map(|interval| interval.upper - interval.lower))
        {
            notes.push(format!(
                "95 % intervals over images are {} wide at most (spearman_lower.csv, \
                 spearman_upper.csv).",
                short(width)
            ));
        }
        notes.extend(self.missing_intervals().map(|why| format!("{why}.")));
        notes.extend(self.warnings.iter().map(|warning| format!("Note: {warning}.")));
        Heatmap {
            title: "Agreement of association matrices".into(),
            subtitle: Some(format!(
                "Spearman correlation over {} cells: {} classes x {} emotions",
                self.cells,
                inputs.classes.len(),
                self.labels.len()
            )),
            rows: self.items.iter().map(|item| item.name.clone()).collect(),
            columns: self.items.iter().map(|item| item.name.clone()).collect(),
            values: (0..count)
                .map(|a| (0..count).map(|b| self.pair(a, b).spearman).collect())
                .collect(),
            range: (if negative { -1.0 } else { 0.0 }, 1.0),
            value_label: "Spearman's ρ".into(),
            empty_label: "undefined: all cells of a matrix are equal".into(),
            column_notes: match self.items.iter().any(|item| item.images.is_some()) {
                true => self
                    .items
                    .iter()
                    .map(|item| item.images.map_or("–".into(), |n| n.to_string()))
                    .collect(),
                false => Vec::new(),
            },
            column_notes_label: "images".into(),
            notes,
            ..Heatmap::default()
        }
    }
}

/// For running text.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        tiny if tiny < 1e-3 => format!("{tiny:.1e}"),
        _ => format!("{value:.3}"),
    }
}

/// Writes a table whole.
fn table(path: &Path, rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
    let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
    write_whole(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        for row in rows {
            table.write_record(row).map_err(failed)?;
        }
        table.flush().map_err(Error::io("write", path))
    })
}
