//! The pages' markup.

use super::evidence::Example;
use super::extras::FilterRow;
use super::findings::{of_method, of_run, plural, small};
use super::gallery::Gallery;
use super::ReportedRun;
use crate::associate::{BesidePeople, Counts, MatrixCell};
use crate::compare::Comparison;
use crate::plot::cell_colours;
use crate::rsa::Agreement;
use crate::stats::wilson;
use maud::{html, Markup, PreEscaped, DOCTYPE};
use std::path::Path;

/// What tells a page that was made here.
pub(super) const GENERATOR: &str = "name=\"generator\" content=\"emocam ";

const STYLE: &str = include_str!("style.css");

/// Nothing from anywhere but the page's own folder and the page itself; no script.
const POLICY: &str =
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Failures that are listed; the table has all.
const FAILURES: usize = 20;

/// Everything that pages are made of.
pub(super) struct Pages<'a> {
    pub runs: &'a [ReportedRun<'a>],
    pub gallery: &'a Gallery<'a>,
    /// Two runs beside each other.
    pub comparison: Option<&'a Comparison>,
    /// Whether everything is in one page.
    pub embedded: bool,
}

/// A class of a method of a run.
#[derive(Clone, Copy)]
struct Place {
    run: usize,
    method: usize,
    class: usize,
}

impl Place {
    fn page(self) -> String {
        format!("run-{}/method-{}/class-{:03}.html", self.run + 1, self.method + 1, self.class + 1)
    }

    fn anchor(self) -> String {
        format!("run-{}-method-{}-class-{:03}", self.run + 1, self.method + 1, self.class + 1)
    }

    fn label_anchor(self, label: usize) -> String {
        format!("{}-label-{}", self.anchor(), label + 1)
    }
}

fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "emocam " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

