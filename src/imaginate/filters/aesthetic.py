"""How pleasing an image is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from imaginate.contract import Context
from imaginate.errors import ModelError
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Aesthetic:
    """Keeps an image whose predicted aesthetic score, 1 to 10, is high enough.

    LAION's aesthetic predictors: a linear head, or a stack of linear layers, on CLIP's unit-norm image embeddings,
    which are the guide's here (ViT-L/14 for LAION's published heads). RET keeps images of at least 5.
    """

    needs: ClassVar[tuple[str, ...]] = ("guide",)
    needs_seed: ClassVar[bool] = False
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    head: str = setting(help="the head's weights: a .safetensors file (or .pth, read without executing anything)")
    at_least: float = setting(5.0, "smallest score", source="RET sec. 3.2")

    def __post_init__(self) -> None:
        check(self)

    def prepare(self, context: Context) -> None:
        """Load the head, so that one that is missing or does not fit is refused before the first image."""
        self._layers(context)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; `low aesthetic score` or `nan score`."""
        from imaginate.filters.core.alike import embeddings

        layers = self._layers(context)
        x = embeddings([c.image for c in candidates], context)
        for weight, bias in layers:
            x = x @ weight.to(x).T + bias.to(x)
        return [self._verdict(float(score)) for score in x[:, 0]]

    def _layers(self, context: Context) -> list[tuple[Any, Any]]:
        """The head's, once they are known to fit the guide."""
        layers, guide = _head(self.head), context.guide
        if layers[0][0].shape[1] != guide.dim:
            raise ModelError(
                f"aesthetic head {self.head} takes embeddings of length {layers[0][0].shape[1]}, guide {guide.name} "
                f"gives {guide.dim}; LAION's heads belong to clip:openai/clip-vit-large-patch14"
            )
        return layers

    def _verdict(self, score: float) -> Verdict:
        if score != score:
            return Verdict(keep=False, reason="nan score")
        keep = score >= self.at_least
        return Verdict(keep=keep, reason="" if keep else "low aesthetic score", score=score)


@lru_cache(maxsize=2)
def _head(path: str) -> list[tuple[Any, Any]]:
    """The (weight, bias) of each linear layer, in order."""
    from pathlib import Path

    from imaginate.models import checkpoints

    file = Path(path).expanduser()
    if file.is_dir():
        found = sorted(file.glob("*.safetensors"))
        file = found[0] if len(found) == 1 else file
    if not file.is_file():
        raise ModelError(f"no aesthetic head at {path}; give the weights file with --filter aesthetic:head=FILE")
    layers = checkpoints.read(lambda: _layers(_state(file)), str(file), "an aesthetic head")
    if not layers or layers[-1][0].shape[0] != 1:
        raise ModelError(f"{path} is not an aesthetic head: it must end in a linear layer with one output")
    return layers


def _layers(state: dict[str, Any]) -> list[tuple[Any, Any]]:
    keys = sorted((k for k in state if k.endswith("weight")), key=_numbers)
    return [(state[k].float(), state[k.removesuffix("weight") + "bias"].float()) for k in keys]


def _numbers(key: str) -> list[int]:
    return [int(part) for part in key.split(".") if part.isdigit()]


def _state(file: Any) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(file))
    import torch

    return dict(torch.load(file, map_location="cpu", weights_only=True))
