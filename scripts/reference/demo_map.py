#!/usr/bin/env python3
"""Mean average precision at IoU 0.5, independently of emocam.

Usage: demo_map.py make OUT_FOLDER       (committed: tests/reference/training/average_precision.json)
       demo_map.py check DUMP.json...    (files of `emocam train-demo --dump`; prints the mean over the classes)

The definition is PASCAL VOC's since 2010: per class, detections by falling confidence over all pictures; each looks at the
object of its class in its picture with the largest IoU; right if that IoU is at least 0.5 and the object was not found
before. Precision is made to fall monotonically with recall; the average precision is the area under it. A class that no
picture shows has none. Here it is computed in matrices per picture.

Format: {"images": [{"detections": [[class, confidence, x_min, y_min, x_max, y_max], ...],
"truth": [[class, x_min, y_min, x_max, y_max], ...]}, ...]}; `make` adds "classes" and "expected" (one number or null a
class) and "mean".

Made with Python 3.11, numpy 2.
"""

import json
import sys
from pathlib import Path

import numpy as np


def iou_matrix(a, b):
    """(n, 4) and (m, 4) boxes to (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area = lambda boxes: np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return shared / (area(a)[:, None] + area(b)[None, :] - shared)


def average_precision(images, wanted, limit=0.5):
    """One class's average precision, or None."""
    rows, total = [], 0
    for number, image in enumerate(images):
        truth = np.array([t[1:] for t in image["truth"] if t[0] == wanted], dtype=np.float64).reshape(-1, 4)
        found = np.array([d[1:] for d in image["detections"] if d[0] == wanted], dtype=np.float64).reshape(-1, 5)
        total += len(truth)
        if not len(found):
            continue
        if len(truth):
            overlaps = iou_matrix(found[:, 1:], truth)
            objects, best = overlaps.argmax(axis=1), overlaps.max(axis=1)
        else:
            objects, best = np.zeros(len(found), int), np.zeros(len(found))
        rows += [(-d[0], number, at, o, b) for at, (d, o, b) in enumerate(zip(found, objects, best))]
    if total == 0:
        return None
    rows.sort()
    seen, hits = set(), []
    for _, number, _, which, overlap in rows:
        right = overlap >= limit and (number, which) not in seen
        if right:
            seen.add((number, which))
        hits.append(right)
    hits = np.array(hits, dtype=np.float64)
    if not hits.sum():
        return 0.0
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall rises by 1 / total at each hit and stays in between.
    return float(envelope[hits > 0].sum() / total)


def mean_average_precision(images, classes):
    """Per class, and the mean of those that occur."""
    per_class = [average_precision(images, wanted) for wanted in range(classes)]
    known = [value for value in per_class if value is not None]
    return per_class, sum(known) / len(known)


def make(folder):
    """Random detections: objects found well, badly, twice, as another class, or not at all; and false alarms."""
    random = np.random.default_rng(7)
    images, classes = [], 6
    for _ in range(40):
        truth, detections = [], []
        for _ in range(random.integers(0, 6)):
            x, y = random.uniform(0, 200, 2)
            w, h = random.uniform(8, 80, 2)
            box = np.array([x, y, x + w, y + h]).round(2)
            wanted = int(random.integers(0, classes - 1))  # The last class never occurs.
            truth.append([wanted, *map(float, box)])
            for _ in range(random.integers(0, 3)):
                noise = random.normal(0, 1, 4) * np.array([w, h, w, h]) * random.choice([0.03, 0.15])
                moved = (box + noise).round(2)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
                label = wanted if random.uniform() < 0.85 else int(random.integers(0, classes))
                detections.append([label, round(float(random.uniform(0.01, 1)), 5), *map(float, moved)])
        for _ in range(random.integers(0, 3)):
            x, y, w, h = random.uniform(0, 200), random.uniform(0, 200), *random.uniform(8, 80, 2)
            box = [round(float(v), 2) for v in (x, y, x + w, y + h)]
            detections.append([int(random.integers(0, classes)), round(float(random.uniform(0.01, 0.7)), 5), *box])
        images.append({"detections": detections, "truth": truth})
    per_class, mean = mean_average_precision(images, classes)
    out = {"images": images, "classes": classes, "expected": per_class, "mean": mean}
    path = Path(folder) / "average_precision.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path, per_class, mean)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(sys.argv[2])
    elif len(sys.argv) > 2 and sys.argv[1] == "check":
        for name in sys.argv[2:]:
            images = json.loads(Path(name).read_text())["images"]
            classes = 1 + max(entry[0] for image in images for entry in image["truth"] + image["detections"])
            print(f"{name}: {len(images)} images, mAP@0.5 {mean_average_precision(images, classes)[1]:.6f}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
