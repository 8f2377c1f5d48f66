"""How a pipeline of diffusers is called: what of prompt, scale, size and seeds it takes, and under which word."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.errors import ConfigError, ModelError
from imaginate.models.checkpoints import quiet
from imaginate.models.priors.core.flow import Start, find_start, is_stochastic
from imaginate.models.priors.core.pipelines import parameters_of
from imaginate.ops.chunks import is_out_of_memory
from imaginate.ops.conditioning import Conditioning, join
from imaginate.ops.noise import stream, substream

log = logging.getLogger("imaginate")
DEFAULT_SIDE = 1024  # pixels, where a checkpoint does not say what it was trained at
LONG = 10**6  # tokens: more than any text encoder reads
FROM_ZERO = ("ZImage",)  # pipelines whose guidance scale counts from 0: what others call 1 (no guidance) is 0


@runtime_checkable
class HasFactor(Protocol):
    """A pipeline that says how many pixels a side one latent stands for."""

    vae_scale_factor: int


@runtime_checkable
class PutsWords(Protocol):
    """A pipeline that puts all tokens of a learned word in its place."""

    def maybe_convert_prompt(self, prompt: str, tokenizer: Any) -> str: ...


@runtime_checkable
class HasProcessor(Protocol):
    """A pipeline that prepares the images that it is given."""

    image_processor: Any


class Pipeline:
    """A pipeline of diffusers, called with latents for latents.

    The scale of classifier-free guidance means the same for all: 1 is none. A distilled network takes it as an input,
    or not at all.
    """

    def __init__(self, pipe: Any, channels: int) -> None:
        self.pipe, self.scheduler = pipe, pipe.scheduler
        self.known = parameters_of(type(pipe))
        self.factor = int(pipe.vae_scale_factor) if isinstance(pipe, HasFactor) else 8
        if isinstance(pipe, HasProcessor):  # or latents of 16 channels would be taken for a picture, and normalised
            pipe.image_processor.register_to_config(vae_latent_channels=channels)
        pipe.set_progress_bar_config(disable=True)

    @property
    def starts_from_images(self) -> bool:
        """Whether it noises an image; else it draws from text alone."""
        return "strength" in self.known

    @property
    def is_stochastic(self) -> bool:
        """Whether its steps draw numbers."""
        return is_stochastic(self.scheduler)

    @property
    def puts_words(self) -> bool:
        """Whether it puts all tokens of a learned word in the word's place."""
        return isinstance(self.pipe, PutsWords)

    @property
    def guides_by_pairs(self) -> bool:
        """Whether a scale over 1 asks the network under the prompt and under a negative one."""
        return self.takes("negative_prompt") and not self.takes("true_cfg_scale")

    def takes(self, word: str) -> bool:
        """Whether a call has this argument."""
        return word in self.known

    def fitting_size(self, wanted: int | None) -> int:
        """The side of its images in pixels: what it was trained at, a whole number of its patches."""
        config = self._denoiser().config
        sample = config.get("sample_size")
        if wanted is None and sample:
            wanted = int(sample if isinstance(sample, int) else max(sample)) * self.factor
        side = wanted or int(self.pipe.vae.config.get("sample_size") or DEFAULT_SIDE)
        step = self.factor * 2
        return max(side // step, 1) * step

    @property
    def context_length(self) -> int:
        """The tokens of a prompt that it reads."""
        most = self.known.get("max_sequence_length")
        if most is None or self._is_without_t5():
            return min(int(self._tokenizer().model_max_length), LONG)
        return int(most.default)

    def count_tokens(self, prompt: str) -> int:
        """The length of a prompt in tokens, by the tokenizer that reads most."""
        return len(self._tokenizer()(prompt, truncation=False, verbose=False).input_ids)

    def said(self, prompts: Sequence[str] | Conditioning, negative: str, scale: float) -> dict[str, Any]:
        """What it is called with under n prompts, or ready conditionings, at a scale."""
        out: dict[str, Any] = {}
        out |= self._conditioned(prompts) if isinstance(prompts, Conditioning) else {"prompt": list(prompts)}
        is_embedded = bool(self._denoiser().config.get("guidance_embeds"))
        true_scale = self.known.get("true_cfg_scale")
        if true_scale is not None:
            if is_embedded:
                out["guidance_scale"] = scale
            is_on = scale > 1 and (negative != "" or (not is_embedded and float(true_scale.default) > 1))
            if is_on:
                out |= {"true_cfg_scale": scale, "negative_prompt": [negative or " "] * len(prompts)}
            else:
                out["true_cfg_scale"] = 1.0
            if not (is_on or is_embedded) and scale > 1:
                _say_unguided(type(self.pipe).__name__)
            return out
        out["guidance_scale"] = scale - 1 if any(word in type(self.pipe).__name__ for word in FROM_ZERO) else scale
        if scale > 1 and self.takes("negative_prompt"):
            out["negative_prompt"] = [negative] * len(prompts)
        return out

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows, each encoded alone. ConfigError for a pipeline that takes no such rows."""
        self._check_rows()
        return join([self._row(prompt) for prompt in prompts])

    @torch.no_grad()
    def _row(self, prompt: str) -> Conditioning:
        return self._encoded(prompt)

    def learning(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows through encoders that learn: gradients reach them."""
        self._check_rows()
        return self._encoded(list(prompts))

    def _encoded(self, prompts: str | list[str]) -> Conditioning:
        encode = self.pipe.encode_prompt
        known = inspect.signature(encode).parameters
        words = {word: prompts for word in ("prompt", "prompt_2", "prompt_3") if word in known}
        unguided = {"do_classifier_free_guidance": False} if "do_classifier_free_guidance" in known else {}
        with quiet():
            found = encode(**words, **unguided)
        return Conditioning(found[0], found[2] if len(found) == 4 else found[1])

    def _conditioned(self, rows: Conditioning) -> dict[str, Any]:
        self._check_rows()
        device, dtype = self._denoiser().device, self._denoiser().dtype
        if rows.pooled is None:
            raise ConfigError(f"{type(self.pipe).__name__} needs pooled embeddings too")
        moved = rows.to(device, dtype)
        return {"prompt_embeds": moved.hidden, "pooled_prompt_embeds": moved.pooled}

    def _check_rows(self) -> None:
        if not {"prompt_embeds", "pooled_prompt_embeds"} <= set(self.known):
            raise ConfigError(f"{type(self.pipe).__name__} takes no ready text embeddings: use prompts")

    def __call__(
        self, image: torch.Tensor | None, seeds: Sequence[int], side: int, *, steps: int, **asked: Any
    ) -> torch.Tensor:
        """Latents (b, c, h, w), None for text alone -> latents as the pipeline returns them."""
        own = {"height": side, "width": side, "use_resolution_binning": False, "image": image, **asked}
        given = {word: value for word, value in own.items() if self.takes(word) and value is not None}
        draws = [stream(seed, "diffusion") for seed in seeds]
        try:
            with quiet(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(substream(seeds[0], "steps"))  # of stochastic steps, one image at a time
                found: torch.Tensor = self.pipe(
                    num_inference_steps=steps, generator=draws, output_type="latent", return_dict=False, **given
                )[0]
        except (ValueError, TypeError, RuntimeError, AttributeError) as error:
            if is_out_of_memory(error):
                raise
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{type(self.pipe).__name__} of diffusers cannot draw {side} px: {reason}") from error
        return found

    def find_start(self, scheduler: Any, blank: torch.Tensor, side: int, *, steps: int, **how: Any) -> Start:
        """Where a run begins; `scheduler` a fresh one."""
        asked = {"image": blank, "height": side, "width": side, **self.said([""], "", 1.0), **how}
        given = {word: value for word, value in asked.items() if self.takes(word)}

        def run(fresh: Any) -> None:
            self.pipe.scheduler = fresh
            with quiet(), torch.no_grad():
                self.pipe(num_inference_steps=steps, generator=[stream(0, "start")], output_type="latent", **given)

        return find_start(scheduler, run)

    def _denoiser(self) -> Any:
        found = self.pipe.components
        return found.get("transformer") if found.get("transformer") is not None else found["unet"]

    def _tokenizers(self) -> list[Any]:
        found = self.pipe.components
        return [found[w] for w in ("tokenizer", "tokenizer_2", "tokenizer_3") if found.get(w) is not None]

    def _tokenizer(self) -> Any:
        """The one that reads most of a prompt: the last."""
        return self._tokenizers()[-1]

    def _is_without_t5(self) -> bool:
        """Whether the longest of three text encoders was left out, as SD3 allows."""
        return "tokenizer_3" in self.pipe.components and self.pipe.components["tokenizer_3"] is None


@cache
def _say_unguided(name: str) -> None:
    """Said once: what a distilled network cannot do."""
    log.warning(f"this {name} was distilled and takes no guidance scale: --guidance-scale changes nothing")
