"""The validation part: a share of the original images of each class, chosen by seed, whole groups at a time."""

from __future__ import annotations

import numpy as np

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
    group = np.arange(len(label)) if group is None else group
    rows = np.flatnonzero(usable)
    members: dict[int, np.ndarray] = {int(g): rows[group[rows] == g] for g in np.unique(group[rows])} if share else {}
    left = np.bincount(label[rows], minlength=int(label.max(initial=0)) + 1)  # training images of each class, so far
    inside = np.zeros(len(label), bool)
    for index in np.unique(label[rows]) if share else ():
        own = rows[label[rows] == index]
        wanted = min(max(least, int(share * len(own) + 0.5)), len(own) - 1)
        order = list(dict.fromkeys(group[own].tolist()))
        rng = np.random.default_rng(derive_seed("validation", seed, int(index)))
        for only_small in (True, False):  # larger ones where nothing else gives the class a validation image
            for place in rng.permutation(len(order)) if only_small else _by_size(order, members):
                chosen = members[order[place]]
                need = wanted - int(inside[own].sum())
                counts = np.bincount(label[chosen], minlength=len(left))
                fits = counts[index] <= need if only_small else not inside[own].any()
                if need > 0 and fits and not inside[chosen[0]] and bool((left[counts > 0] > counts[counts > 0]).all()):
                    inside[chosen] = True
                    left = left - counts
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


def _by_size(order: list[int], members: dict[int, np.ndarray]) -> list[int]:
    """Places of the groups, the smallest first."""
    return sorted(range(len(order)), key=lambda place: len(members[order[place]]))
