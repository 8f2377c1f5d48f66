"""How a pool is built: settings alone, so that the command line can make its flags from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Building:
    """How a pool is built."""

    store: Literal["bytes", "reference"] = setting("bytes", "keep the images in the pool, or only where they are")
    split: str | None = setting(None, "split to read, of sources that have some; by default all of a folder or parquet")
    index: Literal["auto", "none", "ivf-flat", "ivf-sq", "ivf-pq", "ivf-rq", "ivf-hnsw-sq"] = setting(
        "auto",
        "vector index; auto: none (exact) below 500,000 images, else ivf-flat; not used where it finds too little",
    )
    batch: int = setting(64, "images embedded at a time", ge=1)
    threads: int = setting(2, "threads that read and decode", ge=1)
    part: str = setting("1/1", "`3/16`: take the third of sixteen shares of the units, for builders side by side")

    def __post_init__(self) -> None:
        check(self)
