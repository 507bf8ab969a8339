#!/usr/bin/env python3
"""Small pictures in the ways of packing that this program reads and does not write: seeds of scripts/fuzz.

    python tests/fuzz/seeds/make.py            # writes the files beside it; Pillow alone is needed
"""
from pathlib import Path
from struct import pack

from PIL import Image

FOLDER = Path(__file__).resolve().parent


def picture(mode, size=(23, 17)):
    image = Image.new("RGBA", size)
    image.putdata([(x * 9 % 256, y * 13 % 256, (x * y) % 256, 255 - x * 5) for y in range(size[1]) for x in range(size[0])])
    return image.convert(mode)


def run_length_bmp():
    """Eight columns and two rows of a palette of four colours, packed by runs, with a jump and both ends."""
    data = bytes([8, 1, 0, 0, 2, 2, 0, 4, 1, 2, 3, 0, 0, 2, 1, 0, 1, 3, 0, 1])
    palette = b"".join(bytes([n * 60, 255 - n * 60, n, 0]) for n in range(4))
    offset = 14 + 40 + len(palette)
    header = pack("<IiiHHIIiiII", 40, 8, 2, 1, 8, 1, len(data), 2835, 2835, 4, 4)
    return b"BM" + pack("<IHHI", offset + len(data), 0, 0, offset) + header + palette + data


def main():
    (FOLDER / "run_length.bmp").write_bytes(run_length_bmp())
    picture("P").save(FOLDER / "palette.bmp")
    picture("1").save(FOLDER / "bits.bmp")
    picture("RGB").save(FOLDER / "lossy.webp", quality=40)
    picture("RGBA").save(FOLDER / "lossy_alpha.webp", quality=40)
    picture("RGBA").save(FOLDER / "lossless.webp", lossless=True)
    frames = [picture("RGB"), picture("RGB").rotate(90, expand=False)]
    frames[0].save(FOLDER / "animated.webp", save_all=True, append_images=frames[1:], duration=40)
    for name, mode, compression in [("lzw", "RGB", "tiff_lzw"), ("packbits", "L", "packbits"), ("deflate", "RGBA", "tiff_deflate"),
                                    ("jpeg", "RGB", "jpeg"), ("fax", "1", "group4"), ("cmyk", "CMYK", "raw"),
                                    ("palette", "P", "raw")]:
        picture(mode).save(FOLDER / f"{name}.tif", compression=compression)
    transparent = picture("P")
    transparent.info["transparency"] = 3
    transparent.save(FOLDER / "palette.png")
    picture("1").save(FOLDER / "bits.png")
    picture("RGBA").save(FOLDER / "rgba.png", dpi=(300, 300))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("RGB").save(FOLDER / "exif.png", exif=exif)


if __name__ == "__main__":
    main()
