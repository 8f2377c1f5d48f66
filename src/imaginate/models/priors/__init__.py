"""Priors: the frozen generative models that imagine. One adapter for each family, one builder for all.

    mae               a ViTMAE autoencoder (transformers)             encode, decode
    stable-diffusion  SD 1.x, 2.x, SDXL, Turbo, LCM (diffusers)       encode, diffuse, decode
    unclip            Karlo or SD 2.1 unCLIP (diffusers)              encode, generate

Each accepts a hub id, a folder in the library's own format, or `nano` for the bundled miniature of the family. A family
is one file here; `core/` is what they share.
"""

from __future__ import annotations

from imaginate import registry
from imaginate.contract import PriorFamily
from imaginate.errors import ConfigError
from imaginate.settings import nearest


def build_prior(
    family: str,
    spec: str,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    adaptation: str | None = None,
    compile: bool = False,
) -> PriorFamily:
    """The prior `spec` ("nano", a folder or a hub id) of a family, frozen, on a device, its adaptation loaded.

    `dtype` is float32, bfloat16 or float16; None means float32 on a CPU, bfloat16 on a GPU that has it, else float16.
    """
    known = registry.names("priors")
    if family not in known:
        raise ConfigError(f"prior family must be one of {', '.join(known)}, got {family!r}{nearest(family, known)}")
    prior = registry.find("priors", family).load(spec, device=device, dtype=dtype)
    if adaptation is not None:
        prior.load_adaptation(adaptation)
    if compile:
        prior.compile()
    return prior
