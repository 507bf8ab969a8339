//! Eigen-CAM (Muhammad & Yeasin 2020): A's places projected on their first principal component over
//! the channels, the mean place taken off first, as pytorch-grad-cam does. Neither class nor score
//! enters.
//!
//! A principal component has no sign of its own. Here it points where the channels are active: the
//! projection correlates positively with the sum over channels of ReLU(A).

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, sum_over_channels,
};
use std::sync::{Mutex, PoisonError};
use tch::{Device, Kind, TchError, Tensor};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "eigen-cam",
    summary: "the activation's first principal component; knows nothing of the class",
    source: "Muhammad & Yeasin 2020",
    needs: Needs::Activation,
    explains: Explains::NoScore,
    preset: Score::Logit,
    paper: false,
    draws: false,
    implementation: &EigenCam,
};

struct EigenCam;

impl CamMethod for EigenCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, _score: Score) -> Result<RawMaps, TchError> {
        let (n, channels, rows, columns) = pass.a().size4()?;
        let places = pass.a().f_to_kind(Kind::Double)?.f_reshape([n, channels, rows * columns])?;
        let centred =
            places.f_sub(&places.f_mean_dim([2_i64].as_slice(), true, Kind::Double)?)?;
        // X = (places, channels) = U S V'; the projection X v is s u, from the eigenvectors of X X'
        // = U S^2 U'.
        let gram = centred.f_transpose(1, 2)?.f_bmm(&centred)?;
        load_solvers(gram.device())?;
        let (values, vectors) = gram.f_linalg_eigh("L")?;
        // In ascending order.
        let last = rows * columns - 1;
        let length = values.f_select(1, last)?.f_clamp_min(0.0)?.f_sqrt()?.f_unsqueeze(1)?;
        let projection = vectors.f_select(2, last)?.f_mul(&length)?;
        let active =
            sum_over_channels(&pass.a().f_relu()?)?.f_to_kind(Kind::Double)?.f_reshape([n, -1])?;
        let sign = covariance(&projection, &active)?.f_ge(0.0)?.f_to_kind(Kind::Double)?;
        let projection = projection.f_mul(&sign.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?)?;
        Ok(projection.f_reshape([n, rows, columns])?.f_to_kind(Kind::Float)?.into())
    }
}

/// Makes libtorch load CUDA's linear algebra, which it does at the first use of it; two threads
/// that come first at once are an error there ("lazy wrapper should be called at most once").
fn load_solvers(device: Device) -> Result<(), TchError> {
    static LOADED: Mutex<bool> = Mutex::new(false);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if device.is_cuda() && !*loaded {
        let _ = Tensor::f_eye(2, (Kind::Double, device))?.f_linalg_eigh("L")?;
        *loaded = true;
    }
    Ok(())
}

/// Of each row of `x`, whose mean is 0, with that of `y`: (N, 1), times the number of places.
fn covariance(x: &Tensor, y: &Tensor) -> Result<Tensor, TchError> {
    let y = y.f_sub(&y.f_mean_dim([1_i64].as_slice(), true, Kind::Double)?)?;
    x.f_mul(&y)?.f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Double)
}
