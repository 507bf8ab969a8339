#!/usr/bin/env python3
"""Compares `emocam analyze` with pytorch-grad-cam on torchvision's networks, exported by scripts/export_model.py.

Usage: plugin_parity.py --photos FOLDER [--cache FOLDER] [--emocam PATH] [--networks NAME,...]

Seven networks of torchvision: resnet18 at `layer4`, mobilenet_v2 at `features.17` and `features.18`, densenet121 at
`features.denseblock4`, convnext_tiny at `features`, vgg16 at `features.28` (conv5_3, before its ReLU), vit_b_16 at
`encoder.layers.encoder_layer_10` (tokens). Their weights are random and seeded; BatchNorm has the statistics of the
photos, and the last layer, of 40 outputs, is scaled such that each output has deviation 1.5 over the photos. Inputs
differ too: squash, center-crop and letterbox, both filters, both channel orders, not only square.

Six photos that are not square: the first of FOLDER, cropped where they are square, then crops of them; saved as PNG.
For each, with Pillow as the card says: label, probabilities, and Grad-CAM, Grad-CAM++, XGrad-CAM, LayerCAM and
Ablation-CAM of the predicted logit by pytorch-grad-cam on the eager model. plugin_maps.py says what Ablation-CAM is
here (a channel set to zero, which pytorch-grad-cam's own ablation layer does not do where A has negative values), and
that it spares the layers before the cut, so each network's tail is written down once more below. Layers that work in
place do not here: what pytorch-grad-cam keeps of A is overwritten by a ReLU in place behind it.

The reference half stays in --cache (NET.pt, NET.safetensors, photos/, regions.jsonl) and is not computed again while
it is there: delete it for other photos. It takes 15 minutes on two cores, half for vit_b_16's Ablation-CAM.
Without --emocam the maps by the definitions on the exported file (plugin_maps.py) are compared instead. With
--rounding pytorch-grad-cam's Grad-CAM++ of the named networks is compared with itself, and nothing else done.

With --emocam, per network:
  emocam analyze PHOTOS --emotion-weights NET.pt --regions regions.jsonl --cam grad-cam,... --target logit
                 --save-maps --out RUN
RUN/images.csv has label and probabilities, RUN/maps/<PHOTO>.safetensors one tensor (rows, columns) a method. Prints a
table of the largest differences and ends with 1 where a label differs, a probability by more than 1e-5 or a map by
more than 1e-3.

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26.0, grad-cam 1.5.5, Pillow 13.0.0, numpy 2.4.6,
opencv-python-headless 5.0.0 (grad-cam's resize).
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export_model import export, prepare
from plugin_maps import METHODS, by_definition, by_library, finished

PHOTOS, LABELS, PROBABILITY, MAP = 6, 40, 1e-5, 1e-3


def pooled(a):
    return a.mean((2, 3))


# network: architecture, layer, tail from A to the logits, options of export
NETWORKS = {
    "resnet18": ("resnet18", "layer4", lambda m, a: m.fc(pooled(a)),
                 dict(input=224, resize="center-crop", crop=0.875)),
    "mobilenet_v2_17": ("mobilenet_v2", "features.17", lambda m, a: m.classifier(pooled(m.features[18](a))),
                        dict(input=(192, 256), filter="bicubic")),
    "mobilenet_v2_18": ("mobilenet_v2", "features.18", lambda m, a: m.classifier(pooled(a)),
                        dict(input=(224, 160), resize="letterbox")),
    "densenet121": ("densenet121", "features.denseblock4",
                    lambda m, a: m.classifier(pooled(torch.relu(m.features.norm5(a)))),
                    dict(input=(160, 224), resize="center-crop", crop=1.0, filter="bicubic")),
    "convnext_tiny": ("convnext_tiny", "features", lambda m, a: m.classifier(m.avgpool(a)),
                      dict(input=(224, 224), resize="center-crop", crop=0.949)),
    "vgg16": ("vgg16", "features.28",
              lambda m, a: m.classifier(m.avgpool(m.features[30](m.features[29](a))).flatten(1)),
              dict(input=(160, 192), scale=1, mean=(104, 117, 123), std=(58, 57, 57), channels="bgr")),
    "vit_b_16": ("vit_b_16", "encoder.layers.encoder_layer_10",
                 lambda m, a: m.heads(m.encoder.ln(m.encoder.layers[11](a))[:, 0]),
                 dict(input=224, filter="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
}


class Tail(nn.Module):
    """The network from A on; A enters at `cut`."""

    def __init__(self, model, rest):
        super().__init__()
        self.cut, self.model, self.rest = nn.Identity(), model, rest

    def forward(self, a):
        return self.rest(self.model, self.cut(a))


def photos(folder, out):
    """Six PNG files, none square."""
    out.mkdir(parents=True, exist_ok=True)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:PHOTOS]
    if not found:
        raise SystemExit(f"plugin_parity: no photos in {folder}")
    pictures = []
    for path in found:
        picture = Image.open(path).convert("RGB")
        if picture.width == picture.height:
            picture = picture.crop((0, 0, picture.width, picture.height * 2 // 3))
        pictures.append((path.stem, picture))
    for number in range(PHOTOS - len(pictures)):  # the middle of one side, turned from wide to high and back
        name, picture = pictures[number % len(found)]
        width, height = picture.size
        box = (width // 4, 0, width * 3 // 4, height) if width > height else (0, height // 4, width, height * 3 // 4)
        pictures.append((f"{name}_crop_{number}", picture.crop(box)))
    for name, picture in pictures:
        picture.save(out / f"{name}.png")
    lines = [json.dumps({"file": f"{name}.png", "label": "thing", "score": 0.9, "box":
                         [picture.width * 0.2, picture.height * 0.25, picture.width * 0.7, picture.height * 0.8]})
             for name, picture in pictures]
    (out.parent / "regions.jsonl").write_text("\n".join(lines) + "\n")
    return [out / f"{name}.png" for name, _ in pictures]


def described(options):
    """What of a card the picture's way to the input needs, with export()'s defaults."""
    sides = options["input"] if isinstance(options["input"], tuple) else (options["input"],) * 2
    return {"resize": "squash", "crop": 1.0, "filter": "bilinear", "scale": 255, "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225), "channels": "rgb"} | options | {"input": sides}


def network(name, card, paths):
    """A random network that is alive: the photos get different answers."""
    torch.manual_seed(20261122)
    model = torchvision.models.get_model(NETWORKS[name][0], weights=None, num_classes=LABELS)
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    x = torch.cat([prepare(path, card) for path in paths])
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    kept = []
    handle = last.register_forward_hook(lambda _module, inputs, _output: kept.append(inputs[0]))
    with torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        if norms:
            for module in model.modules():
                module.training = isinstance(module, nn.BatchNorm2d)
            model(x)
        for scale in [module.layer_scale for module in model.modules() if hasattr(module, "layer_scale")]:
            scale.fill_(0.5)  # ConvNeXt's 1e-6 makes every block an identity
        model.eval()(x)
        nn.init.normal_(last.weight)
        outputs = kept[-1] @ last.weight.T
        last.weight *= (1.5 / outputs.std(0))[:, None]
        last.bias = nn.Parameter(-(kept[-1] @ last.weight.T).mean(0))
    handle.remove()
    return model.eval()


def reference(name, cache, paths):
    """The exported file's path, its card and the reference tensors: computed, or read from the cache."""
    architecture, layer, rest, options = NETWORKS[name]
    file, tensors = cache / f"{name}.pt", cache / f"{name}.safetensors"
    if not (file.is_file() and tensors.is_file()):
        card = described(options)
        clock = time.perf_counter()
        model = network(name, card, paths)
        labels = [f"label {number}" for number in range(LABELS)]
        card, worst = export(model, layer, file, labels=labels, name=f"torchvision {architecture}", **options)
        print(f"{name}: exported in {time.perf_counter() - clock:.0f} s, differences {worst}", flush=True)
        clock, kept, tail = time.perf_counter(), {}, Tail(model, rest).eval()
        for path in paths:
            x = prepare(path, card)
            with torch.no_grad():
                logits = model(x)[0]
            kept[f"{path.name} logits"] = logits.numpy()
            for method, (raw, done) in by_library(model, layer, x, int(logits.argmax()), card, tail).items():
                kept |= {f"{path.name} {method} raw": raw, f"{path.name} {method}": done}
        save_file({key: np.ascontiguousarray(value) for key, value in kept.items()}, tensors)
        print(f"{name}: pytorch-grad-cam's maps in {time.perf_counter() - clock:.0f} s", flush=True)
    extra = {"emocam.json": ""}
    torch.jit.load(str(file), _extra_files=extra)
    return file, json.loads(extra["emocam.json"]), load_file(tensors)


