#!/usr/bin/env bash
# pytorch-fid 0.3.0, clean-fid 0.1.35, torch-fidelity 0.4.0: each takes other images of one folder, and says nothing of the
# rest; clean-fid takes other ones of the same folder in a zip.
#
# pytorch-fid looks for `*.jpg`, `*.png`, ... as they are spelt, in the folder itself: IMG_0001.JPG of a camera and images in
# class folders are not there for it. clean-fid searches the folders below, and of the capital endings knows JPG, JPEG and
# PNG: scans called .TIF and .BMP are left out, but counted where the same files are in a zip. torch-fidelity takes png, jpg
# and jpeg alone, whatever their case, and those of class folders only with samples_find_deep. FIDs of "the same folder" are
# of other images each. What helps: count the files first, and give the tools copies that are all called .png.
#
# Seen:   of 8 images (png, PNG, jpg, JPG, TIF, BMP, webp, and a png in a class folder): pytorch-fid 3, clean-fid 6 (of a
#         zip 8), torch-fidelity 4 (with samples_find_deep 5); warnings that name a file: 0
# Exits 0 while they behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pytorch-fid==0.3.0 clean-fid==0.1.35 torch-fidelity==0.4.0 \
    torch==2.14.1 torchvision==0.29.1 numpy scipy pillow requests tqdm
cd "$place"
"$place/venv/bin/python" - <<'PYTHON' 2> "$place/said"
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from cleanfid.fid import get_folder_features
from PIL import Image
from pytorch_fid import fid_score
from torch_fidelity.utils import glob_samples_paths

warnings.simplefilter("always")
names = ("a.png", "b.PNG", "c.jpg", "d.JPG", "e.TIF", "f.BMP", "g.webp", "class/h.png")
draw = np.random.default_rng(0)
for name in names:
    Path("all", name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(Path("all", name))
with zipfile.ZipFile("all.zip", "w") as archive:
    for name in names:
        archive.write(Path("all", name), name)

counted = []
fid_score.calculate_activation_statistics = lambda files, *rest: (counted.append(len(files)), None)
fid_score.compute_statistics_of_path("all", None, 8, 64, "cpu")


def features(place):
    model = lambda batch: batch.mean(dim=(2, 3))
    found = get_folder_features(place, model, num_workers=0, batch_size=8, device=torch.device("cpu"), verbose=False)
    return len(found)


deep = [len(glob_samples_paths("all", deep, "png,jpg,jpeg", verbose=False)) for deep in (False, True)]
print(f"pytorch-fid {counted[0]}; clean-fid {features('all')}, of a zip {features('all.zip')}; torch-fidelity {deep[0]}, deep {deep[1]}")
sys.exit(0 if (counted, features("all"), features("all.zip"), deep) == ([3], 6, 8, [4, 5]) else 1)
PYTHON
! grep -E "TIF|BMP|webp|PNG|JPG" "$place/said"
