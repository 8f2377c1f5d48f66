"""Which image is seen at which update: a function of the seed and the update number alone, so that training resumes
exactly, and so that two arms with the same number of updates differ in their images and in nothing else."""

from __future__ import annotations

import numpy as np

from imaginate.files import derive_seed


class Stream:
    """An endless sequence of permutations of `range(count)`, cut into batches that run across their seams."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self._epochs: dict[int, np.ndarray] = {}

    def indices(self, update: int) -> np.ndarray:
        """The rows of the batch of one update. (batch,) int64"""
        places = np.arange(update * self.batch, (update + 1) * self.batch)
        epochs, offsets = np.divmod(places, self.count)
        return np.array([self._epoch(int(e))[o] for e, o in zip(epochs, offsets, strict=True)], dtype=np.int64)

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k >= epoch - 1}
            rng = np.random.default_rng(derive_seed("order", self.seed, epoch))
            self._epochs[epoch] = rng.permutation(self.count)
        return self._epochs[epoch]
