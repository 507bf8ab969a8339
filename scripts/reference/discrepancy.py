#!/usr/bin/env python3
"""Distances of two sets of features and their gradients, by their definitions and autograd.

Usage: discrepancy.py OUT_FILE
       (committed: tests/reference/discrepancy.json)

[{source, target: rows, mmd, mmd_source, mmd_target, coral, coral_source, coral_target}]: values and gradients in f64. MMD:
the unbiased estimate (Gretton et al. 2012, equation 3) as sums over single pairs of rows, with the mean of five Gaussian
kernels exp(-d^2 / (b median)), b = 1/4, 1/2, 1, 2, 4; the median of the squared distances of all pairs, the lower one of an
even number, is no part of the gradient. CORAL: numpy-style covariances with n - 1, the squared Frobenius norm of their
difference over 4 d^2 (Sun & Saenko 2016).

Made with Python 3.11, torch 2.11.0 (CPU).
"""

import json
import sys
from pathlib import Path

import torch

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def squared(a, b):
    return ((a - b) ** 2).sum()


def mmd(source, target):
    rows = list(source) + list(target)
    pairs = sorted(squared(rows[i], rows[j]).item() for i in range(len(rows)) for j in range(i))
    median = pairs[(len(pairs) - 1) // 2]

    def kernel(a, b):
        return sum(torch.exp(-squared(a, b) / (width * median)) for width in BANDWIDTHS) / len(BANDWIDTHS)

    def within(x):
        return sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j) / (len(x) * (len(x) - 1))

    across = sum(kernel(a, b) for a in source for b in target) / (len(source) * len(target))
    return within(source) + within(target) - 2 * across


def coral(source, target):
    def covariance(x):
        mean = x.mean(0)
        return sum(torch.outer(row - mean, row - mean) for row in x) / (len(x) - 1)

    return ((covariance(source) - covariance(target)) ** 2).sum() / (4 * source.shape[1] ** 2)


def case(seed, n, m, features, shift):
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(count, features, generator=generator).float().double() for count in (n, m)]
    source, target = made[0].requires_grad_(), (made[1] * (1 + shift) + shift).detach().requires_grad_()
    found = {"source": source.tolist(), "target": target.tolist()}
    for name, distance in (("mmd", mmd), ("coral", coral)):
        value = distance(source, target)
        gradients = torch.autograd.grad(value, (source, target))
        found |= {name: value.item(), f"{name}_source": gradients[0].tolist(), f"{name}_target": gradients[1].tolist()}
    return found


def main():
    cases = [case(1, 6, 6, 4, 0.0), case(2, 5, 9, 3, 0.5), case(3, 12, 7, 16, 0.25), case(4, 2, 3, 1, 1.0)]
    Path(sys.argv[1]).write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
