"""Whole networks or their low-rank updates as learnt tensors, saved as diffusers, transformers or peft folders."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from imaginate.errors import ConfigError
from imaginate.personalisation.core.plan import TunablePrior, TunableReader

if TYPE_CHECKING:
    from imaginate.models.priors.unclip import Unclip

UNET_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
JOINT_TARGETS = (*UNET_TARGETS, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")  # of image and text together
TARGETS = {"unet": UNET_TARGETS, "transformer": JOINT_TARGETS}


def as_reader(prior: TunablePrior) -> TunableReader:
    """The prior of a technique that conditions by text: Stable Diffusion 1, 2, XL, 3 or FLUX.1."""
    if not isinstance(prior, TunableReader):
        raise ConfigError(f"the technique needs a stable-diffusion prior, {prior.name} is {prior.family}")
    return prior


def reads_prompts(prior: TunablePrior) -> bool:
    """Whether it is a prior of flow matching, which the techniques of Stable Diffusion tune too."""
    from imaginate.models.priors.image_to_image import ImageToImage

    return isinstance(prior, ImageToImage)


def check_tunable(prior: TunablePrior) -> None:
    """ConfigError, before any work, for a denoiser that cannot be asked alone."""
    from imaginate.models.priors.core.velocity import velocity_of

    if reads_prompts(prior):
        velocity_of(prior.denoiser, prior.name)


def clip_encoders(prior: TunableReader) -> list[str]:
    """The text encoders that learn with a denoiser: those of CLIP. A T5 is larger than most denoisers."""
    from imaginate.models.priors.core.text import is_t5

    return [part for part, (_, encoder) in prior.text.parts.items() if not is_t5(encoder)]


def as_unclip(prior: TunablePrior) -> Unclip:
    """The prior of a technique of this family, with its image encoder and decoder."""
    from imaginate.models.priors.unclip import Unclip

    if not isinstance(prior, Unclip):
        raise ConfigError(f"the technique needs an unclip prior, {prior.name} is {prior.family}")
    return prior


def unfreeze(module: nn.Module) -> dict[str, nn.Parameter]:
    """Let every parameter learn, in float32; returns them by name."""
    module.float()
    module.requires_grad_(True)
    return dict(module.named_parameters())


def freeze(module: nn.Module) -> None:
    """No parameter learns, and none keeps a gradient."""
    module.requires_grad_(False)
    module.zero_grad(set_to_none=True)


def save_whole(module: Any, folder: Path) -> None:
    """`save_pretrained`, as the library writes it; tensors are contiguous for safetensors."""
    with plain(module):
        module.save_pretrained(str(folder), safe_serialization=True)


@contextmanager
def plain(module: nn.Module) -> Iterator[None]:
    """Inside, convolution weights are contiguous; afterwards they are as before (channels last)."""
    last = [p for p in module.parameters() if p.ndim == 4 and not p.is_contiguous()]
    for p in last:
        p.data = p.data.contiguous()
    try:
        yield
    finally:
        for p in last:
            p.data = p.data.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Part:
    """A network that learns: its learnt tensors by name, how they are saved, and how the network is put back."""

    parameters: dict[str, nn.Parameter]
    save: Callable[[Path], None]
    close: Callable[[], None]


def whole(module: nn.Module) -> Part:
    """All of a network learns; saved as diffusers or transformers save it."""
    return Part(unfreeze(module), lambda folder: save_whole(module, folder), lambda: freeze(module))


def low_rank(module: nn.Module, put: Callable[[Any], None], *, rank: int, targets: Sequence[str], seed: int) -> Part:
    """A LoRA (Hu et al. 2022) around a network, put in its place by `put`; the network's own weights stay frozen.

    Saved as a peft folder: adapter_config.json and adapter_model.safetensors.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets), init_lora_weights=True)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in a way that it will retire
        torch.manual_seed(seed)
        model: Any = get_peft_model(module, config)
    put(model)
    factors = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return Part(
        factors,
        lambda folder: model.save_pretrained(str(folder), safe_serialization=True),
        lambda: put(model.unload()),
    )


def save_loras(pipeline: Any, parts: dict[str, dict[str, nn.Parameter]], folder: Path) -> None:
    """All low-rank factors in pytorch_lora_weights.safetensors, as the pipeline's `load_lora_weights` reads them."""
    layers = {
        f"{part}_lora_layers": {_layer(name): value.detach().cpu().contiguous() for name, value in factors.items()}
        for part, factors in parts.items()
    }
    pipeline.save_lora_weights(str(folder), safe_serialization=True, **layers)


def _layer(name: str) -> str:
    """peft's name of a factor, without its wrapper's and the adapter's: `mid_block...to_q.lora_A.weight`."""
    return name.removeprefix("base_model.model.").replace(".default.", ".")
