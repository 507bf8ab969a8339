#!/usr/bin/env python3
"""What OpenCV and numpy say of maps on COCO masks: tests/reference/importance/masks.json.

Usage: mask_importance.py OUT.json

A case is a map of the network's input, the size of the picture, which was squashed into that input, and masks of the
picture (pycocotools' compressed run lengths, from random polygons and bitmaps). The map is brought to the picture's
pixels by cv2.resize, bilinear; per mask: `mean` and `max` over the mask's pixels, `mass` their share of the map's sum.

Made with Python 3.11, numpy 2.4.6, opencv-python-headless 5.0.0, pycocotools 2.0.11.
"""

import json
import sys

import cv2
import numpy as np
from pycocotools import mask as coco

SIZES = [(640, 480), (333, 500), (97, 41), (20, 300), (1024, 700)]  # width, height
MAPS = [(13, 13), (9, 31), (28, 28)]  # rows, columns


def masks(random, width, height):
    """Bitmaps of the picture: polygons, a frame with a hole, single pixels, and noise in a corner."""
    for corners in (3, 7, 12):
        points = random.uniform(-0.1, 1.1, (corners, 2)) * [width, height]
        yield coco.decode(coco.merge(coco.frPyObjects([points.ravel().tolist()], height, width)))
    frame = np.ones((height, width), np.uint8)
    frame[height // 4:-height // 4, width // 4:-width // 4] = 0
    yield frame
    pixel = np.zeros((height, width), np.uint8)
    pixel[random.integers(height), random.integers(width)] = 1
    yield pixel
    noise = np.zeros((height, width), np.uint8)
    noise[:9, -17:] = random.random((9, 17)) < 0.5
    yield noise


def main():
    random, cases = np.random.default_rng(11), []
    for width, height in SIZES:
        for rows, columns in MAPS:
            small = np.round(random.random((rows, columns)) ** 2, 2).astype(np.float32)
            large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
            found = []
            for bitmap in masks(random, width, height):
                if not bitmap.any():
                    continue
                encoded, inside = coco.encode(np.asfortranarray(bitmap)), large[bitmap.astype(bool)]
                found.append({"counts": encoded["counts"].decode(), "mean": inside.mean(), "max": inside.max(),
                              "mass": inside.sum() / large.sum()})
            cases.append({"width": width, "height": height, "map": [[float(f"{v:.2f}") for v in row] for row in small],
                          "masks": found})
    with open(sys.argv[1], "w") as out:
        json.dump({"cases": cases}, out)
        out.write("\n")


if __name__ == "__main__":
    main()
