#!/usr/bin/env python3
"""Small random Darknet networks, and what OpenCV's Darknet importer computes for them.

Usage: darknet_small.py OUT_FOLDER          (committed: tests/reference/darknet)

Per network, three files:
  NAME.cfg            a miniature of the family; input 96x64 (width x height; `swish`: 88x56, whose maxpools meet
                      odd sides)
  NAME.weights        header int32 0, 2, 5, int64 0; then f32 as Darknet stores them
  NAME.safetensors    input       uint8 [1,3,H,W], RGB: the network sees input / 255 as f32
                      raw_i       f32 [1,C,h,w]: output of the convolution before the i-th [yolo] of the cfg
                      region_i    f32 [h*w*anchors, 5+classes]: what OpenCV's layer for that [yolo] returns, every
                                  row (its threshold and NMS off). Row order: y, then x, then the position in
                                  `mask`. Columns: centre x, centre y, width, height as shares of the input's sides,
                                  objectness = sigmoid(t_o), then per class objectness * sigmoid(t_class)

Networks: yolov3 (shortcut, upsample, route, three heads), tiny (maxpool stride 2 and size 2 stride 1), spp (maxpools
5, 9, 13 of stride 1), v4 (mish, routes of several, scale_x_y), v4tiny (route with groups), fastest (depthwise,
linear, dropout, relu), swish (swish, logistic, maxpool on odd sides, `padding`), tinyvariance (a chain with running
variances from about 1e-7 to 1e-4, where the BatchNorm formulas differ by tens of per cent and more).

Weights: kernels N(0, 1/fan-in); BatchNorm statistics are those met on the input, perturbed; gamma in [0.6, 1.4], beta
N(0, 0.3); head biases such that objectness spreads over (0, 1).

What it establishes (printed as JSON on stdout): the error of the eager PyTorch module against OpenCV under each
BatchNorm formula, and of the decoding written here from the raw outputs against OpenCV's rows.

Made with Python 3.11, torch 2.11.0 (CPU), numpy 2.2.6, opencv-python-headless 4.10.0.84, safetensors 0.8.0.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

from darknet_input import integers
from eager_darknet import FORMULAS, Convolution, Darknet
from opencv_raw import forward

CLASSES = 4
ANCHORS = "4,6, 9,7, 8,15, 15,12, 14,26, 28,20, 31,42, 55,30, 70,60"


def conv(filters, size=3, stride=1, activation="leaky", normalize=True, **more):
    lines = ["[convolutional]"] + (["batch_normalize=1"] if normalize else [])
    lines += [f"filters={filters}", f"size={size}", f"stride={stride}"]
    lines += [] if "padding" in more else ["pad=1"]
    lines += [f"{key}={value}" for key, value in more.items()]
    return "\n".join([*lines, f"activation={activation}", ""])


def section(name, **options):
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in options.items()), ""])


def head(mask, **more):
    """The convolution before a [yolo] and the [yolo]."""
    filters = len(integers(mask)) * (5 + CLASSES)
    yolo = section("yolo", mask=mask, anchors=ANCHORS, classes=CLASSES, num=9, jitter=".3", ignore_thresh=".7",
                   truth_thresh=1, random=1, **more)
    return conv(filters, 1, activation="linear", normalize=False) + "\n" + yolo


def net(width, height):
    return section("net", batch=1, subdivisions=1, width=width, height=height, channels=3, momentum="0.9",
                   decay="0.0005", learning_rate="0.001")


def shortcut(start):
    return section("shortcut", **{"from": start}, activation="linear")


def route(layers, **more):
    return section("route", layers=layers, **more)


def residual(filters):
    return [conv(filters // 2, 1), conv(filters), shortcut(-3)]


def networks():
    """NAME -> cfg text."""
    upsample, pool = section("upsample", stride=2), section("maxpool", size=2, stride=2)
    # Yolo-Fastest's bottleneck: expand, depthwise, project, dropout, add.
    bottleneck = [conv(12, 1), conv(12, groups=12, activation="relu"), conv(6, 1, activation="linear"),
                  section("dropout", probability=".15"), shortcut(-5)]
    nets = {
        "yolov3": [
            conv(6), conv(8, stride=2), *residual(8), conv(10, stride=2), *residual(10), conv(12, stride=2),
            *residual(12), *residual(12), conv(14, stride=2), *residual(14), conv(14, stride=2), *residual(14),
            conv(10, 1), conv(14), head("6,7,8"),
            route("-4"), conv(8, 1), upsample, route("-1, 19"), conv(10, 1), conv(14), head("3,4,5"),
            route("-4"), conv(8, 1), upsample, route("-1, 15"), conv(8, 1), conv(12), head("0,1,2"),
        ],
        "tiny": [
            conv(6), pool, conv(8), pool, conv(10), pool, conv(12), pool, conv(14), pool, conv(16),
            section("maxpool", size=2, stride=1), conv(20), conv(12, 1), conv(16), head("3,4,5"),
            route("-4"), conv(8, 1), upsample, route("-1, 8"), conv(12), head("0,1,2"),
        ],
        "spp": [
            conv(6, stride=2), conv(8, stride=2), conv(10, stride=2), conv(12, 1),
            section("maxpool", stride=1, size=5), route("-2"), section("maxpool", stride=1, size=9), route("-4"),
            section("maxpool", stride=1, size=13), route("-1,-3,-5,-6"), conv(12, 1), conv(16), head("3,4,5"),
        ],
        "v4": [
            conv(6, activation="mish"), conv(8, stride=2, activation="mish"), conv(8, 1, activation="mish"),
            route("-2"), conv(8, 1, activation="mish"), conv(4, 1, activation="mish"), conv(8, activation="mish"),
            shortcut(-3), conv(8, 1, activation="mish"), route("-1,-7"), conv(10, 1, activation="mish"),
            conv(12, stride=2, activation="mish"), conv(14, stride=2, activation="mish"), conv(12, 1),
            head("0,1,2", scale_x_y="1.2"), route("-3"), conv(14, stride=2), route("-1"), conv(16, 1),
            head("3,4,5", scale_x_y="1.1"), route("-3"), conv(16, stride=2), conv(16),
            head("6,7,8", scale_x_y="1.05"),
        ],
        "v4tiny": [
            conv(8, stride=2), conv(12, stride=2), conv(12), route("-1", groups=2, group_id=1), conv(6), conv(6),
            route("-1,-2"), conv(12, 1), route("-6,-1"), pool, conv(15), route("-1", groups=3, group_id=0), conv(7),
            conv(7), route("-1,-2"), conv(14, 1), route("-6,-1"), pool, conv(14), conv(12, 1), conv(14),
            head("3,4,5", scale_x_y="1.05"),
            route("-4"), conv(8, 1), upsample, route("-1, 15"), conv(12), head("1,2,3", scale_x_y="1.05"),
        ],
        "fastest": [
            conv(6, stride=2), conv(6, 1, activation="linear"), *bottleneck, conv(12, 1),
            conv(12, stride=2, groups=12, activation="relu"), conv(6, 1, activation="linear"), *bottleneck,
            conv(16, 1), conv(16, 5, stride=2, groups=16), conv(20, 1, activation="linear"), conv(20, groups=5),
            conv(16, stride=2, activation="relu"), head("3,4,5", scale_x_y="1.0"),
            route("-3"), conv(10, 1), head("0,1,2", scale_x_y="1.00"),
        ],
        "swish": [
            conv(6, stride=2, activation="swish"), conv(8, 5, stride=2, padding=1, activation="logistic"), pool,
            conv(10, padding=0, activation="swish"), pool, section("maxpool", size=3, stride=2),
            conv(12, activation="logistic"), conv(12, 1, activation="swish"), head("6,7,8"),
        ],
        "tinyvariance": [conv(8, stride=2), conv(8), conv(10, stride=2), conv(10, 1), conv(12, stride=2),
                         head("3,4,5")],
    }
    return {name: net(*(88, 56) if name == "swish" else (96, 64)) + "\n" + "\n".join(parts)
            for name, parts in nets.items()}


def picture(width, height, seed):
    """Gradients, blobs and a little noise: uint8 [1,3,H,W]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(3):
        plane = rng.uniform(-1, 1) * x / width + rng.uniform(-1, 1) * y / height
        for _ in range(6):
            cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(4, 20)
            plane = plane + rng.choice([-1, 1]) * (np.hypot(x - cx, y - cy) < r)
        planes.append(plane + rng.normal(0, 0.1, plane.shape))
    planes = np.stack(planes)
    planes = (planes - planes.min()) / (planes.max() - planes.min())
    return np.round(255 * planes).astype(np.uint8)[None]


