#!/usr/bin/env python3
"""AlexNets that are not EmoNet, in PyTorch: torchvision's, Caffe's and one with the published k = 2.

Usage: alexnet.py small OUT_FOLDER                                        (committed: tests/reference/alexnet)
       alexnet.py full OUT_FOLDER --pictures FOLDER [--classes 8]         torchvision's own class, seeded weights

`small` makes narrow networks with seeded weights, on the first four pictures of tests/reference/emonet:
  torchvision.pth   {"model": state dict}; features.0 .. classifier.6; no normalisation, padding 2 at conv1,
                    AdaptiveAvgPool2d(6, 6). Evaluated for an input of 224 x 224, where the averaging changes nothing,
                    and for one of 200 rows and 260 columns, where it averages 5 x 7 places to 6 x 6
  caffenet.pth      {"state_dict": state dict}; conv1 .. fc8, two groups in conv2, conv4, conv5; local response
                    normalisation behind the pooling; B, G, R minus a mean colour
  krizhevsky.pth    state dict; conv1 .. fc8, one group; local response normalisation with k = 2 and size 3 before the
                    pooling, padding 3 and stride 5 at conv1, pooling of 2 by 2, fc6 reads 4 x 5 places
and cases.json: [{"name", "checkpoint", "card": the card that describes it, "pictures": [{"picture", "resized_sha256",
"logits", "class", "conv5_max_abs", "raw": the positive part of Grad-CAM of the logit at conv5 before its ReLU, flat}]}]

`full` writes alexnet.pth (where it is not there yet), alexnet.toml and cases.json of `torchvision.models.alexnet`, pictures
cropped; resized_sha256 is of the cropped pixels.

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26.0, Pillow 12.3.0, numpy 2.2.6.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
CHANNELS, UNITS, CLASSES = (6, 8, 10, 8, 6), (16, 12), 8
IMAGENET = {"scale": 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class Torchvision(nn.Module):
    """The layers of torchvision.models.AlexNet, narrower."""

    def __init__(self):
        super().__init__()
        a, b, c, d, e = CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(b, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, d, 3, padding=1), nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(e * 36, UNITS[0]), nn.ReLU(), nn.Dropout(), nn.Linear(*UNITS), nn.ReLU(),
            nn.Linear(UNITS[1], CLASSES))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))

    def last_convolution(self):
        return self.features[10]


class Named(nn.Module):
    """conv1 .. fc8, with local response normalisation before or after the pooling."""

    def __init__(self, norm, after, groups, stride, padding, window, places):
        super().__init__()
        a, b, c, d, e = CHANNELS
        self.conv1 = nn.Conv2d(3, a, 11, stride, padding)
        self.conv2 = nn.Conv2d(a, b, 5, padding=2, groups=groups)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.conv4 = nn.Conv2d(c, d, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1, groups=groups)
        self.fc6, self.fc7 = nn.Linear(e * places, UNITS[0]), nn.Linear(*UNITS)
        self.fc8 = nn.Linear(UNITS[1], CLASSES)
        self.norm, self.after, self.pool = norm, after, nn.MaxPool2d(window, 2)

    def between(self, x):
        return self.norm(self.pool(x)) if self.after else self.pool(self.norm(x))

    def forward(self, x):
        x = self.between(self.conv1(x).relu())
        x = self.between(self.conv2(x).relu())
        x = self.conv5(self.conv4(self.conv3(x).relu()).relu())
        x = self.pool(x.relu()).flatten(1)
        return self.fc8(self.fc7(self.fc6(x).relu()).relu())

    def last_convolution(self):
        return self.conv5


def prepared(path, card):
    """(bytes of the resized picture, input 1 x 3 x rows x columns) as the card says."""
    picture = Image.open(path).convert("RGB")
    if card["resize"] == "center-crop":
        # torchvision's Resize(256) and CenterCrop(224).
        size = [256 * side // min(picture.size) for side in picture.size]
        left, top = (round((side - 224) / 2) for side in size)
        cropped = picture.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    else:
        rows, columns = card["input"]
        cropped = picture.resize((columns, rows), getattr(Image.Resampling, card["filter"].upper()))
    pixels = np.asarray(cropped)
    values = pixels[:, :, ::-1] if card["channels"] == "bgr" else pixels
    values = (values.astype(np.float32) / np.float32(card["scale"]) - np.float32(card["mean"])) / np.float32(card["std"])
    return pixels.tobytes(), torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def fill(model, x, seed, before_norm, least=0.0):
    """Seeded weights, each layer scaled to a deviation on the inputs x and centred channel by channel; a channel whose
    deviation is below the share `least` of its layer's is scaled less, for the sake of its last digits."""
    generator = torch.Generator().manual_seed(seed)
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    for layer, deviation in zip(layers, (before_norm, before_norm, 3, 3, 3, 2, 2, 1.7)):
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator) / layer.weight[0].numel() ** 0.5
        layer.bias.data.zero_()
        seen = []
        hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        model(x)
        hook.remove()
        axes = [axis for axis in range(seen[0].dim()) if axis != 1]
        spread = seen[0].std(axes).clamp(min=least * float(seen[0].std()))
        # A unit that answers every picture alike stays as it is.
        scale = torch.where(spread > 1e-6, deviation / spread, 1.0)
        layer.weight.data *= scale.view(-1, *[1] * (layer.weight.dim() - 1))
        jitter = deviation * 0.3 * torch.randn(scale.shape, generator=generator)
        layer.bias.data = -seen[0].mean(axes) * scale + (0 if layer is layers[-1] else jitter)


