"""Five steps of PyTorch's SGD and AdamW, for src/train/fitting/tests.rs.

Writes tests/reference/optimisers/steps.json: the first values of a kernel and a bias, their gradients at every step, and
the values after the last. Weight decay is for the kernel alone. Needs torch.
"""

import json
from pathlib import Path

import torch

STEPS, RATE, DECAY = 5, 0.05, 0.1
OUT = Path(__file__).parents[2] / "tests/reference/optimisers/steps.json"


def main():
    generator = torch.Generator().manual_seed(3)
    first = [torch.randn(2, 3, 1, 1, generator=generator), torch.randn(4, generator=generator)]
    gradients = [[torch.randn(value.shape, generator=generator) for value in first] for _ in range(STEPS)]
    rules = {
        "sgd": lambda groups: torch.optim.SGD(groups, lr=RATE),
        "sgd_momentum": lambda groups: torch.optim.SGD(groups, lr=RATE, momentum=0.9),
        "adamw": lambda groups: torch.optim.AdamW(groups, lr=RATE),
    }
    last = {}
    for name, rule in rules.items():
        values = [torch.nn.Parameter(value.clone()) for value in first]
        optimiser = rule(
            [{"params": values[:1], "weight_decay": DECAY}, {"params": values[1:], "weight_decay": 0.0}]
        )
        for step in gradients:
            for value, gradient in zip(values, step):
                value.grad = gradient.clone()
            optimiser.step()
        last[name] = [value.detach().flatten().tolist() for value in values]
    flat = [value.flatten().tolist() for value in first]
    record = {
        "rate": RATE,
        "weight_decay": DECAY,
        "first": flat,
        "gradients": [[gradient.flatten().tolist() for gradient in step] for step in gradients],
        "last": last,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
