//! A cell in words: its numbers as sentences, what they mean, and what they do not.

use super::{Columns, Matrices};
use crate::associate::cell::Margins;
use crate::associate::{Comparison, Counts, MatrixCell};
use crate::config::AssociationConfig;
use crate::stats::{IndependenceTest, ValueWithInterval};

/// Resamples of the pictures behind the contrast's second interval.
const RESAMPLES: usize = 2000;

/// Letters in a line.
const LINE_WIDTH: usize = 100;

/// What comes before every cell.
const HOW_TO_READ: &str = "Brackets hold intervals at 95 %. A class is important in an image where \
                           one of its boxes counts.";

/// What follows every cell.
const NOT_SAID: &str = "It does not mean that this object makes the network answer so: what stands \
                        beside it in the images may do that, and `emocam remove` and `emocam \
                        paste` ask. Nor is anything said of what people feel.";

/// A cell among those of a method.
struct Told<'a> {
    cell: &'a MatrixCell,
    class: &'a str,
    label: &'a str,
    rule: &'a AssociationConfig,
    /// The number of cells with a test.
    tested: usize,
    seed: u64,
    /// Who gives the labels, and does so.
    who: &'static str,
}

impl Matrices {
    /// The cell of a class and a label in words, for every method.
    ///
    /// # Panics
    /// When the class or label lies outside the matrices.
    pub fn explain_cell(&self, class: usize, label: usize) -> String {
        let explain = |(method, counts): &(String, Counts)| {
            let table = self.cells(counts);
            let outside = || MatrixCell::of(class, label, &Margins::new(counts, &self.detected));
            let cell = table.cell(class, label).copied().unwrap_or_else(outside);
            let (class, label) = (self.classes[class].as_str(), self.labels[label].as_str());
            let (cell, rule, tested, seed) =
                (&cell, self.importance.rule(), table.tested(), self.seed);
            let who = if matches!(self.columns, Columns::People(_)) {
                "people say"
            } else {
                "the network answers"
            };
            let told = Told { cell, class, label, rule, tested, seed, who };
            format!("{method}: {class}, {label}\n{}\n", told.sentences().join("\n"))
        };
        self.methods.iter().map(explain).collect::<Vec<_>>().join("\n")
    }
}

