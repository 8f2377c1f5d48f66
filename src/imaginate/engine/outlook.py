"""What a person should know before the hours go: the split that is read, whether the guide knows these classes, how
large the new images are and what they take on disk, and whether prompts and pool can know the classes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args, get_type_hints

from imaginate.contract import Guide, TextGuide, TrainedGuide
from imaginate.data import Dataset, load
from imaginate.data.seed_images import SeedImages
from imaginate.engine.agreement import AUTO
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.sizes import Size, in_words, size_in_words, typical
from imaginate.errors import DataError, ImageError, ImaginateError, some
from imaginate.prompts.naming import says_nothing
from imaginate.records import Image, LabelSpace, Sample
from imaginate.write.images import Writing, encode, resized

if TYPE_CHECKING:
    from imaginate.engine.context import RunContext
    from imaginate.models.guides.core.assess import Assessment

MOST_SEEDS = 300  # on which a guide is measured
Seen = tuple[Sample, Image]
LOOKED_AT = 4  # seed images that are encoded to estimate sizes
MOST_SIDE = 512  # of the part of a seed image that is encoded
HARDLY = 0.25  # of the way from chance to certainty: below it a guide hardly knows the classes
MANY_FILES = 1_000_000  # new images from which on a reader that opens one file each is what one waits for
SAVES = 0.7  # a format that takes less than this share is worth a word


@dataclass(frozen=True)
class Fact:
    """One line on a run. `warns`: the run would be a waste. `stops`: it would come to nothing, and is not begun."""

    text: str
    warns: bool = False
    stops: bool = False


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a trial came to: the typical size of its images and of the seeds that they are of, and bytes of one."""

    size: Size | None
    bytes: float
    seed_size: Size | None = None


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What new images take: their size, bytes of one, also in each format; and size and bytes of a seed's file."""

    size: Size | None
    seed_size: Size
    seed_bytes: float
    bytes: float
    formats: dict[str, float]


def split_fact(dataset: Dataset) -> Fact:
    """Which split is read, and which others are free for holding out."""
    others = [name for name in dataset.splits if name != dataset.split]
    images = f"{len(dataset.samples):,} images of {len(dataset.labels)} classes"
    cut = _cut_by(dataset)
    if cut:
        where = "" if dataset.split is None else f" of split {dataset.split!r}"
        free = ["the rest of each class (`imaginate compare` with --held-out-split rest)", *others]
        return Fact(f"reads {images}{where}, chosen by {cut}; free for holding out: {', '.join(free)}")
    if dataset.split is None:
        return Fact(
            f"reads {images}, all that there are: nothing is left to hold out; `imaginate compare` cuts folds "
            "(--folds 5), or --shots N here leaves the rest of each class (--held-out-split rest there)"
        )
    free_splits = f"free for holding out: {', '.join(others)}" if others else "no other split is left to hold out"
    return Fact(f"reads split {dataset.split!r} ({images}); {free_splits}")


def _cut_by(dataset: Dataset) -> str:
    """The flags that leave a part of each class; empty where all is read."""
    spec = dataset.spec
    flags = {"--shots": spec.shots, "--fraction": spec.fraction, "--imbalance": spec.imbalance}
    return " ".join(f"{flag} {value:g}" for flag, value in flags.items() if value is not None)


def name_fact(recipe: ResolvedRecipe, labels: LabelSpace, guide: Guide | None) -> Fact | None:
    """Classes whose names are numbers or codes, where a prompt or a text encoder has to understand them; else None."""
    prompted = any(need.startswith("prior:stable-diffusion") for need in recipe.method.needs)
    silent = [info.title for info in labels if says_nothing(info)]
    if not silent or not (prompted or isinstance(guide, TextGuide)):
        return None
    return Fact(
        f"{len(silent)} of {len(labels)} class names say nothing to a text encoder ({some(silent)}): give words with "
        "--classes-file FILE (a name a line), or use a guide without text, prototypes:BACKBONE",
        warns=True,
    )


