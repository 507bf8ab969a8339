#!/usr/bin/env python3
"""Multi-GAP networks as torchvision, torch.nn and pytorch-grad-cam compute them.

Usage: multi_gap.py OUT_FOLDER --pictures FOLDER
       (committed: tests/reference/multi_gap, with the pictures of tests/reference/emonet)

No weights are committed: both sides make them by a formula. A tensor's numbers are uniform, of mean 0 and a deviation
that goes with what the tensor is (`deviation`), drawn by SplitMix64 from SEED and the tensor's name; scales and
variances have 1 added. Inputs are drawn likewise from a name (`drawn`): of torchvision's networks prepared ones of
deviation 1, of Multi-GAP networks pixels 127.5 + deviation 70, of adjective-noun pairs 0.5 + deviation 0.25. A network
is described by a card in TOML, which is committed too. All numbers are f32; all is computed in f64, so that what
machines and orders of addition make of f32 is no part of the reference. multi_gap_model.py is the network, in the
paper's order: a 1 x 1 convolution of each block, then the mean over all places.

A tensor is summed up as {shape, mean, size: mean absolute value, largest: absolute value, places: of some entries in
the flattened tensor, values: of these}. Files:
  torchvision.json  [{network, width, inputs: [{name, shape, taps: [summary, ...], logits: summary}]}], eval mode; the
                    taps are features.{1,3,6,13,17} of mobilenet_v2 and features.{3,8,15,22,29} of vgg16
  training.json     [{card, pixels, shape, targets, rate, loss, changes: {tensor: {norm, largest, places, values}},
                    logits_after: summary}]: one step of SGD at RATE, without momentum, of the cross-entropy in train
                    mode. Changes are -RATE times the gradient, and what running statistics are more than before;
                    `logits_after` of the same pixels with all that is changed, in eval mode
  gru.json          [{card, rows, means: [channels of each block], features: summary}]: from the means of blocks, which
                    are drawn with deviation 1 as `<card's name> means <block>`
  fusion.json       [{card, pixels, shape, pairs, features: [summary], streams: [summary], fused, fused_without}]; the
                    last without pairs
  truncated.json    the same for single streams of 1, 2, 3 and 4 blocks
  grad_cam.json     {card, pictures, step, logits, maps: [{stream, layer, grid, labels, maps [P][...]}]}: Grad-CAM of
                    the logits of each picture's most probable label, then of its second, for PICTURES, squashed to the
                    input by Pillow; finished as plugin_maps.py says, at rows and columns 0, STEP, ...

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26.0, grad-cam 1.5.5, Pillow 13.0.0, numpy 2.4.6.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from multi_gap_model import MultiGap, drawn, fill, taps_of
from plugin_maps import finished

RATE, STEP, ENTRIES = 0.05, 6, 20
PICTURES = ("picture_3.png", "picture_6.png", "picture_1.png")
COLOURS = "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n"
CAFFE = "scale = 1\nchannels = 'bgr'\nmean = [105.0, 114.0, 116.0]\nstd = [60.0, 61.0, 62.0]\n"
MOBILENET, VGG = "backbone = 'mobilenet_v2'\n", "backbone = 'vgg16'\n"


def rounded(value):
    return float(f"{float(value):.9g}")


def places(count, wanted):
    """`wanted` places in a flattened tensor, without the rhythm of its rows; all where it has no more."""
    return sorted({place * 2654435761 % count for place in range(1, wanted + 1)}) if count > wanted \
        else list(range(count))


def summary(tensor, wanted=ENTRIES):
    flat = tensor.detach().double().flatten()
    chosen = places(len(flat), wanted)
    return {"shape": list(tensor.shape), "mean": rounded(flat.mean()), "size": rounded(flat.abs().mean()),
            "largest": rounded(flat.abs().max()), "places": chosen, "values": [rounded(flat[i]) for i in chosen]}


def card(streams, rest="", head="", sides=(100, 148)):
    """A card's text; `streams` are (name, keys)."""
    listed = "".join(f"[[multi_gap.streams]]\nname = '{name}'\n{keys}" for name, keys in streams)
    return (f"network = 'multi_gap'\nlabels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']\ninput = {list(sides)}\n{head}"
            f"[multi_gap]\n{rest}{listed}")


