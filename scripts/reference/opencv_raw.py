#!/usr/bin/env python3
"""The raw outputs of a Darknet network's heads by OpenCV's Darknet importer.

Usage: opencv_raw.py CFG WEIGHTS PICTURE [--save FILE] [--expect FILE] [--compare FILE]

PICTURE is letterboxed in black by Pillow's BICUBIC (see darknet_input.py) to the cfg's input, RGB in 0..1.

  --save FILE      input [1,3,H,W] and the heads raw_0, raw_1, ... [1,C,h,w], f32, as safetensors
  --expect FILE    a sample to commit: for every head sample_N = values 0, 997, 1994, ... of the flattened NCHW
                   tensor, max_abs_N [1] = its largest absolute value, shape_N int64 [4]
  --compare FILE   tensors raw_0, raw_1, ... dumped by another program for the same picture: prints, per head,
                   max abs difference, max abs value and their ratio as JSON; if FILE also holds `input`, OpenCV
                   runs on that and the difference of the two inputs is printed too
Winograd convolutions are switched off, so that the values are those of plain f32 sums.

Made with Python 3.11, opencv-python-headless 4.10.0.84 (the last line that reads Darknet), Pillow 13.0.0,
numpy 2.2.6, safetensors 0.8.0.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file, save_file

from darknet_input import letterbox_input

SAMPLE_STEP = 997


def forward(cfg, weights, x):
    """(raw head outputs, [yolo] output rows), both in the order of the cfg's [yolo] sections.

    cfg: text; weights: bytes; x: f32 NCHW with one picture. The layers' own threshold and NMS are switched off by
    options that only OpenCV knows, so every row is there.
    """
    cfg = "\n".join(line + "\nthresh=0\nnms_threshold=0" if line.strip() == "[yolo]" else line
                    for line in cfg.splitlines())
    net = cv2.dnn.readNetFromDarknet(np.frombuffer(cfg.encode(), np.uint8), np.frombuffer(weights, np.uint8))
    net.enableWinograd(False)
    names = list(net.getLayerNames())
    # A head is three OpenCV layers: convolution, permute, yolo.
    yolo = [i for i, name in enumerate(names) if name.startswith("yolo_")]
    wanted = [names[i - 2] for i in yolo] + [names[i] for i in yolo]
    assert all(name.startswith("conv_") for name in wanted[:len(yolo)]), wanted
    net.setInput(np.ascontiguousarray(x, np.float32))
    outputs = [np.array(output) for output in net.forward(wanted)]
    return outputs[:len(yolo)], outputs[len(yolo):]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cfg", "weights", "picture"):
        parser.add_argument(name, type=Path)
    for option in ("--save", "--expect", "--compare"):
        parser.add_argument(option, type=Path, metavar="FILE")
    arguments = parser.parse_args()
    cfg, weights = arguments.cfg.read_text(), arguments.weights.read_bytes()
    x, _ = letterbox_input(arguments.picture, cfg)
    result = {}
    other = load_file(arguments.compare) if arguments.compare else {}
    if "input" in other:
        result["input_max_abs_difference"] = float(np.abs(other["input"] - x).max())
        x = other["input"]
    raw, _ = forward(cfg, weights, x)
    if arguments.save:
        save_file({"input": x} | {f"raw_{i}": r for i, r in enumerate(raw)}, arguments.save)
    if arguments.expect:
        tensors = {}
        for i, r in enumerate(raw):
            tensors[f"sample_{i}"] = np.ascontiguousarray(r.ravel()[::SAMPLE_STEP])
            tensors[f"max_abs_{i}"] = np.array([np.abs(r).max()], np.float32)
            tensors[f"shape_{i}"] = np.array(r.shape, np.int64)
        save_file(tensors, arguments.expect)
    result["heads"] = []
    for i, r in enumerate(raw):
        head = {"shape": list(r.shape), "max_abs": float(np.abs(r).max()), "mean": float(r.mean()), "std": float(r.std())}
        if arguments.compare:
            difference = float(np.abs(other[f"raw_{i}"].reshape(r.shape) - r).max())
            head |= {"max_abs_difference": difference, "relative": difference / head["max_abs"]}
        result["heads"].append(head)
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
