//! The pages' markup.

use super::ReportedRun;
use super::evidence::ShownExample;
use super::findings::{of_method, of_run, plural, small};
use super::gallery::Gallery;
use super::sections::{
    agreement_section, comparison_section, done_section, failures_section, filters_section,
    people_section,
};
use crate::associate::{Counts, MatrixCell};
use crate::compare::RunComparison;
use crate::names::counted;
use crate::plot::{cell_colours, faded_cell_colours};
use crate::stats::wilson;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What tells a page that was made here.
pub(super) const GENERATOR: &str = "name=\"generator\" content=\"emocam ";

const STYLE: &str = include_str!("style.css");

/// Nothing from anywhere but the page's own folder and the page itself; no script.
const POLICY: &str = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Everything that pages are made of.
pub(super) struct Pages<'a> {
    pub runs: &'a [ReportedRun<'a>],
    pub gallery: &'a Gallery<'a>,
    /// Two runs beside each other.
    pub comparison: Option<&'a RunComparison>,
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
pub(super) fn bracketed(value: Option<(f64, f64, f64)>) -> String {
    value.map_or("–".into(), |(value, low, high)| format!("{value:.2} [{low:.2}, {high:.2}]"))
}

impl Pages<'_> {
    /// The main page.
    pub(super) fn index(&self) -> String {
        let title = match self.runs {
            [run] => format!("{}: objects and emotions", run.name),
            _ => "Objects and emotions".to_string(),
        };
        let body = html! {
            a.skip href="#found" { "To what was found" }
            h1 { (title) }
            @if self.runs.len() > 1 {
                nav aria-label="Runs" { ul {
                    @for (number, run) in self.runs.iter().enumerate() {
                        li { a href={ "#run-" (number + 1) } { (run.name) } }
                    }
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
    pub(super) fn class_pages(&self) -> Vec<(String, String)> {
        let mut pages = Vec::new();
        for (number, run) in self.runs.iter().enumerate() {
            for (method, classes) in run.classes.iter().enumerate() {
                for &class in classes {
                    let place = Place { run: number, method, class };
                    let name = &run.matrices.classes()[class];
                    let title = format!("{name}, {}", run.method(method));
                    let body = html! {
                        nav aria-label="Way back" {
                            a href={ "../../index.html#" (place.anchor()) } { "Back to the matrix" }
                        }
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
        let anchor = label.map_or_else(
            || format!("{}-evidence", place.anchor()),
            |label| place.label_anchor(label),
        );
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
                p { "No box counts by this method: there is no matrix to show. " (run.rule.described()) }
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
        let is_marked = |class, label| {
            cells.cell(class, label).is_some_and(|cell| cell.important.is_significant())
        };
        html! {
            div.scroll tabindex="0" role="region" aria-label={ "Matrix of " (run.method(method)) } {
                table.heat {
                    caption {
                        "Share of an answer's images in which a class is important; the " (classes.len())
                        " most prominent of " (run.matrices.classes().len())
                        " classes. A dot: q < 0.05 over all cells that were tested. Hatched: no image."
                        (faded_note(counts, run.rule.min_images)) " Each cell leads to its numbers and photos. "
                        (run.rule.described())
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
                                        @let few = counts.images[label] < run.rule.min_images;
                                        @let colours = if few { faded_cell_colours } else { cell_colours };
                                        @let [ground, text] = colours(share, (0.0, 1.0));
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
                    caption { "By label, with intervals at 95 %; q among all cells that were tested \
                        (Benjamini-Hochberg)" }
                    thead { tr {
                        th.text scope="col" { "Label" } th scope="col" { "Images" } th scope="col" { "Important in" }
                        th scope="col" { "Share" } th scope="col" { "In all others" } th scope="col" { "q" }
                        th scope="col" { "Detected in" } th scope="col" { "What the map adds" }
                        th scope="col" { "q of that" }
                    } }
                    tbody { @for label in (0..labels.len()).filter(|&label| counts.images[label] > 0) {
                        tr id=(place.label_anchor(label)) { (label_row(&labels[label], counts, class, label, cells.cell(class, label))) }
                    } }
                }
            }
            @if let Some(found) = found {
                @for (heading, examples) in found.groups(labels) {
                    h4 { (heading) }
                    (self.photos(place, examples))
                }
            }
        }
    }

    fn photos(&self, place: Place, examples: &[ShownExample]) -> Markup {
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
                                    (format!("{:.2}", example.score))
                                    (if shown.mapped { ", with the map" } else { "" }) };
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

fn label_row(
    name: &str,
    counts: &Counts,
    class: usize,
    label: usize,
    cell: Option<&MatrixCell>,
) -> Markup {
    let (hits, images) = (counts.cells[[class, label]], counts.images[label]);
    let share = wilson(hits, images).map(|(low, high)| (hits as f64 / images as f64, low, high));
    let contrast = cell
        .and_then(|cell| cell.contrast.difference)
        .map(|ends| (ends.value, ends.lower, ends.upper));
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

/// The sentence that says which columns are faded, where any is.
fn faded_note(counts: &Counts, min_images: u64) -> String {
    let is_faded = |&images: &u64| images > 0 && images < min_images;
    if !counts.images.iter().any(is_faded) {
        return String::new();
    }
    let order = if counts.labels_of_few(min_images).contains(&true) {
        ", which do not order the rows"
    } else {
        ""
    };
    format!(" Faded: fewer than {}{order}.", counted(min_images, "image"))
}

/// What a reader must know first.
fn warnings(run: &ReportedRun<'_>) -> Vec<String> {
    let manifest = &run.run.manifest;
    let mut warnings: Vec<String> = manifest.warning.iter().cloned().collect();
    if !manifest.complete {
        warnings.push("the run is not finished: what follows is about the images so far".into());
    }
    if let Some(shard) = manifest.shard {
        warnings.push(format!(
            "this is shard {} of {}: a part of the corpus",
            shard.index, shard.count
        ));
    }
    if !run.failures.is_empty() {
        let count = run.failures.len() as u64;
        warnings.push(format!(
            "{count} {} could not be analysed and count for nothing",
            plural(count, "image")
        ));
    }
    warnings
}

/// Links to the tables of a method, where the report lies in its run and they are there.
fn files(run: &ReportedRun<'_>, method: &str) -> Markup {
    let tables = ["association.csv", "counts.csv", "statistics.csv", "heatmap.png", "forest.png"];
    let there = tables.iter().filter(|name| run.run.path(method).join(name).is_file());
    html! { p.note {
        "In the run's folder: " @for (place, name) in there.enumerate() {
            @if place > 0 { ", " } code { (method) "/" (name) }
        }
    } }
}
