"""Where seeds, new and held-out images are in the guide's space: on the plane that the real images span (PCA), or as
UMAP unfolds it (McInnes et al. 2018, arXiv:1802.03426; the library umap-learn)."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from imaginate.data import Dataset, open_dataset
from imaginate.data.decoding import decode_tensor
from imaginate.data.photometry import rendering_of
from imaginate.data.seed_images import SeedImages
from imaginate.data.spec import DataSpec, source_of
from imaginate.data.subset import evenly_spread
from imaginate.errors import ConfigError, DataError, ImaginateError, ModelError
from imaginate.records import Sample
from imaginate.reports.scatter import ImageMap, MapPoint
from imaginate.runs import KEPT, REJECTED, RunFolder
from imaginate.settings import build

if TYPE_CHECKING:
    from imaginate.contract import Guide, Tensor

MapBy: TypeAlias = Literal["pca", "umap"]
BY: tuple[MapBy, ...] = get_args(MapBy)
MOST = 400  # images of each kind
BATCH = 64
AUTO = ("prototypes:efficientnet-lite0@160", "nano")  # where the run has no guide: the first that is installed
log = logging.getLogger("imaginate")


@dataclass(frozen=True)
class _Picture:
    image: Tensor
    origin: str
    class_name: str
    name: str


def check_by(word: str) -> MapBy:
    """How a map is drawn. ConfigError for a word that is not known, or whose library is not installed."""
    known = next((one for one in BY if one == word), None)
    if known is None:
        raise ConfigError(f"map_by must be one of {', '.join(BY)}, got {word!r}")
    if known == "umap" and find_spec("umap") is None:
        raise ConfigError("a map by umap needs umap-learn, which is not installed: pip install 'imaginate[umap]'")
    return known


def draw_map(
    run: RunFolder,
    guide: str | None = None,
    held_out: tuple[str, str | None] | None = None,
    device: str = "auto",
    by: MapBy = "pca",
) -> ImageMap | None:
    """The map of a run; None, with a remark, where nothing can be embedded.

    `guide`: by default the run's own, else efficientnet-lite0, else the bundled one. `held_out`: a dataset and its
    split; by default the one that the run's recipe names, else a split of its data that it did not read. Of each kind
    at most 400 images, spread evenly.
    """
    roles = run.recipe.get("roles") or {}
    if held_out is None and roles.get("held_out"):
        held_out = str(roles["held_out"]), roles.get("held_out_split")
    held_out = held_out or _other_split(run)
    pictures = [*_of_run(run), *(_of_held_out(run, *held_out) if held_out else ())]
    real = [i for i, one in enumerate(pictures) if one.origin in ("seed", "held-out")]
    if len(pictures) < 3:
        log.warning(f"no map of {run.root}: it has fewer than three images that can be read")
        return None
    found = _guide(run, guide or roles.get("guide"), device)
    rows = _embedded(found, pictures)
    places, shares = _unfolded(rows) if by == "umap" else _plane(rows, rows[real] if len(real) > 2 else rows)
    points = [
        MapPoint(float(x), float(y), one.origin, one.class_name, one.name)
        for (x, y), one in zip(places, pictures, strict=True)
    ]
    return ImageMap(points=points, guide=found.name, shares=shares)


def _plane(rows: Tensor, fit: Tensor) -> tuple[list[list[float]], tuple[float, float]]:
    """The places of vectors (n, d) by the principal components of `fit`, and their shares."""
    from imaginate.ops.plane import plane

    places, shares = plane(rows, fit)
    return places.tolist(), shares


def _unfolded(rows: Tensor) -> tuple[list[list[float]], None]:
    """The places of unit vectors (n, d) by UMAP, which keeps neighbours; always the same ones for the same vectors."""
    library: Any = importlib.import_module("umap")
    count = len(rows)
    start = "spectral" if count > 20 else "random"  # its spectral start fails on a handful of images
    unfold = library.UMAP(
        n_neighbors=max(2, min(15, count - 1)), metric="cosine", init=start, random_state=0, n_jobs=1
    )  # fmt: skip
    return unfold.fit_transform(rows.numpy()).tolist(), None


def _other_split(run: RunFolder) -> tuple[str, str] | None:
    """The run's data and a split of it that it did not read, those of the usual names first; None where there is none
    or the data is gone."""
    data = run.recipe.get("data") or {}
    try:
        found = open_dataset(build(DataSpec, source_of(data), where="data"))
    except ImaginateError:
        return None
    others = sorted((name for name in found.splits if name != found.split), key=_usual)
    return (str(data["path"]), others[0]) if others and found.split else None


def _usual(split: str) -> int:
    return next((place for place, word in enumerate(("test", "val")) if split.startswith(word)), 2)


def _of_run(run: RunFolder) -> Iterator[_Picture]:
    kept = run.rows(KEPT, columns=("file_name", "class_name", "method"))
    refused = run.rows(REJECTED, columns=("file_name", "class_name", "method"))
    parts = {
        "seed": [row for row in kept if row["method"] is None],
        "new": [row for row in kept if row["method"] is not None],
        "rejected": [row for row in refused if row["file_name"]],
    }
    for origin, rows in parts.items():
        for row in evenly_spread(rows, MOST):
            try:
                image = decode_tensor(run.store.get(row["file_name"]))
            except ImaginateError:
                continue
            yield _Picture(image, origin, str(row["class_name"]), str(row["file_name"]))


def _of_held_out(run: RunFolder, path: str, split: str | None) -> Iterator[_Picture]:
    """Read as the seeds of the run were, in the same range."""
    how = {**source_of(run.recipe.get("data") or {}), "path": path, "split": split}
    try:
        data = open_dataset(
            build(DataSpec, how, where="data"), rendered_as=rendering_of(_seeds(run)), is_elsewhere=True
        )
    except ImaginateError as error:
        log.warning(f"held-out images are not on the map: {error}")
        return
    samples: list[Sample] = evenly_spread(data.samples, MOST)
    images = SeedImages(samples, keep=1)
    for index, sample in enumerate(samples):
        try:
            image = images.image(index)
        except ImaginateError:
            continue
        yield _Picture(image, "held-out", data.labels[sample.label].name, sample.id)


def _guide(run: RunFolder, spec: str | None, device: str) -> Guide:
    """The guide that is asked for; else the first that can be had. It embeds, and needs no seeds for that."""
    from imaginate.devices import pick_device
    from imaginate.models.guides import build_guide

    data = _seeds(run)
    for name in (spec,) if spec else AUTO:
        try:
            return build_guide(name, data.labels, samples=SeedImages(data.samples), device=pick_device(device))
        except ModelError:
            if name == AUTO[-1] or spec:
                raise
    raise ModelError("no guide")


def _seeds(run: RunFolder) -> Dataset:
    """The originals of the run; all its images where it holds none."""
    try:
        return open_dataset(run.root, origin="original")
    except DataError:
        return open_dataset(run.root)


def _embedded(guide: Guide, pictures: list[_Picture]) -> Tensor:
    """Unit vectors (n, d) on the CPU."""
    import torch
    from torch.nn import functional as F

    from imaginate.ops.batching import map_images

    parts = []
    with torch.no_grad():
        for start in range(0, len(pictures), BATCH):
            images = [one.image for one in pictures[start : start + BATCH]]
            parts.append(map_images(guide.embed, images, device=guide.device).float().cpu())
    return F.normalize(torch.cat(parts), dim=-1)