impl Told<'_> {
    fn sentences(&self) -> Vec<String> {
        let counted = [
            Some(format!("{HOW_TO_READ} {}", self.rule.described())),
            self.rule.images_described(),
        ];
        let numbers = [
            Some(self.counts()),
            self.share(),
            self.odds(),
            self.chance(),
            self.detection(),
            self.contrast(),
        ];
        let meaning = [Some(format!("Meaning: {}", self.meaning())), Some(NOT_SAID.to_string())];
        counted
            .into_iter()
            .chain(numbers)
            .chain(meaning)
            .flatten()
            .map(|sentence| wrapped(&sentence))
            .collect()
    }

    fn counts(&self) -> String {
        let Self { class, label, .. } = self;
        let counts = &self.cell.counts;
        format!(
            "{} of {} images are labelled {label}; {class} is important in {} of these, and in {} \
             of all images.",
            counts.images_with_label, counts.images, counts.important_with_label, counts.important
        )
    }

    fn share(&self) -> Option<String> {
        let (share, label) = (self.cell.important.share?, self.label);
        let mut text =
            format!("That is a share of {} of the images of {label}", bracketed(share, 2));
        if let (Some(other), Some(difference)) =
            (self.cell.important.other_share, self.cell.important.difference)
        {
            text.push_str(&format!(
                ", and {other:.2} of all others: difference {}",
                bracketed(difference, 2)
            ));
        }
        if let (Some(ratio), Some(lift)) = (self.cell.important.ratio, self.cell.lift) {
            text.push_str(&format!(
                ", {ratio:.2} times the share of the others and {lift:.2} times what independence \
                 would give"
            ));
        }
        Some(text + ".")
    }

    fn odds(&self) -> Option<String> {
        let odds = odds_ratio(&self.cell.important)?;
        Some(format!(
            "The odds ratio is {} (1 would be no association; 1/2 is added to each count).",
            bracketed(odds, 2)
        ))
    }

    fn chance(&self) -> Option<String> {
        let found = self.cell.important.independence?;
        let test = match found.test {
            IndependenceTest::Fisher => "Fisher's exact test",
            IndependenceTest::G => "G test",
        };
        let mut text = format!(
            "Chance alone gives so much or more with p = {} ({test})",
            small(found.p_value)
        );
        match (self.cell.important.q, self.cell.important.q_strict) {
            (Some(q), Some(strict)) => text.push_str(&format!(
                "; among the {} cells that are tested q = {} (Benjamini-Hochberg), strictly {} \
                 (Benjamini-Yekutieli); of all cells with a q this small or smaller, about that \
                 share are chance findings.",
                self.tested,
                small(q),
                small(strict)
            )),
            _ => text.push_str(&format!(
                "; without a correction, since the cell is not in statistics.csv (--min-images \
                 {}).",
                self.rule.min_images
            )),
        }
        Some(text)
    }

    fn detection(&self) -> Option<String> {
        let Self { class, label, .. } = self;
        let (share, other) = (self.cell.detected.share?, self.cell.detected.other_share?);
        let mut text = format!(
            "The detector alone: {class} is detected in {} of the images of {label} and in \
             {other:.2} of all others, whatever the map says",
            bracketed(share, 2)
        );
        if let Some(odds) = odds_ratio(&self.cell.detected) {
            text.push_str(&format!("; odds ratio {}", bracketed(odds, 2)));
        }
        Some(text + ".")
    }

    fn contrast(&self) -> Option<String> {
        let contrast = self.cell.contrast;
        let (share, other, difference) =
            (contrast.share?, contrast.other_share?, contrast.difference?);
        let counts = &self.cell.counts;
        let mut text = format!(
            "The map: of the {} images of {label} in which it is detected it is important in {}, \
             of the {} others in {other:.2}: difference {}",
            counts.detected_with_label,
            bracketed(share, 2),
            counts.detected - counts.detected_with_label,
            bracketed(difference, 2),
            label = self.label,
        );
        if let Some((low, high)) = self.cell.resampled_contrast(RESAMPLES, self.seed) {
            text.push_str(&format!(" (resampling the images: {low:.2} to {high:.2})"));
        }
        if let Some(q) = contrast.q {
            text.push_str(&format!(", q = {}", small(q)));
        }
        Some(text + ".")
    }

    /// Why the cell cannot be compared with others: which of its sums is empty.
    fn nothing_to_compare(&self) -> String {
        let Self { class, label, who, .. } = self;
        let counts = &self.cell.counts;
        let all = counts.images;
        if all == 0 {
            return "no image counts".into();
        }
        if counts.images_with_label == 0 {
            return format!("there is no image where {who} {label}");
        }
        if counts.images_with_label == all {
            return format!("there is no image where {who} anything but {label}");
        }
        match counts.important {
            0 => format!("{class} is important in no image"),
            _ => format!("{class} is important in all {all} images"),
        }
    }

    /// What the numbers together say.
    fn meaning(&self) -> String {
        let Self { class, label, .. } = self;
        let (important, contrast) = (&self.cell.important, &self.cell.contrast);
        let Some(difference) = important.difference.filter(|_| important.independence.is_some())
        else {
            return format!("nothing can be compared: {}.", self.nothing_to_compare());
        };
        if important.q.is_none() {
            return "the cell is not among those that are tested, where the class is important \
                    often enough; the numbers describe these images and no others."
                .into();
        }
        if !important.is_significant() {
            return format!(
                "these images do not tell whether {class} and {label} go together: so much is \
                 usual by chance among {} cells. That is no proof that they do not.",
                self.tested
            );
        }
        let (often, opposite) =
            if difference.value > 0.0 { ("more", "less") } else { ("less", "more") };
        let beginning = format!(
            "{class} is important {often} often where {who} {label} than chance explains",
            who = self.who
        );
        let same_side = contrast
            .difference
            .is_some_and(|added| (added.value > 0.0) == (difference.value > 0.0));
        match (contrast.is_significant(), same_side) {
            (true, true) => format!(
                "{beginning}, and the detector does not account for all of it: where it is \
                 detected, the map lies on it {often} often than elsewhere."
            ),
            (true, false) => format!(
                "{beginning}, but that is the detector's doing: where it is detected, the map lies \
                 on it {opposite} often than elsewhere."
            ),
            (false, _) => format!(
                "{beginning}, but the detector alone may account for that: where it is detected, \
                 the map does not surely lie on it {often} often than elsewhere."
            ),
        }
    }
}

/// The text in lines that fit a terminal, all but the first indented.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if line + 1 + word.chars().count() <= LINE_WIDTH => {
                *last += &format!(" {word}");
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines.join("\n")
}

/// The odds ratio with its interval.
fn odds_ratio(comparison: &Comparison) -> Option<ValueWithInterval> {
    let ValueWithInterval { value, lower, upper } = comparison.log_odds?.with_interval();
    Some(ValueWithInterval { value: value.exp(), lower: lower.exp(), upper: upper.exp() })
}

/// `0.50 [0.45, 0.56]`.
fn bracketed(interval: ValueWithInterval, decimals: usize) -> String {
    let ValueWithInterval { value, lower, upper } = interval;
    format!("{value:.decimals$} [{lower:.decimals$}, {upper:.decimals$}]")
}