def prepared(text):
    return fill(MultiGap(text))


def torchvision_networks():
    cases = [("mobilenet_v2", 1.0, [(2, 3, 96, 160), (1, 3, 224, 150), (1, 3, 75, 131)]),
             ("mobilenet_v2", 0.35, [(2, 3, 96, 160), (1, 3, 224, 150), (1, 3, 75, 131)]),
             ("vgg16", 1.0, [(1, 3, 160, 224), (2, 3, 97, 64), (1, 3, 64, 256)])]
    for name, width, shapes in cases:
        options = {"width_mult": width} if name == "mobilenet_v2" else {"init_weights": False}
        network = fill(getattr(torchvision.models, name)(weights=None, **options))
        inputs = []
        for number, shape in enumerate(shapes):
            x = drawn(f"{name} input {number}", shape, 1.0)
            with torch.no_grad():
                taps, logits = taps_of(network.features, name, x, 5), network(x)
            inputs.append({"name": f"{name} input {number}", "shape": shape, "taps": [summary(tap) for tap in taps],
                           "logits": summary(logits, 50)})
        yield {"network": name, "width": width, "inputs": inputs}


def training():
    cases = [("plain mobilenet", MOBILENET + "width = 0.35\n" + COLOURS, (4, 3, 96, 160)),
             ("plain vgg", VGG + "width = 0.125\n" + COLOURS, (4, 3, 64, 80)),
             ("gru mobilenet", MOBILENET + "width = 0.35\ndependency = 'gru_attention'\nunits = 12\n" + CAFFE,
              (4, 3, 80, 128))]
    targets = torch.tensor([1, 5, 0, 3])
    for name, keys, shape in cases:
        text = card([("object", keys)])
        network, pixels = prepared(text).train(), drawn(name, shape, 70.0, 127.5)
        before = {name: tensor.clone() for name, tensor in network.named_buffers()}
        loss = nn.functional.cross_entropy(network(pixels), targets)
        loss.backward()
        found = {name: -RATE * parameter.grad for name, parameter in network.named_parameters()}
        found |= {name: tensor - before[name] for name, tensor in network.named_buffers()
                  if not name.endswith("num_batches_tracked")}
        torch.optim.SGD(network.parameters(), RATE).step()
        changes = {}
        for key, change in found.items():
            change = change.flatten()
            chosen = places(len(change), 2)
            changes[key] = {"norm": rounded(change.norm()), "largest": rounded(change.abs().max()),
                            "places": chosen, "values": [rounded(change[i]) for i in chosen]}
        with torch.no_grad():
            after = network.eval()(pixels)
        yield {"card": text, "pixels": name, "shape": shape, "targets": targets.tolist(), "rate": RATE,
               "loss": rounded(loss.detach()), "changes": changes, "logits_after": summary(after, 32)}


def recurrent():
    for name, keys in [("gru", "dependency = 'gru'\nunits = 20\n"), ("attention", "dependency = 'gru_attention'\n"),
                       ("three", "dependency = 'gru_attention'\nunits = 7\nblocks = 3\n")]:
        text = card([("object", MOBILENET + "width = 0.1\n" + keys)])
        stream = prepared(text).streams["object"]
        means = [drawn(f"{name} means {block}", (3, projection.in_channels, 1, 1), 1.0)
                 for block, projection in enumerate(stream.projections)]
        yield {"card": text, "name": name, "rows": 3, "means": [mean.shape[1] for mean in means],
               "features": summary(stream.features(means), 60)}


