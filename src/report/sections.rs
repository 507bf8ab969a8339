//! Parts of the main page below and beside the matrices.

use super::ReportedRun;
use super::extras::FilterRow;
use super::findings::small;
use super::page::bracketed;
use crate::associate::BesidePeople;
use crate::compare::{AgreementOfPictures, RunComparison};
use crate::image::Resize;
use crate::rsa::Agreement;
use crate::run::InputInfo;
use maud::{Markup, html};
use std::path::Path;

/// Failures that are listed; the table has all.
const FAILURES: usize = 20;

pub(super) fn comparison_section(comparison: &RunComparison) -> Markup {
    const SHOWN: usize = 20;
    let [first, second] = &comparison.names;
    let found = comparison.table.significant();
    html! {
        h2 { "The two runs beside each other" }
        p { (comparison.pairing_described()) " By the first method of each run." }
        div.scroll tabindex="0" role="region" aria-label="Agreement of the runs" {
            table.list {
                caption { "Agreement, means over images with intervals at 95 %" }
                thead { tr { th.text scope="col" { "Of" } th scope="col" { "Value" } } }
                tbody { @for (name, value) in comparison.agreement() {
                    @if let Some(found) = value {
                        tr { th scope="row" { (name) } td { (with_interval(found)) } }
                    }
                } }
            }
        }
        p { (found.len()) " of " (comparison.table.cells().len()) " cells of the matrices differ (q < 0.05)." }
        @if !found.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Cells that differ" {
                table.list {
                    caption { "The surest differences: share of a label's images in which a class is important" }
                    thead { tr {
                        th.text scope="col" { "Class" } th.text scope="col" { "Label" } th scope="col" { (first) }
                        th scope="col" { (second) } th scope="col" { "Difference" } th scope="col" { "q" }
                    } }
                    tbody { @for cell in found.into_iter().take(SHOWN) { tr {
                        th scope="row" { (comparison.classes.names[cell.class]) }
                        td.text { (comparison.labels.names[cell.label]) }
                        @for share in cell.shares() {
                            td { (share.map_or("–".into(), |share| format!("{share:.2}"))) }
                        }
                        @let difference = cell.difference.zip(cell.interval);
                        td { (bracketed(difference.map(|(value, (low, high))| (value, low, high)))) }
                        td { (cell.q.map_or("–".into(), small)) }
                    } } }
                }
            }
        }
    }
}

/// A number, and its interval where it has one.
fn with_interval(found: AgreementOfPictures) -> String {
    match found.interval {
        Some((low, high)) => bracketed(Some((found.value, low, high))),
        None => format!("{:.2}", found.value),
    }
}

pub(super) fn people_section(people: &BesidePeople) -> Markup {
    let confusion = &people.confusion;
    html! {
        h3 { "What people say" }
        @if let Some(right) = confusion.accuracy() {
            p { "The network answers as people do for " (right.hits) " of " (right.cases) " images: "
                (bracketed(Some((right.share, right.interval.0, right.interval.1))))
                @if let Some(kappa) = people.kappa() {
                    "; Cohen's kappa " (bracketed(Some((kappa.value, kappa.lower, kappa.upper))))
                }
                "." }
        }
        p {
            (people.unlabelled) " images have no label, and " (people.incomparable)
            " an answer for which people have no word."
        }
        div.scroll tabindex="0" role="region" aria-label="Confusion" {
            table.list {
                caption { "Rows: what people say; columns: what the network answers" }
                thead {
                    tr { th.text scope="col" { "People" } @for label in &confusion.labels { th scope="col" { (label) } } }
                }
                tbody { @for (label, row) in confusion.labels.iter().zip(&confusion.counts) {
                    @if row.iter().sum::<u64>() > 0 {
                        tr { th scope="row" { (label) } @for count in row { td { (count) } } }
                    }
                } }
            }
        }
        @for (method, table) in people.right_or_wrong() {
            @let found = table.significant();
            p { (method) ": " (found.len()) " of " (table.cells().len())
                " cells differ between wrong and right answers (q < 0.05)." }
        }
    }
}

