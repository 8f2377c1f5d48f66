"""Which images does a pool have already? Answered from memory, eight bytes an image, so that a build costs the same an
image however large the pool: a question to the table reads all of its ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imaginate.pool.table import PoolTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class KnownIds:
    """The ids of a table when it was opened, and those that were added since. Threads may ask while one adds."""

    def __init__(self, table: PoolTable) -> None:
        self._table = table
        self._hashes = _sorted(table.ids().to_pylist())

    def add(self, ids: Sequence[str]) -> None:
        """These are committed now."""
        import numpy as np

        self._hashes = np.sort(np.concatenate([self._hashes, _sorted(ids)]))

    def of(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that the table has; it is asked only for those that it seems to have."""
        import numpy as np

        hashes = self._hashes
        if not len(hashes) or not ids:
            return set()
        wanted = np.fromiter(map(hash, ids), np.int64, len(ids))
        places = hashes.searchsorted(wanted).clip(max=len(hashes) - 1)
        return self._table.known([key for key, is_there in zip(ids, hashes[places] == wanted, strict=True) if is_there])


def _sorted(ids: Sequence[str]) -> NDArray[np.int64]:
    import numpy as np

    return np.sort(np.fromiter(map(hash, ids), np.int64, len(ids)))
