"""A user's own classifier as a guide: nobody knows their classes better (GIF Table 8: a fine-tuned one helps most)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from imaginate import registry, shapes
from imaginate.contract import GuideSetup
from imaginate.errors import ConfigError, ModelError
from imaginate.limits import parse_json
from imaginate.models import checkpoints
from imaginate.models.guides.core.penultimate import Penultimate
from imaginate.models.guides.core.preprocess import Preprocess, from_processor
from imaginate.models.guides.core.store import EmbeddingStore, weights_key
from imaginate.records import LabelSpace

RESULT, WEIGHTS = "classifier.json", "weights.safetensors"  # what `imaginate train` leaves


class ClassifierGuide:
    """What `imaginate train` wrote, or an image classification checkpoint of transformers; it must know all classes.

    Probabilities are among the classes of the dataset alone, whatever else the classifier knows.
    """

    takes: ClassVar[Literal["checkpoint"]] = "checkpoint"
    needs_seeds: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        if not setup.model:
            raise ConfigError("guide classifier needs a folder: classifier:FOLDER, as `imaginate train` wrote it")
        if "/" not in setup.model and not Path(setup.model).exists():
            raise ConfigError(
                f"there is no folder {setup.model!r} here: classifier:FOLDER, as `imaginate train` wrote it"
            )
        place = Path(checkpoints.locate(setup.model, "clip"))
        self.dtype = checkpoints.precision(setup.dtype, self.device)
        is_own = (place / RESULT).is_file()
        network, names, self.preprocess, self.temperature = _trained(place) if is_own else _published(setup.model)
        rows = _rows(names, self.labels, self.name)
        self.network = checkpoints.freeze(network, self.device, self.dtype)
        self._cut = Penultimate(self.network, len(names))
        self._rows = torch.tensor(rows, device=self.device)
        with torch.no_grad():
            self.dim = int(self.embed(torch.zeros(1, 3, 64, 64)).shape[1])
        self.store = EmbeddingStore(setup.cache, owner=weights_key(self.network))

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm float32, differentiable."""
        return self._cut.embed(self.preprocess(images.to(self.device).float()).to(self.dtype))

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes): its own over its temperature, of the dataset's classes in their order."""
        return self._cut.logits(embeddings)[:, self._rows] / self.temperature


def _trained(folder: Path) -> tuple[Any, list[str], Preprocess, float]:
    """What `imaginate train` wrote: images are cut as in training."""
    from safetensors.torch import load_file

    try:
        found = parse_json((folder / RESULT).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{folder / RESULT} is damaged: {error}") from None
    if wrong := shapes.misfit(found, shapes.CLASSIFIER):
        raise ModelError(f"{folder / RESULT} is damaged: {wrong}")
    settings, names = found["settings"], list(found["classes"])
    arch = str(settings["arch"])
    kind, colon, model = arch.partition(":")
    if not colon or kind not in registry.names("learners"):
        kind, model = "scratch", arch
    learner: Any = registry.find("learners", kind)(model, pretrained=bool(settings.get("pretrained")))
    network = learner.build(len(names), untrained=True)
    weights = checkpoints.read(lambda: load_file(str(folder / WEIGHTS)), str(folder), "a classifier")
    checkpoints.read(lambda: network.load_state_dict(weights), str(folder), "a classifier")
    side = int(settings.get("image_size") or learner.size)
    stored = side if side < 128 else round(side * 8 / 7)
    how = Preprocess(size=stored, crop=(side, side), mode="bicubic", mean=learner.mean, std=learner.std)
    return network, names, how, float(found.get("temperature", 1.0))


def _published(spec: str) -> tuple[Any, list[str], Preprocess, float]:
    """An image classification checkpoint of transformers."""
    from transformers import AutoModelForImageClassification

    network, missing = checkpoints.model_and_missing(spec, AutoModelForImageClassification)
    if missing:
        raise ModelError(f"{spec} is no trained classifier: it has no weights for {missing[0]}")
    named = network.config.id2label
    names = [str(named[i]) for i in range(len(named))]
    return network, names, from_processor(checkpoints.image_processor(spec), where=spec), 1.0


def _rows(known: list[str], labels: LabelSpace, guide: str) -> list[int]:
    """Where the classes of the dataset are among those of the classifier, by name or by what they are called."""
    places = {_plain(name): row for row, name in reversed(list(enumerate(known)))}
    found = [
        next((places[key] for key in map(_plain, (info.name, info.title)) if key in places), None) for info in labels
    ]
    rows = [row for row in found if row is not None]
    missing = [info.name for info, row in zip(labels, found, strict=True) if row is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"guide {guide} does not know class {missing[0]!r}{more}: it was trained on other classes")
    return rows


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
