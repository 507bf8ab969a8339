"""Maps of a plug-in network twice: by pytorch-grad-cam on the eager model, and by the definitions on the exported file.

Shared by plugin_small.py and plugin_parity.py. A map is (rows, columns) of A's grid; `card` is emocam.json's.

Ablation-CAM here sets a channel to ZERO on the grid, as its paper defines it (Desai & Ramaswamy 2020, equation 3).
pytorch-grad-cam's own ablation layer does so only where A has no negative value; else it sets the channel to A's
minimum less 1e7, "deviating from the paper" as its comment says. Tokens before the grid (the class token) are no part
of a map and keep their values. Where the score is not positive, no share of it can be lost and all weights are 0.
"""

import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus, LayerCAM, XGradCAM, ablation_cam
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

METHODS = {"grad-cam": GradCAM, "grad-cam++": GradCAMPlusPlus, "xgrad-cam": XGradCAM, "layer-cam": LayerCAM,
           "ablation-cam": AblationCAM}

ablation_cam.tqdm.tqdm = lambda items, *_, **__: items  # no progress bar


def to_grid(a, card):
    """A as (N, K, rows, columns)."""
    if card["layout"] == "tokens":
        return a[:, card["prefix"]:].reshape(len(a), *card["grid"], -1).permute(0, 3, 1, 2)
    return a.permute(0, 3, 1, 2) if card["layout"] == "nhwc" else a


class Zero(AblationLayer):
    """Replaces the explained layer; the i-th of a batch has channel `indices[i]` zero on the grid."""

    def __init__(self, card):
        super().__init__()
        self.layout, self.prefix = card["layout"], card.get("prefix", 0)

    def set_next_batch(self, input_batch_index, activations, num_channels_to_ablate):
        one = activations[input_batch_index].clone().unsqueeze(0)
        self.activations = one.repeat(num_channels_to_ablate, *[1] * (one.dim() - 1))

    def __call__(self, *_, **__):
        for row, channel in enumerate(self.indices[:len(self.activations)]):
            if self.layout == "nchw":
                self.activations[row, channel] = 0
            else:
                self.activations[row, self.prefix:, ..., channel] = 0
        return self.activations


def finished(raw, size):
    """pytorch-grad-cam's way from a raw map to (rows, columns) = size: ReLU, min-max with 1e-7, cv2's bilinear resize
    to the input's size, and min-max again."""
    rows, columns = size
    return scale_cam_image(scale_cam_image(np.maximum(raw[None], 0), (columns, rows)))[0]


def by_library(model, layer, x, target, card, tail=None, batch=64):
    """{method: (raw, finished)} of output `target` for one input. `tail`, if given, is a module with a child `cut` (an
    identity at which A enters) that computes the logits from A: Ablation-CAM then spares the layers before the cut."""
    maps = {}
    for name, method in METHODS.items():
        options = {"ablation_layer": Zero(card), "batch_size": batch} if method is AblationCAM else {}
        network, at, given = model, model.get_submodule(layer), x
        if method is AblationCAM and tail is not None:
            kept = []
            handle = at.register_forward_hook(lambda _module, _input, output: kept.append(output.detach().clone()))
            with torch.no_grad():
                y = model(x)
            handle.remove()
            network, at, given = tail, tail.cut, kept[0]
            with torch.no_grad():
                assert torch.allclose(tail(given), y, atol=1e-5), "the tail is another network"
        with method(model=network, target_layers=[at], reshape_transform=lambda a: to_grid(a, card), **options) as cam:
            cam.get_target_width_height = lambda _: (x.shape[3], x.shape[2])
            raws, image = [], cam.get_cam_image

            def kept_image(*arguments):
                raws.append(image(*arguments))
                return raws[-1]

            cam.get_cam_image = kept_image
            done = cam(input_tensor=given, targets=[ClassifierOutputTarget(target)])
        raw, done = raws[0][0].astype(np.float32), done[0]
        if method is AblationCAM and not model(x)[0, target] > 0:
            raw, done = np.zeros_like(raw), np.zeros_like(done)
        assert np.array_equal(done, finished(raw, x.shape[2:])), name
        maps[name] = (raw, done)
    return maps


def by_definition(network, x, target, card, batch=64):
    """{method: raw} of the exported file, written down from the papers' equations; and its logits and A on the grid."""
    with torch.no_grad():
        parts = network.features(x)
    a, *context = parts if isinstance(parts, tuple) else (parts,)
    a = a.detach().clone().requires_grad_()
    logits = network.head(a, *(part.clone() for part in context))
    [gradient] = torch.autograd.grad(logits[0, target], a)
    g, grid = (to_grid(value.detach(), card)[0].double() for value in (gradient, a))
    total = grid.sum((1, 2), keepdim=True)
    alpha = torch.where(g != 0, g ** 2 / (2 * g ** 2 + total * g ** 3 + 1e-6), 0)
    weights = {"grad-cam": g.mean((1, 2)), "grad-cam++": (alpha * g.relu()).sum((1, 2)),
               "xgrad-cam": (g * grid / (total + 1e-7)).sum((1, 2))}
    y, scores = logits[0, target].item(), []
    for channels in torch.arange(len(grid)).split(batch):
        changed = a.detach().repeat(len(channels), *[1] * (a.dim() - 1))
        for row, channel in enumerate(channels):
            to_grid(changed, card)[row, channel] = 0  # a view
        with torch.no_grad():
            without = network.head(changed, *(part.repeat(len(channels), *[1] * (part.dim() - 1)) for part in context))
        scores.append(without[:, target].double())
    weights["ablation-cam"] = (y - torch.cat(scores)) / y if y > 0 else torch.zeros(len(grid))
    raw = {name: (w[:, None, None] * grid).sum(0) for name, w in weights.items()}
    raw["layer-cam"] = (g.relu() * grid).sum(0)
    return {name: value.float().numpy() for name, value in raw.items()}, logits.detach(), grid.float()
