"""A classifier that `imaginate train` wrote, ready to be used."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.data import load
from imaginate.data.rendering import Rendering
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.rendered import RenderedSource
from imaginate.data.spec import reading_of
from imaginate.devices import pick_device
from imaginate.errors import ModelError, RunError
from imaginate.models.extras import check_installed
from imaginate.records import Image, Sample
from imaginate.training import folder
from imaginate.training.augment import Statistics, centre, normalise, stored_size
from imaginate.training.learners import learner_of
from imaginate.training.pixel_cache import fit_square
from imaginate.training.settings import stored_arch

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A trained network with its classes. Images go through the same preparation as in training: `rendering` says how
    files of more than 8 bits become pictures, `reading` which slices or tiles of a dataset are images. Logits over
    `temperature`, which was fitted on validation images, give probabilities."""

    path: str
    classes: tuple[str, ...]
    image_size: int
    model: nn.Module
    device: str
    statistics: Statistics
    temperature: float = 1.0
    rendering: Rendering | None = None
    reading: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Classifier({self.path!r}, {len(self.classes)} classes, {self.image_size} px, on {self.device})"

    def image(self, path: str | os.PathLike[str]) -> Image:
        """The image of a file, read as the training images were: (3, h, w) uint8. Raises ImageError."""
        file = FileSource(os.fspath(path))
        source = file if self.rendering is None else RenderedSource(file, self.rendering)
        return load(Sample(id=file.name, label=0, source=source))

    def probabilities(self, images: Sequence[Image | str | os.PathLike[str]]) -> torch.Tensor:
        """Images (3, h, w) uint8 of any size, or paths of image files -> (n, classes) float32, each row sums to 1.

        Raises ImageError for a file that is no usable image.
        """
        import torch

        parts = [self._logits(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return (torch.cat(parts) / self.temperature).softmax(dim=1) if parts else torch.zeros(0, len(self.classes))

    def predict(self, images: Sequence[Image | str | os.PathLike[str]]) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[label] for label in self.probabilities(images).argmax(dim=1).tolist()]

    def _pixels(self, image: Image | str | os.PathLike[str]) -> Image:
        return self.image(image) if isinstance(image, (str, os.PathLike)) else image

    def _logits(self, images: Sequence[Image | str | os.PathLike[str]]) -> torch.Tensor:
        import numpy as np
        import torch

        size = stored_size(self.image_size)
        rows = [fit_square(self._pixels(image).permute(1, 2, 0).contiguous().numpy(), size) for image in images]
        x = torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).to(self.device)
        with torch.inference_mode():
            logits: torch.Tensor = self.model(normalise(centre(x, self.image_size), self.statistics))
        return logits.float().cpu()


def load_classifier(path: str | os.PathLike[str], *, device: str = "auto") -> Classifier:
    """The classifier in a folder that `imaginate train` finished. Raises RunError for another folder, ModelError for
    weights that do not fit."""
    check_installed("a trained classifier", ["classifier"])
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if "://" in os.fspath(path):
        raise RunError(f"{os.fspath(path)}: a classifier is read from a folder of this machine; copy it here first")
    place = Path(path).expanduser()
    if not folder.is_finished(place):
        raise RunError(f"{place} holds no finished classifier: imaginate train DATA --out {place}")
    result, chosen = folder.result_of(place), pick_device(device)
    settings = result["settings"]
    learner = learner_of(stored_arch(settings), pretrained="rules" in settings and settings["pretrained"])
    model = learner.build(len(result["classes"]), untrained=True)
    try:
        model.load_state_dict(load_file(place / folder.WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{place / folder.WEIGHTS} does not fit: {str(error).splitlines()[0]}") from None
    return Classifier(
        path=str(place),
        classes=tuple(result["classes"]),
        image_size=settings["image_size"] or learner.size,
        statistics=(learner.mean, learner.std),
        model=model.eval().requires_grad_(False).to(chosen),
        device=chosen,
        temperature=float(result.get("temperature", 1.0)),
        rendering=None if result.get("rendering") is None else Rendering.from_dict(result["rendering"]),
        reading={
            name: value for name, value in reading_of(settings.get("read_as")).items() if name in ("slices", "tiles")
        },
    )
