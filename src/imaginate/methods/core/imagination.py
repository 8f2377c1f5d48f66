"""What the imagining methods share: requests -> groups of equal copies -> scores -> candidates with their story."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from imaginate.contract import Context, Guide
from imaginate.ops.criteria import diversity, informativeness
from imaginate.ops.guidance import Climb, Score, Scores, ascend
from imaginate.ops.perturb import Level, draw
from imaginate.ops.variants import Variant
from imaginate.records import Candidate, LabelSpace, Request, Scalar


@dataclass(frozen=True, kw_only=True)
class Imagined:
    """The copies of n requests of k copies each. `images` (n, k, 3, s, s) in [0, 1]."""

    images: Tensor
    prompts: Sequence[Sequence[str]] | None = None
    climb: Climb | None = None
    seed_predicted: Tensor | None = None  # (n,) the guide's class of each seed
    predicted: Tensor | None = None  # (n, k) the guide's class of each copy
    failed: Mapping[tuple[int, int], str] = field(default_factory=dict)  # why a copy came to nothing
    retried: Mapping[tuple[int, int], int] = field(default_factory=dict)  # how often a copy was started anew
    info: Mapping[str, Scalar] = field(default_factory=dict)


def in_groups(requests: Sequence[Request], make: Callable[[list[Request]], list[Candidate]]) -> list[Candidate]:
    """`make` on requests with equal numbers of copies (the diversity couples them); answers in the order asked."""
    groups: dict[int, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(len(request.copies), []).append(index)
    answers: dict[int, list[Candidate]] = {}
    for count, members in groups.items():
        made = make([requests[index] for index in members])
        answers |= {index: made[i * count : (i + 1) * count] for i, index in enumerate(members)}
    return [candidate for index in range(len(requests)) for candidate in answers[index]]


def all_seeds(requests: Sequence[Request]) -> list[int]:
    """The random seeds of all copies of all requests, in order."""
    return [seed for request in requests for seed in request.seeds]


def grid(values: Tensor, requests: Sequence[Request]) -> Tensor:
    """(n k, ...) -> (n, k, ...)."""
    return values.reshape(len(requests), len(requests[0].copies), *values.shape[1:])


@torch.no_grad()
def seed_logits(guide: Guide, images: Tensor) -> Tensor:
    """(n, 3, h, w) in [0, 1] -> (n, classes): the guide on the seeds themselves."""
    logits: Tensor = guide.logits(guide.embed(images)).float()
    return logits


@torch.no_grad()
def encoded_logits(guide: Guide, embeddings: Tensor) -> Tensor:
    """Image embeddings (n, dim), any length -> (n, classes)."""
    logits: Tensor = guide.logits(torch.nn.functional.normalize(embeddings, dim=-1)).float()
    return logits


def image_score(guide: Guide, of_seeds: Tensor, decode: Callable[[Tensor], Tensor], variant: Variant) -> Score:
    """S of decoded latents (GIF-SD, GIF-MAE): latents (n, k, ...) -> images -> the guide's view (Eqs. 5 and 6)."""

    def score(latents: Tensor) -> Scores:
        n, k = latents.shape[:2]
        images = decode(latents.flatten(0, 1))
        embeddings = guide.embed(images)  # (n k, dim)
        logits = guide.logits(embeddings).float().view(n, k, -1)
        features = embeddings.float().view(n, k, -1) if variant.diversity_of == "embedding" else latents.flatten(2)
        return scores(of_seeds, logits, features, variant, images.view(n, k, *images.shape[1:]))

    return score


def embedding_score(guide: Guide, of_seeds: Tensor, variant: Variant) -> Score:
    """S of image embeddings (GIF-DALLE, Algorithm 1): nothing is decoded while guiding. Latents (n, k, dim)."""

    def score(latents: Tensor) -> Scores:
        n, k = latents.shape[:2]
        unit = torch.nn.functional.normalize(latents, dim=-1)
        logits = guide.logits(unit.flatten(0, 1)).float().view(n, k, -1)
        return scores(of_seeds, logits, unit if variant.diversity_of == "embedding" else latents, variant)

    return score


