#!/usr/bin/env python3
"""Compares `emocam explain --cam dnc-shap` with shap's PartitionExplainer on a random EmoNet and four photos.

Usage: dnc_shap_parity.py --binary EMOCAM --models DIR --photos DIR [--evaluations N] [--target SCORE]
       dnc_shap_parity.py --raw DIR --models DIR --photos DIR ...       (maps that are there already)
       dnc_shap_parity.py --self-check --models DIR --photos DIR ...    (the PyTorch side alone, no map)

DIR of models holds emonet.pth and img_mean.txt; where they are missing and --binary is given, they are made by `emocam
models synthesize emonet`. The photos are the first four of their folder, saved as PNG. The network is emonet.py's; its
input is squashed once to 227 x 227, and a mask acts on it: black, (0, 0, 0) before the mean image is subtracted, where
nothing is kept. Explained is the logit or the probability of the class predicted for the whole photo.

The same tree, order and budget on both sides: dnc_shap.py says which; --at-once is how many rectangles the binary takes
before it evaluates any. Compared are v(nothing), v(all), and for every rectangle that holds credit the sum of the map
over it: `leaves` are those with no other such rectangle inside. Ends with 1 where a leaf or a value differs by more
than 1e-4. `gap` is the least amount that decided what was cut: where it is below 1e-5, the last digits of the two
libraries can decide otherwise, and leaves can differ for that reason.

--self-check compares, on the first photo, shap with our own best-first search at the budget, and at depth 4 (172
evaluations, 16 rectangles) with the plain recursion. Values of masks are kept, so all three see the same numbers. It
takes a minute on two cores, the comparison of four photos with shap's half three.

Made with Python 3.11, torch 2.11.0 (CPU), shap 0.51.0, Pillow 12.3.0, numpy 2.4.6, safetensors 0.8.0.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

from dnc_shap import FULL, best_first, by_shap, exact, largest_difference
from emonet import SIDE, load, read_mean, resized, to_input

PHOTOS, LEAF, ARITHMETIC = 4, 1e-4, 1e-12


class PhotoValue:
    """The value function of a photo: masks bool [n, 227, 227] -> score [n]; what it said of a mask is kept."""

    def __init__(self, model, mean, path, target):
        self.model, self.mean, self.pixels, self.target = model, mean, resized(path)[1], target
        self.known = {}
        self.label = int(self.logits(np.ones((1, SIDE, SIDE), bool))[0].argmax())

    def logits(self, masks):
        with torch.no_grad():
            return self.model(torch.cat([to_input(self.pixels * mask[:, :, None], self.mean) for mask in masks]))

    def __call__(self, masks):
        keys = [np.packbits(mask).tobytes() for mask in masks]
        new = [at for at, key in enumerate(keys) if key not in self.known]
        if new:
            logits = self.logits(masks[new])
            scores = logits.softmax(1) if self.target == "probability" else logits
            self.known |= {keys[at]: value for at, value in zip(new, scores[:, self.label].double().tolist())}
        return np.array([self.known[key] for key in keys])


def photos(folder, out):
    """Four photos as PNG files."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:PHOTOS]
    if len(found) < PHOTOS:
        raise SystemExit(f"dnc_shap_parity: {len(found)} photos in {folder}, {PHOTOS} are needed")
    out.mkdir()
    for path in found:
        Image.open(path).convert("RGB").save(out / f"{path.stem}.png")
    return [out / f"{path.stem}.png" for path in found]


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"dnc_shap_parity: {command[0]} ended with {done.returncode}:\n{done.stderr.strip()}")


def explain(arguments, paths, out):
    """The folder of what the binary makes; a region a photo takes the detector's place."""
    regions = out / "regions.jsonl"
    regions.write_text("".join(json.dumps({"file": path.name, "label": "thing", "score": 0.9, "box": [9, 9, 99, 99]})
                               + "\n" for path in paths))
    run([arguments.binary, "explain", *paths, "--models", arguments.models, "--regions", regions, "--cam", "dnc-shap",
         "--evaluations", arguments.evaluations, "--fill", "black", "--target", arguments.target, "--batch", 1,
         "--out", out / "explained", "--save-maps"])
    return out / "explained"


def read_raw(folder, path):
    """(f32 [227, 227] credit per pixel, v_all, v_nothing) of a photo: this function alone knows how they are stored.

    `emocam explain --save-maps`: NAME.safetensors with the map `dnc-shap-signed`, NAME.json with the two numbers.
    """
    values = json.loads((folder / f"{path.stem}.json").read_text())["methods"][0]
    tensors = load_file(folder / f"{path.stem}.safetensors")
    return tensors["dnc-shap-signed"], values["value_all"], values["value_nothing"]


