#!/usr/bin/env python3
"""Rank correlations of matrices with many ties, by scipy, rsatoolbox and numpy.

Usage: rsa.py FOLDER
       (committed: tests/reference/rsa)

Writes into FOLDER seven matrices and two more of 39 classes x 21 labels as a run has them, of which the label "Nostalgia" has no image
(an empty column), so that 780 = 40 * 39 / 2 cells are compared, a number rsatoolbox takes for the upper triangle of an RDM:
  a, b, c.csv   shares of small numbers of images, most of them 0, that owe part of their agreement to detections.csv;
                b.csv is in the format of counts.csv, and its rows and columns are in another order
  noise.csv     c.csv with its rows in random order
  untied.csv    numbers without ties; reversed.csv: their negatives; constant.csv: 0 throughout
  detections.csv, other_detections.csv   shares that the partial correlations are given
and expected.json, where null is undefined:
  names         a, b, c, constant, noise, reversed, untied: the order of rows and columns
  spearman, p_value      scipy.stats.spearmanr
  kendall, p_kendall     scipy.stats.kendalltau(variant="b", method="asymptotic")
  rho_a         rsatoolbox.rdm.compare(..., "rho-a")
  partial       correlation of the residuals of the ranks after least squares on the ranks of detections.csv
  partial_of_two         likewise, on detections.csv and other_detections.csv
  ceilings      list of {"subjects": names, "lower", "upper"}: rsatoolbox.inference.boot_noise_ceiling(method="spearman"),
                which leaves one subject out at a time
p-values on the diagonals are null: a matrix is not tested against itself.

Made with Python 3.11, numpy 2.2.6, scipy 1.17.1, rsatoolbox 0.3.2.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, compare
from scipy import stats

CLASSES, LABELS, EMPTY = 39, 21, "Nostalgia"


def matrices():
    """{name: (counts or values, images per label or None)}, CLASSES x LABELS; the last label is the empty one."""
    rng = np.random.default_rng(20)
    images = np.append(rng.integers(3, 30, LABELS - 1), 0)
    frequency = np.exp(rng.normal(-2.2, 1.5, (CLASSES, 1)) + rng.normal(0, 0.4, (CLASSES, LABELS)))
    frequency[-4:] = 0  # never detected
    detections, other = (rng.binomial(images, np.minimum(frequency * spread, 1)) for spread in (1, 0.8))
    result = {"detections": (detections, images), "other_detections": (other, images)}
    important = rng.uniform(0.1, 0.9, (CLASSES, LABELS))
    for name, noise in (("a", 0.05), ("b", 0.2), ("c", 0.6)):
        share = np.clip(important + rng.normal(0, noise, important.shape), 0, 1)
        result[name] = (rng.binomial(detections, share), images)
    untied = rng.permutation(CLASSES * LABELS).reshape(CLASSES, LABELS) / 8 + 40 * result["a"][0]
    result["untied"], result["reversed"] = (untied, None), (-untied, None)
    result["noise"] = (rng.permutation(result["c"][0]), images)
    result["constant"] = (np.zeros((CLASSES, LABELS)), None)
    return result


def write(path, values, images):
    """association.csv or, for b.csv, counts.csv with rows and columns turned round."""
    names = [f"Class {i}" for i in range(CLASSES)]
    labels = [f"Label {j}" for j in range(LABELS - 1)] + [EMPTY]
    rows, columns = np.arange(CLASSES), np.arange(LABELS)
    counts = path.stem == "b"
    if counts:
        rows, columns = rows[::-1], np.roll(columns, 5)[::-1]
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["class", *(labels[j] for j in columns)])
        for i in rows:
            if counts:
                cells = [int(values[i, j]) for j in columns]
            else:
                cells = ["" if labels[j] == EMPTY else float(cell(values, images, i, j)) for j in columns]
            out.writerow([names[i], *cells])
        if counts:
            out.writerow(["images", *(int(images[j]) for j in columns)])


def cell(values, images, i, j):
    return values[i, j] if images is None else values[i, j] / images[j]


def flat(values, images):
    return np.array([cell(values, images, i, j) for i in range(CLASSES) for j in range(LABELS - 1)], dtype=float)


def undefined_as_none(value):
    return float(value) if np.isfinite(value) else None


def square(names, vectors, measure, diagonal=True):
    return [[undefined_as_none(measure(vectors[a], vectors[b])) if diagonal or a != b else None for b in names]
            for a in names]


def residual_correlation(x, y, given):
    columns = np.column_stack([np.ones(len(x)), *(stats.rankdata(z) for z in given)])
    left = []
    for ranks in (stats.rankdata(x), stats.rankdata(y)):
        left.append(ranks - columns @ np.linalg.lstsq(columns, ranks, rcond=None)[0])
        if np.ptp(ranks) == 0:
            return np.nan
    return np.corrcoef(*left)[0, 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    made = matrices()
    for name, (values, images) in made.items():
        write(folder / f"{name}.csv", values, images)
    vectors = {name: flat(*matrix) for name, matrix in made.items()}
    names = ["a", "b", "c", "constant", "noise", "reversed", "untied"]
    kendall = lambda x, y: stats.kendalltau(x, y, variant="b", method="asymptotic")
    given = [vectors["detections"], vectors["other_detections"]]
    expected = {
        "names": names,
        "spearman": square(names, vectors, lambda x, y: stats.spearmanr(x, y).statistic),
        "p_value": square(names, vectors, lambda x, y: stats.spearmanr(x, y).pvalue, diagonal=False),
        "kendall": square(names, vectors, lambda x, y: kendall(x, y).statistic),
        "p_kendall": square(names, vectors, lambda x, y: kendall(x, y).pvalue, diagonal=False),
        "rho_a": square(names, vectors, lambda x, y: compare(RDMs(x[None]), RDMs(y[None]), "rho-a")[0, 0]),
        "partial": square(names, vectors, lambda x, y: residual_correlation(x, y, given[:1]), diagonal=False),
        "partial_of_two": square(names, vectors, lambda x, y: residual_correlation(x, y, given), diagonal=False),
        "ceilings": [],
    }
    for subjects in (["a", "b"], ["a", "c", "b"], ["a", "b", "c", "untied", "detections"]):
        lower, upper = boot_noise_ceiling(RDMs(np.array([vectors[name] for name in subjects])), method="spearman")
        expected["ceilings"].append({"subjects": subjects, "lower": float(lower), "upper": float(upper)})
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
