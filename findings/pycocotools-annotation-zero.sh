#!/usr/bin/env bash
# pycocotools 2.0.11: an object whose annotation has the id 0 can never be found, so perfect detections do not score 1.
#
# COCOeval writes the id of the object that a detection was matched with, and reads 0 as "no match". COCO itself, loadRes
# and drawing accept the id 0, and a converter that counts its annotations from 0 is the natural one to write. The
# detection of that one object becomes a false positive with whatever score it has, and its object a missed one: of few
# images (a rare class, a small test set) the average precision halves, of many it loses a hair, and nothing is said.
# Number annotations from 1.
#
# Seen:   every box found exactly, 4 objects: AP 0.564 and recall 0.750 with ids from 0; AP 1.000 and recall 1.000 from 1
# Exits 0 while pycocotools behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy
"$place/venv/bin/python" - <<'PYTHON'
import contextlib
import io
import sys
from importlib.metadata import version

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def scores(first):
    """Average precision and recall of detections that are the objects, whose ids count from `first`."""
    box = {"category_id": 1, "bbox": [10, 10, 40, 40]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n, "width": 100, "height": 100} for n in range(4)],
            "categories": [{"id": 1, "name": "crack"}],
            "annotations": [{"id": first + n, "image_id": n, "area": 1600, "iscrowd": 0, **box} for n in range(4)],
        }
        truth.createIndex()
        found = truth.loadRes([{"image_id": n, "score": 0.9, **box} for n in range(4)])
        judged = COCOeval(truth, found, "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return float(judged.stats[0]), float(judged.stats[8])


zero, one = scores(0), scores(1)
print("pycocotools", version("pycocotools"))
print(f"ids from 0: AP {zero[0]:.3f}, recall {zero[1]:.3f}; from 1: AP {one[0]:.3f}, recall {one[1]:.3f}")
is_so = one == (1.0, 1.0) and zero[0] < 0.6 and zero[1] == 0.75
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
