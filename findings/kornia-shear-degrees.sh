#!/usr/bin/env bash
# kornia 0.9.0: RandAugment, TrivialAugment and AutoAugment shear up to four and a half times as far as the papers say.
#
# The papers' tables end at a shear of 0.3, which is a slope: a row 100 pixels lower moves by 30 (16.7 degrees). kornia has
# the same tables and multiplies the number by 180 to get degrees: 0.3 is 54 degrees, a slope of 1.38. The docstrings name
# the product, and not that it is another shear than the papers'. A third of the pixels leaves the picture at a large
# magnitude, so images keep a label of which they may show nothing, and a magnitude that was tuned with torchvision or
# taken from a paper is another augmentation here. Give a policy of your own with ("shear_x", -0.093, 0.093), which is 16.7
# degrees.
#
# Seen:   slope of a vertical line under shear_x alone, at 10, 20 and 29 of 30: RandAugment of kornia 0.32, 0.72, 1.28;
#         of torchvision 0.10, 0.20, 0.28; at 29 kornia keeps 68 % of the pixels inside, torchvision 86 %
# Exits 0 while kornia behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 kornia==0.9.0 numpy
"$place/venv/bin/python" - <<'PYTHON' 2> /dev/null
import math
import sys

import kornia
import torch
import torchvision
from kornia.augmentation.auto import AutoAugment, RandAugment, TrivialAugment
from torchvision.transforms import v2

TABLE = ("shear_x", -0.3, 0.3)  # of RandAugment's and TrivialAugment's default policies
torch.manual_seed(0)
line = torch.zeros(1, 1, 201, 201)
line[..., 100] = 1
full = torch.ones(64, 3, 64, 64)


class Torchvision(v2.RandAugment):
    """The shear of torchvision's RandAugment alone."""

    _AUGMENTATION_SPACE = {"ShearX": v2.RandAugment._AUGMENTATION_SPACE["ShearX"]}


def slope(augment):
    """By how many pixels the line moves from one row to the next; the largest of some draws."""
    found = []
    for _ in range(40):
        rows = augment(line)[0, 0, 75:126]
        found.append(abs(rows[-1].argmax() - rows[0].argmax()).item() / 50)
    return max(found)


def inside(augment):
    return augment(full).mean().item()


ours = {m: RandAugment(n=1, m=m, policy=[[TABLE]]) for m in (10, 20, 29)}
theirs = {m: Torchvision(num_ops=1, magnitude=m, num_magnitude_bins=31) for m in ours}
by_kornia = [slope(augment) for augment in ours.values()]
by_torchvision = [slope(augment) for augment in theirs.values()]
kept = [inside(ours[29]), inside(theirs[29])]
trivial = slope(TrivialAugment(policy=[[TABLE]]))
auto = slope(AutoAugment(policy=[[("shear_x", 1.0, 9)]]))
own = slope(RandAugment(n=1, m=29, policy=[[("shear_x", -0.093, 0.093)]]))
has_table = all(
    [TABLE] in sys.modules[kind.__module__].default_policy for kind in (RandAugment, TrivialAugment)
)
print("kornia", kornia.__version__, "torchvision", torchvision.__version__, "default policies have", TABLE, has_table)
print("slope at 10, 20, 29 of 30: kornia", *(f"{s:.2f}" for s in by_kornia), end="; ")
print("torchvision", *(f"{s:.2f}" for s in by_torchvision))
print(f"TrivialAugment up to {trivial:.2f}, AutoAugment's last step {auto:.2f}, own policy {own:.2f}")
print(f"pixels that stay inside at 29: kornia {kept[0]:.0%}, torchvision {kept[1]:.0%}")
expected = [math.tan(math.radians(180 * 0.3 * m / 30)) for m in ours]
is_so = (
    has_table
    and all(abs(s - e) < 0.05 for s, e in zip(by_kornia, expected, strict=True))
    and all(abs(s - 0.3 * m / 30) < 0.05 for s, m in zip(by_torchvision, ours, strict=True))
    and trivial > 1
    and auto > 1
    and abs(own - 0.29) < 0.05
    and kept[0] < 0.75 < kept[1]
)
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
