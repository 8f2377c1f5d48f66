"""A trained classifier in the forms that other tools load: an ONNX graph, or a folder of timm and transformers.

Its calibration goes along: softmax of what comes out is a probability. What was written is read back and compared.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate import markdown
from imaginate.errors import ConfigError, ModelError, RunError
from imaginate.files import first_line, replace_file
from imaginate.training.augment import stored_size
from imaginate.training.learners.core.networks import HeadedNetwork
from imaginate.training.loading import Classifier, load_classifier

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imaginate.data.rendering import Window

FORMATS = ("onnx", "timm")
APART = 1e-3  # two probabilities of the same image that are farther apart are of different networks
GRAPH, PREPROCESSING, CARD = "model.onnx", "preprocessing.json", "README.md"
CALLED = {"efficientnet-lite0": "tf_efficientnet_lite0"}  # the bundled backbone, as timm calls it


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """A folder that other tools load; a path wherever one is wanted."""

    path: Path
    format: str
    classes: tuple[str, ...]
    image_size: int

    def __fspath__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        side = self.image_size
        return (
            f"ExportedModel({str(self.path)!r}: {self.format}, {len(self.classes)} classes at {side} x {side} pixels)"
        )

    def _repr_html_(self) -> str:
        """For notebooks: what was written, and the classes in the order of the outputs."""
        return markdown.table(self._rows(), f"{self!r}; {self.path / CARD} says how to use it")

    def to_pandas(self) -> Any:
        """A row a class, in the order of the outputs, as a pandas data frame (pandas is not installed with
        imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        return [{"output": number, "class": name} for number, name in enumerate(self.classes)]


def export_model(path: str | os.PathLike[str], out: str | os.PathLike[str], form: str = "onnx") -> ExportedModel:
    """Write the classifier in a folder of `train` in another form, into a new folder; returns it, a path that says what
    is in it.

    onnx: `model.onnx`, (b, 3, s, s) in [0, 1] -> `logits` and `probabilities`, b free; with `preprocessing.json`.
    timm: what `timm.create_model("local-dir:OUT", pretrained=True)` and transformers' `AutoModelForImageClassification`
    load. Raises ConfigError for a form that this network has not, ModelError where what was written says otherwise than
    the classifier.
    """
    writers: dict[str, Callable[[Classifier, Path], None]] = {"onnx": _write_onnx, "timm": _write_timm}
    if form not in writers:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    target = Path(out).expanduser()
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise RunError(f"{target} is not empty; choose a new or empty folder")
    classifier = load_classifier(path, device="cpu")

    def write(partial: Path) -> None:
        partial.mkdir()
        writers[form](classifier, partial)

    replace_file(target, write)
    return ExportedModel(path=target, format=form, classes=tuple(classifier.classes), image_size=classifier.image_size)


def _write_onnx(classifier: Classifier, folder: Path) -> None:
    """The network with its normalisation and temperature as one graph, and what has to happen to a picture before."""
    import warnings

    import torch

    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch writes the graph with it
    except ImportError:
        raise ConfigError("ONNX needs onnx, onnxscript and onnxruntime: pip install 'imaginate[onnx]'") from None
    network, example = _deployed(classifier), _example(classifier)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program: Any = torch.onnx.export(
            network, (example,), input_names=["pixels"], output_names=["logits", "probabilities"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}}, dynamo=True, verbose=False,
        )  # fmt: skip
    graph = program.model_proto
    for key, value in _facts(classifier).items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value, ensure_ascii=False)
    onnx.save(graph, folder / GRAPH)
    session = onnxruntime.InferenceSession(str(folder / GRAPH), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for images in (example, example[:1]):
            found = session.run(["probabilities"], {"pixels": images.numpy()})[0]
            _compare(torch.from_numpy(found), network(images)[1], "onnxruntime")
    (folder / PREPROCESSING).write_text(json.dumps(_facts(classifier), indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / CARD).write_text(_ONNX_CARD.format(**_facts(classifier)) + _deep(classifier), "utf-8")


def _write_timm(classifier: Classifier, folder: Path) -> None:
    """timm's network with the classifier as its last layer, in timm's own folder."""
    import torch

    name, network = _as_timm(classifier)
    import timm
    from timm.models import save_for_hf

    last: Any = network.get_classifier()
    with torch.no_grad():
        last.weight.div_(classifier.temperature)
        last.bias.div_(classifier.temperature)
    side = classifier.image_size
    mean, std = _normalisation(classifier)
    shown = {
        "input_size": (3, side, side), "test_input_size": None, "tag": "",
        "interpolation": "bicubic", "crop_pct": side / stored_size(side),
        "crop_mode": "center", "mean": mean, "std": std, "num_classes": len(classifier.classes), "architecture": name,
    }  # fmt: skip
    network.pretrained_cfg = {**(network.pretrained_cfg or {}), **shown}
    labels = {"num_classes": len(classifier.classes), "label_names": list(classifier.classes)}
    save_for_hf(network, str(folder), model_config=labels, safe_serialization=True)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.pop("model_args", None)  # timm repeats there what is above it, and transformers takes no value twice
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / CARD).write_text(_TIMM_CARD.format(**_facts(classifier)) + _deep(classifier), "utf-8")
    loaded: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    example = _example(classifier)
    scaled = (example - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.no_grad():
        _compare(loaded(scaled).softmax(1), _deployed(classifier)(example)[1], "timm")


def _as_timm(classifier: Classifier) -> tuple[str, Any]:
    """The architecture's name and timm's network with the classifier's weights. ConfigError for a network of others."""
    import copy

    import timm

    model: Any = classifier.model
    if not isinstance(model, HeadedNetwork):
        architecture = (getattr(model, "pretrained_cfg", None) or {}).get("architecture")
        if architecture is None:
            raise ConfigError("this network is imaginate's own, and timm has none like it: use --format onnx")
        return str(architecture), copy.deepcopy(model)
    spec = model.backbone.name.removeprefix("timm:")
    name = CALLED.get(spec, spec if model.backbone.name.startswith("timm:") else "")
    if not name or not timm.is_model(name.split(".")[0]):
        raise ConfigError(f"{model.backbone.name} is no network of timm: use --format onnx")
    network: Any = timm.create_model(name, pretrained=False, num_classes=len(classifier.classes))
    weights: dict[str, Any] = dict(model.network.state_dict())
    last = network.get_classifier()
    place = next(key for key, module in network.named_modules() if module is last)
    weights = {key: value for key, value in weights.items() if not key.startswith(f"{place}.")}
    weights |= {f"{place}.weight": model.head.weight, f"{place}.bias": model.head.bias}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"{name} has no last layer that can be replaced: use --format onnx ({first_line(error)})"
        ) from error
    return name, network.eval()


def _normalisation(classifier: Classifier) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of pixels in [0, 1] that the network itself wants."""
    if isinstance(classifier.model, HeadedNetwork):
        own = classifier.model.backbone.preprocess
        return own.mean, own.std
    return classifier.statistics


def _deployed(classifier: Classifier) -> nn.Module:
    """(b, 3, s, s) in [0, 1] -> logits over the temperature, and their softmax."""
    from torch import nn

    from imaginate.training.augment import normalise

    class Deployed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = classifier.model

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self.network(normalise(pixels, classifier.statistics)) / classifier.temperature
            return logits, logits.softmax(dim=1)

    return Deployed().eval()


def _example(classifier: Classifier) -> torch.Tensor:
    """Three images of noise around different greys, by which two forms of a network are compared."""
    import torch

    draw = torch.Generator().manual_seed(0)
    side = classifier.image_size
    noise = torch.rand(3, 3, side, side, generator=draw)
    return (noise * 0.4 + torch.tensor([0.1, 0.3, 0.6]).view(3, 1, 1, 1)).contiguous()


def _compare(found: torch.Tensor, wanted: torch.Tensor, who: str) -> None:
    """ModelError where the same images get other probabilities."""
    gap = float((found - wanted).abs().max())
    if not gap <= APART:
        raise ModelError(f"what was written says otherwise in {who}: probabilities differ by up to {gap:.3g}")


def _facts(classifier: Classifier) -> dict[str, Any]:
    """What has to happen to a picture, and what the outputs mean."""
    return {
        "classes": list(classifier.classes),
        "image_size": classifier.image_size,
        "resize_shorter_side_to": stored_size(classifier.image_size),
        "interpolation": "bicubic",
        "crop": "center",
        "pixels": "RGB in [0, 1], channels first",
        "temperature": classifier.temperature,
        "range": {window.kind: [window.black, window.white] for window in _windows(classifier)},
    }


def _windows(classifier: Classifier) -> Sequence[Window]:
    return () if classifier.rendering is None else classifier.rendering.windows


def _deep(classifier: Classifier) -> str:
    """What the card says of images of more than 8 bits; empty where all training images had 8."""
    shown = "; ".join(f"{w.kind}: black {w.black:g}, white {w.white:g}" for w in _windows(classifier))
    if not shown:
        return ""
    return (
        f"\nNumbers of its training images became pictures of 8 bits with this range ({shown}). Bring images of such "
        "numbers to [0, 1] by the same range first: Pillow's `convert` cuts them off.\n"
    )


_ONNX_CARD = """# An image classifier as ONNX

Trained and exported by imaginate. `model.onnx` takes `pixels` (b, 3, {image_size}, {image_size}), RGB in [0, 1], and
gives `logits` and `probabilities` (b, classes); normalisation and temperature are inside. The classes are in
`preprocessing.json` and in the graph's metadata.

```python
import json
import numpy as np
import onnxruntime
from PIL import Image

facts = json.load(open("preprocessing.json"))
picture = Image.open("photograph.jpg").convert("RGB")
scale = facts["resize_shorter_side_to"] / min(picture.size)
picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
side = facts["image_size"]
left, top = (picture.width - side) // 2, (picture.height - side) // 2
pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float32).transpose(2, 0, 1)[None] / 255
(probabilities,) = onnxruntime.InferenceSession("model.onnx").run(["probabilities"], {{"pixels": pixels}})
print(facts["classes"][probabilities[0].argmax()])
```
"""
_TIMM_CARD = """# An image classifier of timm

Trained and exported by imaginate. Its last layer holds the temperature ({temperature:g}): softmax gives probabilities.

```python
import timm
import torch
from PIL import Image

model = timm.create_model("local-dir:THIS_FOLDER", pretrained=True).eval()
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
with torch.inference_mode():
    label = model(prepare(Image.open("photograph.jpg").convert("RGB"))[None]).argmax()
print(model.pretrained_cfg["label_names"][label])
```

transformers loads it, too: `AutoModelForImageClassification.from_pretrained("THIS_FOLDER")`.
"""
