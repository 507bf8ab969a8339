//! `[association]`: from records to matrices, statistics and their pictures.

use crate::score::{BoxScore, ScoreRule};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What stands in the cells of the heatmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeatmapKind {
    /// The share of a label's pictures in which a class is important, as in the paper's Fig. 2.
    Shares,
    /// That share less the share of the pictures of all other labels.
    Difference,
    /// The logarithm of the odds ratio of the two.
    LogOdds,
}

/// What counts where important boxes of nested classes lie in each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nested {
    /// All of them, as in the paper.
    Separate,
    /// The outermost: the person, not the face.
    Outermost,
    /// The innermost: the eyes, not the face.
    Innermost,
}

/// Whether what lies in no region is a row of the matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackgroundRow {
    /// Classes alone, as in the paper.
    None,
    /// One more, below the classes.
    Row,
}

/// `[association]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssociationConfig {
    /// Boxes must score more than this; where a file names a score alone, that one's
    /// [`ScoreRule::default_importance`].
    pub importance: f32,
    /// Labels must be more confident than this.
    pub min_confidence: f32,
    /// Which score of a box counts.
    pub score: ScoreRule,
    /// Pictures count when the probability of their label is greater than that of the next by more
    /// than this; 0: all pictures count.
    pub min_margin: f32,
    /// A class has statistics when it is important in at least so many pictures.
    pub min_images: u64,
    /// Classes in the heatmap, cells in the forest plot.
    pub top: usize,
    /// What stands in the cells of the heatmap.
    pub heatmap: HeatmapKind,
    /// Whether cells of the heatmap that chance hardly gives are marked; those of other kinds than
    /// shares always are.
    pub mark: bool,
    /// Whether what lies in no region is a row.
    pub background: BackgroundRow,
    /// What counts of nested boxes.
    pub nested: Nested,
    /// Which classes are parts or kinds of which: a table `part,whole,relation`; empty: the one for
    /// classes of Open Images.
    pub nested_table: String,
}

impl Default for AssociationConfig {
    fn default() -> Self {
        Self {
            importance: 0.3,
            min_confidence: 0.0,
            score: ScoreRule::Mean,
            min_margin: 0.0,
            min_images: 10,
            top: 25,
            heatmap: HeatmapKind::Shares,
            mark: false,
            background: BackgroundRow::None,
            nested: Nested::Separate,
            nested_table: String::new(),
        }
    }
}

impl AssociationConfig {
    /// Whether a box of this confidence and score counts, by a rule of a picture's own map.
    pub fn counts(&self, confidence: f32, score: &BoxScore) -> bool {
        confidence > self.min_confidence
            && self.score.pick(score).is_some_and(|number| number > self.importance)
    }

    /// Refuses values no run can use.
    ///
    /// # Errors
    /// [`Error::Setting`], naming key, value and range.
    pub fn check(&self) -> Result<()> {
        let (score, importance) = (self.score.name(), self.importance);
        let (range, fits) = match self.score {
            ScoreRule::Contrast => ("from -1 to 1", (-1.0..=1.0).contains(&importance)),
            ScoreRule::Z | ScoreRule::Lift => ("a number", importance.is_finite()),
            _ => ("from 0 to 1", (0.0..=1.0).contains(&importance)),
        };
        if !fits {
            let of_score = if self.score == ScoreRule::Mean {
                String::new()
            } else {
                format!(" of the score {score}")
            };
            return Err(Error::Setting(format!(
                "importance{of_score} should be {range}, found {importance}"
            )));
        }
        if self.background == BackgroundRow::Row
            && matches!(self.score, ScoreRule::Z | ScoreRule::Chance)
        {
            return Err(Error::Setting(format!(
                "the score {score} compares a box's place with others, and the background has \
                 none: leave out --background row, or choose another --score"
            )));
        }
        if self.top == 0 {
            return Err(Error::Setting("top should be at least 1".into()));
        }
        Ok(())
    }

    /// Takes another score, with its default threshold; the same one changes nothing.
    pub fn choose(&mut self, score: ScoreRule) {
        if score != self.score {
            self.score = score;
            self.importance = score.default_importance();
        }
    }

    /// [`Self::counts`] as a sentence, for notes below pictures.
    pub fn described(&self) -> String {
        let (rule, confident) = self.score_and_confidence();
        let of_regions = match self.region_importance() {
            over if over == self.importance => String::new(),
            over => format!(" A region's own value, as object-shap's, counts over {over}."),
        };
        format!(
            "A box counts when its score ({rule}) is over {}{confident}.{of_regions}",
            self.importance
        )
    }

    /// What values that belong to regions themselves have to be over: they are shares, and where
    /// the rule's scores are on another scale the default threshold of shares holds for them.
    pub fn region_importance(&self) -> f32 {
        match self.score.is_share() {
            true => self.importance,
            false => ScoreRule::Mean.default_importance(),
        }
    }

    /// [`Self::counts`] as a sentence where the threshold is any.
    pub fn score_described(&self) -> String {
        let (rule, confident) = self.score_and_confidence();
        format!("A box counts when its score ({rule}) is over the threshold{confident}.")
    }

    /// What a box's score is, and what else is asked of it.
    fn score_and_confidence(&self) -> (&'static str, String) {
        let confident = match self.min_confidence {
            0.0 => String::new(),
            over => format!(" and its confidence over {over}"),
        };
        let nested = match self.nested {
            Nested::Separate => "",
            Nested::Outermost => " and it lies in no such box of a class that it is part of",
            Nested::Innermost => " and no such box of a class that is part of it lies in it",
        };
        (self.score.described(), format!("{confident}{nested}"))
    }

    /// Whether a picture counts whose label leads the next one by `margin`; `None`: the network has
    /// no probabilities.
    pub fn takes(&self, margin: Option<f32>) -> bool {
        self.min_margin == 0.0 || margin.is_some_and(|margin| margin > self.min_margin)
    }

    /// [`Self::takes`] as a sentence, where it is not all pictures.
    pub fn images_described(&self) -> Option<String> {
        let margin = self.min_margin;
        (margin > 0.0)
            .then(|| format!("Only images whose label leads the next one by more than {margin}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Object-shap's values are shares, whatever the scale of the scores of maps.
    #[test]
    fn a_region_s_own_value_is_named_where_its_threshold_is_another() {
        let mut rule = AssociationConfig::default();
        assert!(!rule.described().contains("object-shap"), "{}", rule.described());
        rule.importance = 0.25;
        assert_eq!(rule.region_importance(), 0.25);
        rule.choose(ScoreRule::Z);
        let said = rule.described();
        assert!(
            said.ends_with(" A region's own value, as object-shap's, counts over 0.3."),
            "{said}"
        );
    }
}