fn css(colour: [u8; 3]) -> String {
    let [red, green, blue] = colour;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// `0.52 [0.45, 0.56]`, or a dash.
fn bracketed(value: Option<(f64, f64, f64)>) -> String {
    value.map_or("–".into(), |(value, low, high)| format!("{value:.2} [{low:.2}, {high:.2}]"))
}

impl Pages<'_> {
    /// The main page.
    pub fn index(&self) -> String {
        let title = match self.runs {
            [run] => format!("{}: objects and emotions", run.name),
            _ => "Objects and emotions".to_string(),
        };
        let body = html! {
            a.skip href="#found" { "To what was found" }
            h1 { (title) }
            @if self.runs.len() > 1 {
                nav aria-label="Runs" { ul {
                    @for (number, run) in self.runs.iter().enumerate() { li { a href={ "#run-" (number + 1) } { (run.name) } } }
                } }
            }
            main {
                @if let Some(comparison) = self.comparison { (comparison_section(comparison)) }
                @for number in 0..self.runs.len() { (self.run(number)) }
            }
            footer { p.note {
                "Made by emocam " (env!("CARGO_PKG_VERSION"))
                ". What goes together with an answer need not be its cause; nothing here says what people feel."
            } }
        };
        document(&title, &body)
    }

    /// Every class's page with its place.
    pub fn class_pages(&self) -> Vec<(String, String)> {
        let mut pages = Vec::new();
        for (number, run) in self.runs.iter().enumerate() {
            for (method, classes) in run.classes.iter().enumerate() {
                for &class in classes {
                    let place = Place { run: number, method, class };
                    let name = &run.matrices.classes()[class];
                    let title = format!("{name}, {}", run.method(method));
                    let body = html! {
                        nav aria-label="Way back" { a href={ "../../index.html#" (place.anchor()) } { "Back to the matrix" } }
                        main { h1 { (title) } (self.evidence(place)) }
                    };
                    pages.push((place.page(), document(&title, &body)));
                }
            }
        }
        pages
    }

    fn run(&self, number: usize) -> Markup {
        let run = &self.runs[number];
        html! {
            section id={ "run-" (number + 1) } {
                @if self.runs.len() > 1 { h2 { (run.name) } }
                @for warning in warnings(run) { p.warning { strong { "Warning: " } (warning) } }
                (self.found_heading(number))
                ul { @for sentence in of_run(run) { li { (sentence) } } }
                @for method in 0..run.matrices.methods().len() { (self.method(number, method)) }
                @if let Some(people) = &run.people { (people_section(people)) }
                @if let Some(agreement) = &run.agreement { (agreement_section(agreement)) }
                (failures_section(run))
                (done_section(run))
            }
            @if self.embedded {
                @for (method, classes) in run.classes.iter().enumerate() {
                    @for &class in classes {
                        @let place = Place { run: number, method, class };
                        section id={ (place.anchor()) "-evidence" } {
                            h3 { (run.matrices.classes()[class]) ", " (run.method(method)) }
                            p { a href={ "#" (place.anchor()) } { "Back to the matrix" } }
                            (self.evidence(place))
                        }
                    }
                }
            }
        }
    }

    fn found_heading(&self, number: usize) -> Markup {
        let id = (number == 0).then_some("found");
        // Below the heading of the run, where there are several.
        html! { @if self.runs.len() > 1 { h3 id=[id] { "What was found" } } @else { h2 id=[id] { "What was found" } } }
    }

    /// Where a cell, or without a label a row, leads.
    fn link(&self, place: Place, label: Option<usize>) -> String {
        let anchor = label.map_or_else(|| format!("{}-evidence", place.anchor()), |label| place.label_anchor(label));
        match (self.embedded, label) {
            (true, _) => format!("#{anchor}"),
            (false, Some(_)) => format!("{}#{anchor}", place.page()),
            (false, None) => place.page(),
        }
    }

    fn method(&self, number: usize, method: usize) -> Markup {
        let run = &self.runs[number];
        let (name, counts) = &run.matrices.methods()[method];
        let classes = &run.classes[method];
        html! {
            h3 { (name) }
            ul { @for sentence in of_method(run, method) { li { (sentence) } } }
            @if classes.is_empty() {
                p { "No box counts by this method: there is no matrix to show." }
            } @else {
                (self.heatmap(number, method, counts, classes))
                (files(run, name))
            }
            (filters_section(&run.filters[method], name))
        }
    }

    fn heatmap(&self, number: usize, method: usize, counts: &Counts, classes: &[usize]) -> Markup {
        let run = &self.runs[number];
        let association = counts.association();
        let cells = &run.cells[method];
        let labels = run.matrices.labels();
        let is_marked = |class, label| cells.cell(class, label).is_some_and(|cell| cell.important.is_significant());
        html! {
            div.scroll tabindex="0" role="region" aria-label={ "Matrix of " (run.method(method)) } {
                table.heat {
                    caption {
                        "Share of an answer's images in which a class is important; the " (classes.len())
                        " most prominent of " (run.matrices.classes().len())
                        " classes. A dot: q < 0.05 over all cells that were tested. Hatched: no image. Each cell leads to its \
                         numbers and photos. " (run.rule.described())
                    }
                    thead { tr {
                        th.corner scope="col" { "Class" }
                        @for label in labels { th scope="col" { (label) } }
                    } }
                    tbody { @for &class in classes {
                        @let place = Place { run: number, method, class };
                        tr id=(place.anchor()) {
                            th scope="row" { a href=(self.link(place, None)) { (run.matrices.classes()[class]) } }
                            @for label in 0..labels.len() {
                                @match association[[class, label]] {
                                    None => td.none { span aria-label="no image" {} },
                                    Some(share) => {
                                        @let [ground, text] = cell_colours(share, (0.0, 1.0));
                                        td.mark[is_marked(class, label)] style={ "background:" (css(ground)) ";color:" (css(text)) } {
                                            a href=(self.link(place, Some(label))) { (format!("{share:.2}")) }
                                        }
                                    }
                                }
                            }
                        }
                    } }
                    tfoot { tr {
                        th scope="row" { "images" }
                        @for images in &counts.images { td { (images) } }
                    } }
                }
            }
        }
    }

    /// Numbers and photos of a class.
    fn evidence(&self, place: Place) -> Markup {
        let Place { run: number, method, class } = place;
        let run = &self.runs[number];
        let (_, counts) = &run.matrices.methods()[method];
        let cells = &run.cells[method];
        let labels = run.matrices.labels();
        let found = run.evidence[method].get(&class);
        html! {
            div.scroll tabindex="0" role="region" aria-label="Numbers by label" {
                table.list {
                    caption { "By label, with intervals at 95 %; q among all cells that were tested (Benjamini-Hochberg)" }
                    thead { tr {
                        th.text scope="col" { "Label" } th scope="col" { "Images" } th scope="col" { "Important in" }
                        th scope="col" { "Share" } th scope="col" { "In all others" } th scope="col" { "q" }
                        th scope="col" { "Detected in" } th scope="col" { "What the map adds" } th scope="col" { "q of that" }
                    } }
                    tbody { @for label in (0..labels.len()).filter(|&label| counts.images[label] > 0) {
                        tr id=(place.label_anchor(label)) { (label_row(&labels[label], counts, class, label, cells.cell(class, label))) }
                    } }
                }
            }
            @if let Some(found) = found {
                @for (label, examples) in &found.strongest {
                    h4 { "Most important, answer " (labels[*label]) }
                    (self.photos(place, examples))
                }
                h4 { "Detected, and least important" }
                (self.photos(place, &found.weakest))
                h4 { "Detected, at random" }
                (self.photos(place, &found.random))
            }
        }
    }

    fn photos(&self, place: Place, examples: &[Example]) -> Markup {
        let run = &self.runs[place.run];
        let (classes, labels) = (run.matrices.classes(), run.matrices.labels());
        html! {
            ul.photos { @for example in examples {
                @let shown = self.gallery.picture((place.run, place.method, place.class), &example.path);
                li {
                    @if let Some(shown) = shown {
                        @let image = html! {
                            img src=(shown.source("../../", self.embedded)) width=(shown.size.width) height=(shown.size.height)
                                loading="lazy" alt={ (example.path) ": " (classes[place.class]) " scores "
                                    (format!("{:.2}", example.score)) (if shown.mapped { ", with the map" } else { "" }) };
                        };
                        @if self.embedded { (image) } @else {
                            a href={ "../../photos/" (shown.name) ".jpg" } { (image) }
                        }
                    }
                    (example.path) br;
                    (labels[example.label])
                    @if let Some(probability) = example.probability { " " (format!("{probability:.2}")) }
                    "; score " (format!("{:.2}", example.score))
                }
            } }
        }
    }
}

