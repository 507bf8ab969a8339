#!/usr/bin/env python3
"""Tiny detectors in the layout of an Ultralytics TorchScript export, and an independent reading of their output.

Usage: yolo_torchscript_small.py OUT_FOLDER          (committed: tests/reference/yolo_torchscript)

  tiny.torchscript     a traced module of random convolutions, input (N, 3, 64, 96), output (N, 4 + 3, 30): centre x, centre y,
                       width, height in pixels of the input, three scores; any number of pictures at once. Some widths are
                       NaN (square roots of negative numbers). `config.txt` has the keys that the package writes
  fixed.torchscript    the same network with a batch of one baked in: two pictures at once give one output of 60 boxes
  detections.json      {"confidence", "nms_iou", "pictures": [{"size": [width, height], "canvas_sha256", "content": [left,
                       top, width, height], "detections": [{"class", "confidence", "box": [x_min, y_min, x_max, y_max]}]}]}:
                       boxes in pixels of the picture, unclipped, by falling confidence
  opencv_resize.json   [{"input": [width, height], "output": [width, height], "sha256"}]: the RGB bytes of cv2.resize,
                       INTER_LINEAR, of the same pictures

The reading, by numpy, OpenCV and torchvision alone: letterbox with ratio min(rows / height, columns / width), sides rounded
by Python's round, cv2.resize, bars of 114, left and top round(difference / 2 - 0.1); values 0..1 in f32; best class a box,
confidence over the threshold; torchvision.ops.nms class by class; then (x - left) * width / content width.

Printed: how near the nearest confidence is to the threshold, and the nearest IoU to the other, so that neither decides by a
rounding error.

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26.0, numpy 2.2.6, opencv-python-headless 5.0.0 (4.10.0 gives the same
bytes).
"""

import argparse
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torchvision.ops import box_iou, nms

ROWS, COLUMNS = 64, 96
NAMES = ["person", "dog", "hot dog"]
SEED, CONFIDENCE, NMS_IOU = 218, 0.4, 0.45
PICTURES = [(150, 83), (64, 200), (96, 64), (48, 32), (192, 128)]
RESIZES = [
    ((37, 211), (310, 173)), ((1, 1), (5, 3)), ((1, 50), (7, 20)), ((90, 1), (33, 2)), ((64, 48), (32, 24)),
    ((64, 48), (32, 48)), ((65, 48), (32, 24)), ((773, 512), (416, 276)), ((100, 61), (640, 390)), ((5, 4), (5, 9)),
    ((9, 4), (3, 4)), ((2, 2), (1, 1)), ((3, 3), (1, 1)), ((301, 199), (300, 198)), ((20, 30), (40, 60)),
]


def picture(width, height):
    """Every byte from its place alone: uint8 [height, width, 3], RGB."""
    y, x, channel = np.mgrid[0:height, 0:width, 0:3].astype(np.uint32)
    place = x * np.uint32(2_654_435_761) + y * np.uint32(40_503) + channel * np.uint32(977)
    return (place * (place | np.uint32(1)) >> np.uint32(24)).astype(np.uint8)


