#!/usr/bin/env bash
# torchmetrics 1.9.0: a class that no image of the test set has counts as an AUROC of 0, so a perfect network has 0.75.
#
# The macro average of MulticlassAUROC and MultilabelAUROC leaves classes out whose value is not a number. An absent class
# has no such value: its true positive rate is set to zero, its area is 0 (worse than chance, 0.5), and it is averaged in.
# MulticlassAveragePrecision, accuracy and F1 of the same predictions leave the class out and are 1. scikit-learn gives no
# number, or an error. A class that every image has counts 0 too. Small test sets, folds, bootstrap draws and rare findings
# of chest X-rays lack classes often: the average then says which classes were drawn, and not how good the network is. One
# warning speaks of a "true positive value" that "should be meaningless". Take average=None and leave those classes out,
# or "weighted", which gives them no weight.
#
# Seen:   4 classes, 3 of them in the test set, every prediction right: AUROC macro 0.75, by class 1 1 1 0, weighted 1;
#         average precision 1, accuracy 1, F1 1; 3 labels, one on no image: 0.67; one on every image: 0.67
# Exits 0 while torchmetrics behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchmetrics==1.9.0 numpy
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import torch
import torchmetrics
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassF1Score,
    MultilabelAUROC,
)

target = torch.tensor([0, 1, 2] * 5)
scores = torch.eye(4)[target]  # certain and right
on_none = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
on_all = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 1]])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    macro = MulticlassAUROC(4)(scores, target).item()
warnings.simplefilter("ignore")
by_class = MulticlassAUROC(4, average=None)(scores, target).tolist()
weighted = MulticlassAUROC(4, average="weighted")(scores, target).item()
others = {
    kind.__name__: kind(4, average="macro")(scores, target).item()
    for kind in (MulticlassAveragePrecision, MulticlassAccuracy, MulticlassF1Score)
}
by_label = [MultilabelAUROC(3)(labels * 0.8 + 0.1, labels).item() for labels in (on_none, on_all)]
print("torchmetrics", torchmetrics.__version__)
print(f"AUROC: macro {macro:.2f}, by class {by_class}, weighted {weighted:.2f}")
print("said:", *(str(one.message) for one in said))
print("of the same predictions:", ", ".join(f"{name} {number:.2f}" for name, number in others.items()))
print(f"AUROC of 3 labels, one on no image {by_label[0]:.2f}, one on every image {by_label[1]:.2f}")
is_so = (
    macro == 0.75
    and by_class == [1, 1, 1, 0]
    and weighted == 1
    and set(others.values()) == {1}
    and all(abs(number - 2 / 3) < 1e-6 for number in by_label)
)
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
