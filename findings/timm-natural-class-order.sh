#!/usr/bin/env bash
# timm 1.0.31 and torchvision 0.29.1: number the classes of one folder in two orders.
#
# Both read `folder/class/image` and number the classes by their sorted names; torchvision by code points, timm as a
# person would sort, digits as numbers and whatever the case. With classes called 1 to 12, or some with a capital, a
# network that one of them trained and the other one measures has its outputs permuted: accuracy falls to chance, or by
# some classes where the orders nearly agree, and nothing fails. Keep the names of the classes with the weights, and give
# timm's reader a class map (`class_map`) with them.
#
# Seen:   torchvision: 10 2 Ash beech    timm: 2 10 Ash beech    and with an unsorted case: Beech ash against ash Beech
# Exits 0 while both behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    timm==1.0.31 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0
cd "$place"
"$place/venv/bin/python" - <<'PYTHON' 2> /dev/null
import sys
from pathlib import Path

import timm
import torchvision
from PIL import Image
from timm.data.readers.reader_image_folder import ReaderImageFolder
from torchvision.datasets import ImageFolder


def orders(*names):
    """The names in the order of their numbers, by torchvision and by timm."""
    root = Path("-".join(names))
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name / "0.png")
    by_torchvision, by_timm = ImageFolder(str(root)).class_to_idx, ReaderImageFolder(str(root)).class_to_idx
    return [sorted(found, key=found.get) for found in (by_torchvision, by_timm)]


print("timm", timm.__version__, "torchvision", torchvision.__version__)
numbers, capitals = orders("2", "10", "Ash", "beech"), orders("ash", "Beech")
for one, other in (numbers, capitals):
    print("torchvision:", *one, "  timm:", *other)
is_so = numbers == [["10", "2", "Ash", "beech"], ["2", "10", "Ash", "beech"]]
is_so = is_so and capitals == [["Beech", "ash"], ["ash", "Beech"]]
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
