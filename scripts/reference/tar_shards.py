#!/usr/bin/env python3
"""Small tars of every kind, and where Python's tarfile finds what in them.

Usage: tar_shards.py OUT_FOLDER          (committed: tests/reference/tars)

  ustar.tar gnu.tar pax.tar   three pictures each, written by tarfile in that format: a plain name, one of 200 letters in
                              folders (a GNU long name, a pax path, ustar's prefix), one that is not ASCII (not in
                              ustar); a text, a folder
  sparse_gnu.tar sparse_pax.tar   a picture followed by a file with a hole, named like a picture, written by GNU tar with
                              --sparse, in its own format and in pax 1.0
  index.json                  {tar: [[name, offset, size, SHA-256], ...]} of the members with a picture's extension, by
                              tarfile; of the sparse tars only the plain one

The pictures are PNGs of 5 x 4 pixels and fewer, written by Pillow.

Made with Python 3.11, Pillow 12.3.0, GNU tar 1.34.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from PIL import Image

LONG = "/".join(["folder" * 7] * 3) + "/" + "x" * 70 + ".png"
NAMES = {"ustar": ["a.png", LONG], "gnu": ["a.png", LONG, "é/ü.PNG"], "pax": ["a.png", LONG, "é/ü.PNG"]}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def picture(number):
    image = Image.new("RGB", (5 - number, 4))
    image.putdata([(40 * number, 11 * i, 255 - 9 * i) for i in range((5 - number) * 4)])
    bytes_ = io.BytesIO()
    image.save(bytes_, "PNG")
    return bytes_.getvalue()


def add(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def indexed(path):
    with tarfile.open(path) as tar:
        members = [m for m in tar if m.isreg() and m.name.lower().endswith(".png") and not m.issparse()]
        return [[m.name, m.offset_data, m.size, hashlib.sha256(tar.extractfile(m).read()).hexdigest()] for m in members]


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for kind, names in NAMES.items():
        with tarfile.open(out / f"{kind}.tar", "w", format=FORMATS[kind]) as tar:
            folder = tarfile.TarInfo("b.png")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            for number, name in enumerate(names):
                add(tar, name, picture(number))
                add(tar, f"{name[:-4]}.json", b"{}")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.png").write_bytes(picture(0))
        with open(Path(folder) / "hole.png", "wb") as hole:
            hole.write(picture(1))
            hole.truncate(1 << 20)
        for kind, format_ in [("gnu", "gnu"), ("pax", "posix")]:
            command = ["tar", "--create", "--sparse", f"--format={format_}", "--owner=0", "--group=0", "--mtime=@0",
                       f"--file={os.path.abspath(out / f'sparse_{kind}.tar')}", "a.png", "hole.png"]
            subprocess.run(command, cwd=folder, check=True)
    tars = sorted(out.glob("*.tar"))
    index = {tar.name: indexed(tar) for tar in tars}
    (out / "index.json").write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
