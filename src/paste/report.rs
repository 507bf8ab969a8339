//! From the records of an experiment to its tables and pictures; no networks.

use super::record::PasteRecord;
use super::settings::{Fill, PasteSettings, Places};
use super::tally::{Cell, Tally};
use crate::names::counted;
use crate::plot::{self, Bar, BarPanel, Bars, Spots};
use crate::run::{Run, table};
use crate::stats::{cochran_q, holm, mcnemar, wilson};
use crate::{Error, Result};
use std::path::PathBuf;

/// An experiment's settings, labels and counts.
struct Report<'a> {
    settings: &'a PasteSettings,
    labels: &'a [String],
    warning: Option<&'a str>,
    tally: Tally,
}

/// Writes `paste.csv`, `switches.csv`, `cochran.csv`, `mcnemar.csv` where there are controls,
/// `focus.csv` where maps were compared, `paste.png` and `paste.svg`, and `positions.png` and
/// `.svg` where positions are fixed. Returns the counts and the pictures. Works on unfinished runs
/// too.
///
/// # Errors
/// The run is none of `emocam paste`; records that cannot be read or do not fit it; a file that
/// cannot be written.
pub fn write(run: &Run) -> Result<(Tally, Vec<PathBuf>)> {
    let manifest = &run.manifest;
    let settings =
        &PasteSettings::read(manifest).map_err(|message| Error::file(run.folder(), message))?;
    let mut tally = Tally::new(settings, manifest.labels.len());
    run.for_each_record_of(|record: PasteRecord| {
        tally.add(&record);
        Ok(())
    })?;
    let report =
        Report { settings, labels: &manifest.labels, warning: manifest.warning.as_deref(), tally };
    report.tables(run)?;
    let pictures = report.pictures(run)?;
    Ok((report.tally, pictures))
}

fn cell_of<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

