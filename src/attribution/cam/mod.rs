//! Class activation maps: A's channels, weighted and summed, or A's places one by one.
//!
//! Every file is a method: from the batch at A ([`super::HeadPass`]) to one raw map a picture, and
//! its row of the table of methods.

pub(super) mod ablation_cam;
pub(super) mod eigen_cam;
pub(super) mod grad_cam;
pub(super) mod grad_cam_plus_plus;
pub(super) mod hires_cam;
pub(super) mod layer_cam;
pub(super) mod lift_cam;
pub(super) mod lime_cam;
pub(super) mod lrp_cam;
pub(super) mod score_cam;
pub(super) mod shapley_cam;
pub(super) mod xgrad_cam;
