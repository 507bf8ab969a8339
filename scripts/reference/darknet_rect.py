#!/usr/bin/env python3
"""The miniature Darknet networks on rectangular canvases, by OpenCV.

Usage: darknet_rect.py          (reads tests/reference/darknet and emonet; writes tests/reference/darknet_rect)

The same weights with another `width` and `height` in the cfg: what `--rect` means.

  raw.safetensors    per network NAME (all of darknet_small.py but swish, whose layers' sides are no fixed shares) and canvas
                     WxH of 96x32 and 32x64: NAME/WxH/input uint8 [1,3,H,W]; NAME/WxH/raw_i and region_i as in
                     darknet_small.py
  detections.json    of the miniature yolov3 on the pictures of tests/reference/emonet: {picture: {"canvas": [W, H], "boxes":
                     [[class, confidence, x_min, y_min, x_max, y_max], ...]}}. Letterboxed as by opencv_detections.py into
                     96x64, then only the content's rows and columns kept, rounded up to multiples of 32, the content in the
                     middle (int of half the difference to the left and above). Logistic decoding, confidence over 0.4,
                     suppression at IoU 0.45; mapped to the picture's pixels by the content's own size, clipped

Made with Python 3.11, opencv-python-headless 4.10.0.84, Pillow 12.3.0, numpy 2.2.6, safetensors 0.8.0.
"""

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from darknet_input import letterbox_geometry, parse_cfg
from darknet_small import picture
from opencv_detections import decode, suppress
from opencv_raw import forward

REFERENCE = Path(__file__).parents[2] / "tests/reference"
NAMES = ["yolov3", "tiny", "spp", "v4", "v4tiny", "fastest", "tinyvariance"]
STRIDE = 32


def network(name, width, height):
    cfg = (REFERENCE / f"darknet/{name}.cfg").read_text()
    cfg = re.sub(r"(?m)^width=.*", f"width={width}", cfg)
    cfg = re.sub(r"(?m)^height=.*", f"height={height}", cfg)
    return cfg, (REFERENCE / f"darknet/{name}.weights").read_bytes()


def raw_heads():
    tensors = {}
    for seed, name in enumerate(NAMES, 31):
        for width, height in [(96, 32), (32, 64)]:
            pixels = picture(width, height, seed)
            raw, region = forward(*network(name, width, height), pixels.astype(np.float32) / 255)
            key = f"{name}/{width}x{height}"
            tensors[f"{key}/input"] = pixels
            tensors |= {f"{key}/raw_{i}": r for i, r in enumerate(raw)}
            tensors |= {f"{key}/region_{i}": r for i, r in enumerate(region)}
    return tensors


def detections(path):
    image = Image.open(path).convert("RGB")
    _, width, height, _, _ = letterbox_geometry(*image.size, 96, 64)
    canvas = Image.new("RGB", tuple(-(-side // STRIDE) * STRIDE for side in (width, height)))
    left, top = int((canvas.width - width) / 2), int((canvas.height - height) / 2)
    canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    x = np.asarray(canvas).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    cfg, weights = network("yolov3", *canvas.size)
    raw, _ = forward(cfg, weights, x)
    yolos = [options for name, options in parse_cfg(cfg) if name == "yolo"]
    heads = [decode(r, o, *canvas.size) for r, o in zip(raw, yolos, strict=True)]
    boxes, scores = (np.concatenate(parts) for parts in zip(*heads))
    scale = np.array([image.width / width, image.height / height] * 2)
    found = []
    for index in range(scores.shape[1]):
        over = np.flatnonzero(scores[:, index] > 0.4)
        for i in over[suppress(boxes[over], scores[over, index], 0.45)]:
            box = ((boxes[i] - [left, top, left, top]) * scale).clip(0, [*image.size] * 2)
            if box[0] < box[2] and box[1] < box[3]:
                found.append([index, round(float(scores[i, index]), 6), *(round(v, 3) for v in box.tolist())])
    return {"canvas": list(canvas.size), "boxes": sorted(found, key=lambda row: -row[1])}


def main():
    out = REFERENCE / "darknet_rect"
    out.mkdir(exist_ok=True)
    save_file(raw_heads(), out / "raw.safetensors")
    pictures = sorted((REFERENCE / "emonet").glob("picture_*.png"))
    found = {path.name: detections(path) for path in pictures}
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(of)}" for name, of in found.items())
    (out / "detections.json").write_text(f"{{\n{lines}\n}}\n")
    for name, of in found.items():
        print(name, of["canvas"], len(of["boxes"]))


if __name__ == "__main__":
    main()
