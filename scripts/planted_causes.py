#!/usr/bin/env python3
"""How well the statistics of cells find the planted causes of a drawn world, beside shares over a cut.

Usage: planted_causes.py RUN SCENES        (RUN of `emocam analyze SCENES`, SCENES of `emocam world`, with graph.json)

A cell (class, label) is a cause when graph.json says that an object of the class, of whatever variant, makes the label.
For every method of RUN, over all cells of labels that occur:

detected      the detector alone: more often detected with the label, detected_q < 0.05
significant   more often important with the label, q < 0.05
... and map   besides, the contrast is positive: where the class is detected, it is important more often with the label
... surely    besides, the contrast has q < 0.05
... by CUT    besides, the interval of the difference from the other labels' share lies over a cut
share > CUT   the share of the label's images in which the class is important is over a cut, as the paper's Fig. 2 is read

Prints one row each: precision (causes among the findings), recall (findings among the causes), found causes, false
findings, and of these how many are confounders with their label.

Needs Python 3.9 or newer and nothing else.
"""

import csv
import json
import sys
from pathlib import Path

CUTS = (0.1, 0.2, 0.3, 0.5)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def over(row, column, bound):
    return row[column] != "" and float(row[column]) > bound


def significant(row, column):
    return row[column] != "" and float(row[column]) < 0.05


def findings(folder):
    """Each rule's name and the cells it finds, as (class, label)."""
    cells = rows(folder / "statistics.csv")
    rules = {
        "detected": lambda row: significant(row, "detected_q") and over(row, "detected_log_odds", 0),
        "significant": lambda row: significant(row, "q") and over(row, "log_odds", 0),
    }
    rules["... and map"] = lambda row: rules["significant"](row) and over(row, "contrast", 0)
    rules["... surely"] = lambda row: rules["... and map"](row) and significant(row, "contrast_q")
    for name, rule in rules.items():
        yield name, {(row["class"], row["label"]) for row in cells if rule(row)}
    for cut in CUTS:
        sure = [row for row in cells if rules["... and map"](row) and over(row, "difference_low", cut)]
        yield f"... by {cut}", {(row["class"], row["label"]) for row in sure}
    shares = [(row["class"], label, share) for row in rows(folder / "association.csv")
              for label, share in row.items() if label != "class" and share]
    for cut in CUTS:
        yield f"share > {cut}", {(name, label) for name, label, share in shares if float(share) > cut}


def main():
    run, scenes = Path(sys.argv[1]), Path(sys.argv[2])
    graph = json.loads((scenes / "graph.json").read_text())
    causes = {(cause["class"], cause["label"]) for cause in graph["causes"]}
    confounders = {(one["class"], one["with"]) for one in graph["confounders"]}
    print(f"{'method':<14}{'rule':<14}{'precision':>10}{'recall':>8}{'causes':>8}{'false':>7}{'confounders':>13}")
    for folder in sorted(path.parent for path in run.glob("*/statistics.csv")):
        for rule, found in findings(folder):
            hits = len(found & causes)
            precision = f"{hits / len(found):.2f}" if found else "-"
            print(f"{folder.name:<14}{rule:<14}{precision:>10}{hits / len(causes):>8.2f}{hits:>8}{len(found) - hits:>7}"
                  f"{len(found & confounders):>13}")


if __name__ == "__main__":
    main()
