#!/usr/bin/env python3
"""The network of facial expressions (Malik, Kumar, Raman 2021) written in plain PyTorch, and a step of its training.

Usage: fer_net.py OUT_FOLDER
       (committed: tests/reference/fer_net)

Weights and pixels are made by the formula of multi_gap.py, and tensors are summed up as there; all is computed in f64.
Files:
  forward.json   [{card, pixels, shape, blocks: [summary of B1 .. B5], branches: [summary of R1, R1 + R2, ..., R1 + .. + R4],
                 sum, hidden: [summary, summary], logits}]
  training.json  [{card, pixels, shape, targets, rate, loss, changes: {tensor: {norm, largest, places, values}},
                 logits_after: summary}]: one step of SGD at RATE, without momentum, of the cross-entropy

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26.0, numpy 2.4.6.
"""

import argparse
import json
import tomllib
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.vgg import make_layers

from multi_gap import RATE, places, rounded, summary
from multi_gap_model import VGG, drawn, fill

ENDS = (4, 9, 16, 23, 30)  # the poolings of VGG16's features


class FerNet(nn.Module):
    def __init__(self, text):
        super().__init__()
        card = tomllib.loads(text)
        width, units = card["fer_net"]["width"], card["fer_net"]["units"]
        self.card, (rows, columns) = card, card["input"]
        channels = [max(round(c * width), 1) for c in (64, 128, 256, 512, 512)]
        layers = [layer if layer == "M" else max(round(layer * width), 1) for layer in VGG]
        self.trunk = nn.Module()
        self.trunk.features = make_layers(layers, False)
        self.branches = nn.ModuleDict({str(k + 1): nn.Conv2d(channels[k], channels[4], 3, padding=1) for k in range(4)})
        inputs = channels[4] * (rows // 32) * (columns // 32)
        self.hidden = nn.ModuleDict({"1": nn.Linear(inputs, units), "2": nn.Linear(units, units)})
        self.classifier = nn.Linear(units, len(card["labels"]))

    def everything(self, pixels):
        mean = torch.tensor(self.card.get("mean", [0.0] * 3)).double().reshape(3, 1, 1)
        x = pixels / self.card.get("scale", 1.0) - mean
        blocks, branches = [], []
        for number, layer in enumerate(self.trunk.features):
            x = layer(x)
            if number in ENDS:
                blocks.append(x.clone())
        for k in range(4):
            y = blocks[k]
            for _ in range(3 - k):
                y = functional.max_pool2d(y, 2)
            branches.append(functional.max_pool2d(torch.relu(self.branches[str(k + 1)](y)), 2))
        total = blocks[4] + sum(branches)
        first = torch.relu(self.hidden["1"](total.flatten(1)))
        second = torch.relu(self.hidden["2"](first))
        return blocks, branches, total, (first, second), self.classifier(second)

    def forward(self, pixels):
        return self.everything(pixels)[-1]


def card(sides, width, units, labels, head=""):
    return (f"network = 'fer_net'\nlabels = {[chr(97 + k) for k in range(labels)]}\ninput = {list(sides)}\n{head}"
            f"[fer_net]\nwidth = {width}\nunits = {units}\n")


COLOUR = "scale = 255\nmean = [0.5, 0.25, 0.125]\n"


def forward():
    for name, sides, width, units, labels in [("small", (96, 160), 0.125, 24, 5), ("wide", (64, 32), 1.0, 96, 7),
                                              ("tall", (224, 96), 0.25, 40, 4)]:
        text, shape = card(sides, width, units, labels, COLOUR), (2, 3, *sides)
        network, pixels = fill(FerNet(text)), drawn(f"{name} faces", shape, 70.0, 127.5)
        with torch.no_grad():
            blocks, branches, total, hidden, logits = network.everything(pixels)
        sums = [sum(branches[:k + 1]) for k in range(4)]
        yield {"card": text, "pixels": f"{name} faces", "shape": shape, "blocks": [summary(one) for one in blocks],
               "branches": [summary(one) for one in sums], "sum": summary(total),
               "hidden": [summary(one) for one in hidden], "logits": summary(logits, 50)}


def training():
    targets = torch.tensor([1, 3, 0, 4])
    for name, sides, head in [("plain", (64, 96), COLOUR), ("unscaled", (96, 32), "scale = 128\n")]:
        text, shape = card(sides, 0.125, 20, 5, head), (4, 3, *sides)
        network, pixels = fill(FerNet(text)).train(), drawn(f"{name} step", shape, 70.0, 127.5)
        loss = functional.cross_entropy(network(pixels), targets)
        loss.backward()
        changes = {}
        for key, parameter in network.named_parameters():
            change = (-RATE * parameter.grad).flatten()
            chosen = places(len(change), 2)
            changes[key] = {"norm": rounded(change.norm()), "largest": rounded(change.abs().max()),
                            "places": chosen, "values": [rounded(change[i]) for i in chosen]}
        torch.optim.SGD(network.parameters(), RATE).step()
        with torch.no_grad():
            after = network(pixels)
        yield {"card": text, "pixels": f"{name} step", "shape": shape, "targets": targets.tolist(), "rate": RATE,
               "loss": rounded(loss.detach()), "changes": changes, "logits_after": summary(after, 32)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, make in {"forward": forward, "training": training}.items():
        text = "[\n" + ",\n".join(map(json.dumps, make())) + "\n]\n"
        (out / f"{name}.json").write_text(text)
        print(f"{name}.json: {len(text)} bytes")


if __name__ == "__main__":
    main()
