#!/usr/bin/env bash
# torchvision 0.29.1: two copies of LSUN whose paths differ in digits or signs alone share one list of keys.
#
# `torchvision.datasets.LSUN` writes the keys of each database to a file `_cache_<path>` in the working directory, with the
# letters of the path alone, and reads that file without a look at the database when it is there. So `/data/v1` and
# `/data/v2` (a subset and the whole, last year's and this year's) have one file: the second set has its own length and the
# keys of the first, and fails at an image, or gives others. So does a database that is replaced at its path. It meets
# whoever keeps several subsets of a set as LMDB and starts jobs in one working directory.
#
# Seen:   first set: 2 images; second set: 5 in its database, 2 keys; files: 1; its third image: IndexError
# Exits 0 while torchvision behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torchvision==0.29.1 lmdb==3.0.0 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import glob
import io
import os
import sys

import lmdb
import torchvision
from PIL import Image
from torchvision.datasets import LSUN

counts = {"v1": 2, "v2": 5}
for name, count in counts.items():
    os.makedirs(f"{name}/bedroom_train_lmdb")
    with lmdb.open(f"{name}/bedroom_train_lmdb", map_size=2**20) as database, database.begin(write=True) as to:
        for n in range(count):
            out = io.BytesIO()
            Image.new("RGB", (8, 8), (40 * n, 0, 0)).save(out, "WEBP")
            to.put(f"{name}{n:038x}".encode(), out.getvalue())
first, second = (LSUN(os.path.abspath(name), classes=["bedroom_train"]) for name in counts)
keys = second.dbs[0].keys
files = [os.path.basename(path) for path in glob.glob("_cache_*")]
print("torchvision", torchvision.__version__)
try:
    second[2]
    third = "an image"
except Exception as error:
    third = type(error).__name__
print(f"first set: {len(first)} images; second set: {len(second)} in its database, {len(keys)} keys; files: {len(files)};", end=" ")
print(f"its third image: {third}")
is_so = len(files) == 1 and keys == first.dbs[0].keys and third != "an image"
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
