"""THE diffusion of the methods: copies of requests -> conditioned denoising -> candidates, in order.

Every copy is one row of a batch and draws only from its own seed, so neither the batch nor its order matters. A row
that comes out as no number is drawn again from a new seed of its own, counted, and in the end rejected with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch

from imaginate.contract import Context, DiffusionPrior, Level, UnclipPrior
from imaginate.methods.core.roles import diffusion_prior
from imaginate.ops.conditioning import Conditioning, join
from imaginate.ops.finite import Finite, draw_finite
from imaginate.ops.noise import stream
from imaginate.ops.pixels import stack
from imaginate.prompts.naming import with_words
from imaginate.prompts.sets import draw, prompt_set
from imaginate.records import Candidate, Request, Scalar

Conditions: TypeAlias = Sequence[str] | Conditioning


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


class Denoiser(Protocol):
    """A method with the settings of a diffusion."""

    @property
    def steps(self) -> int: ...
    @property
    def guidance_scale(self) -> float: ...
    @property
    def scheduler(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """How to denoise, apart from the prompt and the level where it starts."""

    steps: int
    guidance_scale: float
    scheduler: str | None = None
    negative: str = ""

    @classmethod
    def of(cls, method: Denoiser) -> Denoising:
        """As the settings of a method say."""
        return cls(steps=method.steps, guidance_scale=method.guidance_scale, scheduler=method.scheduler)


def copies(requests: Sequence[Request]) -> list[Copy]:
    """All copies of all requests, in order."""
    return [Copy(r, copy, seed) for r in requests for copy, seed in zip(r.copies, r.seeds, strict=True)]


def edit_latents(
    prior: DiffusionPrior,
    pixels: torch.Tensor,
    conditions: Conditions,
    levels: Sequence[Level],
    seeds: Sequence[int],
    denoising: Denoising,
) -> Finite:
    """SDEdit (Meng et al. 2021): images (m, 3, h, w) in [0, 1], each noised to its level and denoised -> latents.

    Images of one level share a batch.
    """
    distinct = list(dict.fromkeys(levels))

    def draw_rows(rows: Sequence[int], chosen: Sequence[int]) -> torch.Tensor:
        encoded: torch.Tensor = prior.encode(pixels[list(rows)], chosen)
        out = torch.empty_like(encoded)
        for level in distinct:
            here = [i for i, row in enumerate(rows) if levels[row] == level]
            if not here:
                continue
            picked = _rows(conditions, [rows[i] for i in here])
            new_seeds = [chosen[i] for i in here]
            out[here] = _diffuse(prior, encoded[here], picked, level, denoising, new_seeds).to(out)
        return out

    return draw_finite(draw_rows, seeds)


def edit_seeds(
    prior: DiffusionPrior,
    wanted: Sequence[Copy],
    conditions: Conditions,
    levels: Sequence[Level],
    denoising: Denoising,
) -> Finite:
    """Each copy's seed image noised to its level and denoised -> (n, 3, s, s) in [0, 1]."""
    pixels = stack([c.request.image for c in wanted], prior.image_size)
    return _decoded(prior, edit_latents(prior, pixels, conditions, levels, [c.seed for c in wanted], denoising))


def draw_from_noise(
    prior: DiffusionPrior, wanted: Sequence[Copy], conditions: Conditions, denoising: Denoising
) -> Finite:
    """Text-to-image: one prompt, or ready conditioning, a copy -> (n, 3, s, s) in [0, 1]."""

    def draw_rows(rows: Sequence[int], chosen: Sequence[int]) -> torch.Tensor:
        return _diffuse(prior, None, _rows(conditions, rows), Level(), denoising, chosen)

    return _decoded(prior, draw_finite(draw_rows, [c.seed for c in wanted]))


def draw_from_embeddings(
    prior: UnclipPrior, embeddings: torch.Tensor, seeds: Sequence[int], denoising: Denoising
) -> Finite:
    """CLIP embeddings (m, dim) -> images (m, 3, s, s) in [0, 1]."""

    def draw_rows(rows: Sequence[int], chosen: Sequence[int]) -> torch.Tensor:
        images: torch.Tensor = prior.generate(
            embeddings[list(rows)],
            guidance_scale=denoising.guidance_scale,
            steps=denoising.steps,
            seeds=chosen,
            scheduler=denoising.scheduler,
        )
        return images

    return draw_finite(draw_rows, seeds)


