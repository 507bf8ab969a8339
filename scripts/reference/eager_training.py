"""Seconds of a training step of Multi-GAP's object stream (MobileNetV2 at 224 x 224) in eager PyTorch, for scripts/bench.

Forward, cross-entropy, backward, the norm of the gradient, AdamW, on random pixels. Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from multi_gap_model import MultiGap

CARD = """
labels = ["a", "b", "c", "d", "e", "f", "g", "h"]
[multi_gap]
[[multi_gap.streams]]
name = "object"
backbone = "mobilenet_v2"
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    network = MultiGap(CARD).float().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-4, weight_decay=0.01)
    pixels = torch.rand(options.batch, 3, 224, 224) * 255
    labels = torch.randint(8, (options.batch,))
    seconds = []
    for _ in range(options.steps):
        clock = time.monotonic()
        loss = torch.nn.functional.cross_entropy(network(pixels), labels)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        loss.item()
        seconds.append(time.monotonic() - clock)
    print(json.dumps({"seconds_per_step": statistics.median(seconds), "threads": options.threads}))


if __name__ == "__main__":
    main()
