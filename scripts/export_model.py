#!/usr/bin/env python3
"""Turns an image classifier of PyTorch into one file that `emocam analyze --emotion-weights net.pt` explains.

    from export_model import export
    export(model, "layer4", "net.pt", labels=["anger", "joy"], input=224, resize="center-crop", crop=0.875)

    python export_model.py torchvision:resnet18 --weights tuned.pth --layer layer4 --labels labels.txt --out net.pt
    python export_model.py timm:vit_small_patch16_224 --weights t.pth --layer blocks.10 --labels labels.txt --out net.pt
    python export_model.py transformers:FOLDER --layer vit.layers.10 --out net.pt         (labels: the folder's own)

It works with classifiers of torchvision, timm, Hugging Face or your own, whose forward() torch.jit.trace can follow.
`layer` names the module whose OUTPUT is the explained activation A, as in model.named_modules(): as a rule the last
stage with places, but in a transformer not the last block, behind which only the class token is read.

The file is TorchScript with three methods, traced together:
    features(x) -> A, or (A, context_1, ..., context_k): what by-passes A, each with the batch as first dimension
    head(A, context_1, ..., context_k) -> logits (N, outputs)          forward(x) = head(features(x))
and the card `emocam.json` (an extra file in it): labels, input, preparation of a picture, layout of A, and the answers
to two synthetic inputs. Nothing of the network is rewritten: features() runs it and stops behind the layer; head() runs
it again with the layer's output replaced by A, and the modules before the cut by what they returned.

The file is written only after it was checked against the model in eager PyTorch, with batches of 1, 2 and 5: A, the
probabilities, the gradient of a logit with respect to A, and that this gradient is not zero all over the grid. The
model itself stays as it was: a copy on the CPU in float32 and eval mode is traced. Parameters may be frozen.

How a picture is prepared (`prepare` below; emocam does the same). The upright RGB picture, 8 bits a channel:
    squash        Pillow's resize to (columns, rows) with `filter`: bilinear or bicubic, antialiased
    center-crop   torchvision's: resize in its own shape until it just covers (int(columns / crop), int(rows / crop)),
                  the other side rounded down; then the centre: left = round((resized width - columns) / 2), top likewise
    letterbox     scale = min(columns / width, rows / height); resize to (int(width * scale), int(height * scale)), at
                  least 1; pasted at left = (columns - resized width) // 2, top likewise, on black
Then in float32: value = pixel / scale, and (value - mean) / std per channel, in the order that `channels` names: with
"bgr" the channels are reversed first, and mean and std are in that order.

Needs torch; Pillow for pictures; torchvision, timm or transformers for the command line.
"""

import argparse
import contextlib
import copy
import difflib
import io
import json
import os
import sys
import warnings
from pathlib import Path

try:
    import torch
    from torch import nn
    from torch.utils._pytree import tree_flatten, tree_unflatten
except ModuleNotFoundError:
    sys.exit("export_model: this Python has no torch: pip install torch==2.11.0 torchvision, in an environment of its own")

BATCHES, PROBABILITY, GRADIENT = (1, 2, 5), 1e-5, 1e-3  # checked with; largest differences, the last relative

BUILT_IN = "forward() has the batch or a shape built in; use x.shape[0] and x.flatten(1), not len(x) or a number"


class ExportError(Exception):
    """Why a network cannot be exported as asked, and what to do."""


class _Cut(BaseException):
    """Ends features(); no `except Exception` of a network stops it."""