class Tiny(nn.Module):
    """Two grids of boxes, 6 x 4 at stride 16 and 3 x 2 at stride 32."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 16, 16)
        self.down = nn.Conv2d(8, 8, 2, 2)
        self.heads = nn.ModuleList([nn.Conv2d(8, 4 + len(NAMES), 1), nn.Conv2d(8, 4 + len(NAMES), 1)])

    def forward(self, x):
        fine = torch.tanh(self.stem(x))
        outputs = []
        for stride, features, head in zip((16, 32), (fine, torch.tanh(self.down(fine))), self.heads):
            raw = head(features)
            rows, columns = ROWS // stride, COLUMNS // stride
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            corner = torch.stack([x, y]).float()
            centre = (corner + torch.sigmoid(raw[:, :2])) * stride
            sides = torch.sqrt(raw[:, 2:4] + 1.4) * 2.2 * stride
            parts = torch.cat([centre, sides, torch.sigmoid(raw[:, 4:])], 1)
            outputs.append(self.flat(parts))
        return torch.cat(outputs, 2)

    def flat(self, parts):
        return parts.flatten(2)


class Fixed(Tiny):
    """With the batch as a constant."""

    def flat(self, parts):
        return parts.reshape(1, 4 + len(NAMES), -1)


def letterboxed(image):
    height, width = image.shape[:2]
    ratio = min(ROWS / height, COLUMNS / width)
    inner = max(round(width * ratio), 1), max(round(height * ratio), 1)
    left, top = round((COLUMNS - inner[0]) / 2 - 0.1), round((ROWS - inner[1]) / 2 - 0.1)
    canvas = np.full((ROWS, COLUMNS, 3), 114, np.uint8)
    resized = image if (width, height) == inner else cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    canvas[top:top + inner[1], left:left + inner[0]] = resized
    return canvas, (left, top, *inner)


def detect(network, size, margins):
    image = picture(*size)
    canvas, (left, top, width, height) = letterboxed(image)
    x = torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        output = network(x.contiguous())[0].numpy().T
    margins["not finite"] += int((~np.isfinite(output)).any(1).sum())
    output = output[np.isfinite(output).all(1)]
    classes, confidence = output[:, 4:].argmax(1), output[:, 4:].max(1)
    margins["confidence"] = min(margins["confidence"], float(np.abs(confidence - CONFIDENCE).min(initial=1)))
    keep = confidence > CONFIDENCE
    output, classes, confidence = output[keep], classes[keep], confidence[keep]
    boxes = np.concatenate([output[:, :2] - output[:, 2:4] / 2, output[:, :2] + output[:, 2:4] / 2], 1)
    kept = []
    for index in range(len(NAMES)):
        places = np.flatnonzero(classes == index)
        own, scores = torch.from_numpy(boxes[places]), torch.from_numpy(confidence[places])
        if len(places):
            margins["iou"] = min(margins["iou"], float((box_iou(own, own) - NMS_IOU).abs().min()))
        kept += places[nms(own, scores, NMS_IOU).numpy()].tolist()
    margins["candidates"] += len(boxes)
    margins["kept"] += len(kept)
    kept.sort(key=lambda place: (-confidence[place], place))
    scale = np.array([size[0] / width, size[1] / height] * 2)
    found = [{"class": NAMES[classes[place]], "confidence": float(confidence[place]),
              "box": ((boxes[place] - [left, top, left, top]) * scale).tolist()} for place in kept]
    return {"size": size, "canvas_sha256": hashlib.sha256(canvas.tobytes()).hexdigest(),
            "content": [left, top, width, height], "detections": found}


def write_network(network, path):
    config = {"description": "Tiny detector of random numbers", "author": "emocam", "version": "8.4.190", "stride": 32,
              "task": "detect", "head": "Detect", "batch": 1, "imgsz": [ROWS, COLUMNS],
              "names": {index: name for index, name in enumerate(NAMES)},
              "args": {"batch": 1, "quantize": None, "nms": None, "dynamic": False}, "channels": 3, "end2end": False}
    traced = torch.jit.trace(network, torch.zeros(1, 3, ROWS, COLUMNS), strict=False, check_trace=False)
    traced.save(str(path), _extra_files={"config.txt": json.dumps(config)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    tiny = Tiny().eval()
    with torch.no_grad():
        for head in tiny.heads:
            head.weight *= 4
        tiny.stem.weight *= 8
    fixed = Fixed().eval()
    fixed.load_state_dict(tiny.state_dict())
    write_network(tiny, out / "tiny.torchscript")
    write_network(fixed, out / "fixed.torchscript")

    network = torch.jit.load(str(out / "tiny.torchscript"))
    margins = {"confidence": 1.0, "iou": 1.0, "not finite": 0, "candidates": 0, "kept": 0}
    pictures = [detect(network, size, margins) for size in PICTURES]
    expected = {"confidence": CONFIDENCE, "nms_iou": NMS_IOU, "pictures": pictures}
    (out / "detections.json").write_text(json.dumps(expected, indent=1) + "\n")
    resizes = []
    for given, wanted in RESIZES:
        resized = cv2.resize(picture(*given), wanted, interpolation=cv2.INTER_LINEAR)
        resizes.append({"input": given, "output": wanted, "sha256": hashlib.sha256(resized.tobytes()).hexdigest()})
    (out / "opencv_resize.json").write_text(json.dumps(resizes, indent=1) + "\n")
    print(json.dumps(margins, indent=1))


if __name__ == "__main__":
    main()