pub(super) fn filters_section(rows: &[FilterRow], method: &str) -> Markup {
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
    html! { @if !rows.is_empty() {
        div.scroll tabindex="0" role="region" aria-label={ "Channels by " (method) } {
            table.list {
                caption { "Channels that respond most to a class: share of their weighted activation in its \
                    boxes, beside the share of the picture that these cover; " code { (method) "/filters.csv" } " has all" }
                thead { tr {
                    th.text scope="col" { "Class" } th scope="col" { "Channel" } th scope="col" { "Images" }
                    th scope="col" { "Share" } th scope="col" { "Of the area" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (row.class) } td { (row.channel) } td { (row.active_images) " of " (row.images) }
                    td { (number(row.share)) } td { (number(row.area_share)) }
                } } }
            }
        }
    } }
}

pub(super) fn agreement_section(agreement: &Agreement) -> Markup {
    let count = agreement.items.len();
    html! {
        h3 { "Do the methods agree?" }
        div.scroll tabindex="0" role="region" aria-label="Rank correlations of the methods" {
            table.list {
                caption {
                    "Rank correlation (Spearman) of the matrices of counts; intervals and tests: "
                    code { "emocam rsa" }
                }
                thead {
                    tr { th.text scope="col" { "Method" } @for item in &agreement.items { th scope="col" { (item.name) } } }
                }
                tbody { @for row in 0..count { tr {
                    th scope="row" { (agreement.items[row].name) }
                    @for column in 0..count {
                        td { (agreement.pair(row, column).spearman.map_or("–".into(), |rho| format!("{rho:.2}"))) }
                    }
                } } }
            }
        }
    }
}

pub(super) fn failures_section(run: &ReportedRun<'_>) -> Markup {
    html! { @if !run.failures.is_empty() {
        h3 { "What could not be analysed" }
        div.scroll tabindex="0" role="region" aria-label="Failures" {
            table.list {
                caption {
                    "The first " (run.failures.len().min(FAILURES)) " of " (run.failures.len())
                    "; failures.csv has all"
                }
                thead {
                    tr { th.text scope="col" { "Image" } th.text scope="col" { "Stage" } th.text scope="col" { "Cause" } }
                }
                tbody { @for failure in run.failures.iter().take(FAILURES) {
                    tr { th scope="row" { (failure.path) } td.text { (failure.stage) } td.text { (failure.cause) } }
                } }
            }
        }
    } }
}

/// Size of the network's input and how a picture's shape becomes that: `224 x 224, squash`.
fn input_described(input: InputInfo) -> String {
    let InputInfo { width, height, resize, crop } = input;
    let how = match resize {
        Resize::Squash => "squash".into(),
        Resize::CenterCrop => format!("center-crop, of which {crop} is kept"),
        Resize::Letterbox => "letterbox".to_string(),
    };
    format!("{width} x {height}, {how}")
}

/// Everything that was set: the configuration, with the association settings that the run's tables were made with.
fn settings(run: &ReportedRun<'_>) -> Markup {
    let manifest = &run.run.manifest;
    let mut configuration = manifest.configuration.clone();
    configuration.association = manifest.association_of_tables().clone();
    let text = toml::to_string(&configuration).unwrap_or_else(|error| error.to_string());
    html! { details {
        summary { "All settings" }
        @if manifest.matrices.is_some() {
            p.note {
                "[association] is what " code { "emocam associate" }
                " made the tables in the run with; the run itself had other settings."
            }
        }
        pre { (text) }
    } }
}

pub(super) fn done_section(run: &ReportedRun<'_>) -> Markup {
    let manifest = &run.run.manifest;
    let facts = [
        ("Corpus", manifest.corpus.folders.join(", ")),
        ("Images", manifest.corpus.images.to_string()),
        ("Corpus SHA-256", manifest.corpus.sha256.clone()),
        ("Input", input_described(manifest.input)),
        ("Methods", manifest.configuration.cam.names().join(", ")),
        ("Device", manifest.device.clone()),
        ("emocam", manifest.emocam.clone()),
        ("libtorch", manifest.libtorch.clone()),
    ];
    let file_name = |path: &str| {
        Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy().into_owned())
    };
    html! {
        h3 { "What was done" }
        dl { @for (name, value) in &facts { dt { (name) } dd { (value) } } }
        div.scroll tabindex="0" role="region" aria-label="Model files" {
            table.list {
                caption { "Files that shaped the networks" }
                thead {
                    tr { th.text scope="col" { "For" } th.text scope="col" { "File" } th.text scope="col" { "SHA-256" } }
                }
                tbody { @for file in &manifest.models {
                    tr { th scope="row" { (file.role) }
                        td.text { (file_name(&file.path)) @if file.synthesized { " (random numbers)" } }
                        td.text { code { (file.sha256) } } }
                } }
            }
        }
        (settings(run))
    }
}
