"""Seeds -> diffused latents, embeddings -> images, with new seeds where no number comes out: shared by the methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from imaginate.contract import Context, DiffusionPrior, Guide
from imaginate.errors import ConfigError
from imaginate.ops.noise import substream

TRIES = 3


@dataclass(frozen=True)
class How:
    """How to denoise: strength, guidance scale, steps, scheduler."""

    strength: float
    guidance_scale: float
    steps: int
    scheduler: str | None = None


@dataclass(frozen=True)
class Diffused:
    """Latents (m, c, h, w) or images, which rows were started anew (and how often), and which never became numbers."""

    latents: torch.Tensor
    retried: dict[int, int] = field(default_factory=dict)
    lost: tuple[int, ...] = ()


def diffuse(
    prior: DiffusionPrior, pixels: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int], how: How
) -> Diffused:
    """SDEdit of m images (m, 3, h, w) in [0, 1], one prompt and one seed each; a row of NaN is diffused again."""

    def draw(rows: Sequence[int], chosen: Sequence[int]) -> torch.Tensor:
        start = prior.encode(pixels[list(rows)], chosen)
        return _once(prior, start, [prompts[row] for row in rows], chosen, how)

    return _insist(draw, seeds)


def _insist(draw: Callable[[Sequence[int], Sequence[int]], torch.Tensor], seeds: Sequence[int]) -> Diffused:
    """`draw(rows, seeds)`; rows with NaN or infinity are drawn again from new seeds. After `TRIES` a row is lost, and
    zeros stand in its place."""
    made = draw(range(len(seeds)), seeds)
    retried: dict[int, int] = {}
    for attempt in range(1, TRIES):
        rows = _broken(made)
        if not rows:
            return Diffused(made, retried)
        made[rows] = draw(rows, [substream(seeds[row], f"retry {attempt}") for row in rows]).to(made)
        retried |= dict.fromkeys(rows, attempt)
    lost = _broken(made)
    made[lost] = 0.0
    return Diffused(made, retried, tuple(lost))


def repeat(made: Diffused, copies: int) -> Diffused:
    """One diffusion a seed, shared by its copies: rows repeated."""
    retried = {row * copies + j: count for row, count in made.retried.items() for j in range(copies)}
    lost = tuple(row * copies + j for row in made.lost for j in range(copies))
    return Diffused(made.latents.repeat_interleave(copies, dim=0), retried, lost)


def generate(
    prior: Any,
    embeddings: torch.Tensor,
    seeds: Sequence[int],
    guidance_scale: float,
    steps: int,
    scheduler: str | None,
) -> Diffused:
    """Embeddings (m, dim) -> images (m, 3, s, s) in [0, 1]; a row that is no number is drawn again from a new seed."""

    def draw(rows: Sequence[int], chosen: Sequence[int]) -> torch.Tensor:
        arguments: dict[str, Any] = {"guidance_scale": guidance_scale, "steps": steps, "seeds": chosen}
        images: torch.Tensor = prior.generate(embeddings[list(rows)], scheduler=scheduler, **arguments)
        return images

    return _insist(draw, seeds)


def same_space(guide: Guide, prior: Any, pixels: torch.Tensor, encoded: torch.Tensor) -> None:
    """ConfigError unless the guide embeds images where the prior does: GIF-DALLE scores the prior's embeddings."""
    rule = f"the guide must be the CLIP of {prior.name}'s image encoder, {guide.name}"
    if guide.dim != encoded.shape[1]:
        raise ConfigError(f"{rule} has {guide.dim} dimensions in place of {encoded.shape[1]}")
    with torch.no_grad():
        seen = guide.embed(pixels.to(encoded.device)).float()
    alike = float(torch.nn.functional.cosine_similarity(seen, encoded, dim=1).mean())
    if alike < 0.7:
        raise ConfigError(f"{rule} embeds the seeds elsewhere (cosine {alike:.2f})")


def _once(
    prior: DiffusionPrior, start: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int], how: How
) -> torch.Tensor:
    latents: torch.Tensor = prior.diffuse(
        start,
        prompts,
        strength=how.strength,
        guidance_scale=how.guidance_scale,
        steps=how.steps,
        seeds=seeds,
        scheduler=how.scheduler,
    )
    return latents


def _broken(latents: torch.Tensor) -> list[int]:
    bad = ~torch.isfinite(latents).flatten(1).all(dim=1)
    return [int(row) for row in bad.nonzero().flatten()]


def names_of(context: Context) -> list[str]:
    """What a prompt calls each class, by label: the pseudoword of an adaptation that has one, else its title."""
    words: dict[str, str] = {}
    if getattr(context.prior, "adaptation", None) is not None:
        words = dict(getattr(context.adaptation, "words", None) or {})
    return [words.get(info.name, info.title) for info in context.labels]


def place(made: Diffused, copies: int) -> dict[str, Any]:
    """`retried` and `failed` of Diffused by (request, copy)."""
    return {
        "retried": {divmod(row, copies): count for row, count in made.retried.items()},
        "failed": {divmod(row, copies): "nan latents" for row in made.lost},
    }
