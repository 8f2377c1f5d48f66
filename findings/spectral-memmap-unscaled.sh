#!/usr/bin/env bash
# spectral 0.25 (SPy): a hyperspectral picture has other numbers mapped than loaded, by its reflectance scale factor.
#
# An ENVI header may state a "reflectance scale factor" (10000 is usual for reflectance in 16 bits). load(), indexing and
# read_band divide by it and give reflectance from 0 to 1; open_memmap() of the same object gives the stored integers, as
# does asarray() and any tool that reads the file alone. The array to which people change when a scene does not fit into
# memory is 10,000 times larger, without a warning, and ratios of bands (NDVI) do not show it; thresholds, a classifier
# that was trained on loaded pixels, and gamma do. Divide by image.scale_factor.
#
# Seen:   stored 1023; load 0.1023, index 0.1023, read_band 0.1023; open_memmap 1023, asarray 1023
# Exits 0 while spectral behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check spectral==0.25 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from spectral.io import envi

stored = np.full((4, 5, 6), 1023, np.uint16)
envi.save_image("scene.hdr", stored, dtype="uint16", metadata={"reflectance scale factor": "10000"})
image = envi.open("scene.hdr")
found = {
    "load": image.load()[0, 0, 0],
    "index": image[0, 0, 0],
    "read_band": image.read_band(0)[0, 0],
    "open_memmap": image.open_memmap()[0, 0, 0],
    "asarray": image.asarray()[0, 0, 0],
}
print("spectral", version("spectral"), "scale factor", image.scale_factor)
print("stored 1023;", ", ".join(f"{name} {float(value):.6g}" for name, value in found.items()))
is_so = all(abs(float(found[name]) - 0.1023) < 1e-6 for name in ("load", "index", "read_band"))
is_so = is_so and found["open_memmap"] == found["asarray"] == 1023
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