class Split(nn.Module):
    """`model` cut behind `layer`. Values before the cut are numbered: 0 the input, then all that the watched modules
    (the outermost that do not contain the layer) return, call by call, then what the layer returns besides A."""

    def __init__(self, model, layer):
        super().__init__()
        self.model, self.plan = model, _Plan(layer)

    def features(self, x):
        plan = self.plan
        plan.values, plan.specs, plan.replay, plan.behind, plan.inside = [x], [], None, False, False
        try:
            self.model(x)
        except _Cut:
            context = [plan.values[number] for number in plan.context]
            return (plan.a, *context) if context else plan.a
        raise ExportError(f"`{plan.layer}` is called in one batch and not in another: choose another layer.")

    def head(self, a, *context):
        plan = self.plan
        if plan.copies:
            a, context = a.clone(), [value.clone() for value in context]
        values = [getattr(self, f"constant_{number}") if number in plan.constants else value
                  for number, value in enumerate(plan.examples)]
        for number in plan.shapes:  # only its shape is read: zeros with A's batch
            zeros, like = a.flatten(1)[:, :1] * 0, values[number]
            values[number] = zeros.reshape(-1, *[1] * (like.dim() - 1)).expand(-1, *like.shape[1:]).to(like.dtype)
        for number, value in zip(plan.context, context):
            values[number] = value
        plan.a, plan.replay, plan.call, plan.behind, plan.inside = a, iter(values[1:]), 0, False, False
        return _logits(self.model(values[0]))

    def forward(self, x):
        parts = self.features(x)
        return self.head(*parts) if isinstance(parts, tuple) else self.head(parts)


class _Plan:
    """What `Split` knows of the model; no module, so that tracing leaves it alone."""

    def __init__(self, layer):
        self.layer, self.copies, self.examples = layer, False, []
        self.context, self.shapes, self.constants = [], [], []

    def watched(self, module, path=""):
        for name, child in module.named_children():
            child_path = f"{path}.{name}" if path else name
            if child_path == self.layer:
                continue
            if self.layer.startswith(child_path + ".") or isinstance(child, (nn.ModuleList, nn.ModuleDict)):
                yield from self.watched(child, child_path)
            else:
                yield child

    def step(self, original, is_layer, arguments, options):
        if is_layer and (self.behind or self.inside):
            raise ExportError(f"`{self.layer}` is called more than once a picture (a module that is shared): cut at "
                              "the module around it, or give each place its own.")
        if self.behind or self.inside:
            return original(*arguments, **options)
        if self.replay is not None:
            count, spec, place = self.specs[self.call]
            self.call, self.behind = self.call + 1, is_layer
            leaves = [next(self.replay) for _ in range(count - is_layer)]
            return tree_unflatten(leaves[:place] + [self.a] + leaves[place:] if is_layer else leaves, spec)
        self.inside = True
        leaves, spec = tree_flatten(original(*arguments, **options))
        self.inside, place = False, None
        if is_layer:
            place = _activation(leaves, self.layer)
            self.a = leaves.pop(place)
        self.specs.append((len(leaves) + is_layer, spec, place))
        # Copies, as a later operation may work in place.
        self.values += [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        if is_layer:
            raise _Cut
        return tree_unflatten(leaves, spec)

    @contextlib.contextmanager
    def at_work(self, model):
        """Calls of the watched modules and of the layer come here; no module works in place; no attention fast path,
        which has no derivative and which a trace would keep."""
        patched = list({id(module): module for module in self.watched(model)}.values())
        in_place = [module for module in model.modules() if getattr(module, "inplace", None) is True]
        fast_path, layer = torch.backends.mha.get_fastpath_enabled(), model.get_submodule(self.layer)
        torch.backends.mha.set_fastpath_enabled(False)
        for module in [*(module for module in patched if module is not layer), layer]:
            def forward(*arguments, _original=module.forward, _is_layer=module is layer, **options):
                return self.step(_original, _is_layer, arguments, options)
            module.forward = forward
        for module in in_place:
            module.inplace = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for module in [*patched, layer]:
                module.__dict__.pop("forward", None)
            for module in in_place:
                module.inplace = True


def _activation(leaves, layer):
    """Where A is among what the layer returned: the first tensor with places."""
    for place, leaf in enumerate(leaves):
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.dim() in (3, 4):
            return place
    shapes = [tuple(leaf.shape) for leaf in leaves if isinstance(leaf, torch.Tensor)]
    raise ExportError(f"`{layer}` returns {shapes or 'no tensor'}, which has no places to map: cut at a module before "
                      "the pooling, whose output is (N, K, rows, columns), (N, rows, columns, K) or (N, tokens, K).")


def _logits(output):
    output = output["logits"] if isinstance(output, dict) else getattr(output, "logits", output)
    output = output[0] if isinstance(output, (tuple, list)) else output
    if not isinstance(output, torch.Tensor) or output.dim() > 2 and output.flatten(2).shape[2] != 1:
        raise ExportError("forward() must return logits (N, outputs), or an object with `logits`: wrap the network.")
    return output.flatten(1) if output.dim() > 1 else output.unsqueeze(1)


def _trace(split, methods):
    try:
        return torch.jit.trace_module(split, methods, check_trace=False)
    except ExportError:
        raise
    except Exception as error:  # whatever a network's own code may raise
        raise ExportError(f"torch.jit.trace cannot follow this network ({_line(error)}): cut at another layer, or wrap "
                          "the network in a module whose forward() is plain tensor code.") from error


def _line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line), lines[0] if lines else type(error).__name__)


