#!/usr/bin/env python3
"""A Darknet network as an eager PyTorch module, as a researcher would run it: the baseline of the benchmark.

Usage: eager_darknet.py CFG [WEIGHTS] [--time N --batch 1 2 ...] [--compare] [--batch-norm FORMULA]

  --time N      median wall seconds per image over N forward passes for each batch size, as JSON on stdout
  --compare     raw outputs of the heads against OpenCV's Darknet importer on one random input, as JSON on stdout
Without WEIGHTS the parameters are PyTorch's random initialisation (for timing only).

Convolution, BatchNorm and activation are separate modules, nothing is folded; f32, NCHW. Every section of the cfg
(but [net]) is one module, so that `layers=` and `from=` count modules. The result is the list of the tensors that
enter the [yolo] sections, in their order.

BatchNorm formulas (--batch-norm):
  root-1e-6     (x - mean) / sqrt(var + 1e-6)      what OpenCV's importer computes
  root-1e-5     (x - mean) / sqrt(var + 1e-5)      what PyTorch ports compute (nn.BatchNorm2d's default)
  darknet       (x - mean) / (sqrt(var) + 1e-6)    the original Darknet

Made with Python 3.11, torch 2.11.0 (CPU), numpy 2.2.6, opencv-python-headless 4.10.0.84.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from darknet_input import integers, parse_cfg

ACTIVATIONS = {
    "linear": nn.Identity,
    "leaky": lambda: nn.LeakyReLU(0.1),
    "relu": nn.ReLU,
    "mish": nn.Mish,
    "swish": nn.SiLU,
    "logistic": nn.Sigmoid,
}
FORMULAS = ("root-1e-6", "root-1e-5", "darknet")


class Convolution(nn.Module):
    """Convolution, optional BatchNorm, activation."""

    def __init__(self, channels, options):
        super().__init__()
        size, filters = int(options["size"]), int(options["filters"])
        padding = size // 2 if int(options.get("pad", 0)) else int(options.get("padding", 0))
        normalize = int(options.get("batch_normalize", 0)) == 1
        self.conv = nn.Conv2d(channels, filters, size, int(options.get("stride", 1)), padding,
                              groups=int(options.get("groups", 1)), bias=not normalize)
        self.norm = nn.BatchNorm2d(filters) if normalize else nn.Identity()
        self.activation = ACTIVATIONS[options.get("activation", "linear")]()

    def forward(self, x, _):
        return self.activation(self.norm(self.conv(x)))


class MaxPool(nn.Module):
    """Darknet pads by size - 1 in all, the smaller half on the left and top; padding never wins."""

    def __init__(self, options):
        super().__init__()
        size, stride = int(options.get("size", 2)), int(options.get("stride", 2))
        padding = int(options.get("padding", size - 1))
        before, after = padding // 2, padding - padding // 2
        self.pad = nn.ConstantPad2d((before, after, before, after), float("-inf"))
        self.pool = nn.MaxPool2d(size, stride)

    def forward(self, x, _):
        return self.pool(self.pad(x))


class Route(nn.Module):
    """Concatenation of earlier outputs, of each only the `group_id`-th of `groups` equal parts of the channels."""

    def __init__(self, sources, groups, group_id):
        super().__init__()
        self.sources, self.groups, self.group_id = sources, groups, group_id

    def forward(self, _, outputs):
        return torch.cat([outputs[i].chunk(self.groups, 1)[self.group_id] for i in self.sources], 1)


class Shortcut(nn.Module):
    """Sum with an earlier output of the same shape."""

    def __init__(self, source, options):
        super().__init__()
        self.source = source
        self.activation = ACTIVATIONS[options.get("activation", "linear")]()

    def forward(self, x, outputs):
        return self.activation(x + outputs[self.source])


class Upsample(nn.Module):
    """Nearest neighbour."""

    def __init__(self, options):
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=int(options.get("stride", 2)), mode="nearest")

    def forward(self, x, _):
        return self.upsample(x)


class Same(nn.Module):
    """Dropout at inference, and [yolo], whose input is the raw output of a head."""

    def forward(self, x, _):
        return x


class Darknet(nn.Module):
    """The whole network: NCHW f32 RGB in 0..1 -> list of raw head outputs, NCHW."""

    def __init__(self, cfg_text):
        super().__init__()
        sections = parse_cfg(cfg_text)
        self.net = sections[0][1]
        self.sections = sections[1:]
        self.layers = nn.ModuleList()
        channels, widths = int(self.net.get("channels", 3)), []
        for index, (name, options) in enumerate(self.sections):
            absolute = lambda i: i if i >= 0 else index + i
            if name == "convolutional":
                layer = Convolution(channels, options)
                channels = layer.conv.out_channels
            elif name == "maxpool":
                layer = MaxPool(options)
            elif name == "route":
                sources = [absolute(i) for i in integers(options["layers"])]
                groups = int(options.get("groups", 1))
                layer = Route(sources, groups, int(options.get("group_id", 0)))
                channels = sum(widths[i] // groups for i in sources)
            elif name == "shortcut":
                layer = Shortcut(absolute(int(options["from"])), options)
            elif name == "upsample":
                layer = Upsample(options)
            elif name in ("dropout", "yolo"):
                layer = Same()
            else:
                raise ValueError(f"unknown section [{name}]")
            self.layers.append(layer)
            widths.append(channels)

    def input_shape(self, batch):
        return batch, int(self.net.get("channels", 3)), int(self.net["height"]), int(self.net["width"])

    def forward(self, x):
        outputs, heads = [], []
        for (name, _), layer in zip(self.sections, self.layers):
            x = layer(x, outputs)
            outputs.append(x)
            if name == "yolo":
                heads.append(x)
        return heads

    def load_weights(self, data, batch_norm="root-1e-6"):
        """Fills the parameters from the bytes of a .weights file; every byte must be used."""
        major, minor, _ = np.frombuffer(data, "<i4", 3)
        values = np.frombuffer(data, "<f4", offset=20 if major * 10 + minor >= 2 else 16)
        position = 0

        def fill(tensor):
            nonlocal position
            count = tensor.numel()
            tensor.data.copy_(torch.from_numpy(values[position:position + count].copy()).view_as(tensor))
            position += count

        for layer in self.layers:
            if not isinstance(layer, Convolution):
                continue
            norm = layer.norm
            if isinstance(norm, nn.BatchNorm2d):
                for tensor in (norm.bias, norm.weight, norm.running_mean, norm.running_var):
                    fill(tensor)
                set_formula(norm, batch_norm)
            else:
                fill(layer.conv.bias)
            fill(layer.conv.weight)
        if position != len(values):
            raise ValueError(f"the network takes {position} floats, the file holds {len(values)}")

    def weights_bytes(self):
        """The parameters in Darknet's format: version 0.2.5, seen 0."""
        parts = []
        for layer in self.layers:
            if isinstance(layer, Convolution):
                norm = layer.norm
                first = ((norm.bias, norm.weight, norm.running_mean, norm.running_var)
                         if isinstance(norm, nn.BatchNorm2d) else (layer.conv.bias,))
                parts += [t.detach().numpy().astype("<f4").tobytes() for t in (*first, layer.conv.weight)]
        header = np.array([0, 2, 5], "<i4").tobytes() + np.array([0], "<i8").tobytes()
        return header + b"".join(parts)


