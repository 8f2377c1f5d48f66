"""Two images of a class, turned into noise, and images of the noises on the circle through both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, Inverts, StartsFrom
from imaginate.errors import ConfigError
from imaginate.methods.core import knobs
from imaginate.records import Candidate, LabelSpace, Request, Scalar
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

    from imaginate.methods.core.diffusion import Copy

PROMPT = "a photo of a {name}"


@dataclass(frozen=True, kw_only=True)
class DiffIi:
    """Turns the noise of a seed towards that of another image of its class, around a whole circle, and denoises it.

    Wang and Chen 2024 (Diff-II): DDIM inversion of two images of a class, circle interpolation of both noises (eq. 4:
    `ops.inversion`), denoising under the class in two stages: with a suffix first, for another scene, then without.
    Their suffixes are written by a language model from captions; here they are a setting. They tune a pseudoword and a
    LoRA for each class: give `--adaptation` of `imaginate fit`. Flow matching (SD3, FLUX.1) is inverted along its
    straight path (ours). Use it where a class has a few images that differ little: the copies keep to what two of them
    share. An image alone in its class is turned towards noise.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion",)
    paper: ClassVar[str] = "Wang and Chen 2024 (Diff-II), arXiv:2408.16266"

    prompt: str = setting(PROMPT, "{name} is the class, or its pseudoword")
    suffixes: tuple[str, ...] = setting(
        ("", "in the wild", "in bright light", "from another side", "before a plain background"),
        "ends of the prompt in the first stage, drawn uniformly",
        source="ours",
    )
    first_stage: float = setting(0.3, "share of the steps under the prompt with its suffix", ge=0, le=1, source="ours")
    steps: int = setting(25, "steps of the inversion, and of denoising", ge=2, le=1000)
    guidance_scale: float = knobs.guidance_scale()

    def __post_init__(self) -> None:
        check(self)
        if "{name}" not in self.prompt:
            raise ConfigError(f"prompt must hold {{name}}, got {self.prompt!r}")

    def prepare(self, context: Context) -> None:
        """Refuses a prior that cannot be inverted."""
        _inverting(context)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy: a partner of its class, a turn on the circle, and the image of the noise there."""
        from imaginate.methods.core.diffusion import candidates, copies
        from imaginate.methods.core.partners import draw_of_class
        from imaginate.methods.core.roles import prompt_labels, trained_prompt
        from imaginate.ops.finite import draw_finite
        from imaginate.ops.noise import pick, uniform

        prior, wanted = _inverting(context), copies(requests)
        trained = trained_prompt(context) if self.prompt == PROMPT else ""
        labels = prompt_labels(context)
        plain = [_sentence(trained or self.prompt, labels, c) for c in wanted]
        ends = [self.suffixes[pick(c.seed, "suffix", len(self.suffixes))] if self.suffixes else "" for c in wanted]
        partners = [draw_of_class(context.samples, c.request, c.seed) for c in wanted]
        images = {c.request.key: c.request.image for c in wanted}
        images |= {name: image for name, image in partners if name and name not in images}
        noises = self._inverted(prior, images)
        first = [noises[c.request.key] for c in wanted]
        second = [noises.get(name) for name, _ in partners]

        def draw_rows(rows: Sequence[int], seeds: Sequence[int]) -> Tensor:
            turns = uniform(seeds, "circle", (1,)).flatten()
            start = _between([first[i] for i in rows], [second[i] for i in rows], turns, seeds)
            scenes = [f"{plain[i]} {ends[i]}".strip() for i in rows]
            latents = prior.denoise(
                start, scenes, then=[plain[i] for i in rows], first=self.first_stage,
                guidance_scale=self.guidance_scale, steps=self.steps,
            )  # fmt: skip
            return prior.decode(latents).cpu()  # type: ignore[no-any-return]

        drawn = draw_finite(draw_rows, [c.seed for c in wanted])
        info: list[dict[str, Scalar]] = [
            {"partner": name or None, "turn": round(float(uniform([c.seed], "circle", (1,))), 4), "steps": self.steps}
            for c, (name, _) in zip(wanted, partners, strict=True)
        ]
        prompts = [f"{text} {end}".strip() for text, end in zip(plain, ends, strict=True)]
        return candidates(wanted, drawn, prompts=prompts, info=info)

    def _inverted(self, prior: Inverts, images: dict[str, Tensor]) -> dict[str, Tensor]:
        """The noise of each image, under no prompt; the draw of its latent belongs to its name."""
        from imaginate.files import derive_seed
        from imaginate.ops.pixels import stack

        seeds = [derive_seed("invert", name) for name in images]
        latents = prior.encode(stack(list(images.values()), prior.image_size), seeds)
        return dict(zip(images, prior.invert(latents, [""] * len(images), steps=self.steps), strict=True))


def _between(first: Sequence[Tensor], second: Sequence[Tensor | None], turns: Tensor, seeds: Sequence[int]) -> Tensor:
    """The noises on the circles; a draw of the copy's own seed in place of a partner that there is not."""
    import torch

    from imaginate.ops.inversion import on_circle
    from imaginate.ops.noise import normal

    drawn = normal(seeds, "partner", tuple(first[0].shape)).to(first[0])
    other = [drawn[i] if noise is None else noise for i, noise in enumerate(second)]
    return on_circle(torch.stack(list(first)), torch.stack(other), turns)


def _inverting(context: Context) -> Inverts:
    from imaginate.methods.core.roles import diffusion_prior

    prior = diffusion_prior(context)
    if not isinstance(prior, Inverts):
        raise ConfigError(
            f"diff-ii inverts a diffusion, which {prior.name} ({prior.family}) cannot: use Stable Diffusion 1, 2, XL "
            "or 3, or FLUX.1"
        )
    prior.check_invertible()
    return prior


def _sentence(template: str, labels: LabelSpace, c: Copy) -> str:
    """The prompt of a copy: with the name of its class, or as the prior was tuned."""
    from imaginate.prompts.naming import class_name
    from imaginate.prompts.sets import fill

    if "{name}" in template:
        return template.replace("{name}", class_name(labels[c.label]))
    return fill(template, labels[c.label], c.seed)
