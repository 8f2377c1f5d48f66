"""What the imagining methods share: requests -> groups of equal copies -> scores -> candidates with their facts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from imaginate.contract import Context, Guide
from imaginate.methods.core.diffusion import candidates, copies
from imaginate.methods.core.terms import terms_for
from imaginate.ops.diversity import diversity
from imaginate.ops.finite import Finite
from imaginate.ops.guidance import Added, Climb, Score, Scores, ascend
from imaginate.ops.informativeness import informativeness
from imaginate.ops.perturb import Level, draw
from imaginate.ops.terms import Terms
from imaginate.ops.variants import Variant
from imaginate.records import Candidate, LabelSpace, Request, Scalar

log = logging.getLogger("imaginate")


@dataclass(frozen=True, kw_only=True)
class Imagined:
    """The copies of n requests of k copies each. `images` (n, k, 3, s, s) in [0, 1]."""

    images: Tensor
    prompts: Sequence[Sequence[str]] | None = None
    climb: Climb | None = None
    seed_predicted: Tensor | None = None  # (n,) the guide's class of each seed
    predicted: Tensor | None = None  # (n, k) the guide's class of each copy
    drawn: Finite | None = None  # the draw (n k rows) that the copies come from: what was retried, what was lost
    info: Mapping[str, Scalar] = field(default_factory=dict)
    own: Sequence[Mapping[str, Scalar]] = ()  # n k: what is true of each copy alone


def in_groups(requests: Sequence[Request], expand: Callable[[list[Request]], list[Candidate]]) -> list[Candidate]:
    """`expand` on requests with equal numbers of copies (the diversity couples them); answers in the order asked."""
    groups: dict[int, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(len(request.copies), []).append(index)
    answers: dict[int, list[Candidate]] = {}
    for count, members in groups.items():
        found = expand([requests[index] for index in members])
        answers |= {index: found[i * count : (i + 1) * count] for i, index in enumerate(members)}
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


def image_score(
    guide: Guide, of_seeds: Tensor, decode: Callable[[Tensor], Tensor], variant: Variant, terms: Terms | None = None
) -> Score:
    """S of decoded latents (GIF-SD, GIF-MAE): latents (n, k, ...) -> images -> the guide's view (Eqs. 5 and 6)."""

    def score(latents: Tensor) -> Scores:
        n, k = latents.shape[:2]
        images = decode(latents.flatten(0, 1))
        embeddings = guide.embed(images)  # (n k, dim)
        logits = guide.logits(embeddings).float().view(n, k, -1)
        seen = embeddings.float().view(n, k, -1)
        features = seen if variant.diversity_of == "embedding" else latents.flatten(2)
        added = Added.of(terms, logits, seen)
        return scores(of_seeds, logits, features, variant, images.view(n, k, *images.shape[1:]), added)

    return score


def embedding_score(guide: Guide, of_seeds: Tensor, variant: Variant, terms: Terms | None = None) -> Score:
    """S of image embeddings (GIF-DALLE, Algorithm 1): nothing is decoded while guiding. Latents (n, k, dim)."""

    def score(latents: Tensor) -> Scores:
        n, k = latents.shape[:2]
        unit = torch.nn.functional.normalize(latents, dim=-1)
        logits = guide.logits(unit.flatten(0, 1)).float().view(n, k, -1)
        features = unit if variant.diversity_of == "embedding" else latents
        return scores(of_seeds, logits, features, variant, added=Added.of(terms, logits, unit))

    return score


def scores(
    of_seeds: Tensor, logits: Tensor, features: Tensor, variant: Variant, images: Tensor | None = None,
    added: Added | None = None,
) -> Scores:  # fmt: skip
    """Eqs. 5 and 6 for seeds (n, c), copies (n, k, c) and the features (n, k, d) that should differ."""
    parts = informativeness(of_seeds, logits)
    apart = diversity(features, temperature=variant.temperature, mean=variant.mean)
    anchor = of_seeds.argmax(dim=-1, keepdim=True)
    return Scores(parts.kept, parts.gain, apart, logits.argmax(dim=-1), anchor, features, images, added)


def climb(
    requests: Sequence[Request],
    latents: Tensor,
    score: Score,
    definition: Variant,
    *,
    eps: float,
    level: Level,
    shrink: Callable[[], bool] = bool,
) -> Climb:
    """Perturb the latents (n k, ...) of all copies by draws of their own seeds (Eq. 1), then climb S (Eq. 2)."""
    f = grid(latents, requests)
    z, b = (grid(t.to(f), requests) for t in draw(all_seeds(requests), f.shape[2:], level))
    found = ascend(f, z, b, score, eps=eps, variant=definition, shrink=shrink)
    if definition.ascent_steps and not bool(found.moves.any()):
        _say_unmoved(eps, f"{eps / spread(f):.1g}")
    return found


