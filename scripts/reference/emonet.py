#!/usr/bin/env python3
"""EmoNet in PyTorch: checkpoints in both published layouts and what they compute.

Usage: emonet.py narrow OUT_FOLDER --facts FILE [--write-mean FILE]     (committed: tests/reference/emonet)
       emonet.py full --checkpoint FILE [--mean FILE] --pictures FOLDER --facts FILE --out PREFIX

FACTS is the JSON with `labels`, `valence` and `arousal`. `full` evaluates any checkpoint of either layout, of any
width, on the pictures of a folder in the order of their names and writes PREFIX.json and PREFIX.safetensors; without
--mean nothing is subtracted.

`narrow` makes a narrow EmoNet (channels 12, 16, 24, 20, 16, then 32, 24, 20 units; groups, kernels, strides and input
of the original) and writes
  narrow_leuven.pth   state dict of torch.save: conv1..conv5, fc1..fc3; flattening after permute (0,1,3,2)
  narrow_ecco.pt      the same parameters: conv_0.0..conv_4.0, conv_5.0 [32,16,6,6], conv_6.0, classifier.0 [20,24,1,1]
  picture_0.png ...   eight small pictures, none square
  leuven.json, leuven.safetensors     narrow_leuven.pth with the mean image
  ecco.json, ecco.safetensors         narrow_ecco.pt, nothing subtracted (so is narrow_leuven.pth without the mean)
The mean image is not committed; it is this formula, integers, channel 0 = R, rows y and columns x from 0, // rounding
down:   mean(channel, y, x) = 104 + 8 * channel + y // 4 - x // 6
--write-mean writes it in the published text form: 227 lines of 681 comma-separated numbers, 227 of R, of G, of B.

PREFIX.json: {"labels", "pictures": [{"picture", "width", "height", "resized_sha256": of the 227x227x3 bytes (HWC,
RGB) after Pillow's antialiased BICUBIC squash, "logits", "probabilities", "class", "label", "valence", "arousal",
"conv5_sum", "conv5_max_abs"}, ...]}
PREFIX.safetensors, f32, P pictures, C channels of conv5:
  conv5_sample [P,n]                     values 0, 13, 26, ... of conv5's output before the ReLU, flattened (C,13,13)
  probability_weights, logit_weights [P,C]      Grad-CAM's channel weights, for the softmax probability or the logit of
                                         the predicted class
  probability_raw, logit_raw [P,13,13]   ReLU(sum_k w_k A_k), before any normalisation
  probability_map, logit_map [P,46,46]   pytorch-grad-cam's 227x227 map at rows and columns 0, 5, 10, ... 225
                                         (left out of ecco.safetensors, for its size)

Weights are random, scaled on the pictures so that both local response normalisations matter (deviation about 150
before them), the pictures get different labels, and probabilities are neither uniform nor saturated.

Made with Python 3.11, torch 2.11.0 (CPU), Pillow 12.3.0, grad-cam 1.5.5, numpy 2.2.6, opencv-python-headless
4.10.0.84 (grad-cam's resize), safetensors 0.8.0.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.numpy import save_file
from torch import nn

SIDE = 227
NARROW = (12, 16, 24, 20, 16, 32, 24)
LEUVEN_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3")
ECCO_NAMES = ("conv_0.0", "conv_1.0", "conv_2.0", "conv_3.0", "conv_4.0", "conv_5.0", "conv_6.0", "classifier.0")


def lrn():
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


def pool():
    return nn.MaxPool2d(3, 2)


class Leuven(nn.Module):
    """The KU Leuven layout. NCHW f32 RGB in 0..255 minus the mean image -> logits [N,20]."""

    def __init__(self, c1, c2, c3, c4, c5, f6, f7):
        super().__init__()
        self.conv1 = nn.Conv2d(3, c1, 11, 4)
        self.conv2 = nn.Conv2d(c1, c2, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c4, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(c4, c5, 3, padding=1, groups=2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(c5 * 36, f6), nn.Linear(f6, f7), nn.Linear(f7, 20)
        self.relu1, self.relu2, self.relu3, self.relu4, self.relu5, self.relu6, self.relu7 = (
            nn.ReLU() for _ in range(7))
        self.lrn1, self.lrn2, self.pool1, self.pool2, self.pool5 = lrn(), lrn(), pool(), pool(), pool()

    def forward(self, x):
        x = self.pool1(self.lrn1(self.relu1(self.conv1(x))))
        x = self.pool2(self.lrn2(self.relu2(self.conv2(x))))
        x = self.relu4(self.conv4(self.relu3(self.conv3(x))))
        x = self.pool5(self.relu5(self.conv5(x)))
        x = x.permute(0, 1, 3, 2).reshape(len(x), -1)
        return self.fc3(self.relu7(self.fc2(self.relu6(self.fc1(x)))))

    def last_convolution(self):
        return self.conv5


class Ecco(nn.Module):
    """The ECCO layout: fully connected layers as convolutions, no permutation."""

    def __init__(self, c1, c2, c3, c4, c5, f6, f7):
        super().__init__()
        self.conv_0 = nn.Sequential(nn.Conv2d(3, c1, 11, 4), nn.ReLU(), lrn(), pool())
        self.conv_1 = nn.Sequential(nn.Conv2d(c1, c2, 5, padding=2, groups=2), nn.ReLU(), lrn(), pool())
        self.conv_2 = nn.Sequential(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU())
        self.conv_3 = nn.Sequential(nn.Conv2d(c3, c4, 3, padding=1, groups=2), nn.ReLU())
        self.conv_4 = nn.Sequential(nn.Conv2d(c4, c5, 3, padding=1, groups=2), nn.ReLU(), pool())
        self.conv_5 = nn.Sequential(nn.Conv2d(c5, f6, 6), nn.ReLU())
        self.conv_6 = nn.Sequential(nn.Conv2d(f6, f7, 1), nn.ReLU())
        self.classifier = nn.Sequential(nn.Conv2d(f7, 20, 1))

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x.flatten(1)

    def last_convolution(self):
        return self.conv_4[0]


def ecco_of(leuven):
    """The same function in the other layout."""
    widths = [getattr(leuven, name).weight.shape[0] for name in LEUVEN_NAMES[:7]]
    model, state = Ecco(*widths), {}
    for old, new in zip(LEUVEN_NAMES, ECCO_NAMES):
        weight = getattr(leuven, old).weight.detach()
        if old == "fc1":
            # Columns of fc1 count channel, then x, then y; a kernel has y before x.
            weight = weight.view(len(weight), -1, 6, 6).permute(0, 1, 3, 2)
        elif old.startswith("fc"):
            weight = weight[:, :, None, None]
        state[f"{new}.weight"], state[f"{new}.bias"] = weight.contiguous(), getattr(leuven, old).bias.detach()
    model.load_state_dict(state)
    return model.eval()


def load(path):
    """A model from a checkpoint of either layout, its widths taken from the tensors."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    layout, names = (Leuven, LEUVEN_NAMES) if "conv1.weight" in state else (Ecco, ECCO_NAMES)
    model = layout(*(state[f"{name}.weight"].shape[0] for name in names[:7]))
    model.load_state_dict(state)
    return model.eval()


