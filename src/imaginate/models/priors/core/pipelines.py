"""What a pipeline of diffusers is, by its index and its class alone, before its weights are downloaded and loaded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imaginate.errors import ModelError

# Parts that steer a pipeline by an input that no method gives: left out, they would be ignored in silence.
STEERING = ("controlnet", "adapter", "t2i_adapter", "motion_adapter", "depth_estimator", "low_res_scheduler")
WANTED = ("mask_image", "control_image", "ip_image")  # inputs of a call that no method gives
EDITORS = ("InstructPix2Pix",)  # editing pipelines whose parts are those of Stable Diffusion, in the class's name

Kind = Literal["image-to-image", "text-to-image", "edit"]


@dataclass(frozen=True)
class Drive:
    """How a pipeline is driven: by which class of diffusers, and what it does."""

    cls: Any
    kind: Kind


def is_given(index: Mapping[str, Any], part: str) -> bool:
    """Whether a pipeline has this part: an index names those that it may have, and says null for a missing one."""
    entry = index.get(part)
    return isinstance(entry, (list, tuple)) and len(entry) > 1 and entry[1] is not None


def is_stable_diffusion(index: Mapping[str, Any]) -> bool:
    """Whether a pipeline's parts are those of SD 1, 2 and XL: their UNet, and text read by CLIP."""
    encoder = index.get("text_encoder") or [None, None]
    return is_given(index, "unet") and "ChatGLM" not in str(encoder[1]) and not is_editor(index)


def is_editor(index: Mapping[str, Any]) -> bool:
    """Whether a pipeline of Stable Diffusion's parts edits by instruction."""
    return any(word in str(index.get("_class_name")) for word in EDITORS)


def check_parts(index: Mapping[str, Any], spec: str) -> None:
    """ModelError for a part that would be ignored."""
    for part in STEERING:
        if is_given(index, part):
            raise ModelError(
                f"{spec} is a {index.get('_class_name')} with a {part}, which would be ignored: give the "
                "checkpoint that it was trained for, without it"
            )
    if is_editor(index):
        raise ModelError(f"{spec} is a {index.get('_class_name')}, which edits by instruction: use method edit")


def drive_of(index: Mapping[str, Any], spec: str) -> Drive:
    """How the pipeline of an index is driven. ModelError, in one line, for one that draws no pictures from prompts."""
    name = str(index.get("_class_name"))
    own = _class(name)
    if own is None:
        raise ModelError(
            f"{spec} is a {name}, a pipeline that this version of diffusers does not have: upgrade diffusers"
        )
    for cls in (_image_to_image(own), own):
        if (
            cls is not None
            and {"prompt", "image", "strength"} <= (known := _parameters(cls))
            and not known & set(WANTED)
        ):
            return Drive(cls, "image-to-image")
    takes = _parameters(own)
    if steered := sorted(takes & set(WANTED)):
        raise ModelError(
            f"{spec} is a {name}, which needs a {steered[0]}, which no method gives: give a plain checkpoint"
        )
    if {"prompt", "image"} <= takes:
        return Drive(own, "edit")
    if takes >= {"prompt", "height", "width", "num_inference_steps"} and "num_frames" not in takes:
        return Drive(own, "text-to-image")
    raise ModelError(f"{spec} is a {name}, which neither edits images nor draws them from a prompt")


def class_of(index: Mapping[str, Any], wanted: Any) -> Any:
    """The class to load by: `wanted`, or the pipeline's own where that is the general DiffusionPipeline."""
    from diffusers import DiffusionPipeline

    return wanted if wanted is not DiffusionPipeline else _class(str(index.get("_class_name")))


def parameters_of(cls: Any) -> Mapping[str, inspect.Parameter]:
    """What a call of a pipeline takes."""
    return inspect.signature(cls.__call__).parameters


def _parameters(cls: Any) -> set[str]:
    return set(parameters_of(cls))


def _class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name, None)


def _image_to_image(cls: Any) -> Any:
    """The image-to-image pipeline of the same parts, by diffusers' own tables or by its name; None where there is
    none."""
    from diffusers.pipelines import auto_pipeline as auto

    to_image = auto.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING
    tables = (to_image, auto.AUTO_TEXT2IMAGE_PIPELINES_MAPPING, auto.AUTO_INPAINT_PIPELINES_MAPPING)
    for table in tables:
        for key, known in table.items():
            if known is cls and key in to_image:
                return to_image[key]
    return _class(cls.__name__.replace("Pipeline", "Img2ImgPipeline"))
