#!/usr/bin/env python3
"""Faithfulness metrics of given maps by numpy, torchvision, pytorch-grad-cam and scipy.

Usage: evaluate.py CHECKPOINT PICTURES_FOLDER OUT_FOLDER
       (committed: tests/reference/evaluate, from tests/reference/emonet/narrow_ecco.pt and its pictures)

The network is EmoNet (emonet.py), nothing is subtracted from the input, the explained class is the predicted one, the score
its softmax probability. Maps and orders are formulas in integers, so that any program makes the same (y, x from 0):
  cone        max(0, 1 - ((y - 90)^2 + (x - 150)^2) / 20000) as f32(integer) / f32(20000): many equal values, zero outside
  ties        ((227 y + x) 7919 mod 51529) as f32: all different; orders equal values of the cone, highest first
  distinct    1 - rank / 51529 with the rank of the cone's pixels, ties ordered: falls with the cone, all different
Pixels are taken in the order of falling cone, then falling ties. After s of 20 steps (2 s 51529 + 20) // 40 are taken.

evaluate.json:
  pictures[]: picture, class, probability,
    deletion [21], insertion [21]   probabilities: taken pixels zero; taken pixels shown on the blurred input
                  (torchvision's gaussian_blur, 11 x 11, deviation 5)
    multiplied    probability of the input times the cone; drop, gain, increase from it (pytorch-grad-cam's
                  CamMultImageConfidenceChange; its drop divided by the probability)
    road_most [4], road_least [4]   first three pictures: probabilities by pytorch-grad-cam's RemoveMostRelevantFirst and
                  RemoveLeastRelevantFirst with its NoisyLinearImputer, noise 0, percentiles 80, 60, 40, 20 of `distinct`
    road          its ROADCombined's formula on these
  pointing[]: width, height, boxes, area, energy (of the cone; pixel centres in boxes on the squashed 227 x 227)
  spearman[]: a, b, rho (scipy), with ties
imputed.safetensors: most_20 ... most_80: every 41st value of the filled input (3, 227, 227), flattened, of the first picture

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26.0, grad-cam 1.5.5, scipy 1.17.1, numpy 2.2.6, Pillow 12.3.0.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from pytorch_grad_cam.metrics.cam_mult_image import CamMultImageConfidenceChange
from pytorch_grad_cam.metrics.perturbation_confidence import (PerturbationConfidenceMetric, RemoveLeastRelevantFirst,
                                                              RemoveMostRelevantFirst)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from safetensors.numpy import save_file
from scipy.stats import spearmanr
from torchvision.transforms.functional import gaussian_blur

from emonet import load, resized, to_input

SIDE, STEPS = 227, 20
PIXELS = SIDE * SIDE
# Removed share 20, 40, 60, 80 %: the percentile of the map above (or of 1 - map above) which pixels go.
PERCENTILES = (80, 60, 40, 20)


def formulas():
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    cone = np.maximum(0, 20000 - (y - 90) ** 2 - (x - 150) ** 2).astype(np.float32) / np.float32(20000)
    ties = ((SIDE * y + x) * 7919 % PIXELS).astype(np.float32)
    order = np.lexsort((-ties.ravel(), -cone.ravel()))
    ranks = np.empty(PIXELS, int)
    ranks[order] = np.arange(PIXELS)
    distinct = 1 - ranks.astype(np.float64) / PIXELS
    return cone, ranks.reshape(SIDE, SIDE), distinct.reshape(SIDE, SIDE)


def probability(model, inputs, best):
    with torch.no_grad():
        return model(inputs).double().softmax(1)[:, best].tolist()


def curve(model, old, new, ranks, best):
    counts = [(2 * step * PIXELS + STEPS) // (2 * STEPS) for step in range(STEPS + 1)]
    return [probability(model, torch.where(torch.from_numpy(ranks < count), new, old), best)[0] for count in counts]


def road(model, x, distinct, best, removal):
    """Probabilities and filled inputs for each percentile; the model answers with probabilities."""
    target = [lambda output: output.double().softmax(-1)[best]]
    results = [PerturbationConfidenceMetric(removal(percentile, NoisyLinearImputer(noise=0)))(
        x, distinct[None], target, model, return_visualization=True, return_diff=False) for percentile in PERCENTILES]
    return [float(score[0]) for score, _ in results], [filled[0].numpy() for _, filled in results]


def evaluate(model, path, number, tensors):
    cone, ranks, distinct = formulas()
    x = to_input(resized(path)[1], 0)
    with torch.no_grad():
        best = int(model(x)[0].argmax())
    whole = probability(model, x, best)[0]
    target = [lambda output: output.double().softmax(-1)[best]]
    change = float(CamMultImageConfidenceChange()(x, cone[None], target, model)[0])
    row = {"picture": path.name, "class": best, "probability": whole,
           "deletion": curve(model, x, torch.zeros_like(x), ranks, best),
           "insertion": curve(model, gaussian_blur(x, [11, 11], [5.0, 5.0]), x, ranks, best),
           "multiplied": whole + change, "drop": max(0.0, -change) / whole,
           "gain": max(0.0, change) / (1 - whole), "increase": float(change > 0)}
    if number < 3:
        most, filled = road(model, x, distinct, best, RemoveMostRelevantFirst)
        least, _ = road(model, x, distinct, best, RemoveLeastRelevantFirst)
        row |= {"road_most": most, "road_least": least, "road": float(np.mean(np.subtract(least, most)) / 2)}
        if number == 0:
            tensors |= {f"most_{100 - percentile}": image.ravel()[::41].copy()
                        for percentile, image in zip(PERCENTILES, filled)}
    return row


def pointing():
    cone, _, _ = formulas()
    cases = []
    for width, height, boxes in [(640, 427, [[300, 80, 600, 300]]), (333, 500, [[0, 0, 200.5, 250], [100, 100, 333, 300]]),
                                 (50, 40, [[10.2, 3.7, 11.9, 5.1], [40, 30, 60, 50]]), (4000, 3000, [[1, 1, 5, 5]])]:
        y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
        x, y = x * (width / SIDE), y * (height / SIDE)
        inside = np.zeros((SIDE, SIDE), bool)
        for x0, y0, x1, y1 in boxes:
            inside |= (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
        energy = cone[inside].sum(dtype=np.float64) / cone.sum(dtype=np.float64)
        cases.append({"width": width, "height": height, "boxes": boxes, "area": float(inside.mean()),
                      "energy": float(energy)})
    return cases


def correlations():
    rng, cases = np.random.default_rng(4), []
    for levels in (3, 20, 1000):
        a = rng.integers(0, levels, 169)
        b = a + rng.integers(0, levels, 169)
        cases.append({"a": a.tolist(), "b": b.tolist(), "rho": float(spearmanr(a, b).statistic)})
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model, tensors, pictures = load(arguments.checkpoint), {}, []
    for number, path in enumerate(sorted(arguments.pictures.glob("picture_*.png"))):
        pictures.append(evaluate(model, path, number, tensors))
        print(json.dumps({name: value for name, value in pictures[-1].items() if not isinstance(value, list)}))
    document = {"pictures": pictures, "pointing": pointing(), "spearman": correlations()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "evaluate.json").write_text(json.dumps(document) + "\n")
    save_file(tensors, arguments.out / "imputed.safetensors")


if __name__ == "__main__":
    main()
