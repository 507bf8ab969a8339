#!/usr/bin/env python3
"""Channel weights of the paper's methods by pytorch-grad-cam, captum and scikit-learn.

Usage: cam_methods.py CHECKPOINT PICTURES_FOLDER OUT.safetensors
       (committed: tests/reference/emonet/methods.safetensors, from tests/reference/emonet/narrow_ecco.pt)

The network is EmoNet (emonet.py) with real nn.ReLU modules, nothing is subtracted from the input, the explained class is
the predicted one. P pictures in the order of their names, C channels of conv5's output before the ReLU:
  ablation [P,C]   (y - y_k) / y on the softmax probability, one forward pass a channel with that channel set to zero
  ablation_map [P,46,46]   pytorch-grad-cam's AblationCAM on the softmax probability at conv5, every fifth row and column
  lrp [P,C]        relevance by captum's LRP (epsilon rule, 1e-9) of the logit, summed over a channel's places
  lift [P,C]       contributions by captum's DeepLift (rescale rule, zero reference) to the logit, likewise
  lift_total [P]   logit of A less logit of A = 0, which the contributions must sum to
  masks [P,256,C] u8, lasso [P,C]   masks drawn here; coefficients of scikit-learn's Lasso(alpha=0.01, tol=1e-10) of the
                   masked activations' logits, with the exponential kernel (width 1, cosine distance) as sample weights
  lrp_gamma, lrp_z_plus [P,C]   relevance by captum's LRP with GammaRule(0.25) and Alpha1_Beta0_Rule(set_bias_to_zero=True)
  published_lrp, published_lift [P,C]   captum's LRP and DeepLift of a tail from conv5's output as the paper's published
                   code builds it: ReLU and pooling as function calls, the linear layers in a plain list
  grad_cam_plus_plus, xgrad_cam, hires_cam, layer_cam, eigen_cam, score_cam [P,26,26]   maps of the logit at conv5 by
                   pytorch-grad-cam, every ninth row and column
  post_relu_grad_cam, post_relu_layer_cam, post_relu_xgrad_cam [P,26,26]   at the ReLU behind conv5
  class_3_grad_cam [P,26,26]   of the logit of class 3 in every picture
  eigen_turned [P] u8   1 where pytorch-grad-cam's principal component, whose sign is an accident of the decomposition,
                   was turned round so that the projection correlates positively with the sum over channels of ReLU(A)
LRP and DeepLift are asked at the pooled map, the input of the first linear layer: pooling hands everything on to the
maxima, so sums over a channel's places are the same there; captum's own rule for max-pooling, which unpools by assignment,
does not add up where windows overlap.

Made with Python 3.11, torch 2.11.0 (CPU), grad-cam 1.5.5, captum 0.9.0, scikit-learn 1.9.1, Pillow 12.3.0.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from captum.attr import LRP, DeepLift
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, GammaRule
from pytorch_grad_cam import (AblationCAM, EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM, XGradCAM,
                              eigen_cam)
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from safetensors.numpy import save_file
from sklearn.linear_model import Lasso
from torch import nn

from emonet import load, resized, to_input

SAMPLES = 256


class Tail(nn.Module):
    """From the pooled map, flattened, to the logits."""

    def __init__(self, model):
        super().__init__()
        linear = [model.conv_5[0], model.conv_6[0], model.classifier[0]]
        layers = []
        for convolution in linear:
            layer = nn.Linear(convolution.weight[0].numel(), len(convolution.weight))
            layer.weight, layer.bias = nn.Parameter(convolution.weight.flatten(1)), convolution.bias
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return self.layers(x)


class PublishedTail(nn.Module):
    """The same from conv5's output on, built so that captum finds no layer in it."""

    def __init__(self, model):
        super().__init__()
        self.linear = [layer for layer in Tail(model).layers if isinstance(layer, nn.Linear)]

    def forward(self, a):
        x = torch.nn.functional.max_pool2d(torch.relu(a), 3, 2).flatten(1)
        for layer in self.linear[:-1]:
            x = torch.relu(layer(x))
        return self.linear[-1](x)


TURNED = []


def projection(activations):
    """pytorch-grad-cam's, turned to the side on which the channels are active."""
    [found] = get_2d_projection(activations)
    active = np.maximum(activations[0], 0).sum(0)
    TURNED.append(((found - found.mean()) * (active - active.mean())).sum() < 0)
    return np.float32([-found if TURNED[-1] else found])


eigen_cam.get_2d_projection = projection


