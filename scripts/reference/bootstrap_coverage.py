#!/usr/bin/env python3
"""How often a 95 % percentile interval of a mean leaves out a mean that is truly 0, by the number of cases.

Prints the table in the documentation of FEWEST_RESAMPLED_CASES (src/stats/bootstrap.rs); takes half a minute.
"""

import numpy as np

CASES = [2, 3, 5, 8, 10, 15, 20, 30]
SAMPLES, RESAMPLES, BLOCK = 4000, 1000, 200

random = np.random.default_rng(1)
VALUES = {
    "normal": lambda shape: random.normal(size=shape),
    "exponential": lambda shape: random.exponential(size=shape) - 1,
}


def marked(values, cases):
    """The share of samples, in per cent, whose interval does not hold 0."""
    count = 0
    for _ in range(SAMPLES // BLOCK):
        sample = values((BLOCK, 1, cases))
        drawn = random.integers(0, cases, size=(BLOCK, RESAMPLES, cases))
        means = np.take_along_axis(np.broadcast_to(sample, drawn.shape), drawn, 2).mean(2)
        lower, upper = np.percentile(means, [2.5, 97.5], axis=1)
        count += np.sum((lower > 0) | (upper < 0))
    return 100 * count / SAMPLES


for name, values in VALUES.items():
    print(name, *(f"{cases}: {marked(values, cases):.1f} %" for cases in CASES), sep="  ")
