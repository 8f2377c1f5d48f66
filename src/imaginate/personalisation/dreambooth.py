"""The denoiser (and the text encoder) tuned on the dataset under plain class prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.settings import check, setting

if TYPE_CHECKING:
    import torch

    from imaginate.ops.conditioning import Conditioning
    from imaginate.personalisation.core.networks import Part
    from imaginate.personalisation.core.plan import Batch, Learner, Task, TunableReader


@dataclass(frozen=True, kw_only=True)
class Dreambooth:
    """Tune the denoiser (as a LoRA or whole, the text encoder too where asked) under one prompt a class.

    Ruiz et al. 2022 (DreamBooth), as GIF uses it on medical images (appendix B.6): learning rate 2e-6, 400 steps, text
    encoder trained, all classes of the dataset together. No rare identifier and no prior-preservation images: the
    prior is to move to the dataset's domain. The result is used with any method, `gif-sd` above all. With
    `text_encoder`, both of SDXL's encoders learn, and the CLIP encoders of SD3 and FLUX.1 (their T5 stays as it is).
    """

    family: ClassVar[str] = "stable-diffusion"
    trains_weights: ClassVar[bool] = True
    paper: ClassVar[str] = "Ruiz et al. 2022; GIF B.6"

    mode: Literal["lora", "full"] = setting("lora", "what of the denoiser learns: low-rank updates, or all of it")
    text_encoder: bool = setting(False, "tune the text encoder too", source="GIF B.6 does")
    prompt: str = setting(
        "a photo of a {class}", "prompt of a class: {class}, {name}, {domain}, {hypernym}, {definition}"
    )
    rank: int = setting(8, "rank of the low-rank updates", ge=1)
    learning_rate: float | None = setting(
        None, "for a batch of 1, before scaling; none is 1e-4 for lora, 2e-6 for full", gt=0
    )
    epochs: int = setting(40, "at most (GIF: 400 steps, --max-steps 400)", ge=1)
    keep_first: int = setting(3, "first epochs whose checkpoints are all kept", ge=0)

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """The denoiser learns, and the text encoder where asked."""
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.networks import as_reader, clip_encoders, save_loras
        from imaginate.personalisation.core.plan import Group, Learner

        prior, prompts = as_reader(task.prior), self._prompts(task)
        frozen = None if self.text_encoder else prior.embed_prompts(prompts)
        encoders = clip_encoders(prior) if self.text_encoder else ()
        parts = {name: self._part(prior, name, task.plan.seed) for name in (prior.denoiser_part, *encoders)}
        stated = self.learning_rate or (1e-4 if self.mode == "lora" else 2e-6)
        decay = 1e-2 if self.mode == "full" else 0.0
        groups = {
            name: Group(part.parameters, rate(stated, 1, task.plan), weight_decay=decay) for name, part in parts.items()
        }

        def condition(batch: Batch, generator: torch.Generator) -> Conditioning:
            return _encoded(prior, prompts, batch.labels) if frozen is None else frozen.at(batch.labels)

        def save(folder: Path) -> None:
            for name, part in parts.items():
                part.save(folder / name)
            if self.mode == "lora":
                save_loras(type(prior.pipe), {name: part.parameters for name, part in parts.items()}, folder)

        def close() -> None:
            for part in parts.values():
                part.close()
            prior.text.cache.clear()

        return Learner(groups, condition, save, close=close, template=self.prompt)

    def _prompts(self, task: Task) -> list[str]:
        from imaginate.errors import ConfigError
        from imaginate.prompts.sets import FACTS, facts_of, fill, needs

        try:
            wanted = needs(self.prompt)
        except ValueError as error:
            raise ConfigError(f"prompt is no template: {error}") from None
        unknown = set(wanted) - {"name", "class", *FACTS}
        if unknown:
            raise ConfigError(
                f"prompt must use {{class}}, {{name}} or {', '.join(FACTS)}, got {{{sorted(unknown)[0]}}}"
            )
        for info in task.labels:
            for fact in set(wanted) & set(FACTS):
                if not facts_of(info)[fact]:
                    raise ConfigError(f"prompt needs a {fact} of each class: {info.name!r} has none in classes.yaml")
        prompts = [fill(self.prompt, info, 0) for info in task.labels]
        for label, text in enumerate(prompts):
            if (first := prompts.index(text)) < label:
                same = f"{task.labels[first].name!r} and {task.labels[label].name!r}"
                raise ConfigError(f"prompt is the same for {same} ({text!r}): put {{class}} into it")
        return prompts

    def _part(self, prior: TunableReader, name: str, seed: int) -> Part:
        """One network of the pipeline that learns."""
        from imaginate.personalisation.core.networks import TARGETS, TEXT_TARGETS, low_rank, whole

        module = prior.networks()[name]
        if self.mode == "full":
            return whole(module)
        targets = TARGETS.get(name, TEXT_TARGETS)
        return low_rank(module, lambda m: prior.put_network(name, m), rank=self.rank, targets=targets, seed=seed)


def _encoded(prior: TunableReader, prompts: list[str], labels: torch.Tensor) -> Conditioning:
    """The images' prompts through the text encoders as they are now, each class encoded once."""
    unique = sorted(set(labels.tolist()))
    encoded = prior.learning([prompts[label] for label in unique])
    return encoded.at([unique.index(label) for label in labels.tolist()])