def test_mean():
    """The mean image of the fixtures, f32 [3,227,227]."""
    channel, y, x = np.mgrid[0:3, 0:SIDE, 0:SIDE]
    return (104 + 8 * channel + y // 4 - x // 6).astype(np.float32)


def read_mean(path):
    rows = np.loadtxt(path, delimiter=",", dtype=np.float64, ndmin=2)
    assert rows.shape == (SIDE, 3 * SIDE), f"{path}: expected 227 lines of 681 numbers, found {rows.shape}"
    return rows.reshape(SIDE, 3, SIDE).transpose(1, 0, 2).astype(np.float32)


def write_mean(path):
    rows = test_mean().transpose(1, 0, 2).reshape(SIDE, -1).astype(int)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def resized(path):
    """((width, height) of the original, u8 [227,227,3]): squashed, EXIF orientation not applied."""
    picture = Image.open(path).convert("RGB")
    return picture.size, np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def to_input(pixels, mean):
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) - mean)[None]


def grad_cam(model, x, target):
    """(weights [C], raw 13x13, map 227x227) for `target`: logits [20] -> score."""
    from pytorch_grad_cam import GradCAM

    with GradCAM(model=model, target_layers=[model.last_convolution()]) as cam:
        full = cam(input_tensor=x, targets=[target])[0]
        activation, gradient = (t[0][0].numpy() for t in (cam.activations_and_grads.activations,
                                                          cam.activations_and_grads.gradients))
    weights = gradient.mean((1, 2))
    return weights, np.maximum((weights[:, None, None] * activation).sum(0), 0), full, activation


