#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0: FocalLoss of class probabilities is not zero for a perfect prediction.
#
# FocalLoss("multiclass", from_logits=False) takes the logarithm of the probabilities and then applies a sigmoid to it,
# so that a probability p counts as p / (1 + p): certainty is 0.5. With gamma=0 it is not the cross entropy but log 2 /
# 3 for a perfect prediction of three classes. Losses of unlike models cannot be compared, and what is sure and right
# still weighs: the opposite of what focal loss is for. The other modes and the other losses (Dice, Jaccard, Tversky) do
# reach zero. Logits are no way out: the multiclass form is one sigmoid a class, not a softmax, and a constant that is
# added to all logits of a pixel, which changes no softmax and no prediction, takes it from 0 to 13.3. Neither is in its
# docstring.
#
# Seen:   perfect prediction, gamma 2: probabilities 0.0578 (gamma 0: 0.2310), binary 0.0000, Dice 0.0000;
#         logits 0.0000, the same logits plus 40: 13.3333
# Exits 0 while the library behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 \
    segmentation-models-pytorch==0.6.0
"$place/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from segmentation_models_pytorch.losses import DiceLoss, FocalLoss

labels = torch.arange(64).reshape(1, 8, 8) % 3
perfect = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
logits = perfect * 40 - 20
found = {
    "probabilities, gamma 2": FocalLoss("multiclass", gamma=2, from_logits=False)(perfect, labels),
    "probabilities, gamma 0": FocalLoss("multiclass", gamma=0, from_logits=False)(perfect, labels),
    "binary probabilities": FocalLoss("binary", from_logits=False)(perfect[:, 1], (labels == 1).float()),
    "Dice of probabilities": DiceLoss("multiclass", from_logits=False)(perfect, labels),
    "logits": FocalLoss("multiclass", gamma=2)(logits, labels),
    "logits plus 40": FocalLoss("multiclass", gamma=2)(logits + 40, labels),
}
found = {name: round(float(value), 4) for name, value in found.items()}
entropies = [float(torch.nn.functional.cross_entropy(x, labels)) for x in (logits, logits + 40)]
print("segmentation-models-pytorch", version("segmentation-models-pytorch"))
print("of a perfect prediction:", ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
print("cross entropy of both logits:", *(f"{value:.4f}" for value in entropies))
is_so = list(found.values()) == [0.0578, 0.231, 0.0, 0.0, 0.0, 13.3333] and max(entropies) < 1e-6
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
