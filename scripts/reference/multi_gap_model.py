"""A Multi-GAP network written in plain PyTorch, and the formula that its tensors are made by. Used by multi_gap.py."""

import hashlib
import tomllib

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.models.vgg import make_layers

SEED = 13
GOLDEN, CHUNK = 0x9E3779B97F4A7C15, 1 << 22
ENDS = {"mobilenet_v2": (1, 3, 6, 13, 17), "vgg16": (3, 8, 15, 22, 29)}
VGG = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]


def start(name):
    """The state of the stream `name` of SEED, after the one number that is thrown away."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return ((SEED ^ (number * 0xD6E8FEB86659FD93 % 2**64)) + GOLDEN) % 2**64


def drawn(name, shape, deviation, added=0.0):
    """A tensor, f64, of uniform numbers of this deviation about `added`, rounded to f32."""
    count, half, state = int(np.prod(shape)), np.sqrt(3.0) * deviation, np.uint64(start(name))
    values = np.empty(count, np.float32)
    for first in range(0, count, CHUNK):
        z = state + np.arange(first + 1, min(first + CHUNK, count) + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        uniform = (z >> np.uint64(11)).astype(np.float64) / 2.0**53
        values[first:first + CHUNK] = -half + (half + half) * uniform + added
    return torch.from_numpy(values).reshape(shape).double()


def deviation(module, name, tensor):
    """(deviation, what is added) of the tensor `name` of `module`."""
    if isinstance(module, nn.GRU):
        return 1 / np.sqrt(module.hidden_size), 0.0
    if isinstance(module, nn.BatchNorm2d):
        return {"weight": (0.1, 1.0), "bias": (0.1, 0.0), "running_mean": (0.1, 0.0), "running_var": (0.2, 1.0)}[name]
    if isinstance(module, Anp) or name == "bias":
        return 0.1, 0.0
    return np.sqrt(2 / tensor[0].numel()), 0.0


def fill(network):
    """`network` in f64 and eval mode, every tensor with its numbers, by its name in the state dict."""
    with torch.no_grad():
        for path, module in network.named_modules():
            own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            for name, tensor in own:
                if name != "num_batches_tracked":
                    full = f"{path}.{name}" if path else name
                    tensor.copy_(drawn(full, tuple(tensor.shape), *deviation(module, name, tensor)))
    return network.double().eval()


def taps_of(features, backbone, x, blocks):
    """What the ends of the first blocks give."""
    taps = []
    for number, layer in enumerate(features[:ENDS[backbone][blocks - 1] + 1]):
        x = layer(x)
        if number in ENDS[backbone]:
            taps.append(x.clone())  # the next layer may work in place
    return taps


class Stream(nn.Module):
    def __init__(self, description, labels):
        super().__init__()
        self.description, blocks = description, description.get("blocks", 5)
        self.name, width = description["backbone"], description.get("width", 1.0)
        if self.name == "mobilenet_v2":
            features = torchvision.models.mobilenet_v2(weights=None, width_mult=width).features
        else:
            features = make_layers([layer if layer == "M" else int(layer * width) for layer in VGG], False)
        ends = ENDS[self.name][:blocks]
        self.backbone = nn.Module()
        self.backbone.features = features[:ends[-1] + 1]
        with torch.no_grad():
            channels = [tap.shape[1] for tap in taps_of(features.eval(), self.name, torch.zeros(1, 3, 64, 64), blocks)]
        self.projections = nn.ModuleList(nn.Conv2d(count, 64, 1) for count in channels)
        dependency, units, self.width = description.get("dependency", "none"), description.get("units", 32), 64
        if dependency != "none":
            self.gru, self.width = nn.GRU(64, units, batch_first=True, bidirectional=True), 2 * units
        if dependency == "gru_attention":
            self.attention = nn.ModuleList(nn.Linear(self.width, self.width) for _ in channels)
        self.width *= blocks
        self.classifier = nn.Linear(self.width, labels)

    def normalised(self, pixels):
        """What enters the backbone, from pixels R, G, B, 0..255."""
        said = self.description
        if said.get("channels", "rgb") == "bgr":
            pixels = pixels[:, [2, 1, 0]]
        colours = (torch.tensor(said.get(key, default)).view(3, 1, 1)
                   for key, default in [("mean", [0.0] * 3), ("std", [1.0] * 3)])
        return (pixels / said.get("scale", 255) - next(colours)) / next(colours)

    def features(self, blocks):
        """MG of blocks (N, channels, rows, columns)."""
        steps = [projection(block).mean((2, 3)) for projection, block in zip(self.projections, blocks)]
        if hasattr(self, "gru"):
            steps = list(self.gru(torch.stack(steps, 1))[0].unbind(1))
        if hasattr(self, "attention"):
            steps = [torch.tanh(layer(step)) ** 2 * step for layer, step in zip(self.attention, steps)]
        return torch.cat(steps, 1)

    def forward(self, pixels):
        layers, count = self.backbone.features, len(self.projections)
        return self.features(taps_of(layers, self.name, self.normalised(pixels), count))


class Anp(nn.Module):
    def __init__(self, pairs, labels):
        super().__init__()
        self.register_buffer("mean", torch.zeros(pairs))
        for name, sides in [("0", (pairs, 1024)), ("1", (1024, 512)), ("classifier", (512, labels))]:
            self.add_module(name, nn.Linear(*sides))

    def forward(self, pairs):
        x = torch.relu(self.get_submodule("0")(pairs))
        return torch.relu(self.get_submodule("1")(x))


class MultiGap(nn.Module):
    """The network of a card, whose outputs are those of all streams together."""

    def __init__(self, card):
        super().__init__()
        card = tomllib.loads(card)
        described, labels = card["multi_gap"], len(card["labels"])
        self.kind = described.get("fusion", "single")
        self.streams = nn.ModuleDict({one["name"]: Stream(one, labels) for one in described.get("streams", [])})
        self.anp = Anp(described["anp"], labels) if described.get("anp") else None
        if self.kind == "early":
            self.fusion = nn.Module()
            width = sum(stream.width for stream in self.streams.values()) + (512 if self.anp else 0)
            self.fusion.classifier = nn.Linear(width, labels)

    def everything(self, pixels, pairs):
        """Features and logits of every stream, and the logits of all together."""
        features = [stream(pixels) for stream in self.streams.values()]
        classifiers = [stream.classifier for stream in self.streams.values()]
        if self.anp:
            pairs = self.anp.mean.repeat(len(pixels), 1) if pairs is None else pairs
            features.append(self.anp(pairs))
            classifiers.append(self.anp.classifier)
        logits = [classifier(own) for classifier, own in zip(classifiers, features)]
        if self.kind == "early":
            return features, logits, self.fusion.classifier(torch.cat(features, 1))
        if self.kind == "late":
            return features, logits, torch.log(torch.stack([one.softmax(1) for one in logits]).mean(0))
        return features, logits, logits[0]

    def forward(self, pixels):
        return self.everything(pixels, None)[2]
