"""The validation part: a share of the original images of each class, chosen by seed, whole groups at a time."""

from __future__ import annotations

import numpy as np

from imaginate.data.relatives import cut
from imaginate.files import derive_seed


def split(
    label: np.ndarray,
    usable: np.ndarray,
    share: float,
    seed: int,
    *,
    group: np.ndarray | None = None,
    least: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,), usable (n,) bool -> rows for training and rows for validation: a share in [0, 1) of each class, by
    seed, and at least `least` images of a class that has more.

    A class always keeps a training image. `group`: (n,), images of one group stay on one side; a class that is one
    group has no validation image. None: each image is a group.
    """
    if not share:
        return np.flatnonzero(usable), np.flatnonzero(usable)[:0]

    def wanted(images: int) -> int:
        return min(max(least, int(share * images + 0.5)), images - 1)

    def ranked(index: int, rows: np.ndarray) -> np.ndarray:
        return np.random.default_rng(derive_seed("validation", seed, index)).permutation(rows)

    group = np.arange(len(label)) if group is None else group
    inside = cut(label, usable, group, wanted=wanted, ranked=ranked)
    return np.flatnonzero(usable & ~inside), np.flatnonzero(inside)


def folds(label: np.ndarray, usable: np.ndarray, count: int, seed: int, *, group: np.ndarray) -> np.ndarray:
    """The fold of each row, (n,) in [0, count), -1 where it is not usable: groups stay together, and each class is
    spread over the folds as evenly as its groups allow, the largest groups first."""
    rows = np.flatnonzero(usable)
    sizes = np.zeros((count, int(label.max(initial=0)) + 1), np.int64)
    found = np.full(len(label), -1, np.int64)
    rng = np.random.default_rng(derive_seed("folds", seed))
    members = [rows[group[rows] == g] for g in np.unique(group[rows])]
    for place in sorted(rng.permutation(len(members)).tolist(), key=lambda k: -len(members[k])):
        own = members[place]
        counts = np.bincount(label[own], minlength=sizes.shape[1])
        crowd = [(int((sizes[f] * (counts > 0)).sum()), int(sizes[f].sum()), f) for f in range(count)]
        fold = min(crowd)[2]
        sizes[fold] += counts
        found[own] = fold
    return found