def climb_in_units(
    requests: Sequence[Request], latents: Tensor, units: Tensor, score: Score, definition: Variant, *, eps: float
) -> Climb:
    """`climb` for embeddings (n k, dim), each in the unit (n,) of its seed: one radius under every encoder."""
    of_seeds = units.view(-1, 1, 1)
    scaled = latents / units.repeat_interleave(len(requests[0].copies)).unsqueeze(1)
    found = climb(requests, scaled, lambda f: score(f * of_seeds), definition, eps=eps, level="full")
    return found._replace(latents=found.latents * of_seeds, start=found.start * of_seeds)


def spread(latents: Tensor) -> float:
    """The deviation of the entries of latents (n, ...), mean over n: what the radius of a ball compares with."""
    return float(spreads(latents).mean())


def spreads(latents: Tensor) -> Tensor:
    """The deviation of the entries of each of the latents (n, ...), (n,)."""
    return latents.flatten(1).float().std(dim=1)


@cache
def _say_unmoved(eps: float, share: str) -> None:
    """Said once for each radius: an image that guidance left where it was is a random perturbation."""
    log.warning(
        f"guidance moved none of the first copies: eps {eps:g} is {share} of the latents' spread; a larger --eps, more "
        "--ascent-steps or another guide moves them"
    )


def guided(
    requests: Sequence[Request],
    pixels: Tensor,
    latents: Tensor,
    decode: Callable[[Tensor], Tensor],
    context: Context,
    definition: Variant,
    *,
    eps: float,
    level: Level,
    info: Mapping[str, Scalar],
    prompts: Sequence[Sequence[str]] | None = None,
    drawn: Finite | None = None,
    terms: Sequence[str] = (),
) -> Imagined:
    """Guidance by what the guide sees in decoded images (GIF-SD, GIF-MAE).

    Seeds `pixels` (n, 3, s, s) in [0, 1], latents (n k, ...) of their copies; `decode` maps such latents to images
    (n k, 3, s, s) in [0, 1].
    """
    of_seeds = seed_logits(context.guide, pixels.to(latents.device))
    score = image_score(context.guide, of_seeds, decode, definition, terms_for(terms, requests, context))
    found = climb(requests, latents, score, definition, eps=eps, level=level, shrink=context.prior.batch.shrink)
    assert found.after.images is not None
    return Imagined(
        images=found.after.images,
        prompts=prompts,
        climb=found,
        seed_predicted=of_seeds.argmax(dim=-1),
        predicted=found.after.predicted,
        drawn=drawn,
        info=info,
    )


def to_candidates(requests: Sequence[Request], imagined: Imagined, labels: LabelSpace) -> list[Candidate]:
    """Every copy with its prompt, its scores before and after guidance, and what the guide saw in seed and copy."""
    wanted, drawn = copies(requests), imagined.drawn or Finite(imagined.images)
    before = _table(imagined.climb.before, "before") if imagined.climb else {}
    after = _table(imagined.climb.after, "after") if imagined.climb else {}
    places = [(i, j) for i, request in enumerate(requests) for j in range(len(request.copies))]
    return candidates(
        wanted,
        Finite(imagined.images.flatten(0, 1), drawn.retried, drawn.lost),
        prompts=None if imagined.prompts is None else [imagined.prompts[i][j] for i, j in places],
        info=[
            {**imagined.info, **_seen(imagined, labels, i, j), **own}
            for (i, j), own in zip(places, imagined.own or [{}] * len(places), strict=True)
        ],
        scores=[{name: float(t[i, j]) for name, t in {**before, **after}.items()} for i, j in places],
    )


def _table(scores: Scores, when: str) -> dict[str, Tensor]:
    named = {
        "kept": scores.kept,
        "entropy_gain": scores.gain,
        "informativeness": scores.kept + scores.gain,
        "diversity": scores.diversity,
        "total": scores.total,
    }
    if scores.added is not None:
        named["terms"] = scores.added.values
    return {f"{name}_{when}": value.detach().float().cpu() for name, value in named.items()}


def _seen(imagined: Imagined, labels: LabelSpace, i: int, j: int) -> dict[str, Scalar]:
    """The guide's class of seed and copy, before and after guidance."""
    seen: dict[str, Scalar] = {}
    if imagined.seed_predicted is not None:
        seen["seed_class"] = labels.names[int(imagined.seed_predicted[i])]
    if imagined.climb is not None:
        seen["class_before"] = labels.names[int(imagined.climb.before.predicted[i, j])]
    if imagined.predicted is not None:
        seen["class_after"] = labels.names[int(imagined.predicted[i, j])]
    return seen
