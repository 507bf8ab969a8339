#!/usr/bin/env python3
"""Polygons and run lengths, and what masks pycocotools makes of them.

Usage: coco_masks.py OUT_FILE [CASES] [SEED]     (committed: tests/reference/coco_masks.json, 300 cases, seed 7)

A list of cases, each with
  size                 [height, width]; tall, wide, and down to one pixel
  polygons or counts   what goes in: one to four polygons x, y, x, y, ..., or run lengths (of shapes with holes)
  compressed           the compressed string, of the union if there are several polygons
  area, bbox           pixels; [x, y, width, height]

Polygons are random, star-shaped, rectangles, slivers, points, partly or wholly outside, with corners on whole, half and
tenth pixels, and with the same corner twice.

Made with Python 3.11, NumPy 2.4.6, pycocotools 2.0.11.
"""

import json
import sys
from pathlib import Path

import numpy as np
from pycocotools import mask as coco


def rounded(rng, values):
    """On a grid of 1, 1/2, 1/10 or 1/1000 pixel: ties in the rasterisation are part of the test."""
    step = rng.choice([1, 2, 10, 10, 1000])
    return [round(float(v) * step) / step for v in np.ravel(values)]


def polygon(rng, height, width):
    kind = rng.integers(8)
    corners = int(rng.integers(3, 9))
    centre = rng.uniform([-0.2 * width, -0.2 * height], [1.2 * width, 1.2 * height])
    radius = rng.uniform(0.3, 0.7 * max(width, height))
    if kind == 0:  # any corners: edges cross each other
        points = rng.uniform([-0.3 * width, -0.3 * height], [1.3 * width, 1.3 * height], (corners, 2))
    elif kind in (1, 2):  # a star around a point
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        lengths = radius * rng.uniform(0.2, 1, corners)
        points = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * lengths[:, None]
    elif kind == 3:  # a rectangle, most often over the border
        left, top = centre
        points = np.array([[left, top], [left + radius, top], [left + radius, top + radius / 2], [left, top + radius / 2]])
    elif kind == 4:  # a single pixel
        x, y = rng.integers(width), rng.integers(height)
        points = np.array([[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]])
    elif kind == 5:  # a sliver, thinner than a pixel
        a, b = rng.uniform([0, 0], [width, height], (2, 2))
        points = np.array([a, b, b + rng.uniform(-0.4, 0.4, 2)])
    elif kind == 6:  # a point or a line there and back
        a, b = rng.uniform([0, 0], [width, height], (2, 2))
        points = np.array([a, a, a] if rng.random() < 0.5 else [a, b, a, b])
    else:  # the whole picture, and exactly to its border
        points = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    if rng.random() < 0.2:
        points = np.repeat(points, 2, axis=0)
    return rounded(rng, points)


def holed(rng, height, width):
    """Rectangles laid and cut out in turn, and dots: run lengths, the first of which counts pixels outside."""
    bits = np.zeros((height, width), bool)
    for turn in range(int(rng.integers(1, 6))):
        y, x = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
        bits[y[0] : y[1], x[0] : x[1]] = turn % 2 == 0
    if rng.random() < 0.3:
        bits ^= rng.random((height, width)) < 0.1
    flat = bits.ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    return [int(n) for n in np.diff(np.concatenate([[0], changes, [flat.size]]))]


def case(rng):
    kind = rng.integers(4)
    low, high = [(1, 4), (5, 40), (5, 40), (30, 120)][kind]
    height, width = (int(side) for side in rng.integers(low, high, 2))
    result = {"size": [height, width]}
    if rng.random() < 0.75:
        result["polygons"] = [polygon(rng, height, width) for _ in range(rng.choice([1, 1, 2, 4]))]
        mask = coco.merge(coco.frPyObjects(result["polygons"], height, width))
    else:
        result["counts"] = holed(rng, height, width)
        mask = coco.frPyObjects(result, height, width)
    compressed = mask["counts"].decode("ascii")
    bbox = [int(edge) for edge in coco.toBbox(mask)]
    return {**result, "compressed": compressed, "area": int(coco.area(mask)), "bbox": bbox}


def main():
    out = Path(sys.argv[1])
    cases, seed = (int(argument) for argument in (sys.argv[2:] + ["300", "7"][len(sys.argv) - 2 :]))
    rng = np.random.default_rng(seed)
    lines = [json.dumps(case(rng), separators=(",", ":")) for _ in range(cases)]
    out.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
