"""Whole networks or their low-rank updates as learnt tensors, saved as diffusers, transformers or peft folders."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

UNET_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")


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
    """`save_pretrained`, as the library writes it; tensors are laid out plainly for safetensors."""
    with plain(module):
        module.save_pretrained(str(folder), safe_serialization=True)


@contextmanager
def plain(module: nn.Module) -> Iterator[None]:
    """Inside, convolution weights are contiguous; afterwards they lie as before (channels last)."""
    last = [p for p in module.parameters() if p.ndim == 4 and not p.is_contiguous()]
    for p in last:
        p.data = p.data.contiguous()
    try:
        yield
    finally:
        for p in last:
            p.data = p.data.contiguous(memory_format=torch.channels_last)


class LowRank:
    """A LoRA (Hu et al. 2022) around a network, put in its place by `put`; the network's own weights stay frozen."""

    def __init__(
        self, module: nn.Module, put: Callable[[Any], None], *, rank: int, targets: Sequence[str], seed: int
    ) -> None:
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets), init_lora_weights=True)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in a way that it will retire
            torch.manual_seed(seed)
            self.model: Any = get_peft_model(module, config)
        self.put = put
        put(self.model)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The low-rank factors."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self, folder: Path) -> None:
        """A peft folder: adapter_config.json and adapter_model.safetensors."""
        self.model.save_pretrained(str(folder), safe_serialization=True)

    def close(self) -> None:
        """Take the LoRA off again."""
        self.put(self.model.unload())


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