def guide_fact(context: RunContext, samples: Sequence[Sample]) -> Fact:
    """How right the guide is on these seeds; where it hardly beats chance, a warning that names a better one."""
    guide = context.guide
    known = set(guide.validation_ids) if isinstance(guide, TrainedGuide) else None
    chosen = [sample for sample in samples if known is None or sample.id in known]
    try:
        found = _assessed(guide, chosen)
    except DataError as error:
        return Fact(str(error), warns=True)
    chance = 1 / max(1, sum(count > 0 for count in found.class_images))
    fact = (
        f"guide {guide.name} is right on {found.accuracy:.0%} of {found.images} seed images ({found.how}; chance "
        f"{chance:.1%})"
    )
    if knows(found):
        return Fact(fact)
    return Fact(f"{fact}: it hardly beats chance, and cannot guide; {_better(context, chosen, found)}", warns=True)


def knows(found: Assessment) -> bool:
    """Whether a guide is clearly better than naming any one class: its mean over the classes is a quarter of the way
    from chance to certainty, and its interval above chance."""
    measured = sum(count > 0 for count in found.class_images)
    if measured < 2:
        return True
    chance = 1 / measured
    return (found.class_mean - chance) / (1 - chance) >= HARDLY and found.interval[0] > chance


def _better(context: RunContext, samples: Sequence[Sample], found: Assessment) -> str:
    """What to use in place of a guide that does not know the classes, measured on the same images."""
    from imaginate.models.guides import build_guide

    other = "probe:BACKBONE, finetuned:BACKBONE or a larger clip: checkpoint may (`imaginate guide DATA --guide ...`)"
    if context.recipe.roles.guide == AUTO:
        return other
    try:
        guide = build_guide(AUTO, context.labels, samples=context.samples, device=context.device, cache=context.cache)
        measured = _assessed(guide, samples)
    except (ImaginateError, ImportError):
        return other
    if measured.class_mean <= found.class_mean:
        return f"{AUTO} is no better ({measured.accuracy:.0%}); {other}"
    return f"--guide {AUTO} is right on {measured.accuracy:.0%} ({measured.how})"


