#!/usr/bin/env python3
"""Reference values for every column of statistics.csv, by scipy and statsmodels.

Usage: cell_statistics.py OUT.json        (committed: tests/reference/statistics/cells.json)

Three count tables (classes x labels; images of each label, in which a class is detected, in which it is important):
`small` with zeros, empty labels and cells of a few images; `corpus` as a run over 25,000 images; `huge` with millions.
For every cell of a class that is important in at least `min_images` images and every label that occurs:

share: proportion_confint(method="wilson"). difference, contrast: confint_proportions_2indep(compare="diff",
method="newcomb"). risk_ratio: proportions as they are. log_odds: statsmodels Table2x2 of the counts + 1/2. test, p:
scipy fisher_exact where an expected count (scipy expected_freq) is below 5, else chi2_contingency(correction=False,
lambda_="log-likelihood"), its statistic summed anew with mpmath. q, q_strict: multipletests(method="fdr_bh", "fdr_by"),
over the cells with a test.

Also p-values alone, for the two corrections: `multiple`.

Made with Python 3.11.7, statsmodels 0.15.0, scipy 1.17.1, numpy 2.4.6, mpmath 1.3.0.
"""

import json
import sys
from pathlib import Path

import mpmath
import numpy as np
from scipy.stats import chi2, chi2_contingency, fisher_exact
from scipy.stats.contingency import expected_freq
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint


def share(hits, images):
    if images == 0:
        return [None] * 3
    low, high = proportion_confint(hits, images, method="wilson")
    return [hits / images, float(low), float(high)]


def difference(hits, images, other_hits, other_images):
    if images == 0 or other_images == 0:
        return [None] * 3
    low, high = confint_proportions_2indep(hits, images, other_hits, other_images, compare="diff", method="newcomb")
    return [hits / images - other_hits / other_images, float(low), float(high)]


def log_odds(table):
    if (table.sum(axis=0) == 0).any() or (table.sum(axis=1) == 0).any():
        return [None] * 4
    odds = Table2x2(table + 0.5)
    low, high = odds.log_oddsratio_confint()
    return [float(odds.log_oddsratio), float(odds.log_oddsratio_se), float(low), float(high)]


def independence(table):
    if (table.sum(axis=0) == 0).any() or (table.sum(axis=1) == 0).any():
        return [None, None]
    if expected_freq(table).min() < 5:
        return ["fisher", float(fisher_exact(table).pvalue)]
    # Where a table is as good as independent, the terms of G cancel: scipy's double precision then leaves errors of
    # 2e-9 in p. So G is summed with 50 digits, and must be scipy's as far as that goes.
    n, rows, columns = int(table.sum()), table.sum(axis=1), table.sum(axis=0)
    cells = [(int(table[i, j]), int(rows[i]), int(columns[j])) for i in range(2) for j in range(2)]
    g = 2 * mpmath.fsum(o * mpmath.log(mpmath.mpf(o) * n / (row * column)) for o, row, column in cells if o)
    p = float(chi2.sf(float(g), 1))
    scipys = chi2_contingency(table, correction=False, lambda_="log-likelihood")
    assert abs(scipys.statistic - g) <= 1e-14 * n and abs(scipys.pvalue - p) < 1e-6, (table, scipys, g, p)
    return ["g", p]


def ratio(hits, images, other_hits, other_images):
    if images == 0 or other_images == 0 or other_hits == 0:
        return None
    return (hits / images) / (other_hits / other_images)


def compared(hits, images, other_hits, other_images):
    table = np.array([[hits, images - hits], [other_hits, other_images - other_hits]])
    return {"share": share(hits, images), "other": share(other_hits, other_images)[0],
            "difference": difference(hits, images, other_hits, other_images),
            "ratio": ratio(hits, images, other_hits, other_images),
            "odds": log_odds(table), "test": independence(table), "q": [None, None]}


def correct(comparisons):
    tested = [one for one in comparisons if one["test"][1] is not None]
    if tested:
        p = [one["test"][1] for one in tested]
        for one, q, strict in zip(tested, multipletests(p, method="fdr_bh")[1], multipletests(p, method="fdr_by")[1]):
            one["q"] = [float(q), float(strict)]


