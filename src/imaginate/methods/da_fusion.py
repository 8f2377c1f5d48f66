"""Seeds edited under their class's pseudoword, at several strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from imaginate.contract import Context, Level, StartsFrom, levels_of
from imaginate.errors import ConfigError
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class DaFusion:
    """Edit each seed under the pseudoword of its class, at a strength drawn from a few levels.

    Trabucco et al. 2023 (DA-Fusion): textual inversion on the seeds (`imaginate fit textual-inversion`), then SDEdit of
    each seed under "a photo of a <word>", at one of four strengths with equal probability. Strengths, prompt and
    guidance are those of the released scripts (github.com/brandontrabucco/da-fusion, generate_augmentations.py and
    scripts/*/launch_textual_inversion=1.0-0.75-0.5-0.25_pascal.sh), which train on a synthetic image half of the time;
    that belongs to training here.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion", "adaptation")
    paper: ClassVar[str] = "Trabucco et al. 2023, arXiv:2302.07944"
    adaptations: ClassVar[tuple[str, ...]] = ("textual-inversion", "pseudoword-dm")

    strengths: tuple[float, ...] = setting(
        (0.25, 0.5, 0.75, 1.0), "levels of noise, drawn uniformly", gt=0, le=1, source="DA-Fusion's scripts"
    )
    noise: tuple[float, ...] | None = knobs.noises()
    prompt: str = setting("a photo of a {name}", "{name} is the pseudoword", source="DA-Fusion's scripts")
    steps: int = setting(50, "denoising steps at strength 1", ge=1)
    guidance_scale: float = setting(7.5, "weight of classifier-free guidance", ge=1, source="DA-Fusion's scripts")
    scheduler: str | None = knobs.scheduler()

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

    @property
    def cautious(self) -> Mapping[str, Any]:
        """Little noise, so that a weak prior keeps the class."""
        found = knobs.little_noise(self.steps, self.noise, self.scheduler)
        return {{"strength": "strengths"}.get(name, name): (value,) for name, value in found.items()}

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy: a strength of its own, the seed noised to it and denoised."""
        from imaginate.methods.core.diffusion import Denoising, candidates, copies, edit_seeds
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.models.priors.core.levels import level_facts
        from imaginate.ops.noise import pick

        adaptation, wanted = context.adaptation, copies(requests)
        adaptation.require(*self.adaptations)
        words = [adaptation.word(context.labels[c.label].name) for c in wanted]
        prompts = [self.prompt.replace("{name}", word) for word in words]
        levels = [self.levels[pick(c.seed, "strength", len(self.levels))] for c in wanted]
        denoising, prior = Denoising.of(self), diffusion_prior(context)
        drawn = edit_seeds(prior, wanted, prompts, levels, denoising)
        facts = {level: level_facts(prior, level, self.steps, self.scheduler) for level in set(levels)}
        return candidates(wanted, drawn, prompts=prompts, info=[facts[level] for level in levels])
