"""The pool role over a LanceDB pool: ranked rows for query embeddings, and the images, vectors and hashes of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imaginate.contract import Guide, Tensor
from imaginate.errors import ImageError
from imaginate.pool import refs
from imaginate.pool.probe import check_guide
from imaginate.pool.rows import PLAIN
from imaginate.pool.table import PoolTable, explained, partitions
from imaginate.records import Image, Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 500


class LancePool:
    """A pool written by `imaginate pool build`, opened for reading; picklable, each process opens its own tables."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.table = PoolTable.open(self.path)
        self.guide = self.table.header.guide
        self.dim = self.table.header.dim
        self._index = self.table.indexed()
        self._closeness: float | None = None

    def __getstate__(self) -> dict[str, str]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.path = state["path"]
        self._open()

    def __len__(self) -> int:
        return len(self.table)

    def check(self, guide: Guide) -> None:
        """Raise ModelError, naming both, unless `guide` embeds as the one that built the pool."""
        check_guide(self.table.header, guide, self.path)

    def search(self, embeddings: Tensor, limit: int, *, exact: bool = False) -> list[list[dict[str, Scalar]]]:
        """(n, dim) unit-norm queries -> for each, up to `limit` rows, nearest first; ties are ordered by id."""
        return [self._one(query, limit, exact) for query in embeddings.detach().float().cpu().numpy()]

    def _one(self, query: NDArray[np.float32], limit: int, exact: bool) -> list[dict[str, Scalar]]:
        ask = self.table.rows.search(query, vector_column_name="vector").distance_type("cosine")
        if exact or self._index is None:
            ask = ask.bypass_vector_index()
        else:
            ask = ask.nprobes(self._probes(limit))
            # Quantised lists only pre-select: the true distances of twice as many decide.
            ask = ask if self._index == "IvfFlat" else ask.refine_factor(2)
        with explained(self.path):
            rows = ask.limit(limit).select([*PLAIN, "_distance"]).to_arrow().to_pylist()
        for row in rows:
            row["similarity"] = round(1.0 - row.pop("_distance"), 6)
        return sorted(rows, key=lambda row: (-row["similarity"], row["id"]))

    def _probes(self, limit: int) -> int:
        """Lists to visit: one in twenty, and enough of them to hold several times what is wanted."""
        count = max(1, len(self.table))
        lists = partitions(count)
        return min(lists, max(8, math.ceil(lists / 20) + math.ceil(4 * limit * lists / count)))

    def vectors(self, ids: Sequence[str]) -> Tensor:
        """(n, dim) unit-norm embeddings of rows."""
        import torch

        found = self.table.fetch(ids, ["vector"])
        return torch.tensor([found[i]["vector"] for i in ids], dtype=torch.float32).view(len(ids), self.dim)

    def closeness(self) -> float:
        """The 99th percentile of the cosine to the nearest among up to 500 rows, spread evenly over the pool."""
        import torch

        if self._closeness is None:
            count = len(self.table)
            places = sorted({count * i // SAMPLE for i in range(SAMPLE)}) if count else []
            with explained(self.path):
                found = self.table.rows.take_offsets(places).select(["vector"]).to_arrow() if len(places) > 1 else None
            self._closeness = 0.0
            if found is not None:
                vectors = torch.tensor(found["vector"].to_pylist())
                near = (vectors @ vectors.T).fill_diagonal_(-1.0).max(dim=1).values
                self._closeness = float(near.quantile(0.99))
        return self._closeness

    def image(self, row: dict[str, Scalar]) -> Image:
        """(3, h, w) uint8 of a row that `search` returned. Raises ImageError (`source disappeared`, `truncated`)."""
        from imaginate.data.decoding import decode_tensor

        key = str(row["id"])
        found = self.table.fetch([key], ["image", "ref"]).get(key)
        if found is None:
            raise ImageError("no longer in the pool")
        data = found["image"] if found["image"] is not None else refs.read(found["ref"] or "")
        return decode_tensor(data)
