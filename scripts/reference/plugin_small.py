#!/usr/bin/env python3
"""Small plug-in networks, good and bad, and what pytorch-grad-cam computes for the good ones.

Usage: plugin_small.py OUT_FOLDER --pictures FOLDER
       (committed: tests/reference/plugins, with the pictures of tests/reference/emonet)

Good networks, by scripts/export_model.py, which checks them; seeded random weights, BatchNorm statistics and last
layers set on the pictures so that these get different labels and the predicted logit is positive:
  cnn8.pt      convolutions with BatchNorm and stride, a residual sum, global average pooling; A = `stage`, nchw;
               8 labels, valence and arousal; input 96 x 160 (rows x columns), center-crop 0.875, bilinear, bgr
  tokens.pt    class token and two blocks of 4-head attention, width 32; A = `blocks.0`, tokens with prefix 1, grid
               6 x 8; 5 labels; input 48 x 64, squash, bicubic
  context.pt   A = `mix`, nhwc, with two by-passes: a map added behind the cut and a vector that gates it; 6 labels;
               input 72 x 56, letterbox, bilinear
  scalar.pt    one output "valence", thresholds -0.25 and 0.25; A = `features`, nchw; input 64 x 40, squash, scale 127.5
  many.pt      1,000 labels, very narrow; input 32 x 48

Bad networks and what is wrong; "few" is many.pt with 3 labels, "small tokens" tokens.pt with width 8:
  blind.pt         few whose head() ignores A: the logits have a gradient, but none with respect to A
  blind_frozen.pt  the same with frozen parameters: the logits have no gradient at all
  last_block.pt    small tokens cut behind the last block: the gradient is exactly zero on the grid
  fastpath.pt      small tokens traced with frozen parameters under no_grad and the attention fast path: no way back
  liar.pt          cnn8.pt's network with a card of 7 labels; it has 8 outputs
  shape.pt         small tokens whose card says grid 6 x 9
  batch.pt         few whose head() reshapes to the 2 pictures with which it was traced: two rows for any batch
  nocard.pt        few without emocam.json
  nomethod.pt      few with forward() alone
  truncated.pt     the first 60 % of scalar.pt
  hungry.pt        not bad, but features() says that memory has run out when more than 2 pictures come at a time and one
                   of them is almost white
  sated.pt         the same network and never hungry
The reference answers in the bad ones' cards are right.

cnn8, tokens, context, scalar .safetensors, f32; P = 3 pictures, those of PICTURES in this order; (R, C) the input,
(r, c) the grid, K channels:
  input [1,3,R,C]       the first picture, prepared with Pillow as export_model.py's `prepare` does
  a [P,K,r,c]           A on the grid
  logits [P,outputs]    of the eager model
  target [P] i64        the output that the maps explain: that with the largest logit
  METHOD_raw [P,r,c]    for grad_cam, grad_cam_plus_plus, xgrad_cam, layer_cam, ablation_cam: before the ReLU
  METHOD_map [P,ceil(R/4),ceil(C/4)]      finished map (R, C) at rows and columns 0, 4, 8, ...
plugin_maps.py says how the maps are made. All scores are logits (for scalar the output); where it is not positive,
Ablation-CAM's weights, and so its map, are defined as 0 (scalar: the picture with the smallest output).

Printed as JSON: the exporter's differences, the labels, and the largest difference of each method's raw maps, as a
share of the largest value, between pytorch-grad-cam on the eager model and the definitions on the exported file.

Made with Python 3.11, torch 2.11.0 (CPU), grad-cam 1.5.5, Pillow 13.0.0, opencv-python-headless 5.0.0, numpy 2.4.6.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import export_model
from export_model import export, prepare, trace
from plugin_maps import by_definition, by_library, to_grid

PICTURES = ("picture_3.png", "picture_6.png", "picture_1.png")
STEP = 4
BAD = ("blind", "blind_frozen", "last_block", "fastpath", "liar", "shape", "batch", "nocard", "nomethod", "truncated")


class Cnn8(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 5, 4, 2, bias=False), nn.BatchNorm2d(12), nn.ReLU(True))
        self.stage = Residual(12, 20)
        self.last = nn.Conv2d(20, 24, 3, padding=1)
        self.classifier = nn.Linear(24, 8)

    def pooled(self, x):
        return nn.functional.relu(self.last(self.stage(self.stem(x))), inplace=True).mean((2, 3))

    def forward(self, x):
        return self.classifier(self.pooled(x))


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.norm_1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs)
        self.second, self.norm_2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, x):
        out = self.norm_2(self.second(torch.relu(self.norm_1(self.first(x)))))
        out += self.short(x)
        return torch.relu(out)


class Tokens(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.5 * torch.randn(1, 49, width))
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(width, 4, 2 * width, 0.1, "gelu", batch_first=True,
                                                                 norm_first=True) for _ in range(2)))
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, 5)
        for block in self.blocks:  # its own initialisation hardly mixes tokens
            nn.init.normal_(block.self_attn.in_proj_weight, std=0.35)
            nn.init.normal_(block.self_attn.out_proj.weight, std=0.35)

    def pooled(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.norm(self.blocks(x))[:, 0]

    def forward(self, x):
        return self.classifier(self.pooled(x))


class Mix(nn.Module):
    """(N, C, rows, columns) to (N, rows, columns, K)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(inputs), nn.Linear(inputs, outputs)

    def forward(self, x):
        return nn.functional.gelu(self.linear(self.norm(x.permute(0, 2, 3, 1))))


