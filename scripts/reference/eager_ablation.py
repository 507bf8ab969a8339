#!/usr/bin/env python3
"""Times pytorch-grad-cam's AblationCAM of EmoNet's predicted probability, as the baseline of scripts/bench.

Usage: eager_ablation.py CHECKPOINT PHOTOS_FOLDER [--images N] [--threads N]

Prints one JSON object: seconds per image (the first is warming up and not counted) and their median. What is timed is the
call of AblationCAM alone, with its default batches of 32 channels; decoding and resizing are not.

Made with Python 3.11, torch 2.11.0 (CPU), grad-cam 1.5.5.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from pytorch_grad_cam import AblationCAM, ablation_cam

from emonet import load, resized, to_input

# Its progress bar is not part of what is timed.
ablation_cam.tqdm.tqdm = lambda items, *_, **__: items


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load(arguments.checkpoint)
    photos = sorted(p for p in arguments.photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    seconds = []
    with AblationCAM(model=model, target_layers=[model.last_convolution()]) as cam:
        for at in range(arguments.images + 1):
            x = to_input(resized(photos[at % len(photos)])[1], 0)
            with torch.no_grad():
                best = int(model(x)[0].argmax())
            clock = time.perf_counter()
            cam(input_tensor=x, targets=[lambda output, best=best: output.softmax(-1)[best]])
            seconds.append(time.perf_counter() - clock)
    print(json.dumps({"seconds_per_image": seconds[1:], "median": statistics.median(seconds[1:])}))


if __name__ == "__main__":
    main()
