"""Build and search a retrieval pool with a guide that is named, not built."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from imaginate.contract import Guide, Pool, TextGuide
from imaginate.data import open_dataset
from imaginate.data.seed_images import SeedImages
from imaginate.devices import pick_device
from imaginate.errors import ConfigError, DataError, ImageError
from imaginate.markdown import picture_and_text
from imaginate.models.extras import check_installed, packages_of
from imaginate.pool import Building, Tally, open_pool
from imaginate.pool.listing import check_sources
from imaginate.progress import bar
from imaginate.records import LabelSpace, Scalar

IMAGE = "image:"  # in front of a query that is a file
Index = Literal["auto", "none", "ivf-flat", "ivf-sq", "ivf-pq", "ivf-rq", "ivf-hnsw-sq"]


@dataclass(frozen=True, kw_only=True)
class PoolResults:
    """The nearest images of a query, nearest first: plain rows with `similarity`, `source`, `caption`, ..."""

    pool: Pool
    query: str
    rows: Sequence[dict[str, Scalar]]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"PoolResults({self.query!r}: {len(self)} images)"

    def _repr_html_(self) -> str:
        """For notebooks: the images, and what is known of them."""
        return picture_and_text(self.sheet(), str(self))

    def to_pandas(self) -> Any:
        """A row an image, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist([{"rank": rank, **row} for rank, row in enumerate(self.rows)]).to_pandas()

    def __str__(self) -> str:
        return "\n".join(
            f"{rank:>4}  {row['similarity']:.4f}  {row.get('caption') or '-'}  {row['source']}"
            for rank, row in enumerate(self.rows)
        )

    def sheet(self) -> bytes:
        """A contact sheet of the images, as PNG bytes."""
        from imaginate.pool.sheet import result_sheet

        return result_sheet(self.pool, self.rows, self.query)


def build_pool(
    pool: str | os.PathLike[str],
    sources: str | Sequence[str],
    *,
    guide: str,
    data: str | None = None,
    store: Literal["bytes", "reference"] = "bytes",
    split: str | None = None,
    index: Index = "auto",
    batch: int = 64,
    threads: int = 2,
    part: str = "1/1",
    device: str = "auto",
    progress: bool = True,
) -> Tally:
    """Embed and index images as a retrieval pool; the same call goes on after an interruption, or adds what is new.

    `sources`: folders, tars, parquet files, clip-retrieval folders. `data`: the dataset of a guide that learns from one
    (prototypes, probe, finetuned). The other keywords are those of `imaginate pool build`. Returns what was added and
    skipped. Raises RunError for a folder that is something else, ConfigError and ModelError for the guide.
    """
    from imaginate.pool import build_pool as build

    check_installed("a pool", ["guide", "pool"], along=packages_of(guide))
    settings = Building(store=store, split=split, index=index, batch=batch, threads=threads, part=part)
    places = [sources] if isinstance(sources, str) else list(sources)
    check_sources(places, os.fspath(pool), split)
    built = _guide(guide, device, data)
    with bar("embedding", None, show=progress) as shown:
        return build(os.fspath(pool), places, built, settings, advance=shown.advance)


def search_pool(
    pool: str | os.PathLike[str],
    text: str | None = None,
    *,
    image: str | os.PathLike[str] | None = None,
    guide: str | None = None,
    data: str | None = None,
    limit: int = 40,
    exact: bool = False,
    device: str = "auto",
) -> PoolResults:
    """The nearest images of a sentence, or of an image file. `guide`: by default the one that built the pool.

    `data`: the dataset of a guide that learns from one, the same as when the pool was built.
    `exact`: compare with every row, without the index. Raises ConfigError where not just one query is given.
    """
    if bool(text) == bool(image):
        both = ", not both" if text is not None and image is not None else ""
        raise ConfigError(
            f'give a sentence or an image{both}: imaginate pool search POOL "a tiger shark", or --image FILE'
        )
    query = text or f"{IMAGE}{os.fspath(image or '')}"
    (found,) = search_pool_batch(pool, [query], guide=guide, data=data, limit=limit, exact=exact, device=device)
    return dataclasses.replace(found, query=query.removeprefix(IMAGE))


def search_pool_batch(
    pool: str | os.PathLike[str],
    queries: Sequence[str],
    *,
    guide: str | None = None,
    data: str | None = None,
    limit: int = 40,
    exact: bool = False,
    device: str = "auto",
) -> list[PoolResults]:
    """The nearest images of each query, with the guide and the pool opened once. A query is a sentence, or
    `image:PATH`; the other arguments are those of `search_pool`."""
    if limit < 1:
        raise ConfigError(f"limit must be at least 1, got {limit}")
    if not queries:
        raise ConfigError("there is no query: give at least one sentence, or image:PATH")
    opened = open_pool(os.fspath(pool))
    built = _guide(guide or opened.guide, device, data)
    opened.check(built)
    embedded = _embedded(built, queries)
    rows = opened.search(embedded, limit, exact=exact)
    return [PoolResults(pool=opened, query=query, rows=some) for query, some in zip(queries, rows, strict=True)]


def results_table(found: Sequence[PoolResults]) -> Any:
    """A pyarrow table of results, a row an image: query, rank from 0, then what the pool knows of the image."""
    import pyarrow as pa

    return pa.Table.from_pylist(
        [{"query": one.query, "rank": rank, **row} for one in found for rank, row in enumerate(one.rows)]
    )


def _embedded(guide: Guide, queries: Sequence[str]) -> Any:
    """(n, dim) unit-norm, in the order of the queries; sentences are embedded together."""
    import torch

    texts = [query for query in queries if not query.startswith(IMAGE)]
    if texts and not isinstance(guide, TextGuide):
        raise ConfigError(f"a sentence needs a guide that reads text (nano, clip:...), not {guide.name}: use --image")
    sentences = iter(guide.embed_text(texts)) if texts and isinstance(guide, TextGuide) else iter(())
    return torch.stack(
        [
            _embed_image(guide, query.removeprefix(IMAGE))[0] if query.startswith(IMAGE) else next(sentences)
            for query in queries
        ]
    )


def _embed_image(guide: Guide, path: str) -> Any:
    import torch

    from imaginate.data.decoding import decode_tensor
    from imaginate.data.sources.file import FileSource

    try:
        pixels = decode_tensor(FileSource(path).read())
    except ImageError as error:
        raise DataError(f"cannot search by {path}: {error}") from None
    with torch.no_grad():
        return guide.embed(pixels.unsqueeze(0).float() / 255)


def _guide(spec: str, device: str, data: str | None) -> Guide:
    """The guide by name; what classes it knows does not matter for embedding, unless it learns from a dataset."""
    from imaginate.models.guides import build_guide, learns_from_seeds

    if data is None:
        if learns_from_seeds(spec):
            raise ConfigError(f"guide {spec} learns from a dataset: name an image folder with --data, or take nano")
        return build_guide(spec, LabelSpace.of(("photo", "drawing")), device=pick_device(device))
    dataset = open_dataset(data)
    return build_guide(spec, dataset.labels, samples=SeedImages(dataset.samples), device=pick_device(device))
