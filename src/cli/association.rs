//! Flags of the association: which boxes count, and what tables and pictures show.

use super::values::{by_name, set, whole};
use clap::Args;
use emocam::config::{AssociationConfig, BackgroundRow, HeatmapKind, Nested};
use emocam::score::ScoreRule;

/// Which boxes count, and what is shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Association")]
pub(super) struct Association {
    #[command(flatten)]
    counting: Counting,

    /// Classes that are important in at least N images have statistics (statistics.csv); q-values
    /// are corrected for the cells of these. Heatmap columns of labels with fewer images are faded,
    /// and do not order the rows [default: 10]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0, u64::MAX))]
    min_images: Option<u64>,

    /// Classes in the heatmap, cells in the forest plot [default: 25]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1, u64::MAX))]
    top: Option<usize>,

    /// What the heatmap shows: shares (the paper's), difference (of a label's share from that of
    /// all other labels) or log-odds (the log odds ratio of the two), with zero in the middle of
    /// the colours [default: shares]
    #[arg(long, value_name = "KIND", value_parser = by_name::<HeatmapKind>)]
    heatmap: Option<HeatmapKind>,

    /// Mark cells with q < 0.05 in the heatmap of shares too; in those of difference and log-odds
    /// they always are
    #[arg(long)]
    mark: bool,

    /// row: what lies in no box is one more row of the matrices, (background), as if it were a
    /// class that is detected in every image; not by the scores z and chance [default: none]
    #[arg(long, value_name = "none|row", value_parser = by_name::<BackgroundRow>)]
    background: Option<BackgroundRow>,

    /// Where important boxes of nested classes lie in each other (a face in a person; a man, who is
    /// a person too): separate, all count; outermost or innermost, that one alone. A box lies in
    /// another when four fifths of it do [default: separate]
    #[arg(long, value_name = "RULE", value_parser = by_name::<Nested>)]
    nested: Option<Nested>,

    /// Which classes are nested: a table part,whole,relation, with part-of or is-a as relation
    /// [default: configs/openimages-nested.csv, built in]
    #[arg(long, value_name = "FILE.csv")]
    nested_table: Option<String>,
}

/// Which boxes and images count.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Association")]
pub(super) struct Counting {
    /// A box counts when its score is over this [default: 0.3; of contrast 0.1, z 1, lift 1.5,
    /// chance 0.95]
    #[arg(long, value_name = "SCORE")]
    importance: Option<f32>,

    /// Also require a confidence over this, 0 to 1 [default: 0]
    #[arg(long, value_name = "P")]
    min_confidence: Option<f32>,

    /// A box's score: mean of the map in it (the paper), max, or mass (its share of the whole map);
    /// or one that knows the box's size: contrast, z, lift or chance [default: mean]
    ///
    /// contrast: mean in the box less mean in a frame of equal area around it. z: standard
    /// deviations above windows of the box's size elsewhere in the image. lift: share of the map
    /// over share of the area. chance: share of other images' maps of the run that have less in the
    /// box's place (over 0.95: at most one in twenty does as well). The values that object-shap
    /// gives objects are shares whatever the score; by the last four they count over 0.3.
    #[arg(long, value_name = "RULE", value_parser = by_name::<ScoreRule>)]
    score: Option<ScoreRule>,

    /// Only images that the network is sure of: the probability of their label is greater than that
    /// of the next by more than this, 0 to 1 [default: 0, all images]
    #[arg(long, value_name = "P")]
    min_margin: Option<f32>,
}

impl Association {
    /// Changes what was given.
    pub(super) fn apply(self, config: &mut AssociationConfig) {
        let Self { counting, min_images, top, heatmap, mark, background, nested, nested_table } =
            self;
        counting.apply(config);
        set(&mut config.min_images, min_images);
        set(&mut config.top, top);
        set(&mut config.heatmap, heatmap);
        config.mark |= mark;
        set(&mut config.background, background);
        set(&mut config.nested, nested);
        set(&mut config.nested_table, nested_table);
    }
}

impl Counting {
    /// Changes what was given.
    pub(super) fn apply(self, config: &mut AssociationConfig) {
        let Self { importance, min_confidence, score, min_margin } = self;
        if let Some(score) = score {
            config.choose(score);
        }
        set(&mut config.importance, importance);
        set(&mut config.min_confidence, min_confidence);
        set(&mut config.min_margin, min_margin);
    }
}
