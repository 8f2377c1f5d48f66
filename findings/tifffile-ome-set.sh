#!/usr/bin/env bash
# tifffile 2026.3.3, scikit-image 0.26.0: each file of an OME-TIFF set is read as the whole set, so all are one picture.
#
# Microscopes write a series as many files, a frame or channel in each, and every file lists the others in its OME header
# (a multi-file OME-TIFF). imread of one such file opens the others next to it and gives all frames, in one order whichever
# file was named; skimage.io.imread, which hands TIFF to tifffile, does so too, and three frames look like one picture in
# RGB. A folder of n files becomes n equal pictures under n labels, and if files are split, a training picture holds the
# pixels of the test files. All shapes agree and nothing is said. In another folder (class folders, train and test) the
# frames that are not found are zeros (a log record tells), and the own frame moves to another place. A user expects the
# pixels of the file that was named, as Pillow gives. Take is_ome=False, or TiffFile(name).pages.
#
# Seen:   files of 50, 100 and 150: tifffile 3 x 8 x 16 of 50 100 150 for each; skimage 8 x 16 x 3 of the same; moved
#         apart 50 0 0, 0 100 0, 0 0 150; is_ome=False 50, 100, 150; Pillow 50, 100, 150
# Exits 0 while both behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    tifffile==2026.3.3 scikit-image==0.26.0 pillow==13.0.0 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import logging
import sys
import uuid
import warnings
from pathlib import Path

import numpy as np
import skimage
import tifffile
from PIL import Image

warnings.simplefilter("error")
LEVELS = (50, 100, 150)
NAMES = [f"frame{number}.ome.tif" for number in range(3)]
IDS = [uuid.UUID(int=number + 1).urn for number in range(3)]


def header(own):
    """The OME header of one file of a set of three points in time, as its specification has it."""
    frames = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="{NAMES[t]}">{IDS[t]}</UUID></TiffData>'
        for t in range(3)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{IDS[own]}"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="16" SizeY="8" SizeC="1" SizeZ="1" SizeT="3">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{frames}</Pixels></Image></OME>'
    )


class Records(logging.Handler):
    """What is logged."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def seen(pixels):
    """The shape, and the levels of the frames (one level in each)."""
    levels = pixels.reshape(-1)[:: 8 * 16] if pixels.shape[-1] == 16 else pixels[0, 0]
    return pixels.shape, levels.tolist()


records = Records()
logging.getLogger("tifffile").handlers = [records]
logging.getLogger("tifffile").propagate = False
for number, name in enumerate(NAMES):
    tifffile.imwrite(name, np.full((8, 16), LEVELS[number], np.uint8), description=header(number), metadata=None)
together = [seen(tifffile.imread(name)) for name in NAMES]
by_skimage = [seen(skimage.io.imread(name)) for name in NAMES]
said_together = list(records.said)
alone = [seen(tifffile.imread(name, is_ome=False)) for name in NAMES]
by_pillow = [seen(np.asarray(Image.open(name))) for name in NAMES]
apart = []
for number, name in enumerate(NAMES):
    Path(str(number)).mkdir()
    apart.append(seen(tifffile.imread(Path(name).rename(f"{number}/{name}"))))
print("tifffile", tifffile.__version__, "scikit-image", skimage.__version__)
print("each file by tifffile:", together)
print("by skimage:", by_skimage)
print("records:", said_together)
print("moved apart:", apart)
print("a record then:", records.said[-1])
print("is_ome=False:", alone, "Pillow:", by_pillow)
own = [((8, 16), [level]) for level in LEVELS]
is_so = (
    together == [((3, 8, 16), list(LEVELS))] * 3
    and by_skimage == [((8, 16, 3), list(LEVELS))] * 3
    and not said_together
    and apart == [((3, 8, 16), frames) for frames in ([50, 0, 0], [0, 100, 0], [0, 0, 150])]
    and alone == by_pillow == own
)
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
