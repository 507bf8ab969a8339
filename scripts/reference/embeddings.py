#!/usr/bin/env python3
"""Principal components, silhouettes, votes of neighbours, trustworthiness, logistic regression by scikit-learn.

Writes tests/reference/embeddings/values.json:

  rows [N][D]          four clouds of different sizes, drawn here, rounded to four decimals, which every program reads alike
  groups [N]           which cloud
  components [5][D], variances [5], shares [5], scores [N][5]    PCA, full singular value decomposition
  silhouette, right    silhouette_score of the rows by group; rows that KNeighborsClassifier gives the right group with 5
                       neighbours when each is left out in turn
  silhouette_2, right_2, trustworthiness_2                       the same of the first two scores, and how far these can be
                       trusted with 5 neighbours
  weights [D], intercept                                         LogisticRegression (newton-cholesky, C = 1) of the first two
                       clouds against the others
  t_sne                trustworthiness (5 neighbours) of TSNE(perplexity=20, init="pca") for three seeds

Made with Python 3.11, scikit-learn 1.9.1, numpy 2.4.6:  python scripts/reference/embeddings.py

    embeddings.py --time FILE.npy

reads rows as `emocam embed` writes them (features.npy) and prints the seconds and the trustworthiness of scikit-learn's
PCA to 50 components and t-SNE.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

OUT = Path(__file__).resolve().parents[2] / "tests/reference/embeddings"
SIZES, COLUMNS, NEIGHBOURS = [61, 23, 40, 19], 13, 5


def clouds():
    """Rows and the number of the cloud of each."""
    random = np.random.default_rng(20261126)
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    centres = random.normal(size=(len(SIZES), COLUMNS)) * 0.9
    spread = np.linspace(1.5, 0.3, COLUMNS)
    rows = centres[groups] + random.normal(size=(len(groups), COLUMNS)) * spread + 3.0
    order = random.permutation(len(groups))
    return np.round(rows[order], 4), groups[order]


def right(rows, groups):
    """Rows whose group their neighbours vote for."""
    classifier = KNeighborsClassifier(NEIGHBOURS)
    return int((cross_val_predict(classifier, rows, groups, cv=LeaveOneOut()) == groups).sum())


def main():
    rows, groups = clouds()
    pca = PCA(5, svd_solver="full").fit(rows)
    scores = pca.transform(rows)
    domain = groups > 1
    logistic = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10).fit(rows, domain)
    plane = scores[:, :2]
    t_sne = [TSNE(2, perplexity=20, init="pca", random_state=seed).fit_transform(rows) for seed in range(3)]
    values = {
        "rows": rows.tolist(),
        "groups": groups.tolist(),
        "components": pca.components_.tolist(),
        "variances": pca.explained_variance_.tolist(),
        "shares": pca.explained_variance_ratio_.tolist(),
        "scores": scores.tolist(),
        "silhouette": float(silhouette_score(rows, groups)),
        "right": right(rows, groups),
        "silhouette_2": float(silhouette_score(plane, groups)),
        "right_2": right(plane, groups),
        "trustworthiness_2": float(trustworthiness(rows, plane, n_neighbors=NEIGHBOURS)),
        "weights": logistic.coef_[0].tolist(),
        "intercept": float(logistic.intercept_[0]),
        "t_sne": [float(trustworthiness(rows, points, n_neighbors=NEIGHBOURS)) for points in t_sne],
    }
    OUT.mkdir(parents=True, exist_ok=True)
    # Twelve digits are more than any tolerance asks for.
    rounded = json.loads(json.dumps(values), parse_float=lambda text: float(f"{float(text):.12g}"))
    (OUT / "values.json").write_text(json.dumps(rounded) + "\n")
    print({name: value for name, value in rounded.items() if not isinstance(value, list)}, rounded["t_sne"])


def timed(file):
    rows = np.load(file).astype(np.float64)
    clock = time.time()
    scores = PCA(50, random_state=0).fit_transform(rows)
    print(f"PCA {time.time() - clock:.1f} s")
    clock = time.time()
    points = TSNE(2, perplexity=30, init="pca", random_state=0).fit_transform(scores)
    print(f"t-SNE {time.time() - clock:.1f} s")
    print(f"trustworthiness {trustworthiness(rows, points, n_neighbors=NEIGHBOURS):.4f}")


if __name__ == "__main__":
    timed(sys.argv[2]) if sys.argv[1:2] == ["--time"] else main()