def row(name, counts, parts):
    important, detected, contrast = parts
    images, with_label, all_detected, detected_with, all_important, important_with = counts
    product = all_important * with_label
    cells = {
        "class": name[0], "label": name[1], "images": images, "images_with_label": with_label,
        "detected": all_detected, "detected_with_label": detected_with,
        "important": all_important, "important_with_label": important_with,
        "risk_ratio": important["ratio"], "lift": important_with * images / product if product else None,
        "base_rate": important["other"], "detected_base_rate": detected["other"],
        "detected_share": detected["share"][0],
        "important_if_detected": contrast["share"][0], "important_if_detected_elsewhere": contrast["other"],
    }
    for end, suffix in enumerate(["", "_low", "_high"]):
        cells["share" + suffix] = important["share"][end]
        cells["difference" + suffix] = important["difference"][end]
        cells["contrast" + suffix] = contrast["difference"][end]
        cells["log_odds" + suffix] = important["odds"][[0, 2, 3][end]]
        cells["detected_log_odds" + suffix] = detected["odds"][[0, 2, 3][end]]
    cells["log_odds_error"] = important["odds"][1]
    for prefix, part in (("", important), ("detected_", detected), ("contrast_", contrast)):
        cells[prefix + "test"], cells[prefix + "p"] = part["test"]
        cells[prefix + "q"], cells[prefix + "q_strict"] = part["q"]
    return cells


def statistics(table):
    images, detected, important = (np.array(table[key]) for key in ("images", "detected", "important"))
    n = int(images.sum())
    kept = []
    for i in range(len(important)):
        for j in range(len(images)):
            if important[i].sum() < table["min_images"] or images[j] == 0:
                continue
            counts = [n, images[j], detected[i].sum(), detected[i, j], important[i].sum(), important[i, j]]
            counts = [int(count) for count in counts]
            _, c, d, dj, r, a = counts
            parts = [compared(a, c, r - a, n - c), compared(dj, c, d - dj, n - c), compared(a, dj, r - a, d - dj)]
            kept.append((i, j, counts, parts))
    for part in range(3):
        correct([parts[part] for *_, parts in kept])
    return [row((i, j), counts, parts) for i, j, counts, parts in kept]


def drawn(rng, images, frequencies, kept, spread):
    """Detected and important images of each class and label; what is important is detected."""
    detected, important = [], []
    for frequency in frequencies:
        lean = np.exp(spread * rng.standard_normal(len(images)))
        detected.append(rng.binomial(images, np.clip(frequency * lean, 0, 1)))
        lean = np.exp(spread * rng.standard_normal(len(images)))
        important.append(rng.binomial(detected[-1], np.clip(kept * lean, 0, 1)))
    return np.array(detected), np.array(important)


def tables(rng):
    small = {"images": [9, 0, 31, 4, 60], "min_images": 1,
             "detected": [[9, 0, 31, 4, 60], [5, 0, 12, 0, 20], [0, 0, 3, 2, 0], [7, 0, 0, 1, 33], [0, 0, 0, 0, 0],
                          [1, 0, 0, 0, 0], [2, 0, 6, 1, 12]],
             "important": [[9, 0, 31, 4, 60], [5, 0, 4, 0, 0], [0, 0, 3, 2, 0], [1, 0, 0, 1, 10], [0, 0, 0, 0, 0],
                           [1, 0, 0, 0, 0], [0, 0, 0, 0, 7]]}
    images = rng.multinomial(25000, rng.dirichlet(np.full(20, 2.0)))
    detected, important = drawn(rng, images, 10.0 ** rng.uniform(-3.5, -0.1, 16), 0.5, 0.2)
    corpus = {"images": images.tolist(), "min_images": 10,
              "detected": detected.tolist(), "important": important.tolist()}
    images = np.array([3_000_000, 1_200_000, 40_000, 900, 7])
    detected, important = drawn(rng, images, [0.7, 0.3, 0.01, 1e-4, 2e-6], 0.6, 0.003)
    huge = {"images": images.tolist(), "min_images": 3, "detected": detected.tolist(), "important": important.tolist()}
    return {"small": small, "corpus": corpus, "huge": huge}


def main():
    mpmath.mp.dps = 50
    rng = np.random.default_rng(15)
    found = {name: {**table, "cells": statistics(table)} for name, table in tables(rng).items()}
    multiple = []
    for count in (1, 7, 400):
        p = rng.random(count) ** 3
        p[-1] = p[0]
        multiple.append({"p": p.tolist(), "benjamini_hochberg": multipletests(p, method="fdr_bh")[1].tolist(),
                         "benjamini_yekutieli": multipletests(p, method="fdr_by")[1].tolist()})
    text = json.dumps({"tables": found, "multiple": multiple}, allow_nan=False)
    Path(sys.argv[1]).write_text(text.replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    main()
