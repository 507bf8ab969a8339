//! Statistics on plain numbers: ranks, correlations, bootstrap, intervals, tests, multiplicity,
//! linear solvers.
//!
//! In: slices and matrices of numbers, and counts. Out: numbers, `None` where a statistic is not
//! defined, never NaN. Every file names the source of what it computes and the order in which it
//! adds, since the tables of a run are compared byte for byte. Knows no tensors, no files and no
//! other room but [`random`](crate::random).

mod bootstrap;
mod conjugate_gradients;
mod contingency;
mod descriptive;
mod discrimination;
mod distances;
mod domains;
mod exchange;
mod kappa;
mod kendall;
mod lasso;
mod logistic;
mod matched;
mod multiplicity;
mod noise_ceiling;
mod partial;
mod permutation;
mod principal_components;
mod proportion;
mod rank;
mod resampled_counts;
mod separation;
mod stratified;
mod t_sne;
mod tridiagonal;
mod trustworthiness;

pub use bootstrap::{
    BootstrapInterval, FEWEST_RESAMPLED_CASES, bias_spanning_interval, percentile_interval_of_mean,
};
pub use conjugate_gradients::{PositiveDefinite, conjugate_gradients};
pub use contingency::{Independence, IndependenceTest, LogOdds, TwoByTwo};
pub use descriptive::{jackknife_error, mean, mean_interval, quantile};
pub use discrimination::{average_precision, roc_area};
pub use domains::{domain_accuracy, mean_distance, proxy_a_distance};
pub use exchange::{HIT, NOT_OF_THE_KIND, OF_THE_KIND, PairedShares};
pub use kappa::cohens_kappa;
pub use kendall::{Kendall, kendall};
pub use lasso::lasso;
pub use logistic::{LogisticModel, logistic_regression};
pub use matched::{Cochran, cochran_q, mcnemar};
pub use multiplicity::{benjamini_hochberg, benjamini_yekutieli, holm};
pub use noise_ceiling::{noise_ceiling, spearman_brown};
pub use partial::{Given, partial_correlation, partial_correlation_given_two};
pub use permutation::{STRATUM, permutation_p, strata};
pub use principal_components::{PrincipalComponents, principal_components};
pub use proportion::{Share, ValueWithInterval, difference_of_shares, wilson};
pub use rank::{Ranks, spearman_p};
pub use resampled_counts::percentile_interval_of_counts;
pub use separation::{Separation, separation};
pub use stratified::{Stratified, stratified};
pub use t_sne::{FEWEST_ITERATIONS, TsneEmbedding, TsneSettings, largest_perplexity, t_sne};
pub use trustworthiness::trustworthiness;
