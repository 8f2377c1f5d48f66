#!/usr/bin/env bash
# monai 1.6.1: LoadImage gives a photograph (PNG, JPEG) mirrored along its diagonal: rows are columns.
#
# The reader of ordinary pictures swaps the two axes, so that they agree with NIfTI, whose first index is left to right. An
# image of 2 rows and 3 columns becomes 3 x 2, a channel first 3 x 3 x 2, and every text, face or organ is on its side and
# mirrored. A classifier that is trained so loses most of what it learned where timm, torchvision or a web service feed it
# pictures as they are; nothing in the shape of a square image, and no message, shows it. DICOM and NIfTI are meant to be so.
# What helps: LoadImage(reverse_indexing=False) for ordinary pictures, on both sides.
#
# Seen:   PNG of 2 x 3: as loaded (3, 2, 3) with channels last, (3, 3, 2) with channels first, equal to its transposition;
#         with reverse_indexing=False as it is; warnings that speak of it: 0
# Exits 0 while monai behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.14.1 numpy pillow
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
from PIL import Image

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from monai.transforms import EnsureChannelFirst, LoadImage

pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
Image.fromarray(pixels).save("a.png")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    loaded = LoadImage(image_only=True)("a.png")
    first = EnsureChannelFirst()(loaded)
    plain = EnsureChannelFirst()(LoadImage(image_only=True, reverse_indexing=False)("a.png"))
spoken = [str(one.message) for one in said if any(word in str(one.message) for word in ("transpos", "axes", "revers"))]
is_turned = np.array_equal(np.asarray(first), pixels.transpose(2, 1, 0))
is_plain = np.array_equal(np.asarray(plain), pixels.transpose(2, 0, 1))
print(f"loaded {tuple(loaded.shape)}, channels first {tuple(first.shape)}: turned {is_turned}; without {is_plain}; {len(spoken)} warnings")
sys.exit(0 if (tuple(loaded.shape), tuple(first.shape), is_turned, is_plain, spoken) == ((3, 2, 3), (3, 3, 2), True, True, []) else 1)
PYTHON
