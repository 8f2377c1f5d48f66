"""Images of other classes translated into a class, with soft labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, DiffusionPrior, Level, StartsFrom, levels_of
from imaginate.errors import ConfigError, ImageError
from imaginate.methods.core import knobs
from imaginate.methods.core.members import members_of
from imaginate.records import Candidate, DigitalSource, Image, LabelSpace, Request, Sample, Scalar
from imaginate.settings import check, nearest, setting

if TYPE_CHECKING:
    from imaginate.methods.core.diffusion import Copy


PROMPT = "a photo of a {name}"


@dataclass(frozen=True, kw_only=True)
class DiffMix:
    """Translate a seed of another class into this class: its background stays, the label is shared by both.

    Wang et al. 2024 (Diff-Mix): a reference x_i is noised to strength s and denoised under a prompt of class j; the
    label is (1 - s^gamma) e_i + s^gamma e_j. The defaults are those of the released code
    (github.com/Zhicaiwww/Diff-Mix): the strengths of its `uniform` strategy (scripts/sample_mp.py; its README fixes
    0.7), 25 DPM-Solver steps at scale 7.5 (augmentation/diff_mix.py), gamma 0.5 of its 5-shot script (0.8 on whole
    datasets). It draws source and target independently, so that some pairs are of one class; here the target is asked
    for (an image's folder is its target) and the source is of another class. It tunes pseudowords and a LoRA together:
    give `--adaptation` of `imaginate fit pseudoword-dm`, `dreambooth` or `textual-inversion`; pseudowords are used
    where it has them.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion",)
    digital_source: ClassVar[DigitalSource] = "compositeWithTrainedAlgorithmicMedia"
    paper: ClassVar[str] = "Wang et al. 2024, arXiv:2403.19600"

    strengths: tuple[float, ...] = setting(
        (0.3, 0.5, 0.7, 0.9), "levels of s, drawn uniformly", gt=0, le=1, source="Diff-Mix's code"
    )
    noise: tuple[float, ...] | None = knobs.noises()
    gamma: float = setting(
        0.5, "below 1 the target gets more of the label", gt=0, le=8, source="Diff-Mix's 5-shot script"
    )
    prompt: str = setting(PROMPT, "{name} is the class, or its pseudoword", source="Diff-Mix's code")
    steps: int = setting(25, "denoising steps at strength 1", ge=1, source="Diff-Mix's code")
    guidance_scale: float = setting(7.5, "weight of classifier-free guidance", ge=1, source="Diff-Mix's code")
    scheduler: str | None = setting(
        "dpmsolver", "noise scheduler; none is the checkpoint's own", source="Diff-Mix's code"
    )

    between: tuple[str, ...] = setting(
        (), "pairs of classes A=B: A is made of images of B alone, and B of A (default: of any other class)"
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.levels:
            raise ConfigError("strengths and noise must name at least one level, got none")
        if "{name}" not in self.prompt:
            raise ConfigError(f"prompt must hold {{name}}, got {self.prompt!r}")

    @property
    def levels(self) -> tuple[Level, ...]:
        """Where the copies' diffusions start."""
        return levels_of(self.strengths, self.noise)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy: a seed of another class, a strength, and the edit towards the wanted class."""
        from dataclasses import replace

        from imaginate.methods.core.diffusion import Denoising, candidates, copies, edit_seeds
        from imaginate.methods.core.partners import mixed_label
        from imaginate.methods.core.roles import diffusion_prior, prompt_labels, trained_prompt
        from imaginate.models.priors.core.levels import level_facts
        from imaginate.ops.noise import pick
        from imaginate.prompts.naming import class_name
        from imaginate.prompts.sets import fill

        if len(context.labels) < 2:
            raise ConfigError(f"diff-mix needs at least two classes, got {len(context.labels)}")
        wanted = copies(requests)
        sources = pairs_of(self.between, context.labels)
        pairs = [_reference(context, c, sources) for c in wanted]
        edited = [
            replace(c, request=replace(c.request, image=image)) for c, (_, image) in zip(wanted, pairs, strict=True)
        ]
        levels = [self.levels[pick(c.seed, "strength", len(self.levels))] for c in wanted]
        labels = prompt_labels(context)
        trained = trained_prompt(context) if self.prompt == PROMPT else ""
        prompts = [
            fill(trained, labels[c.label], c.seed) if trained
            else self.prompt.replace("{name}", class_name(labels[c.label]))
            for c in wanted
        ]  # fmt: skip
        denoising, prior = Denoising.of(self), diffusion_prior(context)
        drawn = edit_seeds(prior, edited, prompts, levels, denoising)
        depths = {level: self._depth(level, prior) for level in set(levels)}
        facts = {level: level_facts(prior, level, self.steps, self.scheduler) for level in set(levels)}
        soft = [
            mixed_label(len(context.labels), c.label, sample.label, depths[level] ** self.gamma)
            for c, (sample, _), level in zip(wanted, pairs, levels, strict=True)
        ]
        info: list[dict[str, Scalar]] = [
            {"reference": sample.id, "reference_class": context.labels[sample.label].name, **facts[level]}
            for (sample, _), level in zip(pairs, levels, strict=True)
        ]
        return candidates(wanted, drawn, prompts=prompts, info=info, soft_labels=soft)

    def _depth(self, level: Level, prior: DiffusionPrior) -> float:
        """s of the label: the strength, or how deep in the schedule the given noise is."""
        if level.noise is None:
            return level.strength
        from imaginate.models.priors.core.levels import begins

        found = begins(prior, level, self.steps, self.scheduler)
        return level.noise if found is None else found.depth


def pairs_of(between: Sequence[str], labels: LabelSpace) -> dict[int, set[int]]:
    """Of each class that is in a pair `A=B`, the classes that it is paired with. ConfigError for what is no pair of two
    classes; a class's name may hold the sign itself."""
    found: dict[int, set[int]] = {}
    for pair in between:
        at = [i for i, char in enumerate(pair) if char == "=" and {pair[:i], pair[i + 1 :]} <= {*labels.names}]
        if not at or pair[: at[0]] == pair[at[0] + 1 :]:
            unknown = next((name for name in pair.split("=", 1) if name not in labels.names), "")
            near = nearest(unknown, labels.names) if unknown else ""
            raise ConfigError(f"between: {pair!r} is no pair A=B of two classes of the dataset{near}")
        one, other = labels.index(pair[: at[0]]), labels.index(pair[at[0] + 1 :])
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return found


def _reference(context: Context, c: Copy, sources: Mapping[int, Collection[int]]) -> tuple[Sample, Image]:
    """A seed of another class (of one of `sources` where the class has any), drawn uniformly by the copy's own seed;
    the next one where a file is unusable."""
    from imaginate.ops.noise import pick

    labels = members_of(context.samples).labels
    allowed = set(sources.get(c.label, labels)) - {c.label}
    others = [index for index, label in enumerate(labels) if label in allowed]
    start = pick(c.seed, "reference", len(others)) if others else 0
    for step in range(len(others)):
        index = others[(start + step) % len(others)]
        try:
            return context.samples.sample(index), context.samples.image(index)
        except ImageError:
            continue
    raise ImageError("no usable image of another class")
