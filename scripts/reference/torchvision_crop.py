#!/usr/bin/env python3
"""Where torchvision's Resize and CenterCrop cut pictures.

Usage: torchvision_crop.py OUT.json        (committed: tests/reference/torchvision_crop.json)

A list of [width, height, short, input, resized width, resized height, left, top] for pictures of many shapes: Resize(short),
then CenterCrop(input). The sizes come from pictures that were resized, the corners from pixels that know their place.

Made with torchvision 0.26.0, torch 2.11.0, Pillow 12.3.0.
"""

import json
import random
import sys

import torch
from PIL import Image
from torchvision.transforms import v2

PREPARATIONS = ((256, 224), (232, 224), (236, 224), (248, 224), (224, 224), (342, 299), (72, 64))
SIZES = ((773, 512), (512, 773), (640, 427), (427, 640), (500, 375), (1000, 1000), (256, 256), (257, 256), (333, 500), (2048, 1365))


def corner(width, height, side):
    """Left and top of the centre crop of a picture of this size."""
    places = torch.stack([torch.arange(width).expand(height, width), torch.arange(height)[:, None].expand(height, width)])
    return v2.CenterCrop(side)(places)[:, 0, 0].tolist()


def main():
    draw, cases = random.Random(5), []
    sizes = [*SIZES, *((draw.randint(60, 900), draw.randint(60, 900)) for _ in range(30))]
    for short, side in PREPARATIONS:
        for width, height in sizes:
            resized = v2.Resize(short)(Image.new("L", (width, height))).size
            cases.append([width, height, short, side, *resized, *corner(*resized, side)])
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