def of_definitions(file, card, paths):
    """{photo: (label, probabilities, {method: map})} by the definitions on the exported file."""
    loaded, answers = torch.jit.load(str(file)), {}
    for path in paths:
        x = prepare(path, card)
        with torch.no_grad():
            target = int(loaded.forward(x)[0].argmax())
        raw, logits, _ = by_definition(loaded, x, target, card)
        maps = {method: finished(value, x.shape[2:]) for method, value in raw.items()}
        answers[path.name] = card["labels"][target], logits[0].softmax(0).numpy(), maps
    return answers


def of_emocam(emocam, file, card, paths, cache, out):
    """The same by `emocam analyze`, a photo at a time as for the reference: sums in batches of another size have other last
    digits, which Grad-CAM++ multiplies where its denominator is near 0 (--rounding)."""
    command = [emocam, "analyze", paths[0].parent, "--emotion-weights", file, "--regions", cache / "regions.jsonl",
               "--cam", ",".join(METHODS), "--target", "logit", "--save-maps", "--batch", "1", "--out", out]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"plugin_parity: emocam ended with {done.returncode} on {file.name}:\n{done.stderr.strip()}")
    answers = {}
    with open(out / "images.csv", newline="") as rows:
        for row in csv.DictReader(rows):
            photo = Path(row["path"]).name
            [maps] = (out / "maps").rglob(f"{photo}.safetensors")
            probabilities = np.array([float(row[label]) for label in card["labels"]], np.float32)
            answers[photo] = row["label"], probabilities, load_file(maps)
    return answers


