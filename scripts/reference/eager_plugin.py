#!/usr/bin/env python3
"""Times pytorch-grad-cam on an eager resnet50, as the baseline of scripts/bench for plug-in networks.

Usage: eager_plugin.py NET.pt --export                     writes the plug-in: resnet50, seeded random weights, layer4
       eager_plugin.py NET.pt PHOTOS_FOLDER --time METHOD [--photos N] [--batch N] [--threads N]

--time prints one JSON object: seconds per photo of decoding, resizing, the forward pass, and METHOD (grad-cam or
ablation-cam) by pytorch-grad-cam in batches of N photos, as `emocam analyze` does all of it; loading the network is not
counted, and one batch before is warming up. Each photo is explained for its own label.

Made with Python 3.11, torch 2.11.0 (CPU), torchvision 0.26, grad-cam 1.5.5, Pillow 13.0.0.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
import torchvision
from pytorch_grad_cam import AblationCAM, GradCAM, ablation_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export_model import export, prepare

METHODS = {"grad-cam": GradCAM, "ablation-cam": AblationCAM}
ablation_cam.tqdm.tqdm = lambda items, *_, **__: items  # its progress bar is not part of what is timed


def network():
    torch.manual_seed(50)
    return torchvision.models.resnet50(num_classes=8).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="NET.pt")
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--time", choices=METHODS)
    parser.add_argument("folder", type=Path, nargs="?", metavar="PHOTOS_FOLDER")
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = network()
    if arguments.export:
        labels = ["amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness"]
        export(model, "layer4", arguments.file, labels=labels, input=224)
        return
    extra = {"emocam.json": ""}
    torch.jit.load(str(arguments.file), _extra_files=extra)
    card = json.loads(extra["emocam.json"])
    all_photos = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = [all_photos[at % len(all_photos)] for at in range(arguments.photos)]
    batches = [photos[at:at + arguments.batch] for at in range(0, len(photos), arguments.batch)]
    with METHODS[arguments.time](model=model, target_layers=[model.layer4]) as cam:
        def explain(batch):
            x = torch.cat([prepare(photo, card) for photo in batch])
            with torch.no_grad():
                labels = model(x).argmax(1).tolist()
            cam(input_tensor=x, targets=[ClassifierOutputTarget(label) for label in labels])

        if arguments.time == "grad-cam":
            explain(batches[0])
        clock = time.perf_counter()
        for batch in batches:
            explain(batch)
        seconds = (time.perf_counter() - clock) / len(photos)
    print(json.dumps({"method": arguments.time, "photos": len(photos), "seconds_per_photo": seconds}))


if __name__ == "__main__":
    main()
