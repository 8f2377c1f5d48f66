"""What all Stable Diffusion methods do last: copies of requests -> conditioned denoising -> candidates, in order.

Every copy is one row of a batch and draws only from its own seed, so neither the batch nor its order matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from imaginate.contract import Context, DiffusionPrior
from imaginate.ops.conditioning import Conditioning, join
from imaginate.ops.noise import stream
from imaginate.ops.pixels import stack
from imaginate.prompts.sets import draw, named, prompt_set
from imaginate.records import Candidate, Request, Scalar


@dataclass(frozen=True)
class Copy:
    """One wanted image: its request, copy index and random seed."""

    request: Request
    copy: int
    seed: int

    @property
    def label(self) -> int:
        """The label that was asked for."""
        return self.request.label


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How to denoise, apart from the prompt: steps, guidance scale, scheduler, negative prompt."""

    steps: int
    guidance_scale: float
    scheduler: str | None = None
    negative: str = ""


def copies(requests: Sequence[Request]) -> list[Copy]:
    """All copies of all requests, in order."""
    return [Copy(r, copy, seed) for r in requests for copy, seed in zip(r.copies, r.seeds, strict=True)]


def from_noise(prior: DiffusionPrior, wanted: Sequence[Copy], conditions: Any, how: Sampler) -> torch.Tensor:
    """Text-to-image: one prompt, or ready conditioning, a copy -> (n, 3, s, s) in [0, 1]."""
    images: torch.Tensor = prior.decode(_diffuse(prior, None, conditions, 1.0, how, [c.seed for c in wanted]))
    return images


def from_seeds(
    prior: DiffusionPrior, wanted: Sequence[Copy], conditions: Any, strengths: Sequence[float], how: Sampler
) -> torch.Tensor:
    """SDEdit (Meng et al. 2021): each seed image noised to its strength and denoised -> (n, 3, s, s) in [0, 1].

    Copies of one strength share a batch.
    """
    pixels = stack([c.request.image for c in wanted], prior.image_size)
    latents = prior.encode(pixels, [c.seed for c in wanted])
    out = torch.empty_like(latents)
    for strength in sorted(set(strengths)):
        rows = [i for i, value in enumerate(strengths) if value == strength]
        chosen = conditions.at(rows) if isinstance(conditions, Conditioning) else [conditions[i] for i in rows]
        out[rows] = _diffuse(prior, latents[rows], chosen, strength, how, [wanted[i].seed for i in rows]).to(out)
    images: torch.Tensor = prior.decode(out)
    return images


def by_vectors(requests: Sequence[Request], context: Context, technique: str, how: Sampler) -> list[Candidate]:
    """Text-to-image under the conditionings that `imaginate fit TECHNIQUE` learnt for each class.

    A class with several draws one by the number of training images behind each.
    """
    adaptation, wanted = context.adaptation, copies(requests)
    adaptation.require(technique)
    names = context.labels.names
    chosen = [_cluster(adaptation.weights(names[c.label]), c.seed) for c in wanted]
    rows = [adaptation.vectors(names[c.label]).at([k]) for c, k in zip(wanted, chosen, strict=True)]
    images = from_noise(context.prior, wanted, join(rows), how)
    info = [{"cluster": k, "checkpoint": adaptation.checkpoint} for k in chosen]
    return candidates(wanted, images, info=info)


def by_words(
    requests: Sequence[Request], context: Context, technique: str, prompts: str, how: Sampler
) -> list[Candidate]:
    """Text-to-image under prompts with the pseudowords that `imaginate fit TECHNIQUE` learnt for each class."""
    adaptation, wanted, templates = context.adaptation, copies(requests), prompt_set(prompts)
    adaptation.require(technique)
    drawn = []
    for c in wanted:
        info = context.labels[c.label]
        spoken = named(info, adaptation.word(info.name))
        drawn.append(draw(templates, spoken, c.copy, c.seed, white_space="keep").text)
    images = from_noise(context.prior, wanted, drawn, how)
    return candidates(wanted, images, prompts=drawn, info=[{"checkpoint": adaptation.checkpoint}] * len(wanted))


def _cluster(weights: Sequence[int], seed: int) -> int:
    """An index drawn in proportion to the weights, by the image's own seed."""
    return int(torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=stream(seed, "cluster")))


def _diffuse(
    prior: DiffusionPrior, latents: Any, conditions: Any, strength: float, how: Sampler, seeds: Sequence[int]
) -> torch.Tensor:
    latents = prior.diffuse(
        latents,
        conditions,
        strength=strength,
        guidance_scale=how.guidance_scale,
        steps=how.steps,
        seeds=seeds,
        scheduler=how.scheduler,
        negative=how.negative,
    )
    assert isinstance(latents, torch.Tensor)
    return latents


def candidates(
    wanted: Sequence[Copy],
    images: torch.Tensor,
    *,
    prompts: Sequence[str | None] | None = None,
    info: Sequence[Mapping[str, Scalar]] | None = None,
    **more: Sequence[Any],
) -> list[Candidate]:
    """One candidate a copy; an image with a value that is no number is failed, not written.

    `more` holds further fields of Candidate, one value a copy (`soft_label`, `label`, `scores`, `failed`).
    """
    out = []
    pixels = images.detach().float().cpu()
    for i, c in enumerate(wanted):
        fields: dict[str, Any] = {name: values[i] for name, values in more.items()}
        fields.setdefault("label", c.label)
        if not bool(torch.isfinite(pixels[i]).all()):
            fields["failed"] = "image is not a number"
        out.append(
            Candidate(
                key=c.request.key,
                copy=c.copy,
                seed=c.seed,
                image=pixels[i],
                prompt=prompts[i] if prompts is not None else None,
                info=dict(info[i]) if info is not None else {},
                **fields,
            )
        )
    return out