def scores(
    of_seeds: Tensor, logits: Tensor, features: Tensor, variant: Variant, images: Tensor | None = None
) -> Scores:
    """Eqs. 5 and 6 for seeds (n, c), copies (n, k, c) and the features (n, k, d) that should differ."""
    parts = informativeness(of_seeds, logits)
    apart = diversity(features, temperature=variant.temperature, mean=variant.mean)
    anchor = of_seeds.argmax(dim=-1, keepdim=True)
    return Scores(parts.kept, parts.gain, apart, logits.argmax(dim=-1), anchor, features, images)


def climb(
    requests: Sequence[Request],
    latents: Tensor,
    score: Score,
    how: Variant,
    *,
    eps: float,
    level: Level,
    shrink: Callable[[], bool] = bool,
) -> Climb:
    """Perturb the latents (n k, ...) of all copies by draws of their own seeds (Eq. 1), then climb S (Eq. 2)."""
    f = grid(latents, requests)
    z, b = (grid(t.to(f), requests) for t in draw(all_seeds(requests), f.shape[2:], level))
    return ascend(f, z, b, score, eps=eps, variant=how, shrink=shrink)


def guided(
    requests: Sequence[Request],
    pixels: Tensor,
    latents: Tensor,
    decode: Callable[[Tensor], Tensor],
    context: Context,
    how: Variant,
    *,
    eps: float,
    level: Level,
    **story: Any,
) -> Imagined:
    """Guidance by what the guide sees in decoded images (GIF-SD, GIF-MAE).

    Seeds `pixels` (n, 3, s, s) in [0, 1], latents (n k, ...) of their copies; `decode` maps such latents to images
    (n k, 3, s, s) in [0, 1]. `story`: the other fields of Imagined.
    """
    of_seeds = seed_logits(context.guide, pixels.to(latents.device))
    score = image_score(context.guide, of_seeds, decode, how)
    found = climb(requests, latents, score, how, eps=eps, level=level, shrink=context.prior.batch.shrink)
    assert found.after.images is not None
    return Imagined(
        images=found.after.images,
        climb=found,
        seed_predicted=of_seeds.argmax(dim=-1),
        predicted=found.after.predicted,
        **story,
    )


def to_candidates(requests: Sequence[Request], made: Imagined, labels: LabelSpace) -> list[Candidate]:
    """Every copy with its prompt, its scores before and after guidance, and what the guide saw in seed and copy."""
    images = made.images.detach().float().cpu()
    before = _table(made.climb.before, "before") if made.climb else {}
    after = _table(made.climb.after, "after") if made.climb else {}
    out = []
    for i, request in enumerate(requests):
        for j, (copy, seed) in enumerate(zip(request.copies, request.seeds, strict=True)):
            failed = made.failed.get((i, j))
            if failed is None and not bool(torch.isfinite(images[i, j]).all()):
                failed = "image is not a number"
            info: dict[str, Scalar] = {**made.info, **_seen(made, labels, i, j)}
            if (i, j) in made.retried:
                info["retried"] = made.retried[i, j]
            out.append(
                Candidate(
                    key=request.key,
                    label=request.label,
                    copy=copy,
                    seed=seed,
                    image=None if failed else images[i, j],
                    prompt=made.prompts[i][j] if made.prompts else None,
                    scores={} if failed else {name: float(t[i, j]) for name, t in {**before, **after}.items()},
                    info=info,
                    failed=failed,
                )
            )
    return out


def _table(scores: Scores, when: str) -> dict[str, Tensor]:
    named = {
        "kept": scores.kept,
        "entropy_gain": scores.gain,
        "informativeness": scores.kept + scores.gain,
        "diversity": scores.diversity,
        "total": scores.total,
    }
    return {f"{name}_{when}": value.detach().float().cpu() for name, value in named.items()}


def _seen(made: Imagined, labels: LabelSpace, i: int, j: int) -> dict[str, Scalar]:
    """The guide's class of seed and copy, before and after guidance."""
    seen: dict[str, Scalar] = {}
    if made.seed_predicted is not None:
        seen["seed_class"] = labels.names[int(made.seed_predicted[i])]
    if made.climb is not None:
        seen["class_before"] = labels.names[int(made.climb.before.predicted[i, j])]
    if made.predicted is not None:
        seen["class_after"] = labels.names[int(made.predicted[i, j])]
    return seen