class Context(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 10, 8, stride=8), nn.GELU())
        self.gate, self.skip, self.mix = nn.Linear(10, 14), nn.Conv2d(10, 14, 1), Mix(10, 14)
        self.last, self.classifier = nn.Conv2d(14, 16, 3), nn.Linear(16, 6)

    def pooled(self, x):
        x = self.stem(x)
        gate, skip = torch.sigmoid(self.gate(x.mean((2, 3)))), self.skip(x)
        mixed = self.mix(x).permute(0, 3, 1, 2)
        return torch.relu(self.last(gate[:, :, None, None] * mixed + skip)).mean((2, 3))

    def forward(self, x):
        return self.classifier(self.pooled(x))


class Narrow(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, channels, 5, 4, 2), nn.ReLU(),
                                      nn.Conv2d(channels, channels, 3, 2, 1), nn.ELU())
        self.classifier = nn.Linear(channels, outputs)

    def pooled(self, x):
        return self.features(x).mean((2, 3))

    def forward(self, x):
        return self.classifier(self.pooled(x))


def alive(model, x, deviation):
    """Statistics of BatchNorm met on x; the last layer such that each output has mean 0 and this deviation over x."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        nn.init.uniform_(norm.weight, 0.6, 1.4)
        nn.init.normal_(norm.bias, std=0.3)
    with torch.no_grad():
        if norms:
            model.train()(x)
        features = model.eval().pooled(x)
        nn.init.normal_(model.classifier.weight)
        outputs = features @ model.classifier.weight.T
        scale = deviation / outputs.std(0)
        model.classifier.weight *= scale[:, None]
        model.classifier.bias.copy_(-outputs.mean(0) * scale)
    return model


def written(path, traced, card):
    """A bad network, past every check."""
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={"emocam.json": json.dumps(card)} if card else {})
    path.write_bytes(export_model.stripped(buffer.getvalue()))


class Pair(nn.Module):
    """features and head of a network that says itself where it is cut."""

    def __init__(self, network, blind=False, batch=None):
        super().__init__()
        self.network, self.blind, self.batch = network, blind, batch

    def features(self, x):
        a = self.network.features(x)
        return (a, a.mean((2, 3))) if self.blind else a

    def head(self, a, *context):
        pooled = context[0] if self.blind else a.reshape(self.batch, a.shape[1], -1).mean(2)
        return self.network.classifier(pooled)

    def forward(self, x):
        parts = self.features(x)
        return self.head(*parts) if self.blind else self.head(parts)

    def traced(self):
        x = torch.randn(2, 3, 32, 48)
        with torch.no_grad():
            parts = self.features(x)
        return torch.jit.trace_module(self, {"forward": x, "features": x, "head": parts}, check_trace=False)


class Hungry(nn.Module):
    """A network that does not take many pictures at a time when one of them is almost white."""

    def __init__(self, network, hungry: bool):
        super().__init__()
        self.layers, self.classifier, self.hungry = network.features, network.classifier, hungry

    @torch.jit.export
    def features(self, x):
        if self.hungry and x.size(0) > 2 and float(x.mean([1, 2, 3]).max()) > 1.5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.layers(x)

    @torch.jit.export
    def head(self, a):
        return self.classifier(a.mean([2, 3]))

    def forward(self, x):
        return self.head(self.features(x))


class FastPath(nn.Module):
    """tokens.pt, traced carelessly."""

    def __init__(self, network):
        super().__init__()
        self.network = network.requires_grad_(False)

    def features(self, x):
        network = self.network
        x = network.patches(x).flatten(2).transpose(1, 2)
        return network.blocks[0](torch.cat([network.class_token.expand(x.shape[0], -1, -1), x], 1) + network.positions)

    def head(self, a):
        return self.network.classifier(self.network.norm(self.network.blocks[1](a))[:, 0])

    def forward(self, x):
        return self.head(self.features(x))


def networks(pictures):
    """(name, model, options of export) of the good ones."""
    mikels = ["amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"]
    cnn8 = dict(layer="stage", labels=mikels, input=(96, 160), resize="center-crop", crop=0.875, filter="bilinear",
                mean=(0.41, 0.45, 0.48), std=(0.28, 0.23, 0.21), channels="bgr",
                valence={"bias": 0.5, "weights": [1.5, 1.0, 1.25, 2.0, -1.5, -2.0, -1.0, -1.75]},
                arousal={"bias": 3.0, "weights": [0.5, 0.25, -1.0, 1.5, 1.25, 0.75, 1.75, -0.5]})
    tokens = dict(layer="blocks.0", labels=["calm", "joy", "anger", "fear", "sorrow"], input=(48, 64), filter="bicubic")
    context = dict(layer="mix", labels=["anger", "disgust", "fear", "joy", "sadness", "surprise"], input=(72, 56),
                   resize="letterbox", mean=(0.5, 0.5, 0.5), std=(0.25, 0.3, 0.35))
    scalar = dict(layer="features", output="valence", thresholds=(-0.25, 0.25), input=(64, 40), scale=127.5,
                  mean=(1, 1, 1), std=(1, 1, 1))
    many = dict(layer="features", labels=[f"label {number:03}" for number in range(1000)], input=(32, 48))
    for name, seed, make, options, deviation in [
            ("cnn8", 81, Cnn8, cnn8, 1.5), ("tokens", 82, Tokens, tokens, 1.5), ("context", 83, Context, context, 1.5),
            ("scalar", 1981, lambda: Narrow(10, 1), scalar, 0.5), ("many", 85, lambda: Narrow(6, 1000), many, 2.0)]:
        torch.manual_seed(seed)
        rows, columns = options["input"]
        card = {"input": (rows, columns), "resize": "squash", "crop": 1.0, "filter": "bilinear", "scale": 255,
                "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "channels": "rgb"} | options
        x = torch.cat([prepare(picture, card) for picture in pictures])
        yield name, alive(make(), x, deviation), options


def reference(model, path, card, pictures):
    """The tensors of NAME.safetensors, and figures to print."""
    network, rows = torch.jit.load(str(path)), []
    worst = {}
    for picture in pictures:
        x = prepare(picture, card)
        logits = model(x).detach()[0]
        target = int(logits.argmax())
        maps = by_library(model, card["layer"], x, target, card)
        defined, traced, a = by_definition(network, x, target, card)
        assert torch.allclose(traced[0], logits, atol=1e-5)
        row = {"a": a.numpy(), "logits": logits.numpy(), "target": np.int64(target)}
        for method, (raw, done) in maps.items():
            difference = np.abs(raw - defined[method]).max() / max(np.abs(raw).max(), 1e-30)
            worst[method] = max(worst.get(method, 0.0), float(difference))
            key = method.replace("++", "_plus_plus").replace("-", "_")
            row |= {f"{key}_raw": raw, f"{key}_map": done[::STEP, ::STEP].astype(np.float32)}
        rows.append(row)
    tensors = {name: np.ascontiguousarray(np.stack([row[name] for row in rows])) for name in rows[0]}
    return tensors | {"input": prepare(pictures[0], card).numpy()}, worst


def bad(folder, cnn8, card_cnn8):
    """Writes the networks that must be refused."""
    torch.manual_seed(86)
    few, small = Narrow(6, 3).eval(), Tokens(8).eval()
    options = {"labels": ["low", "middle", "high"], "input": (32, 48), "name": "plugin_small few"}
    card, _ = export(few, "features", folder / "nocard.pt", **options)
    options = {"labels": ["calm", "joy", "anger", "fear", "sorrow"], "input": (48, 64), "name": "plugin_small tokens"}
    tokens, _ = export(small, "blocks.0", folder / "shape.pt", **options)

    def sample(batch):
        return torch.randn(batch, 3, *tokens["input"])

    written(folder / "nocard.pt", torch.jit.load(str(folder / "nocard.pt")), None)
    written(folder / "shape.pt", torch.jit.load(str(folder / "shape.pt")), tokens | {"grid": [6, 9]})
    written(folder / "last_block.pt", trace(small, "blocks.1", sample), tokens | {"layer": "blocks.1"})
    written(folder / "blind.pt", Pair(few, blind=True).traced(), card)
    written(folder / "batch.pt", Pair(few, batch=2).traced(), card)
    alone = torch.jit.trace_module(few, {"forward": torch.randn(2, 3, 32, 48)}, check_trace=False)
    written(folder / "nomethod.pt", alone, card)
    few.requires_grad_(False)
    written(folder / "blind_frozen.pt", Pair(few, blind=True).traced(), card)
    network, x = FastPath(small).eval(), sample(2)
    with torch.no_grad():
        methods = {"forward": x, "features": x, "head": network.features(x)}
        traced = torch.jit.trace_module(network, methods, check_trace=False)
    written(folder / "fastpath.pt", traced, tokens)
    written(folder / "liar.pt", torch.jit.load(str(cnn8)), card_cnn8 | {"labels": card_cnn8["labels"][:7]})
    whole = (folder / "scalar.pt").read_bytes()
    (folder / "truncated.pt").write_bytes(whole[:len(whole) * 6 // 10])
    for name, hungry in ("hungry", True), ("sated", False):
        written(folder / f"{name}.pt", torch.jit.script(Hungry(few, hungry).eval()), card)


def behaviour(path):
    """What torch says to a bad file, with batches of 2 and 3: the way a checker meets it."""
    extra, said = {"emocam.json": ""}, []
    try:
        network = torch.jit.load(str(path), _extra_files=extra)
        card = json.loads(extra["emocam.json"] or '{"input": [32, 48], "layout": "nchw"}')
        for batch in (2, 3):
            parts = network.features(torch.ones(batch, 3, *card["input"]))
            a, *context = parts if isinstance(parts, tuple) else (parts,)
            a = a.detach().requires_grad_()
            logits = network.head(a, *context)
            said.append(f"A {tuple(a.shape)}, logits {tuple(logits.shape)}, card {len(card.get('labels', []))} labels")
            if not logits.requires_grad:
                said.append("logits without gradient")
                continue
            [gradient] = torch.autograd.grad(logits.max(1).values.sum(), a, allow_unused=True)
            grid = None if gradient is None else gradient[:, card.get("prefix", 0):] if a.dim() == 3 else gradient
            said.append("gradient " + ("undefined" if grid is None else "alive" if grid.any() else "zero on the grid"))
    except (RuntimeError, AttributeError) as error:
        said.append(export_model._line(error)[:160])
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cards = {}
    for name, model, options in networks(sorted(arguments.pictures.glob("picture_*.png"))):
        path, layer = arguments.out / f"{name}.pt", options.pop("layer")
        card, differences = export(model, layer, path, name=f"plugin_small {name}", **options)
        cards[name] = card
        report = {"network": name, "differences": differences}
        if name != "many":
            pictures = [arguments.pictures / picture for picture in PICTURES]
            tensors, worst = reference(model, path, card, pictures)
            save_file(tensors, path.with_suffix(".safetensors"))
            report |= {"raw maps": worst, "target": tensors["target"].tolist()}
            report |= {"logit": tensors["logits"].max(1).tolist()}
        print(json.dumps(report))
    bad(arguments.out, arguments.out / "cnn8.pt", cards["cnn8"])
    for name in BAD:
        print(json.dumps({"bad": name, "torch says": behaviour(arguments.out / f"{name}.pt")}))


if __name__ == "__main__":
    main()