def draw_by_vectors(
    requests: Sequence[Request], context: Context, technique: str, denoising: Denoising
) -> list[Candidate]:
    """Text-to-image under the conditionings that `imaginate fit TECHNIQUE` learnt for each class.

    A class with several draws one by the number of training images behind each.
    """
    adaptation, wanted = context.adaptation, copies(requests)
    adaptation.require(technique)
    names = context.labels.names
    chosen = [_cluster(adaptation.weights(names[c.label]), c.seed) for c in wanted]
    rows = [adaptation.vectors(names[c.label]).at([k]) for c, k in zip(wanted, chosen, strict=True)]
    drawn = draw_from_noise(diffusion_prior(context), wanted, join(rows), denoising)
    info: list[dict[str, Scalar]] = [{"cluster": k, "checkpoint": adaptation.checkpoint} for k in chosen]
    return candidates(wanted, drawn, info=info)


def draw_by_words(
    requests: Sequence[Request], context: Context, technique: str, prompts: str, denoising: Denoising
) -> list[Candidate]:
    """Text-to-image under prompts with the pseudowords that `imaginate fit TECHNIQUE` learnt for each class."""
    adaptation, wanted, templates = context.adaptation, copies(requests), prompt_set(prompts)
    adaptation.require(technique)
    names = {context.labels[c.label].name for c in wanted}
    labels = with_words(context.labels, {name: adaptation.word(name) for name in sorted(names)})
    texts = [draw(templates, labels[c.label], c.copy, c.seed, white_space="keep").text for c in wanted]
    drawn = draw_from_noise(diffusion_prior(context), wanted, texts, denoising)
    return candidates(wanted, drawn, prompts=texts, info=[{"checkpoint": adaptation.checkpoint}] * len(wanted))


def candidates(
    wanted: Sequence[Copy],
    drawn: Finite,
    *,
    prompts: Sequence[str | None] | None = None,
    info: Sequence[Mapping[str, Scalar]] | None = None,
    scores: Sequence[Mapping[str, float]] | None = None,
    soft_labels: Sequence[tuple[float, ...]] | None = None,
    failed: Sequence[str | None] | None = None,
) -> list[Candidate]:
    """One candidate a copy of the images (n, 3, s, s); `failed`: why the method itself refuses one.

    What never became a number is failed, without image and scores.
    """
    out = []
    images = drawn.values.detach().float().cpu()
    for i, c in enumerate(wanted):
        broken = "nan latents" if i in drawn.lost else None
        if broken is None and not bool(torch.isfinite(images[i]).all()):
            broken = "image is not a number"
        facts = dict(info[i]) if info is not None else {}
        if i in drawn.retried:
            facts["retried"] = drawn.retried[i]
        out.append(
            Candidate(
                key=c.request.key,
                label=c.label,
                copy=c.copy,
                seed=c.seed,
                image=None if broken else images[i],
                soft_label=soft_labels[i] if soft_labels is not None else None,
                prompt=prompts[i] if prompts is not None else None,
                scores=scores[i] if scores is not None and not broken else {},
                info=facts,
                failed=broken or (failed[i] if failed is not None else None),
            )
        )
    return out


def _decoded(prior: DiffusionPrior, latents: Finite) -> Finite:
    return Finite(prior.decode(latents.values), latents.retried, latents.lost)


def _rows(conditions: Conditions, rows: Sequence[int]) -> Conditions:
    return conditions.at(list(rows)) if isinstance(conditions, Conditioning) else [conditions[row] for row in rows]


def _cluster(weights: Sequence[int], seed: int) -> int:
    """An index drawn in proportion to the weights, by the image's own seed."""
    return int(torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=stream(seed, "cluster")))


def _diffuse(
    prior: DiffusionPrior,
    latents: torch.Tensor | None,
    conditions: Conditions,
    level: Level,
    denoising: Denoising,
    seeds: Sequence[int],
) -> torch.Tensor:
    diffused: torch.Tensor = prior.diffuse(
        latents,
        conditions,
        strength=level.strength,
        guidance_scale=denoising.guidance_scale,
        steps=denoising.steps,
        seeds=seeds,
        scheduler=denoising.scheduler,
        negative=denoising.negative,
        **({} if level.noise is None else {"noise": level.noise}),
    )
    return diffused
