"""What the guide says of candidates and their seeds: one batched pass, shared by all filters and by selection."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imaginate.contract import Context, FewShotGuide, Guide
from imaginate.errors import ConfigError, ImageError, ModelError
from imaginate.models.guides.core.cache import embed_once, embed_with_seeds
from imaginate.ops.informativeness import entropy
from imaginate.records import Candidate, Request

_BASELINES: weakref.WeakKeyDictionary[Guide, dict[int, float]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Scored:
    """`anchors`: (n,) int64, the class to keep; `kept`: (n,) its probability in the candidate; `predicted`: (n,) int64;
    `gain`: (n,) entropy of the candidate minus entropy of its seed, in nats."""

    anchors: Tensor
    kept: Tensor
    predicted: Tensor
    gain: Tensor


def logits_of(guide: Guide, embeddings: Tensor, ids: Sequence[str | None]) -> Tensor:
    """(n, dim) -> (n, classes). A guide made from the seed set leaves out each row's own seed `ids[i]`, so that neither
    the seed nor its copies seem better classified than a new image would."""
    result: Tensor
    if isinstance(guide, FewShotGuide):
        result = guide.logits_without(embeddings, [i or "" for i in ids])
    else:
        result = guide.logits(embeddings)
    return result


@torch.no_grad()
def score(
    candidates: Sequence[Candidate], requests: Sequence[Request], context: Context, *, anchor: str = "seed"
) -> Scored:
    """Both parts of GIF eq. 5 for each candidate against its own seed.

    `anchor`: "seed" (the class predicted for the seed) or "label". A candidate without a seed image (prompts,
    retrieval) is held against its label, and against the mean entropy of its class's seed images.
    """
    guide = context.guide
    n = len(candidates)
    keys = [None if r.sample is None else r.sample.id for r in requests]
    rows = _embedded(guide, candidates, requests)
    logits = logits_of(guide, rows[:n], keys)
    seeded = [i for i, r in enumerate(requests) if r.image is not None]
    anchors = torch.tensor([c.label for c in candidates], device=logits.device)
    before = torch.zeros(n, device=logits.device)
    if seeded:
        seed_logits = logits_of(guide, rows[n:], [keys[i] for i in seeded])
        _refuse_nan(seed_logits, [str(keys[i]) for i in seeded], guide)
        where = torch.tensor(seeded, device=logits.device)
        before[where] = entropy(seed_logits)
        if anchor == "seed":
            anchors[where] = seed_logits.argmax(dim=-1)
    for i in set(range(n)) - set(seeded):
        before[i] = class_entropy(context, candidates[i].label)
    probabilities = logits.softmax(dim=-1)
    kept = probabilities.gather(1, anchors.unsqueeze(1)).squeeze(1)
    return Scored(anchors, kept, probabilities.argmax(dim=-1), entropy(logits) - before)


def _embedded(guide: Guide, candidates: Sequence[Candidate], requests: Sequence[Request]) -> Tensor:
    """Rows of all candidates, then of the seed images of those that have one; in one pass if none is known."""
    new = [c.image for c in candidates]
    seeded = [r for r in requests if r.image is not None]
    if not isinstance(guide, FewShotGuide) or not seeded:
        return embed_with_seeds(guide, new, [r.image for r in seeded])
    known = guide.seed_embeddings([r.sample.id for r in seeded if r.sample is not None])
    return torch.cat([embed_once(guide, new), known])


@torch.no_grad()
def class_entropy(context: Context, label: int) -> float:
    """Mean entropy of the guide's prediction over the seed images of one class; computed once a guide."""
    known = _BASELINES.setdefault(context.guide, {})
    if label not in known:
        ids: list[str] = []
        images: list[Tensor] = []
        for index in range(len(context.samples)):
            sample = context.samples.sample(index)
            if sample.label == label and len(images) < 256:
                try:
                    images.append(context.samples.image(index))
                    ids.append(sample.id)
                except ImageError:
                    continue
        if not images:
            name = context.labels[label].name
            raise ConfigError(f"entropy-gain compares with the seed images of a class, and {name} has none")
        logits = logits_of(context.guide, embed_with_seeds(context.guide, [], images), ids)
        known[label] = float(entropy(logits).mean())
    return known[label]


def _refuse_nan(logits: Tensor, keys: Sequence[str], guide: Guide) -> None:
    bad = ~torch.isfinite(logits).all(dim=-1)
    if bool(bad.any()):
        raise ModelError(f"guide {guide.name} gives NaN for seed image {keys[int(bad.nonzero()[0])]}")