/// A probability that may be tiny.
fn small(probability: f64) -> String {
    match probability {
        0.0 => "0 (below 1e-300)".into(),
        small if small < 0.001 => format!("{small:.1e}"),
        other => format!("{other:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::associate::CellCounts;

    fn told(counts: [u64; 6], q: Option<f64>, contrast_q: Option<f64>) -> String {
        let [
            images,
            images_with_label,
            detected,
            detected_with_label,
            important,
            important_with_label,
        ] = counts;
        let counts = CellCounts {
            images,
            images_with_label,
            detected,
            detected_with_label,
            important,
            important_with_label,
        };
        let mut cell = MatrixCell::new(0, 0, counts);
        (cell.important.q, cell.important.q_strict, cell.contrast.q) =
            (q, q.map(|q| (6.0 * q).min(1.0)), contrast_q);
        let rule = AssociationConfig::default();
        let told = Told {
            cell: &cell,
            class: "Human face",
            label: "Joy",
            rule: &rule,
            tested: 420,
            seed: 1,
            who: "the network answers",
        };
        told.sentences().join("\n")
    }

    #[test]
    fn an_association_that_the_map_makes() {
        let text = told([1500, 300, 900, 240, 391, 151], Some(1e-20), Some(0.001));
        insta::assert_snapshot!(text, @r"
        Brackets hold intervals at 95 %. A class is important in an image where one of its boxes counts. A
          box counts when its score (mean of the map in the box) is over 0.3.
        300 of 1500 images are labelled Joy; Human face is important in 151 of these, and in 391 of all
          images.
        That is a share of 0.50 [0.45, 0.56] of the images of Joy, and 0.20 of all others: difference 0.30
          [0.24, 0.36], 2.52 times the share of the others and 1.93 times what independence would give.
        The odds ratio is 4.05 [3.10, 5.28] (1 would be no association; 1/2 is added to each count).
        Chance alone gives so much or more with p = 1.6e-24 (G test); among the 420 cells that are tested q
          = 1.0e-20 (Benjamini-Hochberg), strictly 6.0e-20 (Benjamini-Yekutieli); of all cells with a q this
          small or smaller, about that share are chance findings.
        The detector alone: Human face is detected in 0.80 [0.75, 0.84] of the images of Joy and in 0.55 of
          all others, whatever the map says; odds ratio 3.25 [2.40, 4.41].
        The map: of the 240 images of Joy in which it is detected it is important in 0.63 [0.57, 0.69], of
          the 660 others in 0.36: difference 0.27 [0.19, 0.33] (resampling the images: 0.20 to 0.34), q =
          0.001.
        Meaning: Human face is important more often where the network answers Joy than chance explains, and
          the detector does not account for all of it: where it is detected, the map lies on it more often
          than elsewhere.
        It does not mean that this object makes the network answer so: what stands beside it in the images
          may do that, and `emocam remove` and `emocam paste` ask. Nor is anything said of what people feel.
        ");
    }

    #[test]
    fn what_is_said_follows_the_numbers() {
        let told = |counts, q, contrast_q| told(counts, q, contrast_q).replace("\n  ", " ");
        let counts = [1500, 300, 900, 240, 391, 151];
        assert!(
            told(counts, Some(0.001), Some(0.3))
                .contains("the detector alone may account for that")
        );
        assert!(
            told(counts, Some(0.3), Some(0.001))
                .contains("do not tell whether Human face and Joy go together")
        );
        assert!(told(counts, None, None).contains("not among those that are tested"));
        assert!(
            told([1500, 300, 900, 299, 391, 100], Some(0.001), Some(0.001))
                .contains("that is the detector's doing")
        );
        let less = told([1500, 300, 900, 240, 391, 10], Some(0.001), Some(0.001));
        assert!(
            less.contains("is important less often") && less.contains("lies on it less often"),
            "{less}"
        );
        assert_eq!(
            less.matches("difference -0.28 [-0.").count(),
            1,
            "signs are those of statistics.csv: {less}"
        );
        assert!(less.contains("-0.54 [") && !less.contains(" less ("), "{less}");
        assert!(less.contains("(resampling the images: -0."), "{less}");
    }

    #[test]
    fn what_q_means_is_said_behind_it_and_only_where_there_is_one() {
        let told = |q| told([1500, 300, 900, 240, 391, 151], q, q).replace("\n  ", " ");
        let meaning =
            "of all cells with a q this small or smaller, about that share are chance findings";
        let text = told(Some(0.01));
        assert_eq!(text.matches(meaning).count(), 1, "{text}");
        assert!(text.find("q = 0.010") < text.find(meaning), "{text}");
        assert!(!told(None).contains("chance findings"), "{}", told(None));
    }

    #[test]
    fn where_nothing_can_be_compared_the_cause_is_named() {
        for (counts, cause) in [
            ([0; 6], "no image counts."),
            (
                [30, 30, 20, 20, 10, 10],
                "there is no image where the network answers anything but Joy.",
            ),
            ([30, 0, 20, 0, 10, 0], "there is no image where the network answers Joy."),
            ([30, 10, 20, 5, 0, 0], "Human face is important in no image."),
            ([30, 10, 30, 10, 30, 10], "Human face is important in all 30 images."),
        ] {
            let text = told(counts, None, None).replace("\n  ", " ");
            assert!(
                text.contains(&format!("Meaning: nothing can be compared: {cause}")),
                "{cause}: {text}"
            );
            assert!(!text.contains("NaN"), "{text}");
        }
    }
}
