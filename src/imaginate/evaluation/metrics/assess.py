"""All metrics of one run's images against held-out ones -> a plain dict, the content of `evaluation.json`.

The held-out images are looked at, never trained on; whoever chooses settings by these numbers needs another split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from imaginate.evaluation.metrics.consistency import class_consistency, prototype_logits
from imaginate.evaluation.metrics.cost import cost
from imaginate.evaluation.metrics.distribution import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from imaginate.evaluation.metrics.diversity import cover, vendi_score
from imaginate.evaluation.metrics.duplicates import (
    COSINE,
    HAMMING,
    Pair,
    Prints,
    find_pairs,
    redundant,
    share_involved,
)
from imaginate.evaluation.metrics.features import Extractor, Features
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "imaginate-evaluation/1"
EXAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How the images are measured."""

    neighbours: int = setting(5, "k of density and coverage", ge=1, source="Naeem et al. 2020")
    manifold_neighbours: int = setting(3, "k of precision and recall", ge=1, source="Kynkäänniemi et al. 2019")
    cosine: float = setting(COSINE, "from this cosine of two embeddings on, two images look the same", ge=-1, le=1)
    hamming: int = setting(HAMMING, "up to so many of 64 hash bits may differ in a leaked image", ge=0, le=64)
    twin_hamming: int = setting(3, "and in a duplicate inside the run", ge=0, le=64)
    twin_colour: float = setting(0.06, "largest colour difference of a duplicate (root mean square)", ge=0, le=1)
    subsets: int = setting(10, "random subsets of the kernel distance", ge=1, source="Bińkowski et al. 2018")
    subset_size: int = setting(1000, "images in each of them, at most", ge=2)
    cover_quantile: float = setting(0.95, "share of held-out images that the robust cover reaches", gt=0, le=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Sets:
    """The three sets that are compared; `originals` may be empty. Held-out labels are -1 for classes the run lacks."""

    originals: Features
    new: Features
    held_out: Features


def assess(sets: Sets, extractor: Extractor, classes: int, settings: Assessment | None = None) -> dict[str, Any]:
    """Metrics, leaks, duplicates and warnings. `originals` beside each value is the same number for the originals."""
    settings = settings or Assessment()
    warnings: list[str] = []
    metrics = [
        *_distances(sets, settings, warnings),
        *_spread(sets, settings),
        *_consistency(sets, extractor, classes, warnings),
    ]
    return {
        "format": FORMAT,
        "features": {"name": extractor.name, "dim": int(sets.held_out.vectors.shape[1])},
        "images": {
            "originals": len(sets.originals),
            "new": len(sets.new),
            "held_out": len(sets.held_out),
            "unreadable": sum(len(f.skipped) for f in (sets.originals, sets.new, sets.held_out)),
        },
        "metrics": metrics,
        "leaks": _leaks(sets, settings),
        "duplicates": _duplicates(sets, settings),
        "warnings": warnings,
        "settings": asdict(settings),
    }


def _metric(name: str, title: str, values: Sequence[float | None], range_: str, better: str, note: str = "") -> Any:
    new, originals = (None if v is not None and not math.isfinite(v) else v for v in values)
    if (new, originals) != tuple(values):
        note = "; ".join(filter(None, [note, "infinite where every held-out image is itself in the set"]))
    return {"name": name, "title": title, "value": new, "originals": originals, "range": range_, "better": better} | {
        "note": note
    }


def _distances(sets: Sets, settings: Assessment, warnings: list[str]) -> list[dict[str, Any]]:
    real = sets.held_out.vectors
    columns: list[dict[str, float | None]] = []
    for what, found in (("new", sets.new.vectors), ("original", sets.originals.vectors)):
        columns.append(_distances_of(real, found, what, settings, warnings))
    if 1 < len(sets.new) < real.shape[1]:
        warnings.append(
            f"{len(sets.new)} new images for {real.shape[1]} features: the Fréchet distance is biased upwards, "
            "read the kernel distance"
        )
    k, m = settings.neighbours, settings.manifold_neighbours
    count = "depends on the number of images" if len(sets.new) != len(sets.originals) else ""
    rows = [
        ("frechet_distance", "Fréchet distance (FID)", "[0, inf)", "lower", count),
        ("kernel_distance", "kernel distance (KID)", "about [0, inf)", "lower", "unbiased"),
        ("precision", "precision", "[0, 1]", "higher", f"k = {m}"),
        ("recall", "recall", "[0, 1]", "higher", f"k = {m}; {count}" if count else f"k = {m}"),
        ("density", "density", "[0, inf)", "higher", f"k = {k}"),
        ("coverage", "coverage", "[0, 1]", "higher", f"k = {k}; {count}" if count else f"k = {k}"),
    ]
    return [_metric(name, title, [c.get(name) for c in columns], *rest) for name, title, *rest in rows]


def _distances_of(
    real: Tensor, found: Tensor, what: str, settings: Assessment, warnings: list[str]
) -> dict[str, float | None]:
    least = max(settings.neighbours, settings.manifold_neighbours) + 1
    if min(len(real), len(found)) < least:
        if len(found):
            warnings.append(
                f"distances need {least} images on each side, got {len(real)} held-out and {len(found)} {what}"
            )
        return {}
    precision, recall = precision_recall(real, found, k=settings.manifold_neighbours)
    density, coverage = density_coverage(real, found, k=settings.neighbours)
    kernel, _ = kernel_distance(real, found, subsets=settings.subsets, subset_size=settings.subset_size)
    return {
        "frechet_distance": frechet_distance(real, found),
        "kernel_distance": kernel,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
    }


def _spread(sets: Sets, settings: Assessment) -> list[dict[str, Any]]:
    import torch

    vendi = [vendi_score(f.vectors) if len(f) else None for f in (sets.new, sets.originals)]
    rows = [_metric("vendi", "Vendi score", vendi, "[1, images]", "higher", "effective number of different images")]
    if not len(sets.held_out) or not len(sets.new):
        return rows
    both = torch.cat([sets.originals.vectors, sets.new.vectors]) if len(sets.originals) else sets.new.vectors
    share = f"{100 * settings.cover_quantile:g} %"
    for name, title, quantile in (
        ("delta_diversity", "delta-diversity", 1.0),
        ("delta_diversity_robust", f"delta-diversity, {share}", settings.cover_quantile),
    ):
        old = (
            cover(sets.originals.vectors, sets.held_out.vectors, quantile=quantile)[1] if len(sets.originals) else None
        )
        new = cover(both, sets.held_out.vectors, quantile=quantile)[1]
        rows.append(
            _metric(name, title, [new, old], "(0, inf]", "higher", "originals and new together; GIF appendix C")
        )
    return rows


def _consistency(sets: Sets, extractor: Extractor, classes: int, warnings: list[str]) -> list[dict[str, Any]]:
    if classes < 2 or not len(sets.new):
        return []
    if extractor.guide is None and not len(sets.originals):
        warnings.append("class consistency needs the originals, or a guide that knows the classes: not measured")
        return []
    known = sets.held_out.where([label >= 0 for label in sets.held_out.labels])
    judged = [_judged(f, sets.originals, extractor, classes) if len(f) else None for f in (sets.new, known)]
    judge = f"the guide {extractor.name}" if extractor.guide is not None else "the originals' class means"
    right = "" if judged[1] is None else f", right on {100 * judged[1]:.1f} % of the held-out images"
    note = f"judged by {judge}{right}"
    return [_metric("class_consistency", "class consistency", [judged[0], None], "[0, 1]", "higher", note)]


def _judged(found: Features, originals: Features, extractor: Extractor, classes: int) -> float:
    import torch

    labels = torch.tensor(found.labels)
    if extractor.guide is not None:
        with torch.no_grad():
            return class_consistency(extractor.guide.logits(found.vectors).float().cpu(), labels)
    logits = prototype_logits(found.vectors, originals.vectors, torch.tensor(originals.labels), classes)
    return class_consistency(logits, labels)


def _prints(found: Features) -> Prints:
    from torch.nn.functional import normalize

    return Prints(ids=found.ids, bits=found.bits, colours=found.colours, embeddings=normalize(found.vectors, dim=1))


def _leaks(sets: Sets, settings: Assessment) -> dict[str, Any]:
    limits: dict[str, Any] = {"cosine": settings.cosine, "hamming": settings.hamming}
    held = _prints(sets.held_out)
    pairs = find_pairs(_prints(sets.new), held, **limits) if len(sets.new) else []
    own = find_pairs(_prints(sets.originals), held, **limits) if len(sets.originals) else None
    return {
        "pairs": len(pairs),
        "images": len({p.first for p in pairs}),
        "share": share_involved(pairs, len(sets.new)),
        "originals": None if own is None else len({p.first for p in own}),
        **limits,
        "examples": _examples(pairs),
    }


def _duplicates(sets: Sets, settings: Assessment) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "cosine": settings.cosine,
        "hamming": settings.twin_hamming,
        "colour": settings.twin_colour,
    }
    new = _prints(sets.new)
    pairs = find_pairs(new, **limits) if len(new) else []
    copies = find_pairs(new, _prints(sets.originals), **limits) if len(new) and len(sets.originals) else []
    gone = redundant(pairs)
    return {
        "pairs": len(pairs),
        "redundant": len(gone),
        "share": len(gone) / len(new) if len(new) else 0.0,
        "copies": len({p.first for p in copies}),
        **limits,
        "examples": _examples(pairs),
    }


def _examples(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The nearest pairs, each image shown once."""
    seen: set[str] = set()
    shown: list[dict[str, Any]] = []
    for pair in pairs:
        if pair.first not in seen and len(shown) < EXAMPLES:
            seen |= {pair.first, pair.second}
            shown.append(asdict(pair))
    return shown


def spent(facts: Mapping[str, Any], hourly_price: float | None) -> dict[str, Any] | None:
    """What a run cost, from its `run.json` (GIF Table 6); None where it says nothing."""
    found, kept = facts.get("cost") or {}, (facts.get("totals") or {}).get("kept") or 0
    if found.get("seconds") is None or kept < 1:
        return None
    return asdict(cost(float(found["seconds"]), int(kept), hourly_price=hourly_price))
