#!/usr/bin/env bash
# diffusers 0.42.1: a pipeline resizes a PIL image with Lanczos and the same image as a tensor or array with no filter.
#
# The image processor of the pipelines takes all three, and has `resample` ("lanczos", "Resampling filter to use when
# resizing the image"). For tensors and arrays it is not read: they go through interpolate() with its default, the
# nearest pixel. Small images that are enlarged to 512 or 1024 for inpainting, ControlNet, SD3 or FLUX (all resize to
# `height` and `width`) become blocks; large ones that are made smaller lose or alias fine texture: stripes one pixel
# wide become one flat colour. Nothing is said, and a loop that changes from PIL to a DataLoader's tensors changes its
# pictures. Resize tensors yourself, to the size that the pipeline will use.
#
# Seen:   stripes of 0 and 1, halved: PIL all 0.50, tensor all 0.00, array all 0.00
#         edge of 8 pixels enlarged to 64: PIL 36 grey levels, tensor 2, array 2; resample="bicubic": tensor 2
# Exits 0 while diffusers behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 diffusers==0.42.1 transformers==5.24.0 \
    pillow==13.0.0 numpy
"$place/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image


def forms(picture):
    """A picture in bytes as the three things that a pipeline takes."""
    values = np.stack([picture] * 3, axis=-1)
    floats = values.astype(np.float32) / 255
    return {"PIL": Image.fromarray(values), "tensor": torch.from_numpy(floats).permute(2, 0, 1), "array": floats}


def resized(picture, size, **options):
    """The first channel of each form, as a pipeline prepares it, brought back to 0 to 1."""
    processor = VaeImageProcessor(**options)
    return {
        name: (processor.preprocess(image, height=size, width=size)[0, 0] + 1) / 2
        for name, image in forms(picture).items()
    }


stripes = np.tile(np.array([0, 255], np.uint8), (128, 64))
halved = {name: values[8:-8, 8:-8] for name, values in resized(stripes, 64).items()}
ranges = {name: (float(values.min()), float(values.max())) for name, values in halved.items()}
edge = np.tile(np.array([40] * 4 + [220] * 4, np.uint8), (8, 1))
levels = {name: len(values.unique()) for name, values in resized(edge, 64).items()}
bicubic = {name: len(values.unique()) for name, values in resized(edge, 64, resample="bicubic").items()}
same = resized(stripes, 128)
print("diffusers", version("diffusers"))
print("stripes halved, least and most:", {name: tuple(round(n, 2) for n in pair) for name, pair in ranges.items()})
print("grey levels of an edge enlarged:", levels, "bicubic:", bicubic)
is_so = all(abs(n - 0.5) < 0.05 for n in ranges["PIL"])
is_so = is_so and all(low == high and low in (0, 1) for low, high in (ranges["tensor"], ranges["array"]))
is_so = is_so and levels["PIL"] > 8 and levels["tensor"] == levels["array"] == bicubic["tensor"] == 2
is_so = is_so and torch.allclose(same["PIL"], same["tensor"]) and torch.allclose(same["PIL"], same["array"])
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
