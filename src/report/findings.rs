//! What was found, in sentences made from the numbers.

use super::ReportedRun;
use super::extras::BackgroundShare;
use crate::associate::{Counts, MatrixCell};
use crate::names::counted;

/// Cells that are told of each method.
const TOLD: usize = 5;

/// Classes that tie for the first place and are named.
const NAMED: usize = 3;

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
    if let Some(sentence) = run.matrices.only_label() {
        sentences.push(format!("{}.", capitalised(&sentence)));
        return sentences.into_iter().chain(saturated(run)).collect();
    }
    let most =
        (0..labels.len()).max_by_key(|&label| (counts.images[label], std::cmp::Reverse(label)));
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
    sentences.extend(saturated(run));
    sentences
}

/// A sentence about answers whose probability hardly changes any more, where they are many.
fn saturated(run: &ReportedRun<'_>) -> Option<String> {
    let outcome = run.run.manifest.outcome.as_ref()?;
    let share = outcome.saturated as f64 / outcome.done.max(1) as f64;
    (share > 0.2).then(|| {
        format!(
            "In {share:.2} of the images the answer's probability is over 0.999, where gradients \
             all but vanish: prefer methods that explain the score before the softmax."
        )
    })
}

/// The text with its first letter as at the beginning of a sentence.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A sentence that names the classes that are important in the most images, at most [`NAMED`] of
/// them; `None` where no class is important.
fn most_often_important(counts: &Counts, classes: &[String]) -> Option<String> {
    let sums: Vec<u64> = counts.cells.rows().into_iter().map(|row| row.sum()).collect();
    let most = sums.iter().copied().max().filter(|&most| most > 0)?;
    let ties: Vec<&str> = classes
        .iter()
        .zip(&sums)
        .filter(|(_, sum)| **sum == most)
        .map(|(name, _)| name.as_str())
        .collect();
    let images = counted(counts.images.iter().sum(), "image");
    Some(match ties.as_slice() {
        [one] => {
            format!(
                "{one} is the class that is most often important: in {most} of {images}, whatever \
                 the label."
            )
        }
        ties => format!(
            "{} are the classes that are most often important: each in {most} of {images}, \
             whatever the label.",
            listed(ties)
        ),
    })
}

/// `a and b`, `a, b and c`, or of more than [`NAMED`] the first of these and the number of the
/// others.
fn listed(names: &[&str]) -> String {
    let (named, others) = names.split_at(names.len().min(NAMED));
    match (named.split_last(), others.len()) {
        (Some((last, before)), 0) => format!("{} and {last}", before.join(", ")),
        (_, 1) => format!("{} and 1 other", named.join(", ")),
        (_, others) => format!("{} and {others} others", named.join(", ")),
    }
}

/// Sentences about a method's matrix.
pub(super) fn of_method(run: &ReportedRun<'_>, method: usize) -> Vec<String> {
    let (name, counts) = &run.matrices.methods()[method];
    let table = &run.cells[method];
    let significant: Vec<&MatrixCell> =
        table.cells().iter().filter(|cell| cell.important.is_significant()).collect();
    let more = |cell: &&&MatrixCell| cell.important.difference.is_some_and(|ends| ends.value > 0.0);
    let by_map = |cell: &&&MatrixCell| {
        cell.contrast.is_significant()
            && cell.contrast.difference.is_some_and(|ends| ends.value > 0.0)
    };
    let positive: Vec<&MatrixCell> = significant.iter().filter(more).copied().collect();
    let mut sentences = Vec::new();
    sentences.extend(most_often_important(counts, run.matrices.classes()));
    if let Some(BackgroundShare { images, background, whole }) = run.backgrounds[method] {
        sentences.push(format!(
            "What lies outside all regions, (background), adds {background:.2} to the answer's \
             score, mean over {images} {}; the whole picture {whole:.2}. The more of it is \
             background, the less do objects explain the answer.",
            plural(images, "image")
        ));
    }
    if run.matrices.only_label().is_some() {
        return sentences;
    }
    if table.tested() == 0 {
        sentences.push(format!(
            "No class is important in at least {} by {name}: too few images for statistics of \
             cells.",
            counted(run.rule.min_images, "image")
        ));
        return sentences;
    }
    sentences.push(format!(
        "{} of {} cells that were tested stand out from the other labels (q < 0.05), {} of them \
         upwards; in {} of these the map adds to what the detector alone accounts for.",
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
    let adds =
        if map_adds { "the map adds to that" } else { "the detector alone may account for that" };
    Some(format!(
        "{} is important in {:.2} [{:.2}, {:.2}] of the images of {}, and in {other:.2} of all \
         others (q\u{a0}{}); {adds}.",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_classes_that_tie_for_the_most_often_important_are_named() {
        let classes = ["person", "dog", "sheep", "cat", "owl"].map(String::from);
        let said = |important: &[usize]| {
            let mut counts = Counts::new(5, 2);
            counts.add(0, important);
            (0..3).for_each(|_| counts.add(1, &[]));
            counts.add(1, important);
            most_often_important(&counts, &classes)
        };
        let ending = "often important: each in 2 of 5 images, whatever the label.";
        assert_eq!(said(&[]), None);
        assert_eq!(
            said(&[1]).unwrap(),
            "dog is the class that is most often important: in 2 of 5 images, whatever the label."
        );
        assert_eq!(
            said(&[0, 2]).unwrap(),
            format!("person and sheep are the classes that are most {ending}")
        );
        assert_eq!(
            said(&[0, 1, 2]).unwrap(),
            format!("person, dog and sheep are the classes that are most {ending}")
        );
        assert!(
            said(&[0, 1, 2, 3])
                .unwrap()
                .starts_with("person, dog, sheep and 1 other are the classes")
        );
        assert!(
            said(&[0, 1, 2, 3, 4])
                .unwrap()
                .starts_with("person, dog, sheep and 2 others are the classes")
        );
    }

    #[test]
    fn the_class_in_the_most_images_is_not_the_one_with_the_highest_mean_of_labels() {
        let mut counts = Counts::new(2, 2);
        counts.add(0, &[0]);
        (0..2).for_each(|_| counts.add(1, &[1]));
        (0..2).for_each(|_| counts.add(1, &[]));
        let classes = ["person", "dog"].map(String::from);
        assert_eq!(counts.prominent(1), [0]);
        assert!(most_often_important(&counts, &classes).unwrap().starts_with("dog is the class"));
    }
}