def _plan_context(split, sample):
    """Runs the network with batches of 2 and 3 and decides about each value before the cut: a constant, unused, read
    for its shape alone, or context."""
    plan, seen = split.plan, []
    for batch in (3, 2):
        with torch.no_grad():
            split.features(sample(batch))
        seen.append(plan.values)
        if plan.a.shape[0] != batch:
            raise ExportError(f"`{plan.layer}` returns {tuple(plan.a.shape)} for {batch} pictures: the batch must be "
                              "the first dimension; cut at a module where it is.")
    three, plan.examples = seen
    if len(three) != len(plan.examples):
        raise ExportError("The network does other things with 3 pictures than with 2: it cannot be traced.")
    moving, odd = [], []
    for number, (small, large) in enumerate(zip(plan.examples, three)):
        if not isinstance(small, torch.Tensor):
            continue
        if small.shape == large.shape and torch.equal(small, large):
            plan.constants.append(number)
            split.register_buffer(f"constant_{number}", small)
        else:
            moving.append(number)
            if small.dim() == 0 or (small.shape[0], large.shape[0]) != (2, 3) or small.shape[1:] != large.shape[1:]:
                odd.append(number)
    plan.context = moving
    inputs = (plan.a, *(plan.examples[number].clone() for number in moving))
    graph = _trace(split, {"head": inputs}).head.inlined_graph
    torch._C._jit_pass_dce(graph)
    kept = {node.s("name") for node in graph.findAllNodes("prim::GetAttr")}
    uses = [{use.user.kind() for use in value.uses()} for value in list(graph.inputs())[2:]]
    read = {number for number, kinds in zip(moving, uses) if kinds - {"aten::size"}}
    plan.shapes = [number for number, kinds in zip(moving, uses) if kinds == {"aten::size"} and number not in odd]
    plan.context = [number for number in moving if number in read]
    for number in plan.context:
        small = plan.examples[number]
        if number in odd:
            raise ExportError(f"Behind `{plan.layer}` the network reads a value from before it, {tuple(small.shape)} "
                              "for 2 pictures: the batch must be its first dimension; cut at another layer.")
    for number in [number for number in plan.constants if f"constant_{number}" not in kept]:
        delattr(split, f"constant_{number}")
        plan.constants.remove(number)


def trace(model, layer, sample):
    """`model` as TorchScript with features, head and forward; sample(batch) makes an input."""
    split = Split(model, layer).eval()
    with split.plan.at_work(model):
        _plan_context(split, sample)
        for split.plan.copies in (False, True):
            x = sample(2)
            with torch.no_grad():
                parts = split.features(x)
            parts = tuple(part.clone() for part in (parts if isinstance(parts, tuple) else (parts,)))
            traced = _trace(split, {"forward": x, "features": x, "head": parts})
            again = tuple(part.clone() for part in parts)
            with torch.no_grad():
                traced.head(*again)
            if all(torch.equal(one, other) for one, other in zip(parts, again)):
                break  # else the head works in place on what it is given: once more, on copies
    return traced