def family(model, x, best):
    """Maps by pytorch-grad-cam, of logits."""
    def thin(method, layer=model.conv_4[0], of=best):
        with method(model=model, target_layers=[layer]) as cam:
            return cam(input_tensor=x, targets=[lambda output: output[of]])[0][::9, ::9].astype(np.float32)

    methods = {"grad_cam_plus_plus": GradCAMPlusPlus, "xgrad_cam": XGradCAM, "hires_cam": HiResCAM,
               "layer_cam": LayerCAM, "eigen_cam": EigenCAM, "score_cam": ScoreCAM}
    maps = {name: thin(method) for name, method in methods.items()}
    behind = {"post_relu_grad_cam": GradCAM, "post_relu_layer_cam": LayerCAM, "post_relu_xgrad_cam": XGradCAM}
    maps |= {name: thin(method, layer=model.conv_4[1]) for name, method in behind.items()}
    return maps | {"class_3_grad_cam": thin(GradCAM, of=3), "eigen_turned": np.uint8(TURNED[-1])}


def relevances(model, u, best, rule):
    """captum's LRP with `rule` in every linear layer."""
    tail = Tail(model).eval()
    # The rules change weights in place and put back what was there; copies keep the model's own out of it.
    tail.load_state_dict({name: value.clone() for name, value in tail.state_dict().items()}, assign=True)
    for layer in tail.layers:
        if isinstance(layer, nn.Linear):
            layer.rule = rule()
    return LRP(tail).attribute(u.detach(), target=best)


def by_channel(values, channels):
    return values.detach().reshape(channels, -1).sum(1).numpy()


def activation_of(model, x):
    with torch.no_grad():
        for block in (model.conv_0, model.conv_1, model.conv_2, model.conv_3):
            x = block(x)
        return model.conv_4[0](x)


def pooled(model, a):
    return model.conv_4[2](torch.relu(a)).flatten(1)


def ablation(model, tail, a, best):
    with torch.no_grad():
        y = tail(pooled(model, a)).softmax(1)[0, best]
        weights = []
        for channel in range(a.shape[1]):
            without = a.clone()
            without[:, channel] = 0
            weights.append(float((y - tail(pooled(model, without)).softmax(1)[0, best]) / y))
    return np.array(weights, np.float32)


def lime(model, tail, a, best, rng):
    masks = (rng.random((SAMPLES, a.shape[1])) < 0.5).astype(np.uint8)
    with torch.no_grad():
        masked = a * torch.from_numpy(masks).float()[:, :, None, None]
        scores = tail(pooled(model, masked))[:, best].double().numpy()
        cosine = torch.nn.functional.cosine_similarity(masked.flatten(1).double(), a.flatten(1).double()).numpy()
    weights = np.exp(-((1 - cosine) ** 2) / 2)
    fit = Lasso(alpha=0.01, tol=1e-10, max_iter=100_000).fit(masks.astype(np.float64), scores, sample_weight=weights)
    return masks, fit.coef_.astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model, rng = load(arguments.checkpoint), np.random.default_rng(20261120)
    tail, columns = Tail(model).eval(), {}
    for path in sorted(arguments.pictures.glob("*.png")):
        x = to_input(resized(path)[1], 0)
        a = activation_of(model, x)
        u, channels = pooled(model, a), a.shape[1]
        best = int(tail(u)[0].argmax())
        contributions = DeepLift(tail).attribute(u, torch.zeros_like(u), target=best)
        total = (tail(u) - tail(torch.zeros_like(u)))[0, best].item()
        relevance = LRP(Tail(model).eval()).attribute(u.detach(), target=best)
        with AblationCAM(model=model, target_layers=[model.conv_4[0]]) as cam:
            full = cam(input_tensor=x, targets=[lambda output: output.softmax(-1)[best]])[0]
        masks, lasso = lime(model, tail, a, best, rng)
        row = {"ablation": ablation(model, tail, a, best), "ablation_map": full[::5, ::5].astype(np.float32),
               "lrp": by_channel(relevance, channels), "lift": by_channel(contributions, channels),
               "lift_total": np.float32(total), "masks": masks, "lasso": lasso}
        row["lrp_gamma"] = by_channel(relevances(model, u, best, GammaRule), channels)
        row["lrp_z_plus"] = by_channel(relevances(model, u, best, lambda: Alpha1_Beta0_Rule(True)), channels)
        row["published_lrp"] = by_channel(LRP(PublishedTail(model)).attribute(a, target=best), channels)
        row["published_lift"] = by_channel(
            DeepLift(PublishedTail(model)).attribute(a, torch.zeros_like(a), target=best), channels)
        row |= family(model, x, best)
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
        print(json.dumps({"picture": path.name, "class": best, "lift_sum": float(row["lift"].sum()), "lift_total": total,
                          "lasso_nonzero": int((lasso != 0).sum())}))
    save_file({name: np.ascontiguousarray(np.stack(values)) for name, values in columns.items()}, arguments.out)


if __name__ == "__main__":
    main()
