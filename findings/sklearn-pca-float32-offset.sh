#!/usr/bin/env bash
# scikit-learn 1.9.1: PCA of float32 numbers that lie far from zero gives wrong axes and variances, without a warning.
#
# Where there are at least ten times more rows than columns, and at most 1000 columns, svd_solver="auto" takes
# "covariance_eigh". It computes X'X - n mean mean' in the type of X: of float32 pixels (0 to 255), counts of 16 bits or
# activations behind a ReLU the difference of two large numbers is left, and rounding is a component. "auto" chooses by
# shape alone, so the same call is right on few rows and wrong on many; a user expects PCA to centre first. Whoever whitens
# or maps features by PCA gets noise for neighbours. Subtract the mean before, use float64, or svd_solver="full".
#
# Seen:   largest variance, true 0.996: auto 55.444, full 0.996, auto in float64 0.996, auto of X - mean 0.996
#         smallest variance, true 9.84e-05: auto 0; the largest of 400 rows: auto 1.122
# Exits 0 while scikit-learn behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.decomposition import PCA

warnings.simplefilter("error")
draws = np.random.default_rng(0).normal(size=(5000, 50)) * np.linspace(1, 0.01, 50)
x = (draws + 1000).astype(np.float32)
true = np.sort(np.linalg.eigvalsh(np.cov(x.astype(np.float64), rowvar=False)))[::-1]


def variances(values, solver="auto"):
    return PCA(svd_solver=solver).fit(values).explained_variance_


auto, full, double = variances(x), variances(x, "full"), variances(x.astype(np.float64))
centred = variances(x - x.mean(axis=0, dtype=np.float64).astype(np.float32))
print("scikit-learn", sklearn.__version__)
print(
    f"largest variance, true {true[0]:.3f}: auto {auto[0]:.3f}, full {full[0]:.3f}, auto in float64 {double[0]:.3f}, "
    f"auto of X - mean {centred[0]:.3f}"
)
print(f"smallest variance, true {true[-1]:.3g}: auto {auto[-1]:.3g}")
few = variances(x[:400])
print(f"the largest of 400 rows: auto {few[0]:.3f}")
is_right = all(abs(found[0] / true[0] - 1) < 0.05 for found in (full, double, centred))
is_so = is_right and auto[0] > 5 * true[0] and few[0] < 2 * true[0]
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