def evaluate(model, mean, paths, facts, maps=True):
    """(JSON document, tensors) as the head of this file describes them; the 46x46 maps only if wanted."""
    rows, columns = [], {}
    for path in paths:
        size, pixels = resized(path)
        x = to_input(pixels, mean)
        with torch.no_grad():
            logits = model(x)[0]
        probabilities = logits.softmax(0)
        best = int(logits.argmax())
        targets = {"probability": lambda output: output.softmax(-1)[best], "logit": lambda output: output[best]}
        for name, target in targets.items():
            weights, raw, full, activation = grad_cam(model, x, target)
            columns.setdefault(f"{name}_weights", []).append(weights)
            columns.setdefault(f"{name}_raw", []).append(raw)
            if maps:
                columns.setdefault(f"{name}_map", []).append(full[::5, ::5])
        columns.setdefault("conv5_sample", []).append(activation.ravel()[::13])
        values = probabilities.double().tolist()
        regression = {k: facts[k]["bias"] + sum(w * p for w, p in zip(facts[k]["weights"], values, strict=True))
                      for k in ("valence", "arousal")}
        rows.append({"picture": path.name, "width": size[0], "height": size[1],
                     "resized_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
                     "logits": logits.tolist(), "probabilities": values, "class": best,
                     "label": facts["labels"][best], **regression,
                     "conv5_sum": float(activation.astype(np.float64).sum()),
                     "conv5_max_abs": float(np.abs(activation).max())})
    tensors = {name: np.ascontiguousarray(np.stack(parts), np.float32) for name, parts in columns.items()}
    return {"labels": facts["labels"], "pictures": rows}, tensors


def write(prefix, result):
    document, tensors = result
    Path(f"{prefix}.json").write_text(json.dumps(document, indent=1) + "\n")
    save_file(tensors, f"{prefix}.safetensors")
    for row in document["pictures"]:
        print(f"{prefix}: {row['picture']} {row['label']} {max(row['probabilities']):.3f}"
              f" valence {row['valence']:.2f} arousal {row['arousal']:.2f}")
    for name in ("probability", "logit"):
        peaks = tensors[f"{name}_raw"].max((1, 2))
        print(f"{prefix}: {name}: peak of the raw map {peaks.min():.2e} .. {peaks.max():.2e}")


