#!/usr/bin/env python3
"""Whether emocam finds with an exported detector what the package `ultralytics` finds.

Usage: ultralytics_parity.py REFERENCE_FOLDER --photos FOLDER --emocam PATH --emotion-weights FILE
       ultralytics_parity.py REFERENCE_FOLDER --objects NAME=objects.csv ...        (a run made before)

REFERENCE_FOLDER is what ultralytics_detections.py has written: NAME.torchscript and NAME.json per network. Per network this
runs

  emocam analyze PHOTOS --detector NAME.torchscript --confidence C --nms-iou T --emotion-weights FILE --out TEMPORARY

with the thresholds that NAME.json names, and reads objects.csv (columns path, class, confidence, extent_x_min, extent_y_min,
extent_x_max, extent_y_max: pixels of the photo). Boxes are clipped to the photo, as the package's are. Detections of a photo
and class are paired, the pair of the largest IoU first, where the confidences differ by at most 0.001 and the IoU is over
0.98. Boxes of the package that lie in the bars alone have no area when they are clipped; emocam leaves them out (`outside` in
its records), and they are counted by themselves (`without area`).

A box has the class of its highest score. Where two classes have the same score but for the last digits, another build of
libtorch may pick the other one: what is left over and differs in nothing but the class, with confidences within 0.0001, is
counted by itself (`class ties`) and may be one detection in a thousand. So may be those that are left over within 0.0001 of the
threshold of confidence (`at the threshold`).

Printed as JSON per network: detections of both, pairs, these two, those of either that have no partner, the largest
difference of confidence and the lowest IoU of the pairs. Exit status 1 if one has no partner or too many are excused.

Made with Python 3.11, numpy 2.2.6.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

CONFIDENCE_LIMIT, IOU_LIMIT = 1e-3, 0.98
EMPTY = 1e-3
ROUNDING, EXCUSED = 1e-4, 1e-3


def ious(first, second):
    """IoU of every box of [N,4] with every box of [M,4]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(0).prod(2)
    area = lambda boxes: (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)
    union = area(first)[:, None] + area(second)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def pair(wanted, found, confidence_limit=CONFIDENCE_LIMIT):
    """Pairs (index, index, difference of confidence, IoU) among the detections of one photo and class."""
    if not wanted or not found:
        return []
    boxes = [np.array([detection["box"] for detection in side], np.float64) for side in (wanted, found)]
    scores = [np.array([detection["confidence"] for detection in side]) for side in (wanted, found)]
    overlap, difference = ious(*boxes), np.abs(scores[0][:, None] - scores[1][None])
    overlap[(difference > confidence_limit) | (overlap <= IOU_LIMIT)] = 0
    pairs = []
    while overlap.max() > 0:
        i, j = np.unravel_index(overlap.argmax(), overlap.shape)
        pairs.append((i, j, float(difference[i, j]), float(overlap[i, j])))
        overlap[i, :] = overlap[:, j] = 0
    return pairs


def grouped(detections, *keys):
    """Values of the keys -> detections."""
    groups = defaultdict(list)
    for detection in detections:
        groups[tuple(detection[key] for key in keys)].append(detection)
    return groups


def pair_all(wanted, found, confidence_limit, *keys):
    """Pairs among detections that agree in the keys, and what is left over of both sides."""
    wanted, found = grouped(wanted, *keys), grouped(found, *keys)
    pairs, left = [], ([], [])
    for key in sorted(wanted.keys() | found.keys()):
        new = pair(wanted[key], found[key], confidence_limit)
        pairs += new
        for side, (detections, place) in enumerate(((wanted[key], 0), (found[key], 1))):
            paired = {p[place] for p in new}
            left[side].extend(detection for index, detection in enumerate(detections) if index not in paired)
    return pairs, *left


def has_area(box):
    return box[2] - box[0] > EMPTY and box[3] - box[1] > EMPTY


def compare(wanted, found, threshold):
    """The report of a network and whether it passes."""
    everything, wanted = len(wanted), [detection for detection in wanted if has_area(detection["box"])]
    pairs, wanted_left, found_left = pair_all(wanted, found, CONFIDENCE_LIMIT, "path", "class")
    ties, wanted_left, found_left = pair_all(wanted_left, found_left, ROUNDING, "path")
    clear = [[detection for detection in left if detection["confidence"] > threshold + ROUNDING]
             for left in (wanted_left, found_left)]
    at_threshold = len(wanted_left) + len(found_left) - len(clear[0]) - len(clear[1])
    report = {
        "ultralytics": everything, "without area": everything - len(wanted), "emocam": len(found), "paired": len(pairs), "class ties": len(ties),
        "at the threshold": at_threshold, "of ultralytics alone": len(clear[0]), "of emocam alone": len(clear[1]),
        "largest difference of confidence": max((p[2] for p in pairs), default=None),
        "lowest IoU": min((p[3] for p in pairs), default=None),
    }
    return report, bool(pairs) and not clear[0] and not clear[1] and len(ties) + at_threshold <= EXCUSED * len(wanted)


def clipped(box, image):
    return np.clip(box, 0, [image["width"], image["height"]] * 2).tolist()


def read_objects(path, images):
    """Rows of objects.csv as detections."""
    edges = [f"extent_{edge}" for edge in ("x_min", "y_min", "x_max", "y_max")]
    detections = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            name = Path(row["path"]).name
            box = clipped([float(row[edge]) for edge in edges], images[name])
            detections.append({"path": name, "class": row["class"], "confidence": float(row["confidence"]), "box": box})
    return detections


def analyze(arguments, network, settings, out):
    command = [arguments.emocam, "analyze", arguments.photos, "--detector", network, "--confidence",
               settings["confidence"], "--nms-iou", settings["nms_iou"], "--emotion-weights", arguments.emotion_weights,
               "--out", out]
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return out / "objects.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, metavar="REFERENCE_FOLDER")
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    parser.add_argument("--emocam", type=Path, metavar="PATH")
    parser.add_argument("--emotion-weights", type=Path, metavar="FILE")
    parser.add_argument("--objects", nargs="+", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    if not arguments.objects and not (arguments.photos and arguments.emocam and arguments.emotion_weights):
        parser.error("--photos, --emocam and --emotion-weights are needed, or --objects")
    given = dict(pair.split("=", 1) for pair in arguments.objects)
    reports, passed = {}, True
    for network in sorted(arguments.reference.glob("*.torchscript")):
        reference = json.loads(network.with_suffix(".json").read_text())
        images = {image["path"]: image for image in reference["images"]}
        wanted = [{**detection, "path": path} for path, image in images.items() for detection in image["detections"]]
        with tempfile.TemporaryDirectory() as folder:
            if given:
                objects = Path(given[network.stem])
            else:
                objects = analyze(arguments, network.resolve(), reference["settings"], Path(folder) / "run")
            found = read_objects(objects, images)
        reports[network.stem], same = compare(wanted, found, reference["settings"]["confidence"])
        passed &= same
    print(json.dumps(reports, indent=1))
    return 0 if passed and reports else 1


if __name__ == "__main__":
    sys.exit(main())
