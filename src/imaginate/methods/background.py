"""The object of a seed before the background of another image."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from imaginate.contract import Context, StartsFrom
from imaginate.files import content_hash
from imaginate.methods.core.kept import Kept
from imaginate.records import Candidate, DigitalSource, Request, Scalar
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

TRIES = 5  # drawn images, for one whose own object can be taken away
_OBJECTS: Kept[tuple[Any, Any]] = Kept(2048)  # the guide, and where the object is, a bit a pixel


@dataclass(frozen=True, kw_only=True)
class Background:
    """Cuts the object of a seed out and puts it before the background of another seed image.

    Ours, after the background swaps of Xiao et al. 2021 (Noise or Signal). The object is found by GrabCut (Rother et
    al. 2004, OpenCV) from a middle box; the other image loses its own object in the same way, and the hole is filled
    (Telea 2004). `style` moves the object's colours to those of the new background (Reinhard et al. 2001). The mask of
    the object is written as masks/CLASS/NAME.png. GrabCut knows colours, not objects: without `find` it is for one
    object in the middle that differs in colour from what is around it. `find guide` begins where covering the image
    costs the guide's class most (Zeiler & Fergus 2014; 49 windows a seed), and so keeps small or held objects: of 100
    seeds of Imagenette-S, 96 gave an image and 53 % of these kept their class by a judge, with prototypes:nano; by
    colours alone 50, and 40 %. Look at the contact sheet. It harms where the background is the class (scenes,
    textures), and where objects fill their images: a probe on Flowers-102 lost 11 points (docs/results.md). Needs the
    extra `paste`.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ("opencv",)
    digital_source: ClassVar[DigitalSource] = "composite"
    paper: ClassVar[str] = "Rother et al. 2004; Xiao et al. 2021, arXiv:2006.09994"

    find: Literal["guide"] | None = setting(
        None, "guide: where the guide sees the class, then by colours; none: by colours alone", needs="guide"
    )
    box: float = setting(0.8, "share of each side that the middle box has, outside of which is background", gt=0, lt=1)
    least: float = setting(0.05, "an object of a smaller share of the image is none", ge=0, le=1)
    most: float = setting(0.8, "an object of a larger share of the image is none", ge=0, le=1)
    style: float = setting(
        0.0, "how far the object's colours go to those of the new background: 0 stays, 1 has their mean and deviation",
        ge=0, le=1,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)

    def prepare(self, context: Context) -> None:
        """Refuses where OpenCV is not installed."""
        from imaginate.methods.core.blending import check_library

        check_library("background")

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size, with the mask of the object."""
        return [
            candidate
            for request in requests
            for candidate in self._of(request, context)
        ]  # fmt: skip

    def _of(self, request: Request, context: Context) -> list[Candidate]:
        from imaginate.methods.core.objects import composed

        mask = self._object(request.image, request.label, context)
        is_object = self._is_object(mask)
        found = []
        for copy, seed in zip(request.copies, request.seeds, strict=True):
            image: Tensor | None = None
            failed: str | None = "no object found"
            info: dict[str, Scalar] = {}
            if is_object:
                ground, name = self._ground(request, random.Random(seed), context)
                image, failed = composed(request.image, mask, ground, self.style), None
                info = {"partner": name, "object": round(float(mask.mean()), 4)}
            found.append(
                Candidate(
                    key=request.key, label=request.label, copy=copy, seed=seed, image=image, failed=failed,
                    mask=mask if is_object else None, info=info,
                )
            )  # fmt: skip
        return found

    def _ground(self, request: Request, rng: random.Random, context: Context) -> tuple[Tensor, str]:
        """A drawn image without its object, and its id: one in which an object is found, in a few tries."""
        from imaginate.methods.core.objects import filled
        from imaginate.methods.core.partners import draw_partner

        height, width = request.image.shape[-2:]
        for _ in range(TRIES):
            other, label, name = draw_partner(context.samples, rng, height, width, but=request.key)
            mask = self._object(other, label, context)
            if self._is_object(mask):
                break
        return filled(other, mask), name

    def _object(self, image: Tensor, label: int, context: Context) -> Any:
        """(h, w) bool. An image lends its background to many: its object is found once."""
        import numpy as np

        from imaginate.methods.core.objects import find_object
        from imaginate.methods.core.seen import seen_at

        guide = None if self.find is None else context.guide
        key = (self.box, label, tuple(image.shape), content_hash(image.numpy().tobytes()), id(guide))

        def found() -> tuple[Any, Any]:
            seen = None if guide is None else seen_at(guide, image, label, context.device)
            return guide, np.packbits(find_object(image, self.box, seen))

        height, width = image.shape[-2:]
        bits = np.unpackbits(_OBJECTS.get(key, found)[1], count=height * width)
        return bits.reshape(height, width).astype(bool)

    def _is_object(self, mask: Any) -> bool:
        return self.least <= float(mask.mean()) <= self.most
