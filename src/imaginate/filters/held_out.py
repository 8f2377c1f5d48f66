"""Leak control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, ClassVar, Literal
from weakref import WeakKeyDictionary

from imaginate.contract import Context, Guide
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting

TOGETHER = 64  # held-out images of one size that are hashed at a time


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Keeps an image that is no near-duplicate of a held-out image: what is tested on must not be trained on.

    A retrieved or generated copy of a test image would pass for generalisation (RET does not say that it looks for
    them). Compared by perceptual hash, colour ignored, mirror images and the squares that tools cut out of the middle
    too, and by the guide's embeddings where `cosine` is given. The score is the number of differing bits (64 where none
    is near).
    """

    needs: ClassVar[tuple[str, ...]] = ()
    needs_seed: ClassVar[bool] = False
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"
    guards: ClassVar[Mapping[str, str]] = {"path": "held_out", "split": "held_out_split"}

    path: str = setting(help="the dataset that holds the held-out images (`--held-out`)")
    split: str | None = setting(None, "its split (`--held-out-split`)")
    bits: int = setting(8, "most bits of the 64-bit perceptual hash in which a copy differs", ge=0, le=32)
    cosine: float | None = setting(
        None, "also a copy from this cosine of the guide's embeddings on", gt=0, le=1, needs="guide"
    )

    def __post_init__(self) -> None:
        check(self)

    def prepare(self, context: Context) -> None:
        """Read the held-out images, so that a path that leads nowhere is refused before the first image."""
        _signatures(self.path, self.split, self.bits)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; `held-out duplicate`."""
        from imaginate.filters.core.alike import embeddings, mirrored, signatures, squares

        index = _signatures(self.path, self.split, self.bits)
        images = [c.image for c in candidates]
        verdicts = []
        middles = squares(images)
        views = [signatures(images), mirrored(images), signatures(middles), mirrored(middles)]
        for marks in zip(*views, strict=True):
            near = next((found for mark in dict.fromkeys(marks) if (found := index.near(mark))), None)
            bits = 64.0 if near is None else float(near.bits)
            verdicts.append(Verdict(keep=near is None, reason="" if near is None else "held-out duplicate", score=bits))
        if self.cosine is not None:
            known = _embeddings(self.path, self.split, context.guide)
            closest = (embeddings(images, context) @ known.T).max(dim=1).values.tolist()
            for i, value in enumerate(closest):
                if value >= self.cosine:
                    verdicts[i] = Verdict(keep=False, reason="held-out duplicate", score=verdicts[i].score)
        return verdicts


def _images(path: str, split: str | None) -> Any:
    """The readable held-out images, one at a time."""
    from imaginate.data import load, open_dataset
    from imaginate.errors import DataError, ImageError

    found = 0
    for sample in open_dataset(path, split=split).samples:
        try:
            image = load(sample)
        except ImageError:
            continue
        found += 1
        yield sample.id, image
    if not found:
        raise DataError(f"{path}: no readable held-out image")


@lru_cache(maxsize=4)
def _signatures(path: str, split: str | None, bits: int) -> Any:
    """The index of the held-out images; built once a process."""
    import torch

    from imaginate.filters.core.alike import square
    from imaginate.ops.similarity import SignatureIndex, signature

    index = SignatureIndex(bits)
    for _, alike in groupby(_images(path, split), key=lambda found: tuple(found[1].shape)):
        while some := list(islice(alike, TOGETHER)):
            batch = torch.stack([image for _, image in some])
            for view in (batch, square(batch)) if square(batch).shape != batch.shape else (batch,):
                for (key, _), mark in zip(some, signature(view), strict=True):
                    index.add(key, mark)
    return index


_EMBEDDED: WeakKeyDictionary[Guide, dict[tuple[str, str | None], Any]] = WeakKeyDictionary()


def _embeddings(path: str, split: str | None, guide: Guide) -> Any:
    """(n, dim) embeddings of the held-out images; computed once a guide."""
    known = _EMBEDDED.setdefault(guide, {})
    if (path, split) not in known:
        known[path, split] = _embed(path, split, guide)
    return known[path, split]


def _embed(path: str, split: str | None, guide: Guide) -> Any:
    import torch

    from imaginate.ops.batching import map_images

    parts, images = [], []
    with torch.no_grad():
        for _, image in _images(path, split):
            images.append(image)
            if len(images) == 256:
                parts.append(map_images(guide.embed, images, device=guide.device))
                images = []
        if images:
            parts.append(map_images(guide.embed, images, device=guide.device))
    return torch.cat(parts)
