"""Defects moved onto normal images: for inspection data, where normal images are many and defects few."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.contract import Context, StartsFrom
from imaginate.errors import ImageError
from imaginate.records import Candidate, DigitalSource, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.methods.core.masks import Masks


@dataclass(frozen=True, kw_only=True)
class Paste:
    """Cuts the defect of a seed out by its mask and blends it into a normal image: a new image of the defect's class.

    Ours, after CutPaste (Li et al. 2021), with Poisson blending (Perez et al. 2003, eq. 7) by OpenCV: inside the mask
    the gradients are the defect's, on its border the colours are the normal image's. The mask is widened first, for
    blending takes the colours on the border as those of the normal image. A seed of the normal class gets a piece of
    another normal image in the shape of a drawn defect, so that a seam alone says nothing of the class. What was
    pasted is written as masks/CLASS/NAME.png, named by the column info_mask. Use it where the place of a defect is
    free (textures, surfaces); where it is not, keep shift small. Needs the extra `paste`.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ("opencv",)
    digital_source: ClassVar[DigitalSource] = "composite"
    paper: ClassVar[str] = "Perez et al. 2003; Li et al. 2021, arXiv:2104.04015"

    masks: str | None = setting(
        None,
        "folder of masks, named as the images (NAME_mask.png too) and in the same folders, or a table with a column of "
        "paths and a column mask; none: folders ground_truth or masks next to the images, as in MVTec AD",
    )
    normal: str | None = setting(None, "the class without defects; none: the only one without masks")
    blend: Literal["poisson", "mixed", "plain"] = setting(
        "poisson", "the defect's gradients, the stronger of both images' gradients, or its pixels as they are"
    )
    shift: float = setting(0.1, "how far a defect may move, a share of each side", ge=0, le=1)
    turn: float = setting(0.0, "how far a defect may turn, in degrees", ge=0, le=180)

    def __post_init__(self) -> None:
        check(self)

    def prepare(self, context: Context) -> None:
        """Refuses before any image is made what cannot be used: no masks, a class whose masks are all empty or of
        another size than their images, an unknown normal class, a missing library."""
        from imaginate.methods.core.blending import check_library

        check_library("paste")
        self._masks(context).check()

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size, with the mask of the defect."""
        masks = self._masks(context)
        return [
            self._candidate(request, copy, seed, masks)
            for request in requests
            for copy, seed in zip(request.copies, request.seeds, strict=True)
        ]

    def _masks(self, context: Context) -> Masks:
        from imaginate.methods.core.masks import masks_for

        return masks_for(self.masks, self.normal, context)

    def _candidate(self, request: Request, copy: int, seed: int, masks: Masks) -> Candidate:
        from imaginate.methods.core.blending import Move, blend

        rng = random.Random(seed)
        is_normal = request.label == masks.normal
        try:
            mask, origin = masks.drawn(rng, request.image) if is_normal else masks.own(request)
            other, partner = masks.normal_image(rng, request, apart=is_normal)
        except ImageError as error:
            return Candidate(key=request.key, label=request.label, copy=copy, seed=seed, image=None, failed=str(error))
        source, target = (other, request.image) if is_normal else (request.image, other)
        move = Move.drawn(rng, mask, self.shift, self.turn)
        image, placed = blend(source, mask, target, move, self.blend)
        return Candidate(
            key=request.key, label=request.label, copy=copy, seed=seed, image=image,
            mask=None if is_normal else placed,
            info={"partner": partner, "mask_of": origin, "shift_x": move.right, "shift_y": move.down},
        )  # fmt: skip