def _layout(a, rows, columns, layout, prefix, grid):
    """The card's layout, prefix and grid for A; guessed where not given."""
    shape = tuple(a.shape)
    if len(shape) == 4 and layout != "tokens":
        def fits(height, width):  # cells about as wide as high
            return abs(rows / height - columns / width) <= 0.25 * min(rows / height, columns / width)
        guess = "nhwc" if fits(shape[1], shape[2]) and not fits(shape[2], shape[3]) else "nchw"
        return {"layout": layout or guess}
    if len(shape) != 3 or layout not in (None, "tokens"):
        raise ExportError(f"A is {shape}, which is not \"{layout}\": leave layout out, or name the right one.")
    tokens = shape[1]
    for before in range(17) if prefix is None else [prefix]:
        for high in range(1, tokens - before + 1) if grid is None else [grid[0]]:
            wide = (tokens - before) // high if grid is None else grid[1]
            if high * wide == tokens - before and (grid or rows * wide == columns * high):
                return {"layout": "tokens", "prefix": before, "grid": [high, wide]}
    raise ExportError(f"A has {tokens} tokens, which prefix {prefix} and grid {grid} do not account for: say how many "
                      "come before the grid and how many rows and columns it has, e.g. prefix=1, grid=(14, 14).")


def _gradient(logits, a):
    """Of the largest logits' sum with respect to A; None if they do not depend on it."""
    return torch.autograd.grad(logits.max(1).values.sum(), a, allow_unused=True)[0] if logits.requires_grad else None


def _eager(model, layer, x):
    """Logits, A and the gradient of the largest logit by the untouched model."""
    found = []

    def hook(_module, _input, output):
        leaves, spec = tree_flatten(output)
        place = _activation(leaves, layer)
        found.append(leaves[place].detach().clone().requires_grad_())
        return tree_unflatten([*leaves[:place], found[0].clone(), *leaves[place + 1:]], spec)

    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        logits = _logits(model(x))
    finally:
        handle.remove()
    if not found:
        raise ExportError(f"forward() does not call `{layer}`: choose a module that takes part in the answer.")
    return logits.detach(), found[0].detach(), _gradient(logits, found[0])


def _earlier(model, layer):
    """A layer one block before, for the error message."""
    names = dict(model.named_modules())
    stacks = {name: list(blocks._modules) for name, blocks in names.items()
              if isinstance(blocks, (nn.Sequential, nn.ModuleList)) and len({type(block) for block in blocks}) == 1}
    name = max(stacks, key=lambda name: (layer.startswith(name + "."), len(stacks[name])), default="")
    return f"{name}.{stacks[name][-2]}" if name and len(stacks[name]) > 1 else "the last but one"


