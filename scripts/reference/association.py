#!/usr/bin/env python3
"""Counts a run's association matrix again from its CSV files, in plain Python, and compares.

Usage: association.py RUN METHOD [--importance 0.3] [--min-confidence P] [--tolerance 1e-6] [--write FOLDER]

Reads RUN/images.csv (path, label, ...) and RUN/objects.csv (path, label, class, confidence, ..., one column per
method with the importance, empty where there is none). Then
  c_j  = number of images labelled j;
  a_ij = number of images labelled j with at least one object of class i whose importance is > the threshold
         and whose confidence is > P;
  M'_ij = a_ij / c_j, an empty cell where c_j is 0.
Compares with RUN/METHOD/counts.csv (first column the class, one column per label, a last row `images` with the c_j)
and RUN/METHOD/association.csv (the same without that row). A class that a table leaves out must have no counts.
Prints one JSON object; exit status 0 when everything agrees, 1 when not, 2 when a file cannot be read.

--write FOLDER writes counts.csv and association.csv as recomputed, classes and labels in the order of counts.csv.

Needs Python 3.11 or newer and nothing else.
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

LAST_ROW = "images"


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(path):
    """(labels, {row name: {label: text}}) of a CSV table."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *body = csv.reader(file)
    result = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in body}
    if len(result) != len(body):
        raise ValueError(f"{path}: a row name occurs twice")
    return header[1:], result


def count(run, method, importance, min_confidence):
    """(images per label, {class: {label: images}})."""
    images = {row["path"]: row["label"] for row in rows(run / "images.csv")}
    per_label = defaultdict(int)
    for label in images.values():
        per_label[label] += 1
    seen = set()
    for row in rows(run / "objects.csv"):
        if images[row["path"]] != row["label"]:
            raise ValueError(f"{row['path']}: labelled {row['label']} in objects.csv, {images[row['path']]} in images.csv")
        if row[method] and float(row[method]) > importance and float(row["confidence"]) > min_confidence:
            seen.add((row["class"], row["label"], row["path"]))
    counts = defaultdict(lambda: defaultdict(int))
    for name, label, _ in seen:
        counts[name][label] += 1
    return per_label, counts


def differences(run, method, per_label, counts, tolerance):
    """Sentences, one for each cell that disagrees."""
    found = []
    labels, theirs = table(run / method / "counts.csv")
    totals = theirs.pop(LAST_ROW, None)
    if totals is None:
        return [f"counts.csv has no row `{LAST_ROW}`"]
    found += [f"label {label} of images.csv is no column of counts.csv" for label in per_label if label not in labels]
    found += [f"images, {label}: {totals[label]}, recomputed {per_label[label]}"
              for label in labels if totals[label] != str(per_label[label])]
    ratio_labels, ratios = table(run / method / "association.csv")
    if ratio_labels != labels:
        found.append("counts.csv and association.csv have different columns")
        return found
    for name in sorted({*theirs, *ratios, *counts}):
        for label in labels:
            a, c = counts[name][label], per_label[label]
            text = theirs.get(name, {}).get(label, "0")
            if text != str(a):
                found.append(f"counts, {name}, {label}: {text!r}, recomputed {a}")
            text = ratios.get(name, {}).get(label, "0" if c else "")
            if (text == "") != (c == 0) or (c and abs(float(text) - a / c) > tolerance):
                found.append(f"association, {name}, {label}: {text!r}, recomputed {a / c if c else 'empty'}")
    return found


def write(folder, run, method, per_label, counts):
    labels, theirs = table(run / method / "counts.csv")
    names = [name for name in theirs if name != LAST_ROW]
    names += sorted(set(counts) - set(names))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "counts.csv").open("w", newline="") as a, (folder / "association.csv").open("w", newline="") as m:
        a, m = csv.writer(a, lineterminator="\n"), csv.writer(m, lineterminator="\n")
        a.writerow(["class", *labels])
        m.writerow(["class", *labels])
        for name in names:
            a.writerow([name, *(counts[name][label] for label in labels)])
            m.writerow([name, *(counts[name][label] / per_label[label] if per_label[label] else "" for label in labels)])
        a.writerow([LAST_ROW, *(per_label[label] for label in labels)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("method", metavar="METHOD", help="as the column of objects.csv, for instance grad-cam")
    parser.add_argument("--importance", type=float, default=0.3, help="default 0.3")
    parser.add_argument("--min-confidence", type=float, default=0.0, help="more confident than this; default 0: all")
    parser.add_argument("--tolerance", type=float, default=1e-6, help="for M', default 1e-6")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    run, method = arguments.run, arguments.method
    try:
        per_label, counts = count(run, method, arguments.importance, arguments.min_confidence)
        summary = {"images": sum(per_label.values()), "classes": len(counts),
                   "a_ij in all": sum(sum(row.values()) for row in counts.values())}
        if arguments.write:
            write(arguments.write, run, method, per_label, counts)
        found = differences(run, method, per_label, counts, arguments.tolerance)
    except (OSError, KeyError, ValueError) as error:
        print(f"association.py: {error!r}", file=sys.stderr)
        return 2
    json.dump({**summary, "disagreements": len(found), "first": found[:20]}, sys.stdout, indent=1)
    print()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