def compare(name, card, kept, answers, paths):
    """One row of the table, and whether all is within the limits."""
    labels, probability, maps, chances = 0, 0.0, dict.fromkeys(METHODS, 0.0), []
    for path in paths:
        logits = torch.from_numpy(kept[f"{path.name} logits"])
        expected = logits.softmax(0).numpy()
        label, probabilities, found = answers[path.name]
        labels += label != card["labels"][int(logits.argmax())]
        probability = max(probability, np.abs(probabilities - expected).max())
        chances.append(expected.max())
        for method in METHODS:
            maps[method] = max(maps[method], np.abs(found[method] - kept[f"{path.name} {method}"]).max())
    print(f"{name:16} {labels:6} {probability:11.1e} " + " ".join(f"{value:12.1e}" for value in maps.values())
          + f"   {min(chances):.2f} to {max(chances):.2f}", flush=True)
    return labels == 0 and probability <= PROBABILITY and max(maps.values()) <= MAP


def rounding(name, paths):
    """How far pytorch-grad-cam's Grad-CAM++ is from itself: in batches of 4, and from its own in f64."""
    architecture, layer, _rest, options = NETWORKS[name]
    card = described(options)
    model = network(name, card, paths)
    pictures = torch.cat([prepare(path, card) for path in paths])

    def maps(count, kind):
        model.to(kind)
        cam, found = METHODS["grad-cam++"](model, [model.get_submodule(layer)]), []
        for part in pictures.to(kind).split(count):
            filled = torch.cat([part, part[-1:].expand(count - len(part), -1, -1, -1)])
            # The highest output is explained where no target is named.
            found.extend(cam(filled)[:len(part)])
        return np.stack(found)

    exact, alone, batched = maps(1, torch.float64), maps(1, torch.float32), maps(4, torch.float32)
    for what, a, b in (("f32 in batches of 4 from f32 alone", batched, alone), ("f32 alone from f64", alone, exact),
                       ("f32 in batches of 4 from f64", batched, exact)):
        print(f"{architecture}, grad-cam++, {what}: {np.abs(a - b).max():.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="folder of the reference half (default: a temporary one)")
    parser.add_argument("--emocam", type=Path, help="the binary to compare")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="default: %(default)s")
    parser.add_argument("--rounding", action="store_true", help="pytorch-grad-cam against itself")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        cache = (arguments.cache or Path(temporary, "cache")).resolve()
        paths, good = photos(arguments.photos, cache / "photos"), True
        chosen = arguments.networks.split(",")
        if arguments.rounding:
            for name in chosen:
                rounding(name, paths)
            return 0
        references = {name: reference(name, cache, paths) for name in chosen}
        print(f"{'network':16} {'labels':>6} {'probability':>11} " + " ".join(f"{method:>12}" for method in METHODS)
              + "   probability of the label")
        for name, (file, card, kept) in references.items():
            if arguments.emocam:
                answers = of_emocam(arguments.emocam, file, card, paths, cache, Path(temporary, name))
            else:
                answers = of_definitions(file, card, paths)
            good &= compare(name, card, kept, answers, paths)
    print("all within the limits" if good else f"over the limits: labels equal, probability {PROBABILITY}, map {MAP}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
