#!/usr/bin/env python3
"""Importance of boxes in a class activation map by the published chain of Pillow and OpenCV resizes.

Usage: importance.py OUT_FOLDER          (committed: tests/reference/importance/importance.json)

The chain, for a 227x227 f32 map and an image of w x h:
1. cv2.resize to (w, h), INTER_LINEAR: half-pixel centres, edges repeated, no antialiasing when reducing.
2. Letterbox to 608x608: scale = min(608/w, 608/h); Pillow's antialiased BICUBIC in mode F (f32, neither rounded nor
   clipped) to int(scale w) x int(scale h), pasted on 0 at x = int((608 - width)/2), y = int((608 - height)/2).
3. The box, in letterbox pixels, is clipped to [0, 608]; importance = mean over [int(y0):int(y1), int(x0):int(x1)]; null
   where that holds no pixel.

Where the 227x227 maps come from: `map_13` (row by row, 4 digits) is resized by cv2.resize, INTER_LINEAR, to 227x227:
pixel i samples position (i + 0.5) 13/227 - 0.5, edges repeated; no normalisation.

Output: {"canvas": 608, "cases": [{"width", "height", "letterbox": [resized width, resized height, pad x, pad y],
"map_13": 13 x 13, "samples": the letterboxed map at y = 30, 91, ... 579 (rows) and the same x, "mean": of its
608x608 pixels, "boxes": [{"box": [x_min, y_min, x_max, y_max] before clipping, "importance"}, ...]}]}

Made with Python 3.11, opencv-python-headless 4.10.0.84, Pillow 13.0.0, numpy 2.2.6.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from darknet_input import letterbox_geometry

CANVAS, SIDE = 608, 227
SIZES = [(640, 427), (333, 500), (1024, 768), (200, 150), (91, 230), (1601, 1063), (605, 607)]


def letterboxed(full_map, width, height):
    """The 227x227 map on the 608x608 grid, f32, and the letterbox's geometry without its scale."""
    at_image = cv2.resize(full_map, (width, height), interpolation=cv2.INTER_LINEAR)
    _, *geometry = letterbox_geometry(width, height, CANVAS, CANVAS)
    resized_width, resized_height, left, top = geometry
    resized = Image.fromarray(at_image, mode="F").resize((resized_width, resized_height), Image.Resampling.BICUBIC)
    canvas = np.zeros((CANVAS, CANVAS), np.float32)
    canvas[top:top + resized_height, left:left + resized_width] = np.asarray(resized)
    return canvas, geometry


def importance(canvas, box):
    """Mean inside the clipped, truncated box; None without a pixel."""
    x0, y0, x1, y1 = (int(min(max(v, 0), CANVAS)) for v in box)
    inside = canvas[y0:y1, x0:x1]
    return float(inside.mean(dtype=np.float64)) if inside.size else None


def random_map(rng):
    """A few smooth bumps, zero elsewhere, largest value 1: what a ReLU'd and min-max normalised map looks like."""
    y, x = np.mgrid[0:13, 0:13]
    bumps = sum(rng.uniform(0.3, 1) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r ** 2))
                for cx, cy, r in zip(rng.uniform(0, 12, 4), rng.uniform(0, 12, 4), rng.uniform(0.8, 3, 4)))
    bumps = np.maximum(bumps - 0.15, 0)
    return np.round(bumps / bumps.max(), 4)


def random_boxes(rng, geometry):
    """36 boxes around the picture, some over its edge or the canvas's, and four thinner than a pixel or two."""
    width, height, left, top = geometry
    boxes = []
    for i in range(40):
        cx, cy = left + rng.uniform(0, width), top + rng.uniform(0, height)
        w, h = rng.uniform(2, width), rng.uniform(2, height)
        if i % 3 == 0:
            w, h = w / 6, h / 6
        if i >= 36:
            w = rng.uniform(0.2, 1.5)
        boxes.append([round(float(v), 2) for v in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)])
    return boxes


def case(index, width, height):
    rng = np.random.default_rng(500 + index)
    coarse = random_map(rng)
    full_map = cv2.resize(coarse.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    canvas, geometry = letterboxed(full_map, width, height)
    boxes = [{"box": box, "importance": importance(canvas, box)} for box in random_boxes(rng, geometry)]
    for row in boxes:
        row["importance"] = None if row["importance"] is None else round(row["importance"], 7)
    return {"width": width, "height": height, "letterbox": geometry, "map_13": coarse.tolist(),
            "samples": [[round(float(v), 6) for v in row] for row in canvas[30::61, 30::61]],
            "mean": round(float(canvas.mean(dtype=np.float64)), 7), "boxes": boxes}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case(i, *size) for i, size in enumerate(SIZES)]
    rows = ",\n".join(json.dumps(c) for c in cases)
    (folder / "importance.json").write_text(f'{{"canvas": {CANVAS}, "cases": [\n{rows}\n]}}\n')
    values = [b["importance"] for c in cases for b in c["boxes"]]
    known = [v for v in values if v is not None]
    print(f"{len(values)} boxes, {len(values) - len(known)} without a pixel, {sum(v > 0.3 for v in known)} over 0.3")


if __name__ == "__main__":
    main()
