#!/usr/bin/env python3
"""Detections of a Darknet network on photos, by OpenCV's Darknet importer and a decoding of our own.

Usage: opencv_detections.py CFG WEIGHTS NAMES PICTURE_OR_FOLDER... [--confidence 0.25] [--nms 0.45] [--out FILE.json]

1. Letterbox: the picture (RGB, EXIF orientation not applied) is resized by Pillow's antialiased BICUBIC so that it fits
   the cfg's input W x H, both sides truncated: scale = min(W/w, H/h), int(scale w) x int(scale h); it is pasted on
   black at x = int((W - width)/2), y = int((H - height)/2). Values 0..1, f32, NCHW, RGB.
2. Raw head outputs by OpenCV.
3. Logistic decoding, f32 outputs taken to f64: x = (scale_x_y (sigmoid(tx) - 0.5) + 0.5 + column) / columns of the
   grid, y likewise; w = exp(tw) anchor / W; confidence of a class = sigmoid(to) sigmoid(tc). Every class over the
   threshold is one detection, so that one box may carry several.
4. Non-maximum suppression, per class: by descending confidence, a detection is dropped when its IoU with one that was
   kept is > the threshold. Plain half-open boxes, no "+1", not clipped. IoU in pixels of the input.
5. Box on the original: (x - pad) / scale for both axes with the one scale of step 1, not the truncated sides;
   then clipped to [0, w] x [0, h]. `box_unclipped` is given too.

Output: {"settings": {...}, "images": [{"image", "width", "height", "letterbox": [resized width, resized height,
pad x, pad y], "detections": [{"class", "class_index", "confidence", "box": [x_min, y_min, x_max, y_max],
"box_unclipped"}, ...]}]}, detections by descending confidence.

Made with Python 3.11, opencv-python-headless 4.10.0.84, Pillow 13.0.0, numpy 2.2.6.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from darknet_input import integers, letterbox_input, parse_cfg
from opencv_raw import forward


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


def decode(raw, options, input_width, input_height):
    """(boxes [N,4] in input pixels as corners, scores [N,classes]) of one head."""
    numbers = [float(part) for part in options["anchors"].split(",")]
    anchors = np.array(numbers).reshape(-1, 2)[integers(options["mask"])]
    stretch = float(options.get("scale_x_y", 1))
    _, _, rows, columns = raw.shape
    t = raw[0].astype(np.float64).reshape(len(anchors), -1, rows, columns)
    x = (stretch * (sigmoid(t[:, 0]) - 0.5) + 0.5 + np.arange(columns)) / columns * input_width
    y = (stretch * (sigmoid(t[:, 1]) - 0.5) + 0.5 + np.arange(rows)[:, None]) / rows * input_height
    w = np.exp(t[:, 2]) * anchors[:, 0, None, None]
    h = np.exp(t[:, 3]) * anchors[:, 1, None, None]
    boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)
    scores = sigmoid(t[:, 4:5]) * sigmoid(t[:, 5:])
    return boxes.reshape(-1, 4), scores.transpose(0, 2, 3, 1).reshape(-1, t.shape[1] - 5)


def iou(box, others):
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = width.clip(0) * height.clip(0)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return shared / (area(box) + area(others) - shared)


def suppress(boxes, scores, threshold):
    """Indices that survive, by descending score."""
    order, kept = list(np.argsort(-scores, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(best)
        if order:
            overlaps = iou(boxes[best], boxes[order])
            order = [i for i, overlap in zip(order, overlaps) if overlap <= threshold]
    return kept


def detect(path, cfg, weights, names, confidence, nms):
    x, (width, height, (scale, resized_width, resized_height, left, top)) = letterbox_input(path, cfg)
    raw, _ = forward(cfg, weights, x)
    yolos = [options for name, options in parse_cfg(cfg) if name == "yolo"]
    heads = [decode(r, o, x.shape[3], x.shape[2]) for r, o in zip(raw, yolos, strict=True)]
    boxes, scores = (np.concatenate(parts) for parts in zip(*heads))
    detections = []
    for index, name in enumerate(names):
        over = np.flatnonzero(scores[:, index] > confidence)
        for i in over[suppress(boxes[over], scores[over, index], nms)]:
            box = (boxes[i] - [left, top, left, top]) / scale
            clipped = box.clip(0, [width, height, width, height])
            detections.append({"class": name, "class_index": index, "confidence": round(float(scores[i, index]), 6),
                               "box": [round(v, 3) for v in clipped.tolist()],
                               "box_unclipped": [round(v, 3) for v in box.tolist()]})
    detections.sort(key=lambda d: -d["confidence"])
    return {"image": path.name, "width": width, "height": height,
            "letterbox": [resized_width, resized_height, left, top], "detections": detections}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cfg", "weights", "names"):
        parser.add_argument(name, type=Path)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE_OR_FOLDER")
    parser.add_argument("--confidence", type=float, default=0.25, help="default 0.25")
    parser.add_argument("--nms", type=float, default=0.45, help="IoU, default 0.45")
    parser.add_argument("--out", type=Path, help="JSON file (default: stdout)")
    arguments = parser.parse_args()
    cfg, weights = arguments.cfg.read_text(), arguments.weights.read_bytes()
    names = arguments.names.read_text().split("\n")
    names = [name.strip() for name in names if name.strip()]
    paths = [p for given in arguments.pictures for p in (sorted(given.iterdir()) if given.is_dir() else [given])]
    images = [detect(path, cfg, weights, names, arguments.confidence, arguments.nms) for path in paths]
    settings = {"cfg": arguments.cfg.name, "confidence": arguments.confidence, "nms_iou": arguments.nms,
                "decoding": "logistic", "letterbox": "bicubic, black"}
    text = json.dumps({"settings": settings, "images": images}, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