fn label_row(name: &str, counts: &Counts, class: usize, label: usize, cell: Option<&MatrixCell>) -> Markup {
    let (hits, images) = (counts.cells[[class, label]], counts.images[label]);
    let share = wilson(hits, images).map(|(low, high)| (hits as f64 / images as f64, low, high));
    let contrast = cell.and_then(|cell| cell.contrast.difference).map(|ends| (ends.value, ends.lower, ends.upper));
    html! {
        th scope="row" { (name) }
        td { (images) }
        td { (hits) }
        td { (bracketed(share)) }
        @match cell {
            Some(cell) => {
                td { (cell.important.other_share.map_or("–".into(), |share| format!("{share:.2}"))) }
                td { (cell.important.q.map_or("–".into(), small)) }
                td { (cell.counts.detected_with_label) }
                td { (bracketed(contrast)) }
                td { (cell.contrast.q.map_or("–".into(), small)) }
            },
            None => { td { "–" } td { "not tested" } td { "–" } td { "–" } td { "–" } }
        }
    }
}

/// What a reader must know first.
fn warnings(run: &ReportedRun<'_>) -> Vec<String> {
    let manifest = &run.run.manifest;
    let mut warnings: Vec<String> = manifest.warning.iter().cloned().collect();
    if !manifest.complete {
        warnings.push("the run is not finished: what follows is about the images so far".into());
    }
    if let Some(shard) = manifest.shard {
        warnings.push(format!("this is shard {} of {}: a part of the corpus", shard.index, shard.count));
    }
    if !run.failures.is_empty() {
        let count = run.failures.len() as u64;
        warnings.push(format!("{count} {} could not be analysed and count for nothing", plural(count, "image")));
    }
    warnings
}

/// Links to the tables of a method, where the report lies in its run and they are there.
fn files(run: &ReportedRun<'_>, method: &str) -> Markup {
    let tables = ["association.csv", "counts.csv", "statistics.csv", "heatmap.png", "forest.png"];
    let there = tables.iter().filter(|name| run.run.path(method).join(name).is_file());
    html! { p.note {
        "In the run's folder: " @for (place, name) in there.enumerate() { @if place > 0 { ", " } code { (method) "/" (name) } }
    } }
}

