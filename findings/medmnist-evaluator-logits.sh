#!/usr/bin/env bash
# medmnist 3.0.2: the official evaluator takes logits without a word, and gives another AUC and another accuracy for them.
#
# Of a binary set (BreastMNIST, PneumoniaMNIST) Evaluator.evaluate takes an array of two columns, keeps the second, and asks
# of it whether it is above 0.5. Of probabilities that is the class which the network chose. Of logits it is not: the second
# logit alone neither ranks the images as the probability does (which goes by the difference of the two), nor is 0.5 its
# threshold. A network that is right on every image then has an accuracy and an AUC below 1. Of several classes the
# accuracy is right either way, and the AUC, one class against the rest by raw logits, is not that of the probabilities.
# Nothing is checked and nothing is said; the docstring asks for "the predicted score of each class".
# What helps: softmax first.
#
# Seen:   a network that is right on 200 of 200: by probabilities AUC 1.000, ACC 1.000; by logits AUC 0.720, ACC 0.650;
#         four classes: AUC 0.958 by probabilities, 0.689 by logits, ACC 0.818 by both; warnings: 0
# Exits 0 while medmnist behaves so, 1 when that changes. (Its datasets need PyTorch, its evaluator does not.)
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check numpy pandas scikit-learn
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps medmnist==3.0.2
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
from medmnist.evaluator import Evaluator

draw = np.random.default_rng(0)


def measured(flag, labels, logits):
    """(AUC, accuracy) of probabilities and of the logits that they are of, by the evaluator."""
    np.savez(f"{flag}.npz", test_labels=labels[:, None])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    of = Evaluator(flag, "test", root=".").evaluate
    return tuple(of(odds / odds.sum(axis=1, keepdims=True))), tuple(of(logits))


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    truth = draw.integers(0, 2, 200)
    common = draw.normal(0, 3, (200, 1))  # what softmax takes out: both logits of an image are high, or both low
    logits = common + np.where(np.arange(2) == truth[:, None], 2.0, -0.5)
    assert (logits.argmax(axis=1) == truth).all()
    binary = measured("breastmnist", truth, logits)
    four = draw.integers(0, 4, 400)
    logits = draw.normal(0, 3, (400, 1)) + draw.normal(0, 1, (400, 4)) + 2.0 * (np.arange(4) == four[:, None])
    several = measured("octmnist", four, logits)
for name, (by_odds, by_logits) in (("binary", binary), ("four classes", several)):
    print(f"{name}: AUC, ACC by probabilities", *(f"{x:.3f}" for x in by_odds), "by logits", *(f"{x:.3f}" for x in by_logits))
print(f"warnings: {len(said)}")
same = (
    binary[0] == (1.0, 1.0) and max(binary[1]) < 0.9
    and several[0][1] == several[1][1] and several[0][0] - several[1][0] > 0.05 and not said
)
sys.exit(0 if same else 1)
PYTHON
