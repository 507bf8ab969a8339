#!/usr/bin/env python3
"""Makes the table of nested classes for `emocam associate --nested-table` from the hierarchy that Open Images publishes.

    python nested_classes.py bbox_labels_600_hierarchy.json class-descriptions-boxable.csv > nested.csv
    python nested_classes.py HIERARCHY.json DESCRIPTIONS.csv --names detector.names > nested.csv

HIERARCHY.json is a tree of objects with `LabelName`, and as lists of the same `Subcategory` (kinds of it) and `Part`
(parts of it). DESCRIPTIONS.csv has a label and its name on each line, with or without a header. The table has the
columns part, whole, relation; each step of the tree is a row, and emocam follows several. The root, which is everything,
is left out. With --names, a file with one class a line, classes that are not there are skipped, and what is below them
belongs to what is above; without a name in DESCRIPTIONS.csv a label is skipped likewise.

Needs Python's standard library alone.
"""

import argparse
import csv
import json
import sys


def rows(node, wholes, relation, name, known):
    """Rows of a node and all below it; `wholes` are the nearest known classes above it."""
    own = name.get(node["LabelName"])
    if own in known:
        for whole in wholes:
            yield own, whole, relation
        wholes, relation = [own], None
    for key, kind in (("Subcategory", "is-a"), ("Part", "part-of")):
        for child in node.get(key, []):
            # Over a class that is skipped, a part stays a part.
            step = "part-of" if relation == "part-of" else kind
            yield from rows(child, wholes, step, name, known)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hierarchy")
    parser.add_argument("descriptions")
    parser.add_argument("--names", help="the detector's classes, one a line")
    arguments = parser.parse_args()
    with open(arguments.descriptions, encoding="utf-8", newline="") as file:
        name = {row[0]: row[1] for row in csv.reader(file) if len(row) > 1}
    known = set(name.values())
    if arguments.names:
        with open(arguments.names, encoding="utf-8") as file:
            known = {line.strip() for line in file if line.strip()}
    with open(arguments.hierarchy, encoding="utf-8") as file:
        root = json.load(file)
    name.pop(root["LabelName"], None)
    found = dict.fromkeys(row for row in rows(root, [], None, name, known) if row[0] != row[1])
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["part", "whole", "relation"])
    table.writerows(found)


if __name__ == "__main__":
    main()
