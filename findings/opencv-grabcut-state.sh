#!/usr/bin/env bash
# opencv 5.0.0: `grabCut` draws from a state of its thread, so that an image's object depends on the images before it.
#
# The colour models begin with k-means, whose centres are drawn from the random state that OpenCV keeps for each thread.
# It takes no seed. The same image with the same rectangle gives another mask after another image was cut, another mask
# when it is cut twice, and another one in a pool of threads, which each have their own state. Masks of a dataset then
# depend on its order and on the number of workers. Call `cv2.setRNGSeed` before each image, in the thread that cuts.
#
# Seen:   pixels that differ from the first mask: cut again 595, after another image 595, seeded before each 0
# Exits 0 while opencv behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
"$place/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np

SIZE = 48


def picture(seed):
    """A disc that is a little brighter than the noise around it."""
    pixels = np.random.default_rng(seed).integers(60, 140, (SIZE, SIZE, 3)).astype(np.uint8)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    pixels[y**2 + x**2 < 14**2] += np.array([60, 20, 0], np.uint8)
    return pixels


def cut(pixels):
    """The mask of what is inside a rectangle."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.grabCut(pixels, mask, (6, 6, 36, 36), np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_RECT)
    return mask


print("opencv", cv2.__version__)
one, other = picture(1), picture(2)
cv2.setRNGSeed(0)
first, again = cut(one), cut(one)
cv2.setRNGSeed(0)
cut(other)
after = cut(one)
cv2.setRNGSeed(0)
seeded = cut(one)
found = [int((mask != first).sum()) for mask in (again, after, seeded)]
print("pixels that differ: cut again {}, after another image {}, seeded before each {}".format(*found))
is_so = found[0] > 0 and found[1] > 0 and found[2] == 0
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
