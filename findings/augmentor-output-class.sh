#!/usr/bin/env bash
# Augmentor 0.2.12 with torchvision 0.29.1: the new images lie in the dataset, as one more class called `output`.
#
# Pipeline(folder) writes to folder/output, below the class folders, as output/CLASS/... Whoever then opens the folder that
# was to be made larger gets all new images of all classes under one new label: torchvision's ImageFolder takes the folders
# directly below as classes and searches each to its end. The classes behind `output` in the alphabet get other numbers than
# in the test folder. Augmentor itself passes `output` over when it is started again. What helps: an absolute
# output_directory outside of the dataset, and a look at `classes` before training.
#
# Seen:   two classes of 3 images and 10 new ones: before ['cat', 'pig'], 6 images; after ['cat', 'output', 'pig'], 16 images,
#         of which 10 under `output`; `pig` is 2 in place of 1; Augmentor started again: 6 images
# Exits 0 while they behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check Augmentor==0.2.12 torchvision==0.29.1 torch==2.14.1 numpy pillow
cd "$place"
"$place/venv/bin/python" - <<'PYTHON' 2>/dev/null
import contextlib
import io
import sys
from pathlib import Path

import Augmentor
import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder

draw = np.random.default_rng(0)
for name in ("cat", "pig"):
    Path("train", name).mkdir(parents=True)
    for number in range(3):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(f"train/{name}/{number}.png")
before = ImageFolder("train")
with contextlib.redirect_stdout(io.StringIO()):
    pipeline = Augmentor.Pipeline("train")
    pipeline.flip_left_right(0.5)
    pipeline.sample(10)
    again = Augmentor.Pipeline("train")
after = ImageFolder("train")
new = after.targets.count(after.class_to_idx["output"]) if "output" in after.classes else 0
print(f"before {before.classes}, {len(before)} images; after {after.classes}, {len(after)}, of which output {new};")
print(f"pig {before.class_to_idx['pig']} -> {after.class_to_idx['pig']}; started again: {len(again.augmentor_images)} images")
seen = (before.classes, len(before), after.classes, len(after), new, len(again.augmentor_images))
sys.exit(0 if seen == (["cat", "pig"], 6, ["cat", "output", "pig"], 16, 10, 6) else 1)
PYTHON