def _assessed(guide: Guide, samples: Sequence[Sample]) -> Assessment:
    from imaginate.models.guides.core.assess import assess

    step = max(1, -(-len(samples) // MOST_SEEDS))
    return assess(guide, SeedImages(samples[::step]))


def expected_size(recipe: ResolvedRecipe, seed: Size, side: int | None) -> Size | None:
    """(width, height) of a new image of such a seed; `side`: of what the prior draws. None where only the images
    themselves say it."""
    size = seed
    if _needs_prior(recipe):
        if side is None:
            return None
        is_whole = recipe.method.starts_from == "sample" and recipe.expand.fit_image == "pad"
        longest = max(seed)
        size = (round(side * seed[0] / longest), round(side * seed[1] / longest)) if is_whole else (side, side)
    elif recipe.method.starts_from == "class":
        return None
    return resized(size, recipe.write.output_size)


def disk_of(
    seeds: Sequence[Seen], writing: Writing, new: Size | None, measured: float | None = None, seed: Size | None = None
) -> Disk | None:
    """What new images of this size take, estimated by encoding parts of a few `seeds` in every format; `measured`:
    bytes of a new image, where some were made; `seed`: the size of the seeds that they are of. None without seeds."""
    sizes, stored, pixels = [], [], dict.fromkeys(get_args(get_type_hints(Writing)["format"]), 0.0)
    looked_at = 0
    for sample, image in seeds:
        sizes.append((image.shape[-1], image.shape[-2]))
        stored.append(len(sample.source.read()))
        part = image[..., :MOST_SIDE, :MOST_SIDE]
        looked_at += part.shape[-1] * part.shape[-2]
        for name in pixels:
            pixels[name] += len(encode(part, replace(writing, format=name, output_size=None)))
    seed = seed or typical(sizes)
    if seed is None or not sizes:
        return None
    area = (new or seed)[0] * (new or seed)[1]
    formats = {name: size / looked_at * area for name, size in pixels.items()}
    scale = 1.0 if measured is None else measured / formats[writing.format]
    formats = {name: size * scale for name, size in formats.items()}
    return Disk(
        size=new, seed_size=seed, seed_bytes=statistics.median(stored), bytes=formats[writing.format], formats=formats
    )


def disk_fact(found: Disk, wanted: int, writing: Writing, *, is_measured: bool) -> str:
    """Size and shape of new images next to the seeds', their bytes, and the format that saves most. Unless new images
    were measured, the bytes are the seeds', which smooth or noisy methods miss by some times."""
    size = f"{in_words(found.size)} pixels" if found.size else "as many pixels as they come with"
    words = (
        f"{wanted:,} new images of {size} (seeds {in_words(found.seed_size)}), about {size_in_words(found.bytes)} each "
        f"as {writing.format}{'' if is_measured else ' if they are as detailed as the seeds'} "
        f"(seeds {size_in_words(found.seed_bytes)}): {size_in_words(found.bytes * wanted)}"
    )
    least = min(found.formats, key=lambda name: found.formats[name])
    if found.formats[least] >= SAVES * found.bytes:
        return words
    return f"{words}; --format {least} takes about {size_in_words(found.formats[least] * wanted)}"


def few_of(samples: Sequence[Sample]) -> list[Seen]:
    """A few seed images, far from one another; broken ones are left out."""
    seen = []
    for sample in samples[:: max(1, len(samples) // LOOKED_AT)][:LOOKED_AT]:
        try:
            seen.append((sample, load(sample)))
        except ImageError:
            continue
    return seen


def outlook(recipe: ResolvedRecipe, plan: Plan, context: RunContext | None, made: Made | None = None) -> list[Fact]:
    """All facts on a run that the plan and the roles say; without a context only those that need no network. `made`:
    what a trial of a few images came to."""
    facts: list[Fact | None] = [name_fact(recipe, plan.labels, _guide(recipe, context))]
    facts += _of_roles(recipe, plan, context) if context is not None else []
    seed = made.seed_size if made is not None else None
    seeds = few_of(plan.samples)
    seed = seed or typical([(image.shape[-1], image.shape[-2]) for _, image in seeds])
    if seed is not None and plan.wanted:
        side = context.prior.image_size if context is not None and _needs_prior(recipe) else None
        new = made.size if made is not None else expected_size(recipe, seed, side)
        found = disk_of(seeds, recipe.write, new, None if made is None else made.bytes, seed)
        if found is not None:
            facts.append(Fact(disk_fact(found, plan.wanted, recipe.write, is_measured=made is not None)))
    if plan.wanted >= MANY_FILES:
        facts.append(
            Fact(
                f"{plan.wanted:,} images are as many small files: train from tars of a thousand, which "
                "`imaginate export RUN TARS --format webdataset` packs when the run has ended"
            )
        )
    return [fact for fact in facts if fact is not None]


def _of_roles(recipe: ResolvedRecipe, plan: Plan, context: RunContext) -> list[Fact]:
    """What guide and pool say of these classes."""
    facts: list[Fact] = []
    if _guide(recipe, context) is not None:
        facts.append(guide_fact(context, plan.samples))
    if "pool" in recipe.method.needs and "guide" in recipe.needs:
        from imaginate.engine.near_pool import nearness, pool_fact, unreadable_fact

        near = nearness(context)
        if near is not None:
            facts.append(Fact(pool_fact(near, plan.labels.names), warns=near.is_foreign))
            if gone := unreadable_fact(near):
                facts.append(Fact(gone, warns=True, stops=True))
    return facts


def _guide(recipe: ResolvedRecipe, context: RunContext | None) -> Guide | None:
    """The guide of a run; None where it has none, or one class, on which nothing can be measured."""
    if context is None or "guide" not in recipe.needs or recipe.roles.guide is None or len(context.labels) < 2:
        return None
    return context.guide


def _needs_prior(recipe: ResolvedRecipe) -> bool:
    return any(need.startswith("prior:") for need in recipe.method.needs)
