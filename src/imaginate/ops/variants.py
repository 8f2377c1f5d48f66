"""The named ways to guide imagination: the paper's, the released code's, and ours (`default`).

    what                          paper                    released                  default
    prompt and diffusion          one a seed               one a copy                one a copy
    seed before encoding          as it is                 rotated, flipped          as it is
    draws of z and b              U(0,1), N(0,1)           U(0,1), N(0,1)            the same, scaled to the eps-ball
    ascent on z and b             10 sign steps of 0.1     1 sign step of 0.1        6 sign steps of eps/4
    projection                    inside the loop          only before saving        inside, straight-through gradient
    diversity                     latents, softmax of f'   CLIP features, inert      CLIP features, sharp and bounded
    a step that lowers S          is kept                  is kept                   is undone and halved
    a copy leaving its class      may                      may                       is put back
    texture of a MAE's patches    is kept                  is kept                   is taken out

Slips of the released code are not repeated (reference: its class term is read for the first copy of a batch only, and
seed and copy reach CLIP with different normalisations).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from imaginate.ops.diversity import SHARP, Mean

Name = Literal["default", "paper", "released"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One definition of guided imagination. `step` is in units of z and b, or of min(1, eps) where `scaled`."""

    ascent_steps: int
    step: float
    per_copy: bool  # every copy has its own prompt and diffusion
    turn_seed: bool = False  # rotate and flip the seed image first
    scaled: bool = False  # draws of z and b scaled to the eps-ball
    projected: bool = True  # the score sees the projected latent
    straight: bool = False  # the gradient passes the projection unchanged
    backtrack: bool = False  # a step that lowers S, or leads a copy out of the seed's class, is undone and halved
    diversity_of: Literal["latent", "embedding"] = "embedding"
    texture: Literal["remove", "keep"] = "keep"  # what a MAE's decoder repeats in every patch
    temperature: float = 1.0
    mean: Mean = "feature"


VARIANTS: dict[str, Variant] = {
    "paper": Variant(ascent_steps=10, step=0.1, per_copy=False, diversity_of="latent"),
    "released": Variant(ascent_steps=1, step=0.1, per_copy=True, turn_seed=True, projected=False),
    "default": Variant(
        ascent_steps=6,
        step=0.25,
        per_copy=True,
        scaled=True,
        straight=True,
        backtrack=True,
        texture="remove",
        temperature=SHARP,
        mean="mixture",
    ),
}


def variant(name: str, ascent_steps: int | None = None, ascent_step: float | None = None) -> Variant:
    """A variant by name, with another number or size of steps where given."""
    found = VARIANTS[name]
    return replace(
        found,
        ascent_steps=found.ascent_steps if ascent_steps is None else ascent_steps,
        step=found.step if ascent_step is None else ascent_step,
    )
