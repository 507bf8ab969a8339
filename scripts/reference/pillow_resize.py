#!/usr/bin/env python3
"""Reference digests of Pillow's resampling, letterboxing and JPEG decoding, with the small images they are made from.

Usage: pillow_resize.py OUT_FOLDER          (committed: tests/reference/pillow_resize)

Made with Python 3.11.7, Pillow 12.3.0 (libjpeg-turbo 3.1.4.1), numpy 2.2.6, opencv-python-headless 4.10.0 (only to write
JPEGs with samplings that Pillow cannot write). Pillow 10.4, 11.3 and 12.0 resize alike. Pillow 13 does not: where it
reduces the height much more than the width it takes the columns first (its pull request 9549), which differs by up to
26 levels in 37x211 -> 310x173. The published pipeline is older than that, so this script refuses Pillow 13. Digests are SHA-256 of the
RGB bytes, row by row. The letterbox is Lightnet's: sides truncated with int(), padding int((canvas - side) / 2) on
the left and top; its grey is int(0.5 * 255) = 127.
"""

import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image, ImageOps, features

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SHAPES = [
    (1, 97), (113, 1), (2, 3), (37, 211), (227, 140), (640, 31),
    (31, 700), (300, 227), (608, 333), (701, 608), (853, 480), (733, 619),
]


def picture(width, height, seed):
    """Gradients, blocks of strokes like text, and a patch of noise; few distinct values, so that PNG stays small."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    red = (x * 255 // max(width - 1, 1)) // 16 * 16
    green = (y * 255 // max(height - 1, 1)) // 16 * 16
    blue = ((x // 23 + y // 17) % 5) * 60
    image = np.stack([red, green, blue], axis=2).astype(np.uint8)
    strokes = ((x * 7 + seed) // 5 % 3 == 0) & (y // 3 % 4 != 0) & (y > height // 2) & (x < width * 2 // 3)
    image[strokes] = (250, 245, 5)
    side_x, side_y = max(1, min(width // 3, 60)), max(1, min(height // 3, 50))
    left, top = width - side_x, height // 4
    noise = rng.integers(0, 2, (side_y, side_x, 3)).astype(np.uint8) * 255
    image[top : top + side_y, left:] = noise[: height - top]
    return Image.fromarray(image)


def digest(image):
    assert image.mode == "RGB"
    return hashlib.sha256(image.tobytes()).hexdigest()


def letterbox(image, canvas, resampling, fill):
    width, height = image.size
    scale = canvas[0] / width if width / canvas[0] >= height / canvas[1] else canvas[1] / height
    if scale != 1:
        image = image.resize((max(int(scale * width), 1), max(int(scale * height), 1)), resampling)
    out = Image.new("RGB", canvas, (fill, fill, fill))
    out.paste(image, (int((canvas[0] - image.width) / 2), int((canvas[1] - image.height) / 2)))
    return out, image.size


def resized(folder):
    rows = []
    for seed, (width, height) in enumerate(SHAPES):
        name = f"{width}x{height}.png"
        image = picture(width, height, seed)
        image.save(folder / name, optimize=True)
        row = {"file": name, "width": width, "height": height, "sha256": digest(image)}
        for filter_name, resampling in FILTERS.items():
            row[f"{filter_name} 227x227"] = digest(image.resize((227, 227), resampling))
            row[f"{filter_name} 310x173"] = digest(image.resize((310, 173), resampling))
            for fill in (0, 127):
                boxed, content = letterbox(image, (608, 608), resampling, fill)
                row[f"{filter_name} letterbox 608x608 fill {fill}"] = digest(boxed)
                row["content"] = list(content)
        rows.append(row)
    return rows


def jpegs(folder):
    base = picture(61, 43, 7)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {
        "420.jpg": dict(subsampling="4:2:0", quality=80),
        "422.jpg": dict(subsampling="4:2:2", quality=80),
        "444.jpg": dict(subsampling="4:4:4", quality=95),
        "progressive.jpg": dict(subsampling="4:2:0", quality=70, progressive=True),
        "restart.jpg": dict(subsampling="4:2:0", quality=70, restart_marker_blocks=3),
        "oriented.jpg": dict(subsampling="4:2:0", quality=85, exif=exif),
    }
    for name, how in options.items():
        base.save(folder / name, **how)
    base.convert("L").save(folder / "grey.jpg", quality=85)
    picture(8, 1, 3).save(folder / "8x1.jpg", quality=85)
    picture(17, 33, 4).save(folder / "17x33.jpg", quality=40)
    for name, sampling in (("440.jpg", 0x121111), ("411.jpg", 0x411111)):
        bgr = np.asarray(base)[:, :, ::-1]
        cv2.imwrite(str(folder / name), bgr, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
    cmyk = Image.merge("CMYK", [*base.split(), base.convert("L").transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    cmyk.save(folder / "cmyk.jpg", quality=90)
    # The same coefficients declared as YCCK: the transform byte that ends the Adobe segment.
    data = bytearray((folder / "cmyk.jpg").read_bytes())
    adobe = data.index(b"Adobe")
    data[adobe + 11] = 2
    (folder / "ycck.jpg").write_bytes(data)
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        picture(11, 6, orientation).save(folder / f"orientation_{orientation}.jpg", quality=60, exif=exif)

    rows = []
    for path in sorted(folder.glob("*.jpg")):
        image = Image.open(path)
        upright = ImageOps.exif_transpose(image).convert("RGB")
        rows.append({
            "file": path.name,
            "ignoring exif": digest(image.convert("RGB")),
            "upright": digest(upright),
            "width": upright.width,
            "height": upright.height,
        })
    return rows


def main():
    if int(PIL.__version__.split(".")[0]) not in (10, 11, 12):
        sys.exit(f"Pillow {PIL.__version__}: versions 10 to 12 are the reference")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "versions": {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo"), "numpy": np.__version__},
        "resized": resized(folder),
        "jpeg": jpegs(folder),
    }
    (folder / "digests.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
