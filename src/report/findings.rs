//! What was found, in sentences made from the numbers.

use super::ReportedRun;
use super::extras::BackgroundShare;
use crate::associate::MatrixCell;

/// Cells that are told of each method.
const TOLD: usize = 5;

/// Sentences about the whole run.
pub(super) fn of_run(run: &ReportedRun<'_>) -> Vec<String> {
    let counts = run.matrices.detected();
    let labels = run.matrices.labels();
    let images: u64 = counts.images.iter().sum();
    let mut sentences = vec![format!(
        "{} {}, {} labels, {} classes of objects.",
        images,
        plural(images, "image"),
        labels.len(),
        run.matrices.classes().len()
    )];
    let most = (0..labels.len()).max_by_key(|&label| (counts.images[label], std::cmp::Reverse(label)));
    if let Some(label) = most.filter(|&label| counts.images[label] > 0) {
        let share = counts.images[label] as f64 / images as f64;
        sentences.push(format!(
            "{} is the most frequent answer: {} {} ({share:.2} of all).",
            labels[label],
            counts.images[label],
            plural(counts.images[label], "image")
        ));
    }
    let never: Vec<&str> = labels
        .iter()
        .zip(&counts.images)
        .filter(|(_, images)| **images == 0)
        .map(|(label, _)| label.as_str())
        .collect();
    if !never.is_empty() {
        sentences.push(format!("No image was answered with {}.", never.join(", ")));
    }
    if let Some(outcome) = &run.run.manifest.outcome {
        let saturated = outcome.saturated as f64 / outcome.done.max(1) as f64;
        if saturated > 0.2 {
            sentences.push(format!(
                "In {saturated:.2} of the images the answer's probability is over 0.999, where gradients all but vanish: \
                 prefer methods that explain the score before the softmax."
            ));
        }
    }
    sentences
}

/// Sentences about a method's matrix.
pub(super) fn of_method(run: &ReportedRun<'_>, method: usize) -> Vec<String> {
    let (name, counts) = &run.matrices.methods()[method];
    let classes = run.matrices.classes();
    let table = &run.cells[method];
    let significant: Vec<&MatrixCell> = table.cells().iter().filter(|cell| cell.important.is_significant()).collect();
    let more = |cell: &&&MatrixCell| cell.important.difference.is_some_and(|ends| ends.value > 0.0);
    let by_map = |cell: &&&MatrixCell| {
        cell.contrast.is_significant() && cell.contrast.difference.is_some_and(|ends| ends.value > 0.0)
    };
    let positive: Vec<&MatrixCell> = significant.iter().filter(more).copied().collect();
    let mut sentences = Vec::new();
    if let Some(&class) = run.matrices.prominent(counts, 1).first() {
        let images: u64 = counts.images.iter().sum();
        let important: u64 = counts.cells.row(class).sum();
        sentences.push(format!(
            "{} is the class that is most often important: in {important} of {images} {}, whatever the label.",
            classes[class],
            plural(images, "image")
        ));
    }
    if let Some(BackgroundShare { images, background, whole }) = run.backgrounds[method] {
        sentences.push(format!(
            "What lies outside all regions, (background), adds {background:.2} to the answer's score, mean over {images} {}; the \
             whole picture {whole:.2}. The more of it is background, the less do objects explain the answer.",
            plural(images, "image")
        ));
    }
    if table.tested() == 0 {
        sentences.push(format!(
            "No class is important in at least {} images by {name}: too few images for statistics of cells.",
            run.rule.min_images
        ));
        return sentences;
    }
    sentences.push(format!(
        "{} of {} cells that were tested stand out from the other labels (q < 0.05), {} of them upwards; in {} of these the \
         map adds to what the detector alone accounts for.",
        significant.len(),
        table.tested(),
        positive.len(),
        positive.iter().filter(by_map).count()
    ));
    let strongest = table.strongest(usize::MAX, |cell| cell.important.difference).into_iter();
    let upwards = strongest.filter(|cell| cell.important.is_significant() && more(&cell));
    sentences.extend(upwards.take(TOLD).filter_map(|cell| told(run, cell, by_map(&&cell))));
    sentences
}

/// A cell in a sentence; `map_adds`: whether the map adds to what the detector accounts for.
fn told(run: &ReportedRun<'_>, cell: &MatrixCell, map_adds: bool) -> Option<String> {
    let (share, other, q) = (cell.important.share?, cell.important.other_share?, cell.important.q?);
    let adds = if map_adds { "the map adds to that" } else { "the detector alone may account for that" };
    Some(format!(
        "{} is important in {:.2} [{:.2}, {:.2}] of the images of {}, and in {other:.2} of all others (q\u{a0}{}); {adds}.",
        run.matrices.classes()[cell.class],
        share.value,
        share.lower,
        share.upper,
        run.matrices.labels()[cell.label],
        if q < 0.001 { small(q) } else { format!("= {}", small(q)) }
    ))
}

/// `0.012` or `< 0.001`, whose parts stay on one line.
pub(super) fn small(q: f64) -> String {
    if q < 0.001 { "<\u{a0}0.001".into() } else { format!("{q:.3}") }
}

/// The noun in the singular or the plural.
pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.into() } else { format!("{noun}s") }
}
