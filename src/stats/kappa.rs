//! Agreement of two judges beyond what chance gives.
//!
//! In: counts of cases by the label of the first judge (row) and of the second (column). Out:
//! Cohen's kappa, at most 1, with its standard error; `None` where chance alone would already agree
//! always.

use super::ValueWithInterval;
use super::proportion::Z;

/// Cohen's kappa (Cohen 1960) with its normal interval at 95 %, by the standard error of Fleiss,
/// Cohen and Everitt (1969). `None` for no case, and where both judges know a single label.
///
/// # Panics
/// When the rows are not as many as the columns.
pub fn cohens_kappa(counts: &[Vec<u64>]) -> Option<ValueWithInterval> {
    assert!(
        counts.iter().all(|row| row.len() == counts.len()),
        "as many labels in rows as in columns"
    );
    let cases = counts.iter().flatten().sum::<u64>() as f64;
    let shares: Vec<Vec<f64>> =
        counts.iter().map(|row| row.iter().map(|&count| count as f64 / cases).collect()).collect();
    let rows: Vec<f64> = shares.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<f64> =
        (0..counts.len()).map(|column| shares.iter().map(|row| row[column]).sum()).collect();
    let observed: f64 = (0..counts.len()).map(|label| shares[label][label]).sum();
    let expected: f64 = rows.iter().zip(&columns).map(|(row, column)| row * column).sum();
    let rest = 1.0 - expected;
    // No case gives NaN.
    if rest.is_nan() || rest <= 1e-12 {
        return None;
    }
    let kappa = (observed - expected) / rest;
    let mut sum = -(kappa - expected * (1.0 - kappa)).powi(2);
    for (row, shares) in shares.iter().enumerate() {
        for (column, share) in shares.iter().enumerate() {
            sum += match row == column {
                true => share * (1.0 - (rows[row] + columns[row]) * (1.0 - kappa)).powi(2),
                false => share * ((columns[row] + rows[column]) * (1.0 - kappa)).powi(2),
            };
        }
    }
    let error = sum.max(0.0).sqrt() / rest / cases.sqrt();
    Some(ValueWithInterval { value: kappa, lower: kappa - Z * error, upper: kappa + Z * error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 35 of 50 agree, and (25 x 30 + 25 x 20) / 2500 = 0.5 would by chance.
        let kappa = cohens_kappa(&[vec![20, 5], vec![10, 15]]).unwrap();
        approx::assert_abs_diff_eq!(kappa.value, 0.4, epsilon = 1e-12);
        assert_eq!(cohens_kappa(&[vec![4, 0], vec![0, 6]]).unwrap().value, 1.0);
        assert_eq!(
            (cohens_kappa(&[vec![4, 0], vec![0, 0]]), cohens_kappa(&[vec![0; 2], vec![0; 2]])),
            (None, None)
        );
    }
}
