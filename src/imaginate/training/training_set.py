"""The images of one arm as the trainer sees them: rows of several stores, labels, and how synthetic images are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Rows over memory maps. With `children`, the pool is `count` originals, and a drawn original is replaced with
    probability `replace` by one of its children (a synthetic image made from it, or else one of its class)."""

    stores: tuple[Path, ...]
    part: np.ndarray  # (n,) which store
    row: np.ndarray  # (n,) which row of it
    label: np.ndarray  # (n,) int64
    soft: np.ndarray | None = None  # (n, classes) float32
    count: int = 0  # how many of the first rows are drawn from; the rest are children
    children: tuple[np.ndarray, ...] = ()  # for each of the `count` rows, rows that may stand in for it
    replace: float = 0.0
    _maps: list[np.ndarray] = field(default_factory=list, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_maps": []}

    def __len__(self) -> int:
        return self.count or len(self.row)

    def substitute(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Rows (b,) with some originals replaced by children; as they are in the `concat` mode."""
        if not self.children:
            return rows
        rng = np.random.default_rng(seed)
        chosen = rng.random(len(rows)) < self.replace
        which = rng.random(len(rows))
        out = rows.copy()
        for i in np.flatnonzero(chosen):
            children = self.children[rows[i]]
            if len(children):
                out[i] = children[int(which[i] * len(children))]
        return out

    def images(self, rows: np.ndarray) -> torch.Tensor:
        """(b,) rows -> (b, 3, s, s) uint8."""
        import torch

        maps = self._open()
        size = maps[0].shape[1]
        out = np.empty((len(rows), size, size, 3), np.uint8)
        for place, (part, row) in enumerate(zip(self.part[rows], self.row[rows], strict=True)):
            out[place] = maps[part][row]
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def targets(self, rows: np.ndarray) -> torch.Tensor:
        """(b,) rows -> labels (b,) int64, or soft labels (b, classes) where any row of the pool has one."""
        import torch

        return torch.from_numpy((self.label if self.soft is None else self.soft)[rows])

    def _open(self) -> list[np.ndarray]:
        if not self._maps:
            self._maps.extend(np.load(path, mmap_mode="r") for path in self.stores)
        return self._maps


def join(pieces: Sequence[tuple[Path, np.ndarray, np.ndarray, np.ndarray | None]], classes: int) -> TrainingSet:
    """One pool of (store, rows, labels, soft labels or None); one-hot targets where only some pieces are soft."""
    paths = tuple(dict.fromkeys(path for path, *_ in pieces))
    label = np.concatenate([labels for _, _, labels, _ in pieces]).astype(np.int64)
    soft = None
    if any(s is not None for *_, s in pieces):
        eye = np.eye(classes, dtype=np.float32)
        soft = np.concatenate([eye[labels] if s is None else s for _, _, labels, s in pieces]).astype(np.float32)
    return TrainingSet(
        stores=paths,
        part=np.concatenate([np.full(len(rows), paths.index(path)) for path, rows, *_ in pieces]),
        row=np.concatenate([rows for _, rows, *_ in pieces]).astype(np.int64),
        label=label,
        soft=soft,
    )
