"""What the scripts about Darknet networks share: reading a cfg, letterboxing a picture for it."""

import numpy as np
from PIL import Image


def parse_cfg(text):
    """The sections of a cfg in order: a list of (name, {option: text})."""
    sections = []
    for line in text.splitlines():
        line = line.split("#")[0].split(";")[0].strip()
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line:
            key, value = line.split("=", 1)
            sections[-1][1][key.strip()] = value.strip()
    return sections


def integers(text):
    return [int(part) for part in text.split(",")]


def letterbox_geometry(width, height, input_width, input_height):
    """(scale, resized width, resized height, pad left, pad top)."""
    scale = min(input_width / width, input_height / height)
    resized = int(scale * width), int(scale * height)
    return scale, *resized, int((input_width - resized[0]) / 2), int((input_height - resized[1]) / 2)


def letterbox_input(path, cfg):
    """(input [1,3,H,W] f32 in 0..1, (original width, original height, geometry)) of a picture for a cfg."""
    options = parse_cfg(cfg)[0][1]
    input_width, input_height = int(options["width"]), int(options["height"])
    picture = Image.open(path).convert("RGB")
    geometry = letterbox_geometry(*picture.size, input_width, input_height)
    _, width, height, left, top = geometry
    canvas = Image.new("RGB", (input_width, input_height))
    canvas.paste(picture.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    x = np.ascontiguousarray(np.asarray(canvas).transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)
    return x, (*picture.size, geometry)