def leaves(credits):
    """The rectangles that hold credit and no other such rectangle."""
    def inside(a, b):
        return a != b and a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2] and a[3] <= b[3]

    return {outer for outer in credits if not any(inside(inner, outer) for inner in credits)}


def extremes(v):
    """v(all), v(nothing)."""
    return v(np.stack([np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)])).tolist()


def compare(v, path, raw, arguments):
    """One row of the table, and whether all is within the limit."""
    budget = arguments.evaluations, arguments.depth, arguments.at_once
    credits, pixels, evaluations = by_shap(v, SIDE, SIDE, *budget)
    gap = best_first(v, SIDE, SIDE, *budget)[2]
    found, *values = read_raw(raw, path)
    assert found.shape == (SIDE, SIDE), f"{path.name}: a map of {found.shape}"
    difference = found.astype(np.float64) - pixels
    sums = {(x0, y0, x1, y1): abs(difference[y0:y1, x0:x1].sum()) for x0, y0, x1, y1 in credits}
    bottom = leaves(credits)
    leaf, value = max(sums[rectangle] for rectangle in bottom), max(abs(np.subtract(values, extremes(v))))
    total = found.sum(dtype=np.float64) - (values[0] - values[1])
    print(f"{path.name:20} {v.label:5} {evaluations:11} {len(bottom):6} {leaf:9.1e} {max(sums.values()):13.1e}"
          f" {value:9.1e} {total:9.1e} {'-' if gap is None else f'{gap:.1e}':>9}", flush=True)
    return leaf <= LEAF and value <= LEAF


def self_check(v, path, arguments):
    """The PyTorch side's three ways on one photo, and whether they agree."""
    budget = arguments.evaluations, arguments.depth, arguments.at_once
    credits, pixels, evaluations = by_shap(v, SIDE, SIDE, *budget)
    ours, spent, gap = best_first(v, SIDE, SIDE, *budget)
    v_all, v_nothing = extremes(v)
    search = max(largest_difference(credits, ours), abs(evaluations - spent))
    recursion = largest_difference(by_shap(v, SIDE, SIDE, FULL, 4)[0], exact(v, SIDE, SIDE, 4))
    total = abs(pixels.sum() - (v_all - v_nothing))
    print(f"{path.name}: class {v.label}, v(all) {v_all:.4f}, v(nothing) {v_nothing:.4f}; {evaluations} evaluations,"
          f" {len(leaves(credits))} leaves, largest |leaf| {max(map(abs, credits.values())):.4f}, gap {gap or 0:.1e};"
          f" shap less our search {search:.1e}, less the plain recursion at depth 4 {recursion:.1e},"
          f" sum less v(all) - v(nothing) {total:.1e}", flush=True)
    return max(search, recursion, total) <= ARITHMETIC


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, metavar="EMOCAM")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--raw", type=Path, metavar="DIR", help="compare these maps instead of running the binary")
    parser.add_argument("--self-check", action="store_true")
    parser.add_argument("--evaluations", type=int, default=200, metavar="N", help="default: %(default)s")
    parser.add_argument("--depth", type=int, default=10, metavar="D", help="deepest level (default: %(default)s, as emocam)")
    parser.add_argument("--at-once", type=int, default=8, metavar="K", help="rectangles (default: %(default)s, as emocam)")
    parser.add_argument("--target", choices=("probability", "logit"), default="probability",
                        help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if not (arguments.binary or arguments.raw or arguments.self_check):
        parser.error("--binary, --raw or --self-check")
    torch.set_num_threads(arguments.threads)
    weights, good = arguments.models / "emonet.pth", True
    if arguments.binary and not weights.is_file():
        run([arguments.binary, "models", "synthesize", "emonet", "--models", arguments.models])
    model, mean = load(weights), read_mean(arguments.models / "img_mean.txt")
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        paths = photos(arguments.photos, out / "photos")
        if not arguments.self_check:
            raw = arguments.raw or explain(arguments, paths, out)
            print(f"{'photo':20} {'class':>5} {'evaluations':>11} {'leaves':>6} {'leaf':>9} {'any rectangle':>13}"
                  f" {'values':>9} {'sum':>9} {'gap':>9}")
        for path in paths[:1] if arguments.self_check else paths:
            v = PhotoValue(model, mean, path, arguments.target)
            good &= self_check(v, path, arguments) if arguments.self_check else compare(v, path, raw, arguments)
    print("all within the limits" if good else "over the limits")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
