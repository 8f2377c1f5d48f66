#!/usr/bin/env bash
# scikit-image 0.26.0: a stack of three pages is read as one colour picture, one of four as colour with alpha.
#
# skimage.io.imread takes an array whose third axis from the end has length 3 or 4, and whose last has not, for a picture
# with its colours in front, and moves that axis to the end. A TIFF of three grey pages (three slices of a volume, three
# moments of a film, three focal planes) becomes (height, width, 3): slices as red, green and blue. Stacks of two and of
# five pages keep their shape, so in a folder of volumes those of three and four alone are turned, and `image[0]` is then a
# row of pixels in place of a slice. There is no warning, and no argument that stops it. imread_collection and imageio,
# which reads the file for it, give (3, height, width); MultiImage turns it, too. What helps: tifffile.imread.
#
# Seen:   pages -> shape: skimage 2 -> (2, 20, 30), 3 -> (20, 30, 3), 4 -> (20, 30, 4), 5 -> (5, 20, 30); tifffile and
#         imageio (pages, 20, 30) always; imread_collection (3, 20, 30), MultiImage (20, 30, 3); warnings: 0
# Exits 0 while scikit-image behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 tifffile==2026.3.3 imageio==2.38.1
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import imageio.v3
import numpy as np
import tifffile
from skimage import io

expected = {2: (2, 20, 30), 3: (20, 30, 3), 4: (20, 30, 4), 5: (5, 20, 30)}
found, faithful = {}, True
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for pages in expected:
        stack = np.arange(pages * 20 * 30, dtype=np.uint16).reshape(pages, 20, 30)
        tifffile.imwrite(f"{pages}.tif", stack, photometric="minisblack")
        found[pages] = io.imread(f"{pages}.tif").shape
        faithful &= tifffile.imread(f"{pages}.tif").shape == imageio.v3.imread(f"{pages}.tif").shape == stack.shape
    one, other = (of("3.tif")[0].shape for of in (io.imread_collection, io.MultiImage))
print("scikit-image:", "; ".join(f"{pages} pages -> {shape}" for pages, shape in found.items()))
print(f"tifffile and imageio keep every stack: {faithful}; imread_collection {one}, MultiImage {other}")
print(f"warnings: {len(said)}")
same = found == expected and faithful and one == (3, 20, 30) and other == (20, 30, 3) and not said
sys.exit(0 if same else 1)
PYTHON