def check(loaded, model, layer, card, inputs):
    """The largest differences of the file's network from `model` in eager PyTorch; ExportError if they matter."""
    worst = {"A": 0.0, "probability": 0.0, "gradient": 0.0}

    def compare(what, got, expected, scale, limit, cure):
        if got.shape != expected.shape:
            raise ExportError(f"The traced network's {what} has the shape {tuple(got.shape)} where the model's has "
                              f"{tuple(expected.shape)}: {BUILT_IN}.")
        difference = ((got - expected).abs().max() / scale).item()
        worst[what] = max(worst[what], difference)
        if not difference <= limit:
            raise ExportError(f"The traced network's {what} differs from the model's by {difference:.2g} with {len(x)} "
                              f"pictures: {cure}.")

    for x in inputs:
        logits, a, gradient = _eager(model, layer, x)
        try:
            with torch.no_grad():
                whole, parts = loaded.forward(x), loaded.features(x)
            found, *context = parts if isinstance(parts, tuple) else (parts,)
            leaf = found.detach().clone().requires_grad_()
            traced = loaded.head(leaf, *context)
        except RuntimeError as error:
            raise ExportError(f"The trace fails with batch {len(x)} ({_line(error)}): {BUILT_IN}.") from error
        if not torch.isfinite(logits).all():
            raise ExportError("The network's answer is not finite: check its weights.")
        compare("A", found, a, a.abs().max().clamp_min(1e-12), 1e-4, "it works in place; set inplace=False")
        for got in (whole, traced.detach()):
            both = (got, logits) if "output" in card else (got.softmax(1), logits.softmax(1))
            compare("probability", *both, max(1, both[1].abs().max()), PROBABILITY,
                    "forward() is random, keeps state, works in place on its input, or branches on values")
        try:
            back = _gradient(traced, leaf)
        except RuntimeError as error:
            raise ExportError(f"There is no way back from a logit to A ({_line(error)}): an operation without "
                              "derivative is in the head; write it with torch.nn.functional's.") from error
        if gradient is None or back is None:
            raise ExportError(f"The logits do not depend on `{layer}`'s output: choose a layer on the way to them.")
        if not torch.isfinite(back).all():
            raise ExportError(f"The gradient at `{layer}` is not finite: check the weights, or cut at another layer.")
        if not back.any():
            raise ExportError(f"The gradient at `{layer}` is exactly zero: the answer does not depend on it (weights "
                              "of zero in an untrained last layer?); check the network, or cut at another layer.")
        if not back[:, card.get("prefix", 0):].any() and card["layout"] == "tokens":
            raise ExportError(f"Behind `{layer}` the patch tokens' gradient is exactly zero: the head reads the class "
                              f"token alone. Cut one block earlier: {_earlier(model, layer)}")
        compare("gradient", back, gradient, gradient.abs().max().clamp_min(1e-30), GRADIENT,
                "forward() detaches or branches on values; cut at another layer")
    return worst


def _resized(picture, columns, rows, resample):
    """Across first, then down, as emocam and Pillow before 13 do; Pillow 13 begins with the axis that costs it less, which
    changes some pixels by some levels."""
    return picture.resize((columns, picture.height), resample).resize((columns, rows), resample)


