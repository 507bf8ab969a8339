#!/usr/bin/env python3
"""JPEGs decoded at a fraction of their size by Pillow's `draft`.

Usage: reduced_jpegs.py          (reads tests/reference/pillow_resize/*.jpg, writes tests/reference/reduced_jpegs.json)

Per file and pair of network inputs (letterboxed W x H, squashed W x H): the upright image needs to be no smaller than its
letterbox content and no smaller than the squashed input; `draft` is asked for that (the sides exchanged for an image that
lies), and takes the largest reduction of 1, 2, 4, 8 that leaves both sides as large. Rows: {"file", "letterboxed",
"squashed", "original": upright size, "decoded": upright size of the pixels, "upright", "letterbox", "squash": SHA-256 of
the RGB bytes of the pixels, of them resized into a black letterbox of the original's content, and squashed, both by
BICUBIC}.

Made with Python 3.11, Pillow 12.3.0 (libjpeg-turbo 3.1).
"""

import hashlib
import json
from pathlib import Path

from PIL import Image, ImageOps

REFERENCE = Path(__file__).parents[2] / "tests/reference"
INPUTS = [((30, 20), (9, 9)), ((20, 30), (5, 7)), ((8, 8), (3, 3)), ((61, 43), (5, 5)), ((12, 40), (2, 2)), ((7, 7), (3, 3))]


def digest(image):
    assert image.mode == "RGB"
    return hashlib.sha256(image.tobytes()).hexdigest()


def row(path, letterboxed, squashed):
    image = Image.open(path)
    lies = image.getexif().get(0x0112, 1) >= 5
    width, height = image.size[::-1] if lies else image.size
    scale = min(letterboxed[0] / width, letterboxed[1] / height)
    content = max(int(scale * width), 1), max(int(scale * height), 1)
    needed = max(content[0], squashed[0]), max(content[1], squashed[1])
    image.draft(None, needed[::-1] if lies else needed)
    pixels = ImageOps.exif_transpose(image).convert("RGB")
    canvas = Image.new("RGB", letterboxed)
    at = int((letterboxed[0] - content[0]) / 2), int((letterboxed[1] - content[1]) / 2)
    canvas.paste(pixels.resize(content, Image.Resampling.BICUBIC), at)
    return {"file": path.name, "letterboxed": letterboxed, "squashed": squashed, "original": [width, height],
            "decoded": list(pixels.size), "upright": digest(pixels), "letterbox": digest(canvas),
            "squash": digest(pixels.resize(squashed, Image.Resampling.BICUBIC))}


def main():
    paths = sorted((REFERENCE / "pillow_resize").glob("*.jpg"))
    rows = [row(path, *inputs) for path in paths for inputs in INPUTS]
    text = ",\n".join(" " + json.dumps(of) for of in rows)
    (REFERENCE / "reduced_jpegs.json").write_text(f"[\n{text}\n]\n")
    reductions = [-(-of["original"][0] // of["decoded"][0]) for of in rows]
    print({by: reductions.count(by) for by in sorted(set(reductions))})


if __name__ == "__main__":
    main()
