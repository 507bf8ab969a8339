//! From the records of an experiment to its tables and pictures; no networks.

use super::record::{RegionRecord, RemovalRecord};
use super::redrawing::{COMPARED, Redrawing, RedrawingAgreement};
use super::settings::{RemovalKind, RemovalSettings};
use super::tally::{Group, RemovalMeasure, RemovalTally};
use crate::names::counted;
use crate::plot::{self, Dot, Panel, Panels, Series};
use crate::run::{Run, table};
use crate::stats::{FEWEST_RESAMPLED_CASES, mean, percentile_interval_of_mean, wilson};
use crate::{Error, Result};
use std::path::PathBuf;

/// Samples drawn for every interval.
const RESAMPLES: usize = 1000;

/// An experiment's settings, names and counts.
struct Report<'a> {
    settings: &'a RemovalSettings,
    labels: &'a [String],
    classes: &'a [String],
    warning: Option<&'a str>,
    seed: u64,
    /// Classes in the picture.
    top: usize,
    /// Changes by class and label.
    tally: RemovalTally,
    /// Effects against those of drawing again, in drawn scenes.
    redrawing: Redrawing,
}

/// Writes `removal.csv` (a row a region, fill and kind), `classes.csv` (a row a class, label, fill
/// and kind; an empty label is all labels together), of drawn scenes `redrawing.csv`, and
/// `removal.png` and `.svg` where there is a region with a control. Returns the text that sums it
/// up and the picture, if any. Works on unfinished runs too.
///
/// # Errors
/// The run is none of `emocam remove`; records that cannot be read or do not fit it; a file that
/// cannot be written.
pub fn write(run: &Run) -> Result<(String, Option<PathBuf>)> {
    let manifest = &run.manifest;
    let settings =
        &RemovalSettings::read(manifest).map_err(|message| Error::file(run.folder(), message))?;
    let configuration = &manifest.configuration;
    let mut report = Report {
        settings,
        labels: &manifest.labels,
        classes: &manifest.classes,
        warning: manifest.warning.as_deref(),
        seed: configuration.cam.seed,
        top: configuration.association.top,
        tally: RemovalTally::default(),
        redrawing: Redrawing::default(),
    };
    report.removal_csv(run)?;
    report.classes_csv(run)?;
    if settings.drawn.is_some() {
        report.redrawing_csv(run)?;
    }
    let picture = report.picture(run)?;
    Ok((report.summary(), picture))
}

fn cell<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Both ends, empty without an interval.
fn ends(interval: Option<(f64, f64)>) -> [String; 2] {
    [cell(interval.map(|(lower, _)| lower)), cell(interval.map(|(_, upper)| upper))]
}