def answers(model, paths, card):
    """What the model answers for every picture, and its Grad-CAM map before any normalisation."""
    rows = []
    for path in paths:
        pixels, x = prepared(path, card)
        kept = []
        hook = model.last_convolution().register_forward_hook(
            lambda _module, _inputs, output: kept.append(output) or output.retain_grad())
        logits = model(x)[0]
        best = int(logits.argmax())
        logits[best].backward()
        hook.remove()
        a, gradient = kept[0].detach()[0], kept[0].grad[0]
        raw = (gradient.mean((1, 2))[:, None, None] * a).sum(0).clamp(min=0)
        rows.append({"picture": path.name, "resized_sha256": hashlib.sha256(pixels).hexdigest(),
                     "logits": logits.tolist(), "class": best, "conv5_max_abs": float(a.abs().max()),
                     "raw": raw.flatten().tolist()})
    return rows


def toml(card):
    """The card's keys as TOML; its table, if there is one, comes last."""
    keys = sorted(card.items(), key=lambda item: isinstance(item[1], dict))
    lines = []
    for key, value in keys:
        if isinstance(value, dict):
            lines.append(f"[{key}]")
            lines += [f"{name} = {inline(inner)}" for name, inner in value.items()]
        else:
            lines.append(f"{key} = {inline(value)}")
    return "\n".join(lines) + "\n"


def inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def small(arguments):
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    paths = [ROOT / "tests/reference/emonet" / f"picture_{number}.png" for number in range(4)]
    common = {"labels": [f"feeling {number}" for number in range(CLASSES)], "resize": "squash", "channels": "rgb"}
    square = common | IMAGENET | {"input": [224, 224], "filter": "bilinear"}
    caffe = common | {"input": [227, 227], "filter": "bicubic", "scale": 1, "mean": [104.0, 116.7, 122.7],
                      "std": [1, 1, 1], "channels": "bgr", "structure": "caffenet"}
    norm = {"place": "before-pooling", "size": 3, "alpha": 2e-4, "beta": 0.5, "k": 2.0}
    other = common | {"input": [180, 200], "filter": "bilinear", "scale": 1, "mean": [120, 110, 100], "std": [1, 2, 0.5],
                      "structure": {"stride": 5, "padding": [3, 2, 1, 1, 1], "local_response_norm": norm,
                                    "pooling": [2, 2]}}
    cases = [
        ("torchvision", "torchvision.pth", square, Torchvision(), 3),
        ("torchvision, averaged", "torchvision.pth", square | {"input": [200, 260]}, None, 3),
        ("caffenet", "caffenet.pth", caffe,
         Named(nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0), True, 2, 4, 0, 3, 36), 150),
        ("krizhevsky", "krizhevsky.pth", other,
         Named(nn.LocalResponseNorm(3, alpha=2e-4, beta=0.5, k=2.0), False, 1, 5, 3, 2, 20), 150),
    ]
    written, model = [], None
    for seed, (name, checkpoint, card, fresh, deviation) in enumerate(cases):
        if fresh is not None:
            model = fresh.eval()
            with torch.no_grad():
                fill(model, torch.cat([prepared(path, card)[1] for path in paths]), 100 + seed, deviation)
            state = model.state_dict()
            wrapped = {"torchvision.pth": {"model": state, "epoch": 3}, "caffenet.pth": {"state_dict": state}}
            torch.save(wrapped.get(checkpoint, state), folder / checkpoint)
        pictures = answers(model, paths, card)
        written.append({"name": name, "checkpoint": checkpoint, "card": toml(card), "pictures": pictures})
        print(name, [row["class"] for row in pictures])
    (folder / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in written) + "\n]\n")


def full(arguments):
    from torchvision.models import alexnet

    arguments.out.mkdir(parents=True, exist_ok=True)
    card = IMAGENET | {"labels": [f"feeling {number}" for number in range(arguments.classes)], "input": [224, 224],
                       "resize": "center-crop", "crop": 0.875, "filter": "bilinear", "channels": "rgb"}
    model = alexnet(weights=None, num_classes=arguments.classes).eval()
    model.last_convolution = lambda: model.features[10]
    for layer in model.modules():
        if isinstance(layer, nn.ReLU):
            # Else conv5's output is that of its ReLU by the time it is looked at.
            layer.inplace = False
    paths = sorted(path for path in arguments.pictures.iterdir() if path.suffix in (".jpg", ".png"))
    weights = arguments.out / "alexnet.pth"
    if weights.exists():
        model.load_state_dict(torch.load(weights, weights_only=True)["model"])
    else:
        with torch.no_grad():
            fill(model, torch.cat([prepared(path, card)[1] for path in paths]), 7, 3, least=0.2)
        torch.save({"model": model.state_dict()}, weights)
    (arguments.out / "alexnet.toml").write_text(toml(card))
    case = {"name": "full", "checkpoint": "alexnet.pth", "card": toml(card), "pictures": answers(model, paths, card)}
    (arguments.out / "cases.json").write_text(json.dumps([case], indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("small", help="make the committed fixtures")
    one.set_defaults(run=small)
    two = commands.add_parser("full", help="torchvision's own class, full size")
    two.add_argument("--pictures", type=Path, required=True, metavar="FOLDER")
    two.add_argument("--classes", type=int, default=8)
    two.set_defaults(run=full)
    for command in (one, two):
        command.add_argument("out", type=Path, metavar="OUT_FOLDER")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
