#!/usr/bin/env bash
# Pillow 13.0.0, tifffile 2026.3.3, SimpleITK 2.5.7, rasterio 1.4.4: a TIFF in which white is zero is the picture for one
# reader and its negative for the next; in Pillow that depends on the number of bits.
#
# TIFF has two greys: black is zero, or white is zero (PhotometricInterpretation 0: scans, gels, radiographs). Pillow turns
# the second round where it has 8 bits, and not where it has 16: the same scan with 8 and with 16
# bits is positive and negative. tifffile, SimpleITK and GDAL give the stored numbers always. None warns, so a folder from
# two scanners, or a loader that tries Pillow and falls back on tifffile, has both. Look at tag 262 and turn it yourself.
#
# Seen:   darkest and brightest pixel of the scan: Pillow 8 bits [0, 255], 16 bits [65535, 0]; the others [255, 0] and
#         [65535, 0]
# Exits 0 while all behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  pillow==13.0.0 tifffile==2026.3.3 SimpleITK==2.5.7 rasterio==1.4.4 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import PIL
import rasterio
import SimpleITK
import tifffile
from PIL import Image

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)


def by_rasterio(name):
    with rasterio.open(name) as file:
        return file.read(1)


readers = {
    "Pillow": lambda name: np.asarray(Image.open(name)),
    "tifffile": tifffile.imread,
    "SimpleITK": lambda name: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(name)),
    "rasterio": by_rasterio,
}
tops = {"uint8": 255, "uint16": 65535}
found = {}
for kind, top in tops.items():
    stored = np.array([[top, 0]], kind)  # white is zero: the first pixel is the dark one
    tifffile.imwrite(f"{kind}.tif", np.repeat(stored, 4, axis=0), photometric="miniswhite")
    for name, read in readers.items():
        found[name, kind] = read(f"{kind}.tif")[0].tolist()
print("Pillow", PIL.__version__, "tifffile", tifffile.__version__, "rasterio", rasterio.__version__)
print("SimpleITK", SimpleITK.Version.VersionString())
for name in readers:
    print(f"{name}: 8 bits {found[name, 'uint8']}, 16 bits {found[name, 'uint16']}")
is_so = all(found[name, kind] == [top, 0] for name, kind in found for top in [tops[kind]] if (name, kind) != ("Pillow", "uint8"))
is_so = is_so and found["Pillow", "uint8"] == [0, 255]
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