def answered(text, name, shape, pairs=0):
    network, pixels = prepared(text), drawn(name, shape, 70.0, 127.5)
    pairs = drawn(f"{name} pairs", (shape[0], pairs), 0.25, 0.5) if pairs else None
    with torch.no_grad():
        features, streams, fused = network.everything(pixels, pairs)
        without = network.everything(pixels, None)[2]
    return {"card": text, "pixels": name, "shape": shape, "pairs": 0 if pairs is None else pairs.shape[1],
            "features": [summary(one) for one in features], "streams": [summary(one, 24) for one in streams],
            "fused": summary(fused, 24), "fused_without": summary(without, 24)}


def fusion():
    object_, places_ = MOBILENET + "width = 0.35\n" + COLOURS, VGG + "width = 0.125\n" + CAFFE
    for kind in ("early", "late"):
        text = card([("object", object_), ("places", places_)], f"fusion = '{kind}'\nanp = 24\n")
        yield answered(text, f"{kind} pixels", (3, 3, 64, 96), 24)
        streams = [("places", places_ + "dependency = 'gru'\nunits = 9\nblocks = 4\n"),
                   ("object", object_ + "dependency = 'gru_attention'\nblocks = 3\n")]
        yield answered(card(streams, f"fusion = '{kind}'\n"), f"{kind} dependent", (2, 3, 80, 72))


def truncated():
    for backbone, width in [(MOBILENET, 0.35), (VGG, 0.125)]:
        for blocks in range(1, 5):
            text = card([("object", f"{backbone}width = {width}\nblocks = {blocks}\n{COLOURS}")])
            yield answered(text, "truncated pixels", (2, 3, 72, 104))


def squashed(path, rows, columns):
    """A picture, across first, then down, as emocam and Pillow before 13 do."""
    picture = Image.open(path).convert("RGB")
    return picture.resize((columns, picture.height), Image.BICUBIC).resize((columns, rows), Image.BICUBIC)


def grad_cam(folder):
    text = card([("object", MOBILENET + COLOURS), ("places", VGG + CAFFE)], "fusion = 'early'\n")
    network, (rows, columns) = prepared(text), (100, 148)
    pixels = np.stack([np.asarray(squashed(folder / name, rows, columns)) for name in PICTURES])
    pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2).double()
    logits, maps = network(pixels).detach(), []
    ranked = logits.argsort(1, descending=True)
    for stream, number in [("object", 17), ("places", 29)]:
        layer, raws = network.streams[stream].backbone.features[number], []
        with GradCAM(model=network, target_layers=[layer]) as cam:
            image = cam.get_cam_image
            cam.get_cam_image = lambda *given: raws.append(image(*given)) or raws[-1]
            for rank in range(2):
                labels, found = ranked[:, rank].tolist(), []
                for one, label in zip(pixels, labels):
                    done = cam(input_tensor=one[None], targets=[ClassifierOutputTarget(label)])[0]
                    raw = raws[-1][0]
                    assert np.array_equal(done, finished(raw, (rows, columns)))
                    assert raw.max() > 0, f"{stream}: nothing speaks for label {label}"
                    found.append([[float(f"{value:.6f}") for value in row] for row in done[::STEP, ::STEP]])
                maps.append({"stream": stream, "layer": f"features.{number}", "grid": raw.shape, "labels": labels,
                             "maps": found})
    return {"card": text, "pictures": PICTURES, "step": STEP,
            "logits": [[rounded(value) for value in row] for row in logits], "maps": maps}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    made = {"torchvision": torchvision_networks, "training": training, "gru": recurrent, "fusion": fusion,
            "truncated": truncated, "grad_cam": lambda: grad_cam(arguments.pictures)}
    for name, make in made.items():
        found = make()
        found = found if isinstance(found, dict) else list(found)
        text = json.dumps(found) if isinstance(found, dict) else "[\n" + ",\n".join(map(json.dumps, found)) + "\n]"
        (arguments.out / f"{name}.json").write_text(text + "\n")
        print(f"{name}.json: {len(text)} bytes")
        if name == "grad_cam":
            print("labels:", [one["labels"] for one in found["maps"]], "grids:", [one["grid"] for one in found["maps"]])


if __name__ == "__main__":
    main()