def uniform(tensor, low, high, generator):
    return torch.rand(tensor.shape, generator=generator) * (high - low) + low


def fill_randomly(model, x, tiny, generator):
    """Random parameters, section by section, the BatchNorm statistics taken from what arrives there."""
    outputs = []
    for layer in model.layers:
        if isinstance(layer, Convolution):
            kernel = layer.conv.weight
            kernel.data = torch.randn(kernel.shape, generator=generator) / kernel[0].numel() ** 0.5
            if isinstance(layer.norm, nn.BatchNorm2d):
                if tiny:
                    kernel.data *= 10 ** uniform(kernel[:, :1, :1, :1], -3.5, -1.5, generator)
                y = layer.conv(x)
                # Few positions meet the deeper sections: a chance deviation near 0 would amplify rounding.
                deviation, shape = y.std((0, 2, 3)).clamp(min=0 if tiny else 0.4), layer.norm.weight
                layer.norm.running_var.copy_((deviation * uniform(shape, 0.8, 1.25, generator)) ** 2)
                noise = torch.randn(shape.shape, generator=generator)
                layer.norm.running_mean.copy_(y.mean((0, 2, 3)) + 0.2 * deviation * noise)
                shape.data = uniform(shape, 0.6, 1.4, generator)
                layer.norm.bias.data = 0.3 * torch.randn(shape.shape, generator=generator)
                layer.norm.eps = 1e-6
            else:
                y, bias = layer.conv(x), layer.conv.bias
                kernel.data *= (1.5 / y.std((0, 2, 3)).clamp(min=0.3))[:, None, None, None]
                bias.data = -layer.conv(x).mean((0, 2, 3)) + bias.data
                offsets = torch.zeros(5 + CLASSES)
                offsets[2:4], offsets[4] = -0.2, -0.7
                bias.data += offsets.repeat(len(bias) // len(offsets))
                # Sides are exponentials: their logits are kept to a third of the others' spread.
                for i in range(len(bias)):
                    if i % (5 + CLASSES) in (2, 3):
                        kernel.data[i] /= 3
                        bias.data[i] /= 3
        x = layer(x, outputs)
        outputs.append(x)


def decode(raw, options, width, height):
    """OpenCV's [yolo] rows from a raw head: sigmoid, scale_x_y, anchors in input pixels."""
    anchors = np.array(integers(options["anchors"]), np.float64).reshape(-1, 2)[integers(options["mask"])]
    scale = float(options.get("scale_x_y", 1))
    _, _, rows, columns = raw.shape
    t = raw[0].astype(np.float64).reshape(len(anchors), -1, rows, columns).transpose(2, 3, 0, 1)
    sigmoid = 1 / (1 + np.exp(-t))
    out = np.empty_like(t)
    out[..., 0] = ((sigmoid[..., 0] - 0.5) * scale + 0.5 + np.arange(columns)[None, :, None]) / columns
    out[..., 1] = ((sigmoid[..., 1] - 0.5) * scale + 0.5 + np.arange(rows)[:, None, None]) / rows
    out[..., 2:4] = np.exp(t[..., 2:4]) * anchors / (width, height)
    out[..., 4] = sigmoid[..., 4]
    out[..., 5:] = sigmoid[..., 4:5] * sigmoid[..., 5:]
    return out.reshape(-1, t.shape[-1])


def make(name, cfg, seed, folder):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Darknet(cfg).eval()
    _, _, height, width = model.input_shape(1)
    pixels = picture(width, height, seed)
    x = torch.from_numpy(pixels).float() / 255
    with torch.no_grad():
        fill_randomly(model, x, name == "tinyvariance", generator)
    weights = model.weights_bytes()
    raw, region = forward(cfg, weights, x.numpy())
    (folder / f"{name}.cfg").write_text(cfg)
    (folder / f"{name}.weights").write_bytes(weights)
    tensors = {f"raw_{i}": r for i, r in enumerate(raw)} | {f"region_{i}": r for i, r in enumerate(region)}
    save_file({"input": pixels} | tensors, folder / f"{name}.safetensors")

    report = {"weights_bytes": len(weights), "heads": [list(r.shape) for r in raw],
              "raw_std": [round(float(r.std()), 2) for r in raw],
              "rows_over_0.25": [int((r[:, 5:].max(1) > 0.25).sum()) for r in region]}
    for formula in FORMULAS:
        model.load_weights(weights, formula)
        with torch.inference_mode():
            heads = model(x)
        report[f"raw error, {formula}"] = max(
            float(np.abs(a.numpy() - b).max() / np.abs(b).max()) for a, b in zip(heads, raw, strict=True))
    yolos = [options for section_name, options in model.sections if section_name == "yolo"]
    report["decoding error"] = max(
        float(np.abs(decode(a, o, width, height) - b).max()) for a, o, b in zip(raw, yolos, region, strict=True))
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    report = {name: make(name, cfg, seed, folder) for seed, (name, cfg) in enumerate(networks().items(), 11)}
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
