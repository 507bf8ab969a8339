"""Tiny checkpoints by torch.save, and what they hold, for the tests of src/nn/weights.

    python scripts/reference/torch_checkpoints.py            writes tests/reference/checkpoints/
    python scripts/reference/torch_checkpoints.py --check F  loads F (written by emocam) and prints what it holds

Made with Python 3.11, torch 2.11.0, numpy 2.2 and safetensors 0.8; any versions close to these will do.
`expected.json`: file -> tensor -> {"shape": [...], "values": [...]} as float32, row-major; float tensors only.
Files named bad_* must be refused.
"""

import collections
import json
import os
import pathlib
import struct
import sys
import zipfile

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "reference" / "checkpoints"


def small():
    """Never square, no symmetric values."""
    generator = torch.Generator().manual_seed(7)
    weight = torch.randn((4, 3, 2, 5), generator=generator)
    bias = torch.randn((4,), generator=generator)
    return collections.OrderedDict([("conv1.weight", weight), ("conv1.bias", bias)])


def variants():
    plain = small()
    yield "ordered_dict.pth", plain, plain, {}
    yield "dict.pt", dict(plain), plain, {}
    yield "legacy.pth", plain, plain, {"_use_new_zipfile_serialization": False}
    for name in ("bfloat16", "float16", "float64"):
        cast = collections.OrderedDict((key, value.to(getattr(torch, name))) for key, value in plain.items())
        yield f"{name}.pth", cast, cast, {}
    views = collections.OrderedDict()
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    views["transposed"] = base.t()
    views["permuted"] = torch.arange(30, dtype=torch.float32).reshape(2, 3, 5).permute(2, 0, 1)
    views["strided"] = (base + 100)[1:, ::2]
    views["offset"] = (torch.arange(10, dtype=torch.float32) - 5)[3:7]
    views["scalar"] = torch.tensor(2.5)
    yield "views.pth", views, views, {}
    yield "views_legacy.pth", views, views, {"_use_new_zipfile_serialization": False}
    parallel = collections.OrderedDict((f"module.{key}", value) for key, value in plain.items())
    nested = {"epoch": 3, "state_dict": parallel, "optimizer": {"lr": 0.1, "momentum": torch.ones(2)}}
    yield "nested_parallel.pth", nested, plain, {}
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, (2, 5)), torch.nn.BatchNorm2d(4))
    with torch.no_grad():
        network[0].weight.copy_(plain["conv1.weight"])
        network[0].bias.copy_(plain["conv1.bias"])
    held = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    yield "batch_norm.pth", network.state_dict(), held, {}
    parameters = {key: torch.nn.Parameter(value) for key, value in plain.items()}
    yield "parameters.pth", parameters, plain, {}


def described(tensors):
    return {
        key: {"shape": list(value.shape), "values": value.detach().float().contiguous().flatten().tolist()}
        for key, value in tensors.items()
    }


class Malicious:
    def __reduce__(self):
        return os.system, ("touch emocam_was_here",)


def rewrite(source, change, target, compression=zipfile.ZIP_STORED):
    """Copies a checkpoint, `change(name, bytes)` applied to every entry."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", compression) as out:
        for info in archive.infolist():
            entry = zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = compression
            out.writestr(entry, change(info.filename, archive.read(info)))


def write_bad():
    torch.save({"conv1.weight": torch.ones(2, 3), "zzz": Malicious()}, FOLDER / "bad_malicious.pth")
    torch.save({"w": torch.ones(2, 3), "zzz": Malicious()}, FOLDER / "bad_malicious_legacy.pth",
               _use_new_zipfile_serialization=False)
    torch.save({"w": torch.ones(1, 3).expand(1000, 3)}, FOLDER / "bad_expanded.pth")
    torch.save(torch.nn.Linear(3, 2), FOLDER / "bad_whole_module.pth")
    torch.save({"counts": torch.arange(6).reshape(2, 3)}, FOLDER / "bad_only_integers.pth")
    whole = (FOLDER / "ordered_dict.pth").read_bytes()
    (FOLDER / "bad_truncated.pth").write_bytes(whole[: len(whole) * 2 // 3])
    legacy = (FOLDER / "legacy.pth").read_bytes()
    (FOLDER / "bad_truncated_legacy.pth").write_bytes(legacy[:-40])

    # The shape (4, 3, 2, 5) as BININT1s becomes (4, 3, 2, 200): more than the storage holds.
    def lie(name, data):
        shape = b"(K\x04K\x03K\x02K\x05t"
        assert not name.endswith("data.pkl") or data.count(shape) == 1
        return data.replace(shape, b"(K\x04K\x03K\x02K\xc8t")

    rewrite(FOLDER / "ordered_dict.pth", lie, FOLDER / "bad_shape.pth")
    rewrite(FOLDER / "ordered_dict.pth", lambda _, data: data, FOLDER / "bad_compressed.pth", zipfile.ZIP_DEFLATED)
    # A pickle of a million NONEs in a small file: memory, not disk.
    bomb = b"\x80\x02" + b"N" * (8 << 20) + b"."
    rewrite(FOLDER / "ordered_dict.pth", lambda name, data: bomb if name.endswith("data.pkl") else data,
            FOLDER / "bad_bomb.pth", zipfile.ZIP_DEFLATED)
    flipped = bytearray(whole)
    with zipfile.ZipFile(FOLDER / "ordered_dict.pth") as archive:
        info = next(info for info in archive.infolist() if info.filename.endswith("data/0"))
    name, extra = struct.unpack("<HH", whole[info.header_offset + 26 : info.header_offset + 30])
    flipped[info.header_offset + 30 + name + extra + 5] ^= 0x40
    (FOLDER / "bad_checksum.pth").write_bytes(bytes(flipped))


def write_safetensors():
    tensors = {"f32": small()["conv1.weight"], "f16": small()["conv1.bias"].half(),
               "bf16": small()["conv1.bias"].bfloat16(), "f64": small()["conv1.bias"].double()}
    save_file({**tensors, "counts": torch.arange(3)}, FOLDER / "mixed.safetensors", {"made by": "reference"})
    return tensors


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, saved, held, options in variants():
        torch.save(saved, FOLDER / name, **options)
        expected[name] = described(held)
    expected["mixed.safetensors"] = described(write_safetensors())
    write_bad()
    with open(FOLDER / "expected.json", "w") as out:
        json.dump(expected, out, indent=0, sort_keys=True)
        out.write("\n")


def check(path):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file
        held = load_file(path)
    else:
        held = torch.load(path, weights_only=True)
    json.dump(described(held), sys.stdout)


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["--check"] else main()
