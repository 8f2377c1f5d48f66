#!/usr/bin/env bash
# imagehash 4.3.2 on Pillow 13.0.0: all pictures of 16 bits have one hash, so a search for copies takes each for a copy.
#
# Each hash begins with convert("L"), and Pillow cuts 16 bits off at 255 there (it does not
# divide). X-rays, microscopy, depth and infrared in 16-bit PNG or TIFF have next to no value below 256, so each becomes
# white, and average, perceptual, difference and wavelet hash are those of a white card: distance 0 between any two. A
# filter for near-duplicates keeps one picture of the set, and a check for leaks between train and test finds nothing but
# leaks. Nothing warns. Scale to 8 bits first (by the range of the set or of the picture).
#
# Seen:   20 different cells in 16 bits: 1 average, 1 perceptual, 1 difference, 1 wavelet hash; divided by 256: 19, 19, 20, 20
# Exits 0 while imagehash behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check imagehash==4.3.2 pillow==13.0.0 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys

import imagehash
import numpy as np
import PIL
from PIL import Image

draw = np.random.default_rng(0)
steps = np.arange(64)
ways = {
    "average": imagehash.average_hash,
    "perceptual": imagehash.phash,
    "difference": imagehash.dhash,
    "wavelet": imagehash.whash,
}


def cell(across, down):
    """A bright spot on a dark ground with noise, in 16 bits."""
    squares = (steps[None] - across) ** 2 + (steps[:, None] - down) ** 2
    return (2000 + 28000 * np.exp(-squares / 100) + draw.normal(0, 100, (64, 64))).astype(np.uint16)


def different(name, pictures):
    """How many hashes the files of the pictures have, by each way."""
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(f"{name}{number}.png")
    found = {way: set() for way in ways}
    for number in range(len(pictures)):
        with Image.open(f"{name}{number}.png") as opened:
            opened.load()
            for way, hashed in ways.items():
                found[way].add(str(hashed(opened)))
    return {way: len(hashes) for way, hashes in found.items()}


cells = [cell(*draw.integers(5, 60, 2)) for _ in range(20)]
assert len({picture.tobytes() for picture in cells}) == 20 and min(picture.min() for picture in cells) > 1000
sixteen, eight = different("sixteen", cells), different("eight", [(picture >> 8).astype(np.uint8) for picture in cells])
print("imagehash", imagehash.__version__, "Pillow", PIL.__version__)
print("hashes of 20 different pictures in 16 bits:", sixteen)
print("of the same, divided by 256:", eight)
is_so = set(sixteen.values()) == {1} and min(eight.values()) > 15
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
