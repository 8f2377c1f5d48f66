#!/usr/bin/env bash
# faiss-cpu 1.15.1: the exact index IndexFlatL2 gives a query other distances, and another nearest row, when it is asked
# together with many others.
#
# A few queries are compared number by number. From some product of queries and dimensions on, faiss computes
# |x|^2 + |y|^2 - 2 x y in float32 by matrix product, and the difference of two large numbers is left: of vectors far from
# the origin (raw pixels, histograms, activations behind a ReLU) small distances are multiples of 8 or 16, or zero. "Flat" is
# what everybody checks other indices with, and search for duplicates asks thousands of queries at once: pictures that
# differ become equal, and a row is not its own neighbour. Subtract the mean from both sides first, or ask few at a time.
#
# Seen:   copies with one pixel changed by 1, squared distance 1: asked one by one 1 to 1, itself first in 100.0 %;
#         200 at once 0 to 48, itself first in 92.5 %; 200 at once, mean subtracted 1 to 1, itself first in 100.0 %
# Exits 0 while faiss behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy
"$place/venv/bin/python" - <<'PYTHON'
import sys

import faiss
import numpy as np

draw = np.random.default_rng(0)
pictures = draw.integers(100, 256, (3000, 3072)).astype(np.float32)
copies = pictures.copy()
copies[np.arange(3000), draw.integers(0, 3072, 3000)] -= 1
rows, queries = np.concatenate([pictures, copies]), pictures[:200]


def asked(rows, queries, at_once):
    """Squared distances of the second of two neighbours, which is the changed copy, and how often the first is itself."""
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    parts = [index.search(queries[i : i + at_once], 2) for i in range(0, len(queries), at_once)]
    distances, numbers = (np.concatenate(part) for part in zip(*parts))
    return distances[:, 1], float((numbers[:, 0] == np.arange(len(queries))).mean())


mean = rows.mean(axis=0).round()
answers = {
    "asked one by one": asked(rows, queries, 1),
    "200 at once": asked(rows, queries, 200),
    "200 at once, mean subtracted": asked(rows - mean, queries - mean, 200),
}
print("faiss", faiss.__version__)
for name, (second, share) in answers.items():
    print(f"{name}: squared distances {second.min():g} to {second.max():g}, itself first in {share:.1%}")
one, many, centred = answers.values()
is_so = bool((one[0] == 1).all()) and one[1] == 1 and many[0].max() >= 8 and many[0].min() == 0 and many[1] < 1
is_so = is_so and float(np.abs(centred[0] - 1).max()) <= 2 and centred[1] == 1
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