def prepare(picture, card):
    """The network's input (1, 3, rows, columns) for a picture, a PIL image or a path, as the card says."""
    from PIL import Image
    picture = (picture if isinstance(picture, Image.Image) else Image.open(picture)).convert("RGB")
    (rows, columns), (width, height) = card["input"], picture.size
    resample = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[card["filter"]]
    if card["resize"] == "squash":
        picture = _resized(picture, columns, rows, resample)
    elif card["resize"] == "center-crop":
        wide, high = (max(side, int(side / card["crop"] + 1e-6)) for side in (columns, rows))
        size = (wide, wide * height // width) if wide * height >= high * width else (high * width // height, high)
        picture = _resized(picture, *size, resample)
        left, top = round((picture.width - columns) / 2), round((picture.height - rows) / 2)
        picture = picture.crop((left, top, left + columns, top + rows))
    else:
        scale = min(columns / width, rows / height)
        small = _resized(picture, max(1, int(width * scale)), max(1, int(height * scale)), resample)
        picture = Image.new("RGB", (columns, rows))
        picture.paste(small, ((columns - small.width) // 2, (rows - small.height) // 2))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(rows, columns, 3)
    pixels = pixels.permute(2, 0, 1)[[2, 1, 0] if card["channels"] == "bgr" else [0, 1, 2]].float() / card["scale"]
    mean, std = (torch.tensor(card[name], dtype=torch.float32).reshape(3, 1, 1) for name in ("mean", "std"))
    return ((pixels - mean) / std).unsqueeze(0)


def synthetic(kind, rows, columns):
    """An input that needs no picture: "zeros", or "ramp", from -2 to 2 in (1, 3, rows, columns)'s own order."""
    count = 3 * rows * columns
    ramp = torch.arange(count, dtype=torch.float64) * (4 / (count - 1)) - 2
    return (ramp * (kind == "ramp")).float().reshape(1, 3, rows, columns)


def export(model, layer, out, *, labels=None, input=224, resize="squash", crop=1.0, filter="bilinear", scale=255,
           mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), channels="rgb", layout=None, prefix=None, grid=None,
           output=None, thresholds=None, valence=None, arousal=None, pictures=None, name=None):
    """Writes `out` and returns its card and the largest differences found; raises ExportError, and writes nothing.

    `labels`: names of the outputs. Instead `output`: the name of the only output, a number such as "valence", and
    `thresholds` that divide it into classes. `input`: side, or (rows, columns). `valence`, `arousal`: {"bias": b,
    "weights": one a label}, linear in the probabilities. `pictures`: photos (paths) to check with, besides noise.
    `name`: where the network comes from, e.g. "torchvision resnet18". See above for the rest.
    """
    for option, value, choices in [
            ("resize", resize, ("squash", "center-crop", "letterbox")), ("channels", channels, ("rgb", "bgr")),
            ("filter", filter, ("bilinear", "bicubic")), ("layout", layout, (None, "nchw", "nhwc", "tokens"))]:
        if value not in choices:
            raise ExportError(f"{option} is {value!r}: choose one of {', '.join(map(str, choices))}.")
    if not 0 < crop <= 1 or (labels is None) == (output is None) or thresholds and not output:
        raise ExportError("Give labels, or the name of the one output, which may have thresholds; crop is over 0 to 1.")
    names = dict(model.named_modules())
    if not layer or layer not in names:
        near = ", ".join(difflib.get_close_matches(layer, names, 5, 0.3)) or ", ".join(list(names)[1:9])
        raise ExportError(f"The network has no module `{layer}`; near it: {near}. model.named_modules() lists all.")
    rows, columns = (input, input) if isinstance(input, int) else map(int, input)
    card = {"network": "torchscript"} | ({"output": output} if output else {"labels": list(labels)})
    card |= {"thresholds": [float(t) for t in thresholds]} if thresholds else {}
    card |= {"input": [rows, columns], "resize": resize, "crop": float(crop), "filter": filter, "scale": float(scale),
             "mean": [float(m) for m in mean], "std": [float(s) for s in std], "channels": channels}
    model = copy.deepcopy(model).cpu().float().eval()
    generator = torch.Generator().manual_seed(20261121)

    def sample(batch):
        return torch.randn(batch, 3, rows, columns, generator=generator)

    inputs = [sample(batch) for batch in BATCHES] + [prepare(picture, card) for picture in pictures or []]
    try:
        logits, a, _ = _eager(model, layer, inputs[-1])
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ExportError(f"The network cannot take {rows} x {columns} ({_line(error)}): see `input`.") from error
    count = logits.shape[1]
    if count != (1 if output else len(labels)):
        raise ExportError(f"The network has {count} outputs, and {len(labels or [0])} labels were given.")
    if count > 1 and (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(1), atol=1e-4):
        raise ExportError("The network ends in a softmax, and emocam would apply another: return the logits instead.")
    traced = trace(model, layer, sample)
    card |= _layout(a, rows, columns, layout, prefix, grid) | {"layer": layer, "source": name or type(model).__name__}
    for regression, value in [("valence", valence), ("arousal", arousal)]:
        if value and len(value["weights"]) != count:
            raise ExportError(f"{regression} has {len(value['weights'])} weights for {count} labels.")
        card |= {regression: {"bias": value["bias"], "weights": list(value["weights"])}} if value else {}
    card["reference"] = []
    for kind in ("zeros", "ramp"):
        answer = _eager(model, layer, synthetic(kind, rows, columns))[0][0].tolist()
        card["reference"].append({"input": kind, "outputs": [float(f"{value:.9g}") for value in answer]})
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={"emocam.json": json.dumps(card, ensure_ascii=False)})
    file = stripped(buffer.getvalue())
    worst = check(torch.jit.load(io.BytesIO(file)), model, layer, card, inputs)
    part = Path(f"{out}.part")
    part.write_bytes(file)
    os.replace(part, out)
    return card, worst


def stripped(file):
    """The bytes of a TorchScript file without its debug records, which hold paths of the machine that made it."""
    reader, out = torch._C.PyTorchFileReader(io.BytesIO(file)), io.BytesIO()
    records, writer = reader.get_all_records(), torch._C.PyTorchFileWriter(out)
    version = ".data/version" if ".data/version" in records else "version"
    writer.set_min_version(int(reader.get_record(version)))
    for record in records:
        if not record.endswith(".debug_pkl") and not record.startswith("traced_inputs") and record not in (
                version, "byteorder", ".data/serialization_id"):
            data = reader.get_record(record)
            writer.write_record(record, data, len(data))
    writer.write_record("byteorder", sys.byteorder, len(sys.byteorder))
    writer.write_end_of_file()
    return out.getvalue()


def _torchvision(name, weights, outputs):
    import torchvision
    # The published weights' own preparation, also where weights of the user's are put into the network.
    chosen = torchvision.models.get_model_weights(name).DEFAULT
    given = chosen.transforms()
    side, short = given.crop_size[0], given.resize_size[0]
    prepared = {"input": side, "resize": "center-crop", "crop": side / short, "mean": given.mean, "std": given.std,
                "filter": given.interpolation.value}
    if weights != "DEFAULT":
        return torchvision.models.get_model(name, weights=None, **outputs), prepared
    return torchvision.models.get_model(name, weights=chosen), {"labels": chosen.meta["categories"]} | prepared


def _timm(name, weights, outputs):
    import timm
    model = timm.create_model(name, pretrained=weights == "DEFAULT", **outputs)
    given = timm.data.resolve_model_data_config(model)
    resize = {"center": "center-crop", "squash": "squash", "border": "letterbox"}[given["crop_mode"]]
    return model, {"input": given["input_size"][1:], "resize": resize, "crop": given["crop_pct"], "mean": given["mean"],
                   "std": given["std"], "filter": given["interpolation"]}


def _transformers(folder, _weights, _outputs):
    from transformers import AutoModelForImageClassification
    model, path = AutoModelForImageClassification.from_pretrained(folder), Path(folder, "preprocessor_config.json")
    given = {"labels": [model.config.id2label[number] for number in range(model.config.num_labels)]}
    read = json.loads(path.read_text()) if path.is_file() else {}
    crop, size = read.get("crop_size") if read.get("do_center_crop") else None, read.get("size") or {}
    if crop and "shortest_edge" in size:
        given |= {"input": (crop["height"], crop["width"]), "resize": "center-crop",
                  "crop": min(1.0, crop["height"] / size["shortest_edge"])}
    elif "height" in size:
        given["input"] = size["height"], size["width"]
    given |= {key: read[f"image_{key}"] for key in ("mean", "std") if f"image_{key}" in read}
    return model, given | {2: {"filter": "bilinear"}, 3: {"filter": "bicubic"}}.get(read.get("resample"), {})


def _numbers(text):
    return tuple(float(number) for number in text.split(","))


def _sides(text):
    sides = tuple(int(side) for side in text.split("x"))
    return sides if len(sides) > 1 else sides[0]


OPTIONS = {
    "labels": (str, "text file, one label a line, in the order of the outputs"),
    "weights": (str, "a state dict's file, or DEFAULT for the library's own, which it may have to download; without it "
                     "torchvision's and timm's networks are random"),
    "input": (_sides, "side, or ROWSxCOLUMNS"),
    "resize": (str, "squash, center-crop or letterbox"),
    "crop": (float, "share that center-crop keeps, e.g. 0.875"),
    "filter": (str, "bilinear or bicubic"),
    "scale": (float, "pixel values are divided by it"),
    "mean": (_numbers, "three numbers with commas, subtracted after the division"),
    "std": (_numbers, "three numbers with commas"),
    "channels": (str, "rgb or bgr"),
    "layout": (str, "nchw, nhwc or tokens, of the layer's output (default: by its shape)"),
    "prefix": (int, "tokens before the grid (default: by their number)"),
    "grid": (_sides, "ROWSxCOLUMNS of the tokens (default: by their number)"),
    "output": (str, "name of the only output, a number, instead of labels: e.g. valence"),
    "thresholds": (_numbers, "numbers that divide --output into classes"),
    "name": (str, "where the network comes from (default: the library and the model's name)"),
}


def _fill(model, state, weights, count):
    """Puts the user's weights into the model, which has `count` outputs, or its library's number if that is 0."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        asked = f"{count} labels are given" if count else "no labels are given, so that it has its library's outputs"
        raise ExportError(f"{weights} does not fit the network ({asked}; --labels names one a line for each of the "
                          f"weights' outputs): {str(error).strip().splitlines()[-1].strip()}") from error


def _prepared(card):
    """How the card says that pictures are prepared, in words."""
    rows, columns = card["input"]
    crop = f" {card['crop']:.4g}" if card["resize"] == "center-crop" else ""
    mean, std = (",".join(f"{value:.4g}" for value in card[key]) for key in ("mean", "std"))
    return (f"{card['resize']}{crop} to {rows} rows x {columns} columns, {card['filter']}, / {card['scale']:g}, "
            f"mean {mean}, std {std}, {card['channels']}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Defaults: the preparation that the library publishes for the network (torchvision, timm) or that stands in "
               "FOLDER (transformers). Where yours was trained with another one, say so: --input, --resize, --crop, "
               "--filter, --scale, --mean, --std, --channels. The last line says what was written.")
    parser.add_argument("model", help="torchvision:NAME, timm:NAME or transformers:FOLDER")
    parser.add_argument("--layer", required=True, help="module whose output is explained, e.g. layer4")
    parser.add_argument("--out", required=True, help="the file to write, e.g. net.pt")
    for option, (kind, words) in OPTIONS.items():
        parser.add_argument(f"--{option}", type=kind, help=words, metavar=option.upper())
    parser.add_argument("--pictures", nargs="*", help="photos to check with, besides random inputs")
    options = {key: value for key, value in vars(parser.parse_args()).items() if value is not None}
    source, layer, out, weights = (options.pop(key, None) for key in ("model", "layer", "out", "weights"))
    library, _, name = source.partition(":")
    try:
        load = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}.get(library)
        if load is None or not name:
            raise ExportError(f"{source} is not torchvision:NAME, timm:NAME or transformers:FOLDER.")
        if "labels" in options:
            lines = Path(options["labels"]).read_text(encoding="utf-8").splitlines()
            options["labels"] = [line.strip() for line in lines if line.strip()]
        count = 1 if "output" in options else len(options.get("labels", []))
        model, given = load(name, weights, {"num_classes": count} if count else {})
        if weights not in (None, "DEFAULT"):
            state = torch.load(weights, map_location="cpu", weights_only=True)
            state = next((state[key] for key in ("state_dict", "model") if key in state), state)
            _fill(model, {key.removeprefix("module."): value for key, value in state.items()}, weights, count)
        if "output" in options:
            given.pop("labels", None)
        card, worst = export(model, layer, out, **({"name": f"{library} {Path(name).name}"} | given | options))
    except (ExportError, OSError, RuntimeError, ValueError) as error:
        print(f"export_model: {error}", file=sys.stderr)
        return 2
    figures = ", ".join(f"{'activation' if what == 'A' else what} {value:.1g}" for what, value in worst.items())
    where = card["layout"] + (f" {card['grid']} behind {card['prefix']}" if "grid" in card else "")
    print(f"{out}: {card['source']} at {layer} ({where}); largest differences from eager PyTorch: {figures}")
    print(f"pictures: {_prepared(card)} (options change it: it has to be what the network was trained with)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