def set_formula(norm, formula):
    """nn.BatchNorm2d computes sqrt(var + eps); Darknet's own sqrt(var) + 1e-6 is had by changing var, with an eps that
    vanishes (0 is refused)."""
    if formula == "darknet":
        norm.running_var.copy_((norm.running_var.double().sqrt() + 1e-6) ** 2)
        norm.eps = 1e-30
    else:
        norm.eps = float(formula.removeprefix("root-"))


def median_seconds(model, batch, repetitions):
    """Median over `repetitions` of the wall time of one pass, per image; three passes of warm-up before."""
    x = torch.rand(model.input_shape(batch), generator=torch.Generator().manual_seed(0))
    times = []
    with torch.inference_mode():
        for i in range(repetitions + 3):
            start = time.perf_counter()
            model(x)
            if i >= 3:
                times.append((time.perf_counter() - start) / batch)
    return statistics.median(times)


def compare(model, cfg, weights):
    """Largest difference of the heads from OpenCV's, each also relative to OpenCV's largest absolute value."""
    from opencv_raw import forward

    x = torch.rand(model.input_shape(1), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = model(x)
    theirs, _ = forward(cfg, weights, x.numpy())
    rows = []
    for a, b in zip(ours, theirs, strict=True):
        difference = float(np.abs(a.numpy() - b).max())
        rows.append({"shape": list(b.shape), "max_abs_difference": difference, "max_abs": float(np.abs(b).max()),
                     "relative": difference / float(np.abs(b).max())})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cfg", type=Path)
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--time", type=int, metavar="N", help="time N passes for each batch size")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="batch sizes to time (default 1)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default 2)")
    parser.add_argument("--compare", action="store_true", help="compare with OpenCV's raw outputs; needs WEIGHTS")
    parser.add_argument("--batch-norm", choices=FORMULAS, default=FORMULAS[0], help="default root-1e-6")
    arguments = parser.parse_args()
    if arguments.compare and not arguments.weights:
        parser.error("--compare needs WEIGHTS")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    cfg = arguments.cfg.read_text()
    model = Darknet(cfg).eval()
    weights = arguments.weights.read_bytes() if arguments.weights else None
    if weights:
        model.load_weights(weights, arguments.batch_norm)
    result = {"cfg": arguments.cfg.name, "torch": torch.__version__, "threads": arguments.threads,
              "parameters": sum(p.numel() for p in model.parameters())}
    if arguments.time:
        result["median_seconds_per_image"] = {str(b): median_seconds(model, b, arguments.time)
                                              for b in arguments.batch}
    if arguments.compare:
        result["opencv"] = compare(model, cfg, weights)
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
