#!/usr/bin/env bash
# torchvision 0.29.1: RandomErasing(value="random") on a uint8 image draws black and white specks, not random colours.
#
# The noise is drawn from a standard normal distribution whatever the type of the image, and then cast to it. In bytes
# that leaves 0 to 3 for what is above zero and, wrapped round, 252 to 255 for what is below: no grey level between. On
# floats in [0, 1] the same call writes values from about -3 to 3. Random erasing (Zhong et al. 2017) draws from [0, 255].
# It meets whoever puts the transform before normalisation, as transforms.v2 allows, with images kept as bytes.
#
# Seen:   uint8: 0 1 2 3 252 253 254 255   float in [0, 1]: from -3.5 to 3.7
# Exits 0 while torchvision behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy
"$place/venv/bin/python" - <<'PYTHON'
import sys

import torch
import torchvision
from torchvision.transforms import v2

torch.manual_seed(0)
erase = v2.RandomErasing(p=1, scale=(0.3, 0.3), value="random")
picture = torch.full((3, 64, 64), 100, dtype=torch.uint8)
erased = erase(picture)
levels = sorted(set(erased[erased != 100].tolist()))
floats = erase(picture.float() / 255)
print("torchvision", torchvision.__version__)
print("uint8:", *levels)
print(f"float in [0, 1]: from {floats.min():.1f} to {floats.max():.1f}")
is_so = set(levels) <= {0, 1, 2, 3, 4, 5, 251, 252, 253, 254, 255} and len(levels) > 4
is_so = is_so and float(floats.min()) < -2 and float(floats.max()) > 2
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
