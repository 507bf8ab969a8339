#!/usr/bin/env python3
"""ObjectPaste by Pillow and PyTorch: what the emotion model answers with an object pasted into a photo.

Usage: object_paste.py reference OUT_FOLDER     reference values (committed: tests/reference/paste)
       object_paste.py time --photos DIR --checkpoint FILE --mean FILE [--threads N]

`reference` pastes the three objects of models/objects at the 17 positions of configs/paste.toml into the eight pictures of
tests/reference/emonet and asks the narrow network there (narrow_ecco.pt). answers.safetensors: `probabilities`
[8,3,17,20], f32; `labels` [8,3,17] and `original` [8], i64. digests.json: SHA-256 of the 227x227 RGB inputs of all 17
positions one after the other, per picture, object and fill: the object, its outline in the picture's mean colour, its
outline over a blurred copy of what is below.

The rules: the object's height is floor(0.2 * height + 0.5), its width follows its shape; resized by Pillow's BILINEAR (on
colours multiplied by alpha, as Pillow does for RGBA); its upper left corner is floor(share * side - own / 2 + 0.5); composed
by Image.paste with the object as its own mask; then squashed to 227x227 by Pillow's BICUBIC. Mean colour: rounded, halves
up. Blur: what is below, inside the picture, reduced to at most 4x4 pixels and enlarged again, both by BILINEAR.

`time` is the straightforward loop that scripts/bench compares with: decode once, then for every object and position
compose at full size, resize, run the network. Prints one JSON object: seconds an image.

Made with Python 3.11.7, Pillow 12.3.0, torch 2.11.0, numpy 2.2.6, safetensors 0.7.
"""

import argparse
import hashlib
import json
import math
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent))
import emonet  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
OBJECTS = ["lotus-flower", "rugby-ball", "soccer-ball"]
SCALE = 0.2


def positions():
    declared = tomllib.loads((ROOT / "configs" / "paste.toml").read_text())["positions"]
    return [(position["x"], position["y"]) for position in declared]


def objects():
    return [Image.open(ROOT / "models" / "objects" / f"{name}.png") for name in OBJECTS]


def rounded(length):
    return max(math.floor(length + 0.5), 1)


def sprite_for(thing, picture):
    height = rounded(SCALE * picture.height)
    return thing.resize((rounded(height * thing.width / thing.height), height), Image.Resampling.BILINEAR)


def corner(sprite, picture, position):
    return tuple(math.floor(share * side - own / 2 + 0.5)
                 for share, side, own in zip(position, picture.size, sprite.size))


def with_object(picture, sprite, position):
    out = picture.copy()
    out.paste(sprite, corner(sprite, picture, position), sprite)
    return out


def with_colour(sprite, colour):
    out = Image.new("RGBA", sprite.size, colour)
    out.putalpha(sprite.getchannel("A"))
    return out


def with_mean(picture, sprite, position):
    sums = np.asarray(picture).reshape(-1, 3).sum(0, dtype=np.int64)
    count = picture.width * picture.height
    return with_object(picture, with_colour(sprite, tuple(int(v) for v in (2 * sums + count) // (2 * count))), position)


def with_blur(picture, sprite, position):
    left, top = corner(sprite, picture, position)
    box = (max(left, 0), max(top, 0), min(left + sprite.width, picture.width), min(top + sprite.height, picture.height))
    below = picture.crop(box)
    small = below.resize((min(4, below.width), min(4, below.height)), Image.Resampling.BILINEAR)
    above = small.resize(below.size, Image.Resampling.BILINEAR)
    mask = sprite.getchannel("A").crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    out = picture.copy()
    out.paste(above, box[:2], mask)
    return out


def squashed(picture):
    return np.asarray(picture.resize((emonet.SIDE, emonet.SIDE), Image.Resampling.BICUBIC))


def reference(arguments):
    torch.set_num_threads(2)
    folder = ROOT / "tests" / "reference" / "emonet"
    model = emonet.load(folder / "narrow_ecco.pt")
    zero = np.zeros((3, emonet.SIDE, emonet.SIDE), np.float32)
    fills = {"object": with_object, "mean": with_mean, "blur": with_blur}
    digests, probabilities, original = [], [], []
    with torch.no_grad():
        for path in sorted(folder.glob("picture_*.png")):
            picture = Image.open(path).convert("RGB")
            original.append(int(model(emonet.to_input(squashed(picture), zero))[0].argmax()))
            rows = []
            for name, thing in zip(OBJECTS, objects()):
                sprite = sprite_for(thing, picture)
                for fill, paste in fills.items():
                    inputs = [squashed(paste(picture, sprite, position)) for position in positions()]
                    joined = b"".join(pixels.tobytes() for pixels in inputs)
                    digests.append({"picture": path.name, "object": name, "fill": fill,
                                    "sha256": hashlib.sha256(joined).hexdigest()})
                    if fill == "object":
                        x = torch.cat([emonet.to_input(pixels, zero) for pixels in inputs])
                        rows.append(model(x).softmax(-1).numpy())
            probabilities.append(rows)
    probabilities = np.asarray(probabilities, np.float32)
    labels = probabilities.argmax(-1).astype(np.int64)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_file({"probabilities": probabilities, "labels": labels, "original": np.asarray(original, np.int64)},
              arguments.out / "answers.safetensors")
    (arguments.out / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")
    top = np.sort(probabilities, -1)
    print("changed:", (labels != np.asarray(original)[:, None, None]).mean(),
          "smallest lead of a label:", (top[..., -1] - top[..., -2]).min())


def timed(arguments):
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model, mean = emonet.load(arguments.checkpoint), emonet.read_mean(arguments.mean)
    things, places = objects(), positions()
    paths = sorted(path for path in arguments.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    seconds, megapixels = [], []

    def one(path):
        picture = Image.open(path).convert("RGB")
        megapixels.append(picture.width * picture.height / 1e6)
        labels = [int(model(emonet.to_input(squashed(picture), mean))[0].argmax())]
        for thing in things:
            sprite = sprite_for(thing, picture)
            for position in places:
                x = emonet.to_input(squashed(with_object(picture, sprite, position)), mean)
                labels.append(int(model(x)[0].argmax()))
        return labels

    with torch.no_grad():
        one(paths[0])
        megapixels.clear()
        for path in paths:
            clock = time.perf_counter()
            one(path)
            seconds.append(time.perf_counter() - clock)
    print(json.dumps({"images": len(paths), "megapixels": float(np.mean(megapixels)), "threads": torch.get_num_threads(),
                      "seconds": seconds, "median": float(np.median(seconds))}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("reference")
    one.add_argument("out", type=Path)
    one.set_defaults(run=reference)
    two = commands.add_parser("time")
    two.add_argument("--photos", type=Path, required=True)
    two.add_argument("--checkpoint", type=Path, required=True)
    two.add_argument("--mean", type=Path, required=True)
    two.add_argument("--threads", type=int)
    two.set_defaults(run=timed)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