impl Report<'_> {
    /// Writes the rows as the records are read, and counts them.
    fn removal_csv(&mut self, run: &Run) -> Result<()> {
        table(&run.path("removal.csv"), |table| {
            table.row([
                "path",
                "label",
                "region",
                "class",
                "confidence",
                "x_min",
                "y_min",
                "x_max",
                "y_max",
                "covered",
                "fill",
                "kind",
                "overlap",
                "on_regions",
                "whole",
                "probability",
                "change",
                "label_then",
                "flip",
            ])?;
            let drawn = self.settings.drawn.is_some();
            let mut take = |record: &RemovalRecord| {
                for (number, region) in record.regions.iter().enumerate() {
                    self.rows(record, number, region)
                        .into_iter()
                        .try_for_each(|row| table.row(row))?;
                }
                self.tally.add(record);
                if drawn {
                    self.redrawing.add(record);
                }
                Ok(())
            };
            if drawn {
                // Scenes by their numbers, not by the digits of these.
                run.for_each_record_of(|record| take(&record))
            } else {
                run.for_each_record_in_order(take)
            }
        })
    }

    /// A region's rows: where it, or its control, is, and what comes of hiding it.
    fn rows(
        &self,
        record: &RemovalRecord,
        number: usize,
        region: &RegionRecord,
    ) -> Vec<Vec<String>> {
        let fills = self.settings.fills.iter().zip(&region.answers);
        let hidden = fills.flat_map(|(fill, answers)| {
            RemovalKind::ALL
                .into_iter()
                .filter_map(|kind| Some((fill.name(), kind.name(), kind, answers.of_kind(kind)?)))
        });
        let redrawn = region.redrawn.map(|answer| ("", "redrawn", RemovalKind::Removed, answer));
        let row = |(fill, name, kind, answer): (&str, &str, RemovalKind, super::RemovalAnswer)| {
            let control = region.control.filter(|_| kind.is_control());
            let place = control.map_or(region.bounding_box, |control| control.bounding_box);
            let mut row = vec![
                record.path.clone(),
                self.labels[record.label].clone(),
                (number + 1).to_string(),
                self.classes[region.class].clone(),
                region.confidence.to_string(),
            ];
            row.extend(<[f32; 4]>::from(place).map(|edge| edge.to_string()));
            row.extend([region.covered.to_string(), fill.into(), name.into()]);
            row.extend([
                cell(control.map(|control| control.overlap)),
                cell(control.map(|control| control.on_regions)),
            ]);
            row.extend(
                [record.probabilities[record.label], answer.probability]
                    .map(|number| number.to_string()),
            );
            row.push(record.change(answer).to_string());
            row.push(self.labels[answer.label].clone());
            row.push(u8::from(answer.label != record.label).to_string());
            row
        };
        hidden.chain(redrawn).map(row).collect()
    }

    /// Fill, kind and counts of a group.
    fn measures<'g>(
        &'g self,
        group: &'g Group,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'g RemovalMeasure)> {
        self.settings.fills.iter().zip(&group.fills).flat_map(|(fill, measures)| {
            let kinds = [RemovalKind::Removed, RemovalKind::Kept].into_iter().zip(measures);
            kinds.map(|(kind, measure)| (fill.name(), kind.name(), measure))
        })
    }

    fn classes_csv(&self, run: &Run) -> Result<()> {
        table(&run.path("classes.csv"), |table| {
            table.row([
                "class",
                "label",
                "fill",
                "kind",
                "n",
                "pictures",
                "change",
                "controls",
                "control_change",
                "difference",
                "lower",
                "upper",
                "flips",
                "flip_share",
                "flip_lower",
                "flip_upper",
                "control_flips",
                "control_flip_share",
                "control_flip_lower",
                "control_flip_upper",
            ])?;
            for ((class, label), group) in self.tally.groups() {
                let Some(class) = class else { continue };
                for (fill, kind, measure) in self.measures(group) {
                    let mut row = vec![
                        self.classes[class].clone(),
                        cell(label.map(|label| &self.labels[label])),
                    ];
                    row.extend([fill.to_string(), kind.to_string()]);
                    row.extend([measure.regions.to_string(), measure.change.len().to_string()]);
                    row.extend([cell(mean(&measure.change)), measure.controls.to_string()]);
                    row.extend([cell(mean(&measure.control)), cell(mean(&measure.difference))]);
                    row.extend(ends(self.interval(&measure.difference)));
                    for (flips, all) in [
                        (measure.flips, measure.regions),
                        (measure.control_flips, measure.controls),
                    ] {
                        row.extend([
                            flips.to_string(),
                            cell((all > 0).then(|| flips as f64 / all as f64)),
                        ]);
                        row.extend(ends(wilson(flips, all)));
                    }
                    table.row(row)?;
                }
            }
            Ok(())
        })
    }

    fn interval(&self, values: &[f64]) -> Option<(f64, f64)> {
        percentile_interval_of_mean(values, RESAMPLES, self.seed)
    }

    /// Fill, kind and agreement with redrawing, and last what effects of 0 would have.
    fn agreements(&self) -> Vec<(&'static str, &'static str, RedrawingAgreement)> {
        let fills = self.settings.fills.iter().enumerate();
        let each = fills.flat_map(|(place, fill)| {
            COMPARED.into_iter().filter_map(move |kind| {
                let found = self.redrawing.agreement(place, kind, RESAMPLES, self.seed)?;
                Some((fill.name(), kind.name(), found))
            })
        });
        each.chain(
            self.redrawing.of_nothing(RESAMPLES, self.seed).map(|found| ("", "nothing", found)),
        )
        .collect()
    }

    fn redrawing_csv(&self, run: &Run) -> Result<()> {
        table(&run.path("redrawing.csv"), |table| {
            table.row([
                "fill",
                "kind",
                "scenes",
                "objects",
                "mean_absolute_difference",
                "lower",
                "upper",
                "spearman",
                "spearman_lower",
                "spearman_upper",
            ])?;
            for (fill, kind, found) in self.agreements() {
                let mut row = vec![fill.to_string(), kind.to_string()];
                row.extend([found.scenes, found.objects].map(|count| count.to_string()));
                row.push(found.difference.0.to_string());
                row.extend(ends(found.difference.1));
                row.push(cell(found.correlation.map(|(rho, _)| rho)));
                row.extend(ends(found.correlation.and_then(|(_, interval)| interval)));
                table.row(row)?;
            }
            Ok(())
        })
    }

    /// The classes in most pictures by change against the control, a panel a kind and fill.
    fn picture(&self, run: &Run) -> Result<Option<PathBuf>> {
        let mut classes = self.tally.classes();
        classes.truncate(self.top);
        let panel = |place: usize, kind: usize| {
            let dot = |&class: &usize| {
                let values =
                    &self.tally.group((Some(class), None))?.fills.get(place)?[kind].difference;
                Some(Dot {
                    value: mean(values)?,
                    interval: self.interval(values),
                    mark: "",
                    n: Some(values.len()),
                })
            };
            let fill = self.settings.fills[place].name();
            Panel::Dots {
                title: format!("{}, {fill}", ["Taken away", "Kept alone"][kind]),
                scale: "change of probability less control's".into(),
                better: String::new(),
                dots: classes.iter().map(dot).collect(),
                reference: Some(0.0),
            }
        };
        let places = (0..self.settings.fills.len()).flat_map(|place| [(place, 0), (place, 1)]);
        let panels: Vec<Panel> = places.map(|(place, kind)| panel(place, kind)).collect();
        let has_dots = |panel: &Panel| matches!(panel, Panel::Dots { dots, .. } if dots.iter().any(Option::is_some));
        if !panels.iter().any(has_dots) {
            return Ok(None);
        }
        let mut notes = vec![format!(
            "Dots: mean over n pictures of the change of the own label's probability less the \
             change by a patch of the same size and shape elsewhere; bars: 95 % bootstrap \
             intervals over pictures, none of fewer than {FEWEST_RESAMPLED_CASES}. What speaks for \
             the answer lies left of the dashed line when it is taken away, right of it when it \
             alone is kept. The {} classes in most pictures, those first.",
            classes.len()
        )];
        notes.extend(self.warning.map(|warning| format!("Warning: {warning}.")));
        let series = classes
            .iter()
            .map(|&class| Series { name: self.classes[class].clone(), baseline: false });
        let panels = Panels {
            title: "Regions taken away and kept alone".into(),
            subtitle: format!(
                "{}, {}",
                counted(self.tally.pictures as u64, "picture"),
                counted(self.tally.regions as u64, "region")
            ),
            series: series.collect(),
            panels,
            notes,
        };
        let [png, svg] = ["png", "svg"].map(|kind| run.path(&format!("removal.{kind}")));
        plot::write(&panels.svg()?, &png, &svg)?;
        Ok(Some(png))
    }

    /// Over all regions, a line a fill and kind; of drawn scenes the agreement with redrawing.
    fn summary(&self) -> String {
        let RemovalTally { pictures, regions, without_control, .. } = &self.tally;
        let mut out = format!(
            "{pictures} pictures, {regions} regions, {without_control} of them without a control\n"
        );
        let Some(group) = self.tally.group((None, None)) else { return out };
        out.push_str(
            "fill          kind      change  control  difference (95 %)           flips  control\n",
        );
        let share = |flips: u64, all: u64| flips as f64 / all.max(1) as f64;
        for (fill, kind, measure) in self.measures(group) {
            let number = |values: &[f64]| {
                mean(values).map_or_else(|| "-".into(), |mean| format!("{mean:.4}"))
            };
            let [change, control, difference] =
                [&measure.change, &measure.control, &measure.difference]
                    .map(|values| number(values));
            let interval = self.interval(&measure.difference);
            let interval = interval
                .map_or_else(String::new, |(lower, upper)| format!("({lower:.4} to {upper:.4})"));
            let (flips, of_controls) = (
                share(measure.flips, measure.regions),
                share(measure.control_flips, measure.controls),
            );
            out.push_str(&format!(
                "{fill:<13} {kind:<8} {change:>7} {control:>8} {difference:>8} {interval:<21} \
                 {flips:>6.3} {of_controls:>8.3}\n"
            ));
        }
        if self.settings.drawn.is_some() {
            out.push_str("\nagainst drawing the scene again without the object:\n");
            out.push_str(
                "fill          kind             objects  mean absolute difference     Spearman\n",
            );
            for (fill, kind, found) in self.agreements() {
                let cells = |(value, interval): (f64, Option<(f64, f64)>)| {
                    let interval =
                        interval.map_or_else(String::new, |(a, b)| format!(" ({a:.3} to {b:.3})"));
                    format!("{value:.3}{interval}")
                };
                let (apart, rho) =
                    (cells(found.difference), found.correlation.map_or_else(|| "-".into(), cells));
                out.push_str(&format!(
                    "{fill:<13} {kind:<15} {:>8}  {apart:<28} {rho}\n",
                    found.objects
                ));
            }
        }
        out
    }
}
