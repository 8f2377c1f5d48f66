#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK): a TIFF of several bands is read as one grey picture that is made of all bands side by side.
#
# A TIFF that holds the bands of each pixel together and is marked as grey (black is zero), which is what rasterio
# writes of 2 or 5 bands and tifffile of channels, comes back with the right width and height and one component. Its
# rows are the first numbers of the stored rows: pixel 0 of each band, pixel 1 of each band, and so on; the right part
# of the picture and the bands are gone. Half floats come back as the integers that their bits spell (0.5 is 14336).
# Nothing is said; for band after band ITK does warn. Three bands marked as RGB, and what SimpleITK wrote itself, are
# read well, so it passes a first test. Microscopy and multispectral tiles go wrong, also where a library reads by ITK.
# Use tifffile or rasterio.
#
# Seen:   5 bands at 0, 20, 40, 60, 80: first row 0 20 40 60 80 1 21 41 in 1 component, no warning
#         5 bands of its own file: 5 components, equal   half floats 0.25 0.5 1 2: 13312 14336 15360 16384
# Exits 0 while SimpleITK behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 tifffile==2026.3.3 rasterio==1.4.4 \
    numpy
cd "$place"
cat > bands.py <<'PYTHON'
import sys
import warnings

import numpy as np
import rasterio
import SimpleITK as sitk
import tifffile

warnings.simplefilter("ignore")
rows, columns = np.mgrid[:6, :8]
bands = np.stack([columns + 10 * rows + 20 * band for band in range(5)], axis=-1).astype(np.uint16)
tifffile.imwrite("tifffile.tif", bands, photometric="minisblack", planarconfig="contig")
with rasterio.open("rasterio.tif", "w", driver="GTiff", width=8, height=6, count=5, dtype="uint16") as out:
    out.write(np.moveaxis(bands, -1, 0))
sitk.WriteImage(sitk.GetImageFromArray(bands, isVector=True), "own.tif")
halves = np.array([[0.25, 0.5, 1, 2]], np.float16)
tifffile.imwrite("halves.tif", np.repeat(halves, 4, axis=0))


def read(name):
    image = sitk.ReadImage(name)
    return image.GetNumberOfComponentsPerPixel(), sitk.GetArrayFromImage(image)


print("SimpleITK", sitk.Version.VersionString())
wrong = bands.reshape(6, -1)[:, :8]
is_so = True
for name in ("tifffile.tif", "rasterio.tif"):
    count, values = read(name)
    print(name, "components", count, "shape", values.shape, "first row", values[0])
    is_so = is_so and count == 1 and np.array_equal(values, wrong) and np.array_equal(tifffile.imread(name), bands)
count, values = read("own.tif")
print("own.tif components", count, "equal", np.array_equal(values, bands))
is_so = is_so and count == 5 and np.array_equal(values, bands)
count, values = read("halves.tif")
print("half floats:", halves[0], "read as", values.dtype, values[0])
is_so = is_so and np.array_equal(values[:1], halves.view(np.uint16))
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
"$place/venv/bin/python" bands.py 2>said || { cat said; exit 1; }
[[ ! -s said ]] || { echo "changed: it says something"; cat said; exit 1; }
