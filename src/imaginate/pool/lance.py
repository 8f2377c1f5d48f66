"""The pool role over a LanceDB pool: ranked rows for query embeddings, and the images, vectors and hashes of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imaginate.contract import Guide, Tensor
from imaginate.errors import ImageError
from imaginate.files import content_hash
from imaginate.pool import refs
from imaginate.pool.database import explained
from imaginate.pool.facts import Facts
from imaginate.pool.list_index import ListIndex, open_index
from imaginate.pool.probe import check_guide
from imaginate.pool.rows import PLAIN
from imaginate.pool.scan import rank
from imaginate.pool.table import PoolTable
from imaginate.records import Image, Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 500
BLOCK = 65_536  # rows that a search looks at together
HELD_BYTES = 2**30  # of vectors that a search keeps in memory


class LancePool:
    """A pool written by `imaginate pool build`, opened for reading; picklable, each process opens its own tables."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.table = PoolTable.open(self.path)
        self.guide = self.table.header.guide
        self.dim = self.table.header.dim
        self._kind = self.table.indexed()
        self._index: ListIndex | None = None
        self._answer: bool | None = None
        self._closeness: float | None = None
        self._facts = Facts(self.table)
        self._held: list[tuple[Sequence[str], NDArray[np.float32]]] | None = None

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
        """(n, dim) unit-norm queries -> for each, up to `limit` rows, nearest first; ties are ordered by id.

        Exact, unless the pool has an index that was measured to find enough (`Recall`) and `exact` is not asked for.
        """
        queries = embeddings.detach().float().cpu().numpy()
        if exact or self._kind is None or not self._is_good():
            with explained(self.path):
                return self._facts.of(rank(queries, limit, self._blocks()))
        if self._index is None:
            return [self._by_lance(query, limit) for query in queries]
        with explained(self.path):
            return self._facts.of(self._index.search(queries, limit))

    def _is_good(self) -> bool:
        """Whether the index finds enough, and is not too far behind the rows. Asked once: no search changes a pool."""
        if self._answer is None:
            self._answer = self.table.recall().is_enough
            if self._answer and self.table.built_index().folder:
                self._index = open_index(self.table)
                self._answer = self._index is not None
        return self._answer

    def _blocks(self) -> Iterable[tuple[Sequence[str], NDArray[np.float32]]]:
        """Ids and vectors of all rows: kept after the first search where they are not too many, else read each time."""
        if self._held is not None:
            return self._held
        if len(self.table) * self.dim * 4 > HELD_BYTES:
            return self.table.vectors(BLOCK)
        self._held = list(self.table.vectors(BLOCK))
        return self._held

    def _by_lance(self, query: NDArray[np.float32], limit: int) -> list[dict[str, Scalar]]:
        with explained(self.path):
            rows = self.table.nearest(query, limit, PLAIN, kind=str(self._kind))
        return sorted(rows, key=lambda row: (-row["similarity"], row["id"]))

    def vectors(self, ids: Sequence[str]) -> Tensor:
        """(n, dim) unit-norm embeddings of rows."""
        import torch

        return torch.from_numpy(self.table.vectors_of(ids))

    def sample(self, count: int) -> Tensor:
        """(n, dim) unit-norm embeddings of rows spread evenly over the pool."""
        import torch

        return torch.from_numpy(self.table.sample(count))

    def closeness(self) -> float:
        """The 99th percentile of the cosine to the nearest among up to 500 rows, spread evenly over the pool."""
        if self._closeness is None:
            vectors = self.sample(SAMPLE)
            self._closeness = 0.0
            if len(vectors) > 1:
                near = (vectors @ vectors.T).fill_diagonal_(-1.0).max(dim=1).values
                self._closeness = float(near.quantile(0.99))
        return self._closeness

    def image(self, row: dict[str, Scalar]) -> Image:
        """(3, h, w) uint8 of a row that `search` returned. Raises ImageError (`source disappeared`, `truncated`)."""
        from imaginate.data.decoding import decode_tensor
        from imaginate.data.digital_source import source_in

        key = str(row["id"])
        found = self.table.fetch([key], ["image", "ref"]).get(key)
        if found is None:
            raise ImageError("no longer in the pool")
        data = found["image"] if found["image"] is not None else _referenced(key, found["ref"] or "")
        row["digital_source"] = source_in(data)
        return decode_tensor(data)


def _referenced(key: str, ref: str) -> bytes:
    """The bytes that a reference leads to. ImageError where a file has other bytes than those that were embedded."""
    data = refs.read(ref)
    if not ref.startswith(("http://", "https://")) and key not in (content_hash(data), content_hash(ref.encode())):
        raise ImageError("changed since it was added")
    return data
