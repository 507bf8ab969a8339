#!/usr/bin/env python3
"""Writes small maps in every format that --maps reads, by the libraries that people write them with.

Usage: external_maps.py OUT

OUT/<name>.npy by numpy (types, byte orders, both orders of the axes, versions 1.0 to 3.0 of the format), .png by
Pillow (grey, 8 and 16 bits), .safetensors by safetensors; and OUT/values.json: for each file its values, row by row,
as f32. Every map has 3 rows and 4 columns. OUT/resized.json: a map of 7 rows and 9 columns, scaled to 0 to 1 (less its
minimum, by its range + 1e-7), and the same resized by Pillow's bilinear filter to other sizes.

Needs numpy, Pillow, safetensors.
"""

import json
import sys
from pathlib import Path

import numpy
from numpy.lib import format as npy
from PIL import Image
from safetensors.numpy import save_file

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
ramp = numpy.arange(12).reshape(3, 4)
signed, positive = ramp * 1.25 - 3.5, ramp * 7 + 1
arrays = {}
for kind in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    values = positive if kind[0] == "u" else numpy.round(signed) if kind[0] == "i" else signed
    for order, name in [("<", "little"), (">", "big")]:
        if kind[1] == "1" and order == ">":
            continue
        arrays[f"{kind}_{name}"] = values.astype(f"{order}{kind}")
arrays["bool"] = ramp % 3 == 0
arrays["columns_f4"] = numpy.asfortranarray(signed.astype("<f4"))
arrays["columns_big_f8"] = numpy.asfortranarray(signed.astype(">f8"))

values = {}
for name, array in arrays.items():
    numpy.save(out / f"{name}.npy", array)
    values[f"{name}.npy"] = array
for version in [(2, 0), (3, 0)]:
    name = f"version_{version[0]}.npy"
    with open(out / name, "wb") as file:
        npy.write_array(file, signed.astype("<f4"), version=version)
    values[name] = signed
values["grey_8.png"] = positive.astype("u1")
Image.fromarray(values["grey_8.png"]).save(out / "grey_8.png")
values["grey_16.png"] = (positive * 700).astype("u2")
Image.fromarray(values["grey_16.png"]).save(out / "grey_16.png")
values["one.safetensors"] = signed.astype("f4")
save_file({"anything": values["one.safetensors"]}, out / "one.safetensors")
values["named.safetensors"] = signed.astype("f8")
save_file({"map": values["named.safetensors"], "other": positive}, out / "named.safetensors")
rows = {name: array.astype("f4").reshape(-1).tolist() for name, array in values.items()}
(out / "values.json").write_text(json.dumps(rows, indent=0, sort_keys=True) + "\n")

random = numpy.random.default_rng(3)
raw = random.gamma(0.5, 2.0, (7, 9)).astype("f4")
scaled = (raw - raw.min()) / (raw.max() - raw.min() + numpy.float32(1e-7))
sizes = [(9, 7), (20, 15), (4, 3), (5, 16), (13, 2)]
pictures = {size: Image.fromarray(scaled).resize(size, Image.BILINEAR) for size in sizes}
resized = {f"{size[0]}x{size[1]}": numpy.asarray(picture).reshape(-1).tolist() for size, picture in pictures.items()}
text = json.dumps({"columns": 9, "rows": 7, "map": raw.reshape(-1).tolist(), "resized": resized}, indent=0)
(out / "resized.json").write_text(text + "\n")
