"""What an accuracy can be at worst and at best, where classes have no images to train on (RET Fig. 5B).

Such a class is left out of training and measuring (`--short exclude`), or a classifier never saw an image of it. Over
all classes the accuracy is then unknown: with every held-out image of these classes wrong it is the worst, with every
one right the best.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from imaginate.evaluation.answers import Answers
from imaginate.runs import Values


def bounds(own: Answers, without: Collection[int], left_out: int) -> Values | None:
    """Top-1 accuracy over all classes, at worst and at best; None where all classes have images.

    `without`: labels of which the arm has no image; `left_out`: held-out images of classes that are not measured.
    """
    is_unknown = np.isin(own.label, list(without))
    unknown = int(is_unknown.sum()) + left_out
    if not unknown:
        return None
    right = float(own.matrix(own.keys)[:, ~is_unknown].sum(axis=1).mean())
    every = len(own.label) + left_out
    return {"worst": right / every, "best": (right + unknown) / every, "images": unknown}
