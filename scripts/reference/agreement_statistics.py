#!/usr/bin/env python3
"""Reference values for agreement of labels, odds ratios over strata, and shares before two judges.

Usage: agreement_statistics.py OUT.json        (committed: tests/reference/statistics/agreement.json)

kappa: statsmodels cohens_kappa (value, and its standard error as the interval's half width over 1.96).
stratified: statsmodels StratifiedTable of the strata without empty margins: oddsratio_pooled with its interval,
test_null_odds(correction=False), test_equal_odds(adjust=True).
exchange: scipy permutation_test(permutation_type="samples"), exact, of the statistic that src/stats/exchange.rs names, over
at most 12 cases; p_value counts what is as extreme on both sides.

Made with Python 3.11.7, statsmodels 0.15.0, scipy 1.17.1, numpy 2.4.6.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.inter_rater import cohens_kappa

random = np.random.default_rng(20261126)


def kappa(counts):
    found = cohens_kappa(counts)
    return {"counts": counts.tolist(), "value": float(found.kappa), "low": float(found.kappa_low), "high": float(found.kappa_upp)}


def stratified(tables):
    said = [t for t in tables if (t.sum(axis=0) > 0).all() and (t.sum(axis=1) > 0).all()]
    found = StratifiedTable([t.astype(float) for t in said])
    low, high = found.oddsratio_pooled_confint()
    row = {
        "tables": [t.ravel().tolist() for t in tables],
        "strata": len(said),
        "odds_ratio": [float(found.oddsratio_pooled), float(low), float(high)],
        "p": float(found.test_null_odds(correction=False).pvalue),
        "homogeneity_p": None,
    }
    if len(said) > 1:
        row["homogeneity_p"] = float(found.test_equal_odds(adjust=True).pvalue)
    return row


def exchange(said):
    """`said`: cases x 2, each 0 (not of the kind), 1 (of the kind) or 2 (hit)."""
    hits, cases = (said == 2).sum(), (said > 0).sum()
    worth = np.array([0.0, -hits / cases, 1 - hits / cases])

    def statistic(first, second, axis=-1):
        return (worth[second.astype(int)] - worth[first.astype(int)]).sum(axis=axis)

    found = permutation_test(
        (said[:, 0], said[:, 1]), statistic, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    p = float((np.abs(found.null_distribution) >= abs(found.statistic) - 1e-9).mean())
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (said[:, 0], said[:, 1]), 1)
    shares = [(said[:, judge] == 2).sum() / (said[:, judge] > 0).sum() for judge in (0, 1)]
    return {"counts": counts.tolist(), "difference": float(shares[1] - shares[0]), "p": p}


def main():
    kappas = [np.array([[20, 5], [10, 15]]), random.integers(0, 40, (4, 4)), random.integers(0, 9, (20, 20)), np.diag([3, 4, 5])]
    strata = [
        [np.array([[12, 30], [5, 40]]), np.array([[8, 9], [3, 22]])],
        [random.integers(0, 6, (2, 2)) for _ in range(6)],
        [random.integers(1, 4000, (2, 2)) for _ in range(3)],
        [np.array([[9, 4], [3, 8]]), np.array([[0, 0], [5, 6]])],
        [np.array([[40, 2], [3, 60]]), np.array([[4, 30], [50, 3]]), np.array([[7, 0], [0, 9]])],
    ]
    cases = []
    while len(cases) < 12:
        said = random.integers(0, 3, (int(random.integers(5, 13)), 2))
        if (said[:, 0] > 0).any() and (said[:, 1] > 0).any():
            cases.append(said)
    values = {
        "kappa": [kappa(counts) for counts in kappas],
        "stratified": [stratified(tables) for tables in strata],
        "exchange": [exchange(said) for said in cases],
    }
    Path(sys.argv[1]).write_text(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
