"""Priors: the frozen generative models that imagine. One adapter for each family, one builder for all.

    mae               a ViTMAE autoencoder (transformers)             encode, decode
    stable-diffusion  SD 1.x, 2.x, SDXL, Turbo, LCM (diffusers)       encode, diffuse, decode
    unclip            Karlo or SD 2.1 unCLIP (diffusers)              encode, generate

Each accepts a hub id, a folder in the library's own format, or `nano` for the bundled miniature of the family.
"""

from __future__ import annotations

from typing import Any

from imaginate.errors import ConfigError
from imaginate.settings import nearest

FAMILIES = ("mae", "stable-diffusion", "unclip")


def build_prior(
    family: str,
    spec: str,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    adaptation: str | None = None,
    compile: bool = False,
) -> Any:
    """The prior `spec` ("nano", a folder or a hub id) of a family, frozen, on a device, its adaptation loaded.

    `dtype` is float32, bfloat16 or float16; None means float32 on a CPU and bfloat16 on a GPU that has it.
    """
    if family not in FAMILIES:
        raise ConfigError(
            f"prior family must be one of {', '.join(FAMILIES)}, got {family!r}{nearest(family, FAMILIES)}"
        )
    if family == "mae":
        from imaginate.models.priors.mae import Mae as Prior
    elif family == "stable-diffusion":
        from imaginate.models.priors.stable_diffusion import StableDiffusion as Prior  # type: ignore[assignment]
    else:
        from imaginate.models.priors.unclip import Unclip as Prior  # type: ignore[assignment]
    prior = Prior.load(spec, device=device, dtype=dtype)
    if adaptation is not None:
        prior.load_adaptation(adaptation)
    if compile:
        prior.compile()
    return prior
