#!/usr/bin/env bash
# rasterio 1.4.4 (GDAL): a GeoTIFF of red, green, blue and near infrared in bytes is written with the infrared as alpha.
#
# Without a word about its bands, GDAL marks four bands of uint8 as red, green, blue and alpha; the same four in uint16
# are grey and undefined. So tiles that were cut to 8 bits for a network lose what is dark in the infrared, which is water:
# read(masked=True) and dataset_mask() hide those pixels in all bands, and statistics and mosaics leave them out. Pillow and
# what is built on it opens the file as RGBA and blends or drops the band. Writing with photometric="MINISBLACK"
# keeps four bands.
#
# Seen:   uint8: red, green, blue, alpha, 32 of 64 pixels of red hidden, Pillow RGBA; uint16: gray, undefined, undefined,
#         undefined, 0 hidden; uint8 as MINISBLACK: gray, undefined, undefined, undefined, 0 hidden
# Exits 0 while rasterio behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check rasterio==1.4.4 pillow==13.0.0 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_origin

bands = np.random.default_rng(0).integers(1, 255, (4, 8, 8))
bands[3, :4] = 0  # water is black in the infrared


def seen(name, **how):
    place = {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 10, 10)}
    with rasterio.open(name, "w", driver="GTiff", height=8, width=8, count=4, **place, **how) as file:
        file.write(bands.astype(how["dtype"]))
    with rasterio.open(name) as file:
        names = [kind.name for kind in file.colorinterp]
        return names, int(np.ma.getmaskarray(file.read(masked=True))[0].sum())


answers = {
    "uint8": seen("bytes.tif", dtype="uint8"),
    "uint16": seen("words.tif", dtype="uint16"),
    "uint8 as MINISBLACK": seen("kept.tif", dtype="uint8", photometric="MINISBLACK"),
}
with Image.open("bytes.tif") as picture:
    mode = picture.mode
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
for name, (kinds, hidden) in answers.items():
    print(f"{name}: {', '.join(kinds)}, {hidden} of 64 pixels of red hidden")
print("Pillow opens the bytes as", mode)
is_so = answers["uint8"] == (["red", "green", "blue", "alpha"], 32) and mode == "RGBA"
is_so = is_so and all("alpha" not in kinds and hidden == 0 for kinds, hidden in list(answers.values())[1:])
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