def draw_pictures(folder):
    """Gradients, discs, stripes and polygons in sizes from far below to above 227."""
    sizes = [(96, 64), (61, 113), (160, 90), (320, 180), (45, 200), (227, 120), (130, 228), (250, 241)]
    paths = []
    for i, (width, height) in enumerate(sizes):
        rng = np.random.default_rng(100 + i)
        y, x = np.mgrid[0:height, 0:width]
        ramp = rng.uniform(-1, 1, (3, 2)) * 120
        planes = [rng.integers(60, 200) + a * (x / width - 0.5) + b * (y / height - 0.5) for a, b in ramp]
        pixels = (np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8) // 4) * 4
        picture = Image.fromarray(pixels)
        draw = ImageDraw.Draw(picture)
        for shape in range(3 + i):
            colour = tuple(int(v) for v in rng.integers(0, 256, 3))
            cx, cy, r = rng.integers(0, width), rng.integers(0, height), rng.integers(5, max(width, height) // 3)
            kind = (shape + i) % 3
            if kind == 0:
                draw.ellipse([int(cx - r), int(cy - r / 2), int(cx + r), int(cy + r / 2)], fill=colour)
            elif kind == 1:
                corners = [(int(cx + r * math.cos(t + shape)), int(cy + r * math.sin(t + shape))) for t in (0, 2, 4)]
                draw.polygon(corners, fill=colour)
            else:
                for k in range(4):
                    draw.line([int(cx) + 6 * k, 0, int(cx) + 6 * k - int(r), height], fill=colour, width=2)
        paths.append(folder / f"picture_{i}.png")
        picture.save(paths[-1], optimize=True)
    return paths


def fill_randomly(model, x):
    """He-like weights, then each layer scaled to a wanted deviation on the inputs x."""
    generator = torch.Generator().manual_seed(2024)
    deviations = dict(zip(LEUVEN_NAMES, (150, 150, 3, 3, 3, 2, 2, 1.7)))
    for name in LEUVEN_NAMES:
        layer = getattr(model, name)
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator) / layer.weight[0].numel() ** 0.5
        layer.bias.data.zero_()
        seen = []
        hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        model(x)
        hook.remove()
        # Per channel: an unscaled network gives every picture the same label.
        axes = [axis for axis in range(seen[0].dim()) if axis != 1]
        scale = deviations[name] / seen[0].std(axes)
        layer.weight.data *= scale.view(-1, *[1] * (layer.weight.dim() - 1))
        jitter = deviations[name] * 0.3 * torch.randn(scale.shape, generator=generator)
        layer.bias.data = -seen[0].mean(axes) * scale + (0 if name == "fc3" else jitter)


def narrow(arguments, facts):
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    paths = draw_pictures(folder)
    mean, zero = test_mean(), np.zeros((3, SIDE, SIDE), np.float32)
    leuven = Leuven(*NARROW).eval()
    with torch.no_grad():
        fill_randomly(leuven, torch.cat([to_input(resized(path)[1], mean) for path in paths]))
    torch.save(leuven.state_dict(), folder / "narrow_leuven.pth")
    torch.save(ecco_of(leuven).state_dict(), folder / "narrow_ecco.pt")
    leuven, ecco = load(folder / "narrow_leuven.pth"), load(folder / "narrow_ecco.pt")
    for m in (mean, zero):
        x = torch.cat([to_input(resized(path)[1], m) for path in paths])
        with torch.no_grad():
            difference = float((leuven(x) - ecco(x)).abs().max())
        print(f"largest difference of the logits between the layouts: {difference:.1e}")
        assert difference < 1e-4
    write(folder / "leuven", evaluate(leuven, mean, paths, facts))
    write(folder / "ecco", evaluate(ecco, zero, paths, facts, maps=False))
    if arguments.write_mean:
        write_mean(arguments.write_mean)


def full(arguments, facts):
    mean = read_mean(arguments.mean) if arguments.mean else np.zeros((3, SIDE, SIDE), np.float32)
    paths = sorted(p for p in arguments.pictures.iterdir()
                   if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tiff"))
    write(arguments.out, evaluate(load(arguments.checkpoint), mean, paths, facts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("narrow", help="make the committed fixtures")
    one.add_argument("out", type=Path, metavar="OUT_FOLDER")
    one.add_argument("--write-mean", type=Path, metavar="FILE", help="also write the mean image as text")
    one.set_defaults(run=narrow)
    two = commands.add_parser("full", help="evaluate a checkpoint")
    two.add_argument("--checkpoint", type=Path, required=True)
    two.add_argument("--mean", type=Path, help="mean image as text (default: nothing is subtracted)")
    two.add_argument("--pictures", type=Path, required=True, metavar="FOLDER")
    two.add_argument("--out", type=Path, required=True, metavar="PREFIX")
    two.set_defaults(run=full)
    for command in (one, two):
        command.add_argument("--facts", type=Path, required=True, help="JSON with labels, valence, arousal")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    arguments.run(arguments, json.loads(arguments.facts.read_text()))


if __name__ == "__main__":
    main()
