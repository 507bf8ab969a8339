#!/usr/bin/env python3
"""Networks of the package `ultralytics` as TorchScript, and what the package itself finds with them on photos.

Usage: ultralytics_detections.py OUT_FOLDER --photos FOLDER [--imgsz 320 416] [--confidence 0.05] [--iou 0.45]

Per network (yolov8n, yolo11n; 601 classes named "class 0" to "class 600"), two files:
  NAME.torchscript    as `model.export(format="torchscript", imgsz=[ROWS, COLUMNS])` writes it
  NAME.json           {"settings", "images": [{"path", "width", "height", "detections": [{"class", "confidence",
                      "box": [x_min, y_min, x_max, y_max]}]}]}: `model.predict` of that file, one photo a call; boxes in
                      pixels of the photo, clipped to it, by falling confidence; `max_det` so large that none is cut

The weights are random (seeded). So that the random network answers differently from place to place, its BatchNorm
statistics are those met on the photos; the last convolutions of the head are scaled so that the logits of the classes
and the box sides spread within a photo, and the classes' biases are moved so that at least 40 boxes of every photo pass
the threshold of 0.05 before suppression.

Made with Python 3.11, ultralytics 8.4.190, torch 2.11.0 (CPU), torchvision 0.26.0, opencv-python-headless 5.0.0. The package
is needed, it is no part of this program: AGPL-3.0, nothing of it is copied here.
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.data.augment import LetterBox
from ultralytics.nn.tasks import DetectionModel

NETWORKS = ("yolov8n", "yolo11n")
CLASSES = 601
CANDIDATES = 40


def inputs(photos, imgsz):
    """f32 [N,3,ROWS,COLUMNS], RGB, 0..1, through the package's own letterbox."""
    letterbox = LetterBox(imgsz, auto=False)
    canvases = [letterbox(image=cv2.imread(str(photo)))[..., ::-1] for photo in photos]
    return torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2).float() / 255


def randomise(model, x):
    """Statistics of `x` into every BatchNorm, spread into the head, biases for at least CANDIDATES boxes a picture."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    model(x)
    model.eval()
    head = model.model[-1]
    seen = {}
    lasts = [branch[-1] for branches in (head.cv2, head.cv3) for branch in branches]
    hooks = [last.register_forward_hook(lambda module, given, _: seen.__setitem__(module, given[0])) for last in lasts]
    model(x)
    for hook in hooks:
        hook.remove()
    best = []
    for spread, branches in ((2.5, head.cv2), (1.0, head.cv3)):
        for last in (branch[-1] for branch in branches):
            # What is the same all over a picture would make whole pictures pass or fail: those directions are taken out.
            basis = torch.linalg.qr(seen[last].mean((2, 3)).T).Q
            weight = last.weight.data[:, :, 0, 0]
            last.weight.data = (weight - weight @ basis @ basis.T)[:, :, None, None]
            last.bias.data.zero_()
            last.weight.data *= spread / last(seen[last]).std()
            if branches is head.cv3:
                best.append(last(seen[last]).amax(1).flatten(1))
    # Halfway to the next one, so that no box sits on the threshold.
    best = torch.cat(best, 1).sort(1, descending=True).values[:, CANDIDATES - 1:CANDIDATES + 1].mean(1).min()
    for last in (branch[-1] for branch in head.cv3):
        last.bias.data += torch.logit(torch.tensor(0.05)) - best


def export(name, x, imgsz, out):
    """The exported file of a random network."""
    torch.manual_seed(sum(map(ord, name)))
    network = YOLO(f"{name}.yaml")
    settings = network.model.args, network.model.task
    network.model = DetectionModel(f"{name}.yaml", nc=CLASSES, verbose=False)
    network.model.args, network.model.task = settings
    network.model.names = {index: f"class {index}" for index in range(CLASSES)}
    with torch.no_grad():
        randomise(network.model, x)
    exported = Path(network.export(format="torchscript", imgsz=list(imgsz), device="cpu"))
    return Path(shutil.move(exported, out / f"{name}.torchscript"))


def predict(exported, photos, imgsz, confidence, iou):
    network = YOLO(exported, task="detect")
    images = []
    for photo in photos:
        result = network.predict(str(photo), conf=confidence, iou=iou, imgsz=list(imgsz), max_det=100_000,
                                 device="cpu", verbose=False)[0]
        boxes = result.boxes
        detections = [{"class": result.names[int(index)], "confidence": float(score), "box": box}
                      for index, score, box in zip(boxes.cls, boxes.conf, boxes.xyxy.tolist())]
        height, width = result.orig_shape
        images.append({"path": photo.name, "width": width, "height": height, "detections": detections})
    return images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--imgsz", type=int, nargs=2, default=[320, 416], metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--confidence", type=float, default=0.05)
    parser.add_argument("--iou", type=float, default=0.45)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    photos = sorted(path.resolve() for path in arguments.photos.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    os.chdir(tempfile.mkdtemp())  # the package writes beside itself
    x = inputs(photos, arguments.imgsz)
    for name in NETWORKS:
        exported = export(name, x, arguments.imgsz, out)
        images = predict(exported, photos, arguments.imgsz, arguments.confidence, arguments.iou)
        settings = {"imgsz": arguments.imgsz, "confidence": arguments.confidence, "nms_iou": arguments.iou}
        text = json.dumps({"settings": settings, "images": images}, indent=1)
        (out / f"{name}.json").write_text(text + "\n")
        print(name, {image["path"]: len(image["detections"]) for image in images})


if __name__ == "__main__":
    main()
