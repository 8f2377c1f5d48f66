#!/usr/bin/env bash
# torch 2.14.1 (CPU): an antialiased resize to a width of 1 repeats the first row for all rows.
#
# torch.nn.functional.interpolate(x, (4, 1), mode="bilinear", antialias=True) of a contiguous (1, 1, 8, 8) float tensor
# gives four equal rows, the right value of the first. The same picture transposed and resized to (1, 4) is right. So is
# channels-last memory with three channels; float64 is wrong too; a width of 2 is right. It meets whoever shrinks very
# high, narrow pictures (scans of cores, spectrograms, text columns) or computes one-column summaries.
#
# Seen:   to (4, 1): 0.4152 0.4152 0.4152 0.4152   transposed: 0.4152 0.4722 0.4239 0.5129
# Exits 0 while torch behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy
"$place/venv/bin/python" - <<'PYTHON'
import sys

import torch
from torch.nn.functional import interpolate

torch.manual_seed(0)
picture = torch.rand(1, 1, 8, 8)


def resized(x, height, width):
    return interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)


narrow = resized(picture, 4, 1).flatten()
turned = resized(picture.transpose(2, 3).contiguous(), 1, 4).flatten()
wide = (resized(picture, 4, 2) - resized(picture.transpose(2, 3).contiguous(), 2, 4).transpose(2, 3)).abs().max()
print("torch", torch.__version__)
print("to (4, 1): ", " ".join(f"{v:.4f}" for v in narrow.tolist()))
print("transposed:", " ".join(f"{v:.4f}" for v in turned.tolist()))
is_so = bool((narrow == narrow[0]).all()) and float((narrow - turned).abs().max()) > 0.05 and float(wide) < 1e-6
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