impl Report<'_> {
    /// Index and name of every object, and of every fill.
    fn groups(&self) -> impl Iterator<Item = ((usize, &str), (usize, Fill))> {
        let fills = &self.settings.fills;
        self.settings.objects.iter().enumerate().flat_map(move |(at, object)| {
            fills.iter().copied().enumerate().map(move |fill| ((at, object.name.as_str()), fill))
        })
    }

    fn tables(&self, run: &Run) -> Result<()> {
        self.paste_csv(run)?;
        self.switches_csv(run)?;
        self.cochran_csv(run)?;
        if self.settings.fills.len() > 1 {
            self.mcnemar_csv(run)?;
        }
        if self.settings.focus.is_some() {
            self.focus_csv(run)?;
        }
        Ok(())
    }

    fn paste_csv(&self, run: &Run) -> Result<()> {
        table(&run.path("paste.csv"), |table| {
            table.row([
                "object",
                "fill",
                "position",
                "x",
                "y",
                "images",
                "pastes",
                "changed",
                "share",
                "lower",
                "upper",
                "switched_to",
                "switched_to_share",
                "switched_to_change",
                "original_change",
                "covered",
            ])?;
            for ((object, name), (fill, of)) in self.groups() {
                for (position, place) in self.settings.places.names().into_iter().enumerate() {
                    let cell = self.tally.cell(object, fill, position);
                    let mut cells = vec![name.to_string(), of.name().into(), place.into()];
                    cells.extend(self.coordinates(position));
                    cells.extend(
                        [cell.images, cell.pastes, cell.changed].map(|count| count.to_string()),
                    );
                    cells.extend(self.share_cells(cell));
                    table.row(cells)?;
                }
            }
            Ok(())
        })
    }

    fn coordinates(&self, position: usize) -> [String; 2] {
        match &self.settings.places {
            Places::Positions(positions) => {
                [positions[position].x, positions[position].y].map(|share| share.to_string())
            }
            Places::Classes(_) => [String::new(), String::new()],
        }
    }

    fn share_cells(&self, cell: &Cell) -> Vec<String> {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let interval = wilson(cell.changed, cell.pastes);
        let switched = cell.switched_to();
        vec![
            cell_of(share(cell.changed, cell.pastes)),
            cell_of(interval.map(|(lower, _)| lower)),
            cell_of(interval.map(|(_, upper)| upper)),
            switched.map(|to| self.labels[to].clone()).unwrap_or_default(),
            cell_of(switched.and_then(|to| share(cell.to[to], cell.changed))),
            cell_of(switched.and_then(|to| cell.probability[to].mean())),
            cell_of(cell.original.mean()),
            cell_of(cell.covered.mean()),
        ]
    }

    fn switches_csv(&self, run: &Run) -> Result<()> {
        table(&run.path("switches.csv"), |table| {
            table.row(
                ["object", "fill", "from"]
                    .into_iter()
                    .chain(self.labels.iter().map(String::as_str)),
            )?;
            for ((object, name), (fill, of)) in self.groups() {
                for (from, label) in self.labels.iter().enumerate() {
                    let counts = self.tally.switches(object, fill, from).iter().map(u64::to_string);
                    table.row(
                        [name, of.name(), label].map(String::from).into_iter().chain(counts),
                    )?;
                }
            }
            Ok(())
        })
    }

    fn cochran_csv(&self, run: &Run) -> Result<()> {
        table(&run.path("cochran.csv"), |table| {
            table.row(["object", "fill", "images", "positions", "q", "degrees", "p_value"])?;
            for ((object, name), (fill, of)) in self.groups() {
                let blocks = self.tally.blocks(object, fill);
                let found = cochran_q(&blocks.of_positions, blocks.squares);
                table.row([
                    name.to_string(),
                    of.name().into(),
                    blocks.images.to_string(),
                    blocks.of_positions.len().to_string(),
                    cell_of(found.map(|found| found.q)),
                    cell_of(found.map(|found| found.degrees)),
                    cell_of(found.map(|found| found.p_value)),
                ])?;
            }
            Ok(())
        })
    }

    /// The object against each control at each position; Holm over the whole table but for rows
    /// without a pair.
    fn mcnemar_csv(&self, run: &Run) -> Result<()> {
        let names = self.settings.places.names();
        let mut rows = Vec::new();
        for ((object, name), (fill, of)) in self.groups().filter(|(_, (_, of))| *of != Fill::Object)
        {
            for (position, place) in names.iter().enumerate() {
                let (only_object, only_fill) = self.tally.pairs(object, fill, position);
                let pastes = self.tally.cell(object, fill, position).pastes;
                let p = (pastes > 0).then(|| mcnemar(only_object, only_fill));
                rows.push((name, of.name(), *place, [pastes, only_object, only_fill], p));
            }
        }
        let p_values: Vec<f64> = rows.iter().filter_map(|row| row.4).collect();
        let mut adjusted = holm(&p_values).into_iter();
        table(&run.path("mcnemar.csv"), |table| {
            table.row([
                "object",
                "control",
                "position",
                "pairs",
                "only_object",
                "only_control",
                "p_value",
                "p_holm",
            ])?;
            for (name, of, place, counts, p) in rows {
                let mut cells = vec![name.to_string(), of.into(), place.into()];
                cells.extend(counts.map(|count| count.to_string()));
                cells.extend([cell_of(p), cell_of(p.and_then(|_| adjusted.next()))]);
                table.row(cells)?;
            }
            Ok(())
        })
    }

    fn focus_csv(&self, run: &Run) -> Result<()> {
        table(&run.path("focus.csv"), |table| {
            table.row([
                "object",
                "fill",
                "position",
                "pastes",
                "mass_before",
                "mass_after",
                "box_before",
                "box_after",
                "correlation",
            ])?;
            for ((object, name), (fill, of)) in self.groups() {
                for (position, place) in self.settings.places.names().into_iter().enumerate() {
                    let cell = self.tally.cell(object, fill, position);
                    let mut cells = vec![
                        name.to_string(),
                        of.name().into(),
                        place.into(),
                        cell.pastes.to_string(),
                    ];
                    cells.extend(cell.focus.iter().map(|sum| cell_of(sum.mean())));
                    table.row(cells)?;
                }
            }
            Ok(())
        })
    }

    /// The paper's Fig. 7, and where the positions are. None without a paste.
    fn pictures(&self, run: &Run) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        let mut write = |name: &str, picture: Option<plot::Svg>| -> Result<()> {
            let [png, svg] = ["png", "svg"].map(|kind| run.path(&format!("{name}.{kind}")));
            if let Some(picture) = picture {
                plot::write(&picture, &png, &svg)?;
                written.push(png);
            }
            Ok(())
        };
        let positions = self.settings.places.names().len();
        let pasted = (0..positions).any(|position| self.tally.cell(0, 0, position).pastes > 0);
        write("paste", pasted.then(|| self.bars().svg()).transpose()?)?;
        write("positions", self.spots().map(|spots| spots.svg()).transpose()?)?;
        Ok(written)
    }

    fn bars(&self) -> Bars {
        let codes = codes(self.labels);
        let mut used: Vec<usize> = Vec::new();
        let names = self.settings.places.names();
        let mut panels = Vec::new();
        for (object, info) in self.settings.objects.iter().enumerate() {
            let mut series = Vec::new();
            for fill in 0..self.settings.fills.len() {
                let bar = |position: usize| {
                    let cell = self.tally.cell(object, fill, position);
                    let interval = wilson(cell.changed, cell.pastes)?;
                    let switched = cell.switched_to();
                    used.extend(switched);
                    let mark = switched.map(|to| codes[to].clone()).unwrap_or_default();
                    Some(Bar {
                        value: cell.changed as f64 / cell.pastes as f64,
                        interval,
                        mark,
                        n: cell.pastes,
                    })
                };
                series.push((0..names.len()).map(bar).collect());
            }
            panels.push(BarPanel { title: info.name.clone(), series });
        }
        used.sort_unstable();
        used.dedup();
        let key: Vec<String> =
            used.iter().map(|&label| format!("{} {}", codes[label], self.labels[label])).collect();
        let mut notes = vec!["Lines: Wilson's intervals, 95 %.".to_string()];
        if !key.is_empty() {
            notes
                .push(format!("On each bar the label most often switched to: {}.", key.join(", ")));
        }
        notes.extend(self.warning.map(|warning| format!("Warning: {warning}.")));
        Bars {
            title: "Labels changed by pasting an object".into(),
            subtitle: format!(
                "{}; objects {} % as high as the image",
                counted(self.tally.images, "image"),
                100.0 * self.settings.scale
            ),
            groups: names.into_iter().map(String::from).collect(),
            series: self.settings.fills.iter().map(|fill| series_name(*fill).into()).collect(),
            panels,
            value_label: "share of labels changed".into(),
            notes,
        }
    }

    fn spots(&self) -> Option<Spots> {
        let Places::Positions(positions) = &self.settings.places else { return None };
        Some(Spots {
            title: "Positions".into(),
            spots: positions
                .iter()
                .map(|position| (position.name.clone(), position.x, position.y))
                .collect(),
            height: self.settings.scale,
        })
    }
}

fn series_name(fill: Fill) -> &'static str {
    match fill {
        Fill::Object => "the object",
        Fill::Mean => "its outline in the mean colour",
        Fill::Blur => "its outline, blurred",
        Fill::Shuffle => "its pixels shuffled",
    }
}

/// The shortest beginning of each label that no other label has.
fn codes(labels: &[String]) -> Vec<String> {
    let beginning = |label: &str, letters: usize| label.chars().take(letters).collect::<String>();
    let code = |(at, label): (usize, &String)| {
        let unlike = |letters: &usize| {
            let own = beginning(label, *letters);
            labels
                .iter()
                .enumerate()
                .all(|(other, text)| other == at || beginning(text, *letters) != own)
        };
        (1..label.chars().count())
            .find(unlike)
            .map_or_else(|| label.clone(), |letters| beginning(label, letters))
    };
    labels.iter().enumerate().map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_and_differ() {
        let labels = ["Joy", "Sadness", "Surprise", "Fear", "Fea"].map(String::from);
        assert_eq!(codes(&labels), ["J", "Sa", "Su", "Fear", "Fea"]);
    }
}
