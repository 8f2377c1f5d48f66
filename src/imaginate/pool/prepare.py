"""The part of a build that threads do: read, hash, leave out what the pool has, decode, hash what it shows."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from imaginate.contract import Guide
from imaginate.errors import ImageError
from imaginate.files import content_hash
from imaginate.pool.rows import LATER
from imaginate.pool.units import Item
from imaginate.records import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imaginate.models.guides.core.preprocess import Preprocess


@dataclass
class Prepared:
    """A batch, ready to be embedded: rows without vectors, and for each its pixels (3, h, w) uint8 or its vector.
    `later`: what is said of images that the pool has already, by id."""

    rows: list[dict[str, Any]]
    inputs: list[Any]
    skipped: list[tuple[str, str]]
    known: int
    later: dict[str, dict[str, Any]] = field(default_factory=dict)

    def embedded(self, guide: Guide, which: Sequence[int]) -> list[NDArray[np.float32]]:
        """Unit-norm float32 vectors of some of the rows, images of one size together."""
        import numpy as np
        import torch

        out: dict[int, NDArray[np.float32]] = {}
        for i in which:
            if not isinstance(self.inputs[i], torch.Tensor):
                vector = np.asarray(self.inputs[i], dtype=np.float32)
                out[i] = vector / max(float(np.linalg.norm(vector)), 1e-12)
        for group in by_shape(self.inputs, which):
            images = torch.stack([self.inputs[i] for i in group])
            with torch.inference_mode():
                x = images if images.is_floating_point() else images.float() / 255
                vectors = guide.embed(x).float().cpu().numpy()
            out.update(zip(group, vectors, strict=True))
        return [out[i] for i in which]


def prepare(items: Sequence[Item], guide: Guide, *, store: str, known: Callable[[Sequence[str]], set[str]]) -> Prepared:
    """One batch of items; `known` tells which ids the pool has."""
    out = Prepared([], [], [], 0)
    read: list[tuple[Item, str, bytes | None]] = []
    for item in items:
        try:
            is_read = item.vector is None or (store == "bytes" and item.source is not None)
            data = item.read() if is_read else None
            if item.bad:
                raise ImageError(item.bad)
            place = data if data is not None else (item.ref or "").encode()
            read.append((item, content_hash(place), data))
        except ImageError as error:
            out.skipped.append((item.name, str(error)))
    there = known([key for _, key, _ in read])
    for item, key, data in read:
        if key in there:
            out.known += 1
            facts = {name: item.facts[name] for name in LATER if item.facts.get(name) is not None}
            out.later[key] = {**facts, **out.later.get(key, {})}
        else:
            there.add(key)
            _add(out, item, key, data, guide, store)
    _add_signatures(out, guide)
    return out


def _add(out: Prepared, item: Item, key: str, data: bytes | None, guide: Guide, store: str) -> None:
    from imaginate.ops.similarity import signature

    row: dict[str, Any] = {**item.facts, "id": key, "source": item.name, "image": None}
    row["ref"] = item.ref or item.facts.get("url")
    try:
        if data is None:
            if item.vector is not None:
                _check_width(item.vector, guide)
            if store == "bytes":
                raise ImageError("only its address is known: use --store reference")
            row.update(signature=None, width=None, height=None)
            out.inputs.append(item.vector)
        else:
            if store == "bytes":
                row.update(image=data, ref=None)
            elif row["ref"] is None:
                raise ImageError("no reference to keep; use --store bytes")
            pixels = _pixels(row, data)
            if item.vector is not None:
                _check_width(item.vector, guide)
                row["signature"] = signature(pixels[None])[0]
            out.inputs.append(pixels if item.vector is None else item.vector)
    except ImageError as error:
        out.skipped.append((item.name, str(error)))
        return
    out.rows.append(row)


def _check_width(vector: NDArray[np.float32], guide: Guide) -> None:
    if vector.shape[-1] != guide.dim:
        raise ImageError(f"embedding of {vector.shape[-1]} numbers, the guide has {guide.dim}")


def _pixels(row: dict[str, Any], data: bytes) -> Image:
    """Decode to (3, h, w) uint8, and note the size."""
    from imaginate.data.decoding import decode_tensor

    image = decode_tensor(data)
    row.update(width=image.shape[2], height=image.shape[1])
    return image


def _add_signatures(out: Prepared, guide: Guide) -> None:
    """Perceptual hashes, images of one size together; then shrink as the guide itself would, so that images of
    different sizes can share a batch."""
    import torch

    from imaginate.ops.similarity import signature

    ahead = _preprocessing_ahead(guide)
    for group in by_shape(out.inputs, range(len(out.inputs))):
        images = torch.stack([out.inputs[i] for i in group])
        for i, found in zip(group, signature(images), strict=True):
            out.rows[i]["signature"] = found
        if ahead is not None:
            for i, image in zip(group, ahead(images), strict=True):
                out.inputs[i] = image


def by_shape(inputs: Sequence[Any], which: Iterable[int]) -> list[list[int]]:
    """The positions that hold tensors, those of one shape together."""
    import torch

    shapes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i in which:
        if isinstance(inputs[i], torch.Tensor):
            shapes[tuple(inputs[i].shape)].append(i)
    return list(shapes.values())


@runtime_checkable
class _ShowsPreprocessing(Protocol):
    """A guide whose first steps can be done ahead of it."""

    preprocess: Preprocess


def _preprocessing_ahead(guide: Guide) -> Preprocess | None:
    """The guide's own resize and square crop, which change nothing when the guide repeats them; its finer crop and
    its normalisation are left to it. None for a guide that does not show its preprocessing, or does not resize."""
    own = guide.preprocess if isinstance(guide, _ShowsPreprocessing) else None
    if own is None or own.size is None:
        return None
    plain = dataclasses.replace(own, mean=(0.0,) * 3, std=(1.0,) * 3, crop=None, flips=False)
    if isinstance(own.size, tuple):
        return plain
    if own.crop is not None and max(own.crop) > own.size:
        return None
    return dataclasses.replace(plain, crop=(own.size, own.size))


def unusable(vector: NDArray[np.float32]) -> str:
    """Why an embedding cannot be searched: a row of zeros is near to nothing, one that is not finite is nowhere."""
    import numpy as np

    if not np.isfinite(vector).all():
        return "embedding is not finite"
    return "" if float(np.linalg.norm(vector)) > 0.5 else "embedding is zero"