fn comparison_section(comparison: &Comparison) -> Markup {
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
                    @if let Some(ends) = value {
                        tr { th scope="row" { (name) } td { (bracketed(Some((ends.value, ends.lower, ends.upper)))) } }
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
                        @for share in cell.shares() { td { (share.map_or("–".into(), |share| format!("{share:.2}"))) } }
                        td { (bracketed(cell.difference.zip(cell.interval).map(|(value, (low, high))| (value, low, high)))) }
                        td { (cell.q.map_or("–".into(), small)) }
                    } } }
                }
            }
        }
    }
}

fn people_section(people: &BesidePeople) -> Markup {
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
        p { (people.unlabelled) " images have no label, and " (people.incomparable) " an answer for which people have no word." }
        div.scroll tabindex="0" role="region" aria-label="Confusion" {
            table.list {
                caption { "Rows: what people say; columns: what the network answers" }
                thead { tr { th.text scope="col" { "People" } @for label in &confusion.labels { th scope="col" { (label) } } } }
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

fn filters_section(rows: &[FilterRow], method: &str) -> Markup {
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
    html! { @if !rows.is_empty() {
        div.scroll tabindex="0" role="region" aria-label={ "Channels by " (method) } {
            table.list {
                caption { "Channels that respond most to a class: share of their weighted activation in its boxes, beside the share of \
                    the picture that these cover; " code { (method) "/filters.csv" } " has all" }
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

fn agreement_section(agreement: &Agreement) -> Markup {
    let count = agreement.items.len();
    html! {
        h3 { "Do the methods agree?" }
        div.scroll tabindex="0" role="region" aria-label="Rank correlations of the methods" {
            table.list {
                caption { "Rank correlation (Spearman) of the matrices of counts; intervals and tests: " code { "emocam rsa" } }
                thead { tr { th.text scope="col" { "Method" } @for item in &agreement.items { th scope="col" { (item.name) } } } }
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

fn failures_section(run: &ReportedRun<'_>) -> Markup {
    html! { @if !run.failures.is_empty() {
        h3 { "What could not be analysed" }
        div.scroll tabindex="0" role="region" aria-label="Failures" {
            table.list {
                caption { "The first " (run.failures.len().min(FAILURES)) " of " (run.failures.len()) "; failures.csv has all" }
                thead { tr { th.text scope="col" { "Image" } th.text scope="col" { "Stage" } th.text scope="col" { "Cause" } } }
                tbody { @for failure in run.failures.iter().take(FAILURES) {
                    tr { th scope="row" { (failure.path) } td.text { (failure.stage) } td.text { (failure.cause) } }
                } }
            }
        }
    } }
}

fn done_section(run: &ReportedRun<'_>) -> Markup {
    let manifest = &run.run.manifest;
    let facts = [
        ("Corpus", manifest.corpus.folders.join(", ")),
        ("Images", manifest.corpus.images.to_string()),
        ("Corpus SHA-256", manifest.corpus.sha256.clone()),
        ("Methods", manifest.configuration.cam.names().join(", ")),
        ("Device", manifest.device.clone()),
        ("emocam", manifest.emocam.clone()),
        ("libtorch", manifest.libtorch.clone()),
    ];
    let file_name =
        |path: &str| Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy().into_owned());
    let settings = toml::to_string(&manifest.configuration).unwrap_or_else(|error| error.to_string());
    html! {
        h3 { "What was done" }
        dl { @for (name, value) in &facts { dt { (name) } dd { (value) } } }
        div.scroll tabindex="0" role="region" aria-label="Model files" {
            table.list {
                caption { "Files that shaped the networks" }
                thead { tr { th.text scope="col" { "For" } th.text scope="col" { "File" } th.text scope="col" { "SHA-256" } } }
                tbody { @for file in &manifest.models {
                    tr { th scope="row" { (file.role) } td.text { (file_name(&file.path)) @if file.synthesized { " (random numbers)" } }
                        td.text { code { (file.sha256) } } }
                } }
            }
        }
        details { summary { "All settings" } pre { (settings) } }
    }
}
