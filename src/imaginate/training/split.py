"""The validation part: a share of the original images of each class, chosen by seed."""

from __future__ import annotations

import numpy as np

from imaginate.files import derive_seed


def split(label: np.ndarray, usable: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,), usable (n,) bool -> rows for training and rows for validation: a share in [0, 1) of each class, by
    seed; a class always keeps a training image."""
    inside: list[int] = []
    for index in np.unique(label[usable]):
        rows = np.flatnonzero(usable & (label == index))
        count = min(int(share * len(rows) + 0.5), len(rows) - 1)
        rng = np.random.default_rng(derive_seed("validation", seed, int(index)))
        inside += rng.permutation(rows)[:count].tolist()
    chosen = np.sort(np.array(inside, np.int64))
    return np.setdiff1d(np.flatnonzero(usable), chosen), chosen
