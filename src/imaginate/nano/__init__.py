"""The bundled miniature models: a CLIP, a ViTMAE, a Stable Diffusion and a Stable unCLIP for 64 px images.

All four are trained from scratch on Tiny-ImageNet (`python -m imaginate.nano.training`), saved in the formats of
transformers and diffusers, and found by name: `path("clip")` is a folder that `from_pretrained` reads unchanged.
"""

import json
from importlib import resources
from pathlib import Path

from imaginate.errors import ModelError

NAMES = ("clip", "mae", "sd", "unclip")
SIZE = 64  # pixels a side, of every model's input and output
# The towers of nano-clip that other models have too, kept once: an index in place of their weights names the file.
TEXT, VISION = "clip/model-00002-of-00003.safetensors", "clip/model-00001-of-00003.safetensors"
SHARED = {"sd": {"text_encoder": TEXT}, "unclip": {"text_encoder": TEXT, "image_encoder": VISION}}


def path(name: str) -> Path:
    """The folder of the bundled model `name`, ready for `from_pretrained`."""
    if name not in NAMES:
        raise ModelError(f"nano model must be one of {', '.join(NAMES)}, got {name}")
    folder = weights() / name
    if not any((folder / index).is_file() for index in ("config.json", "model_index.json")):
        raise ModelError(
            f"nano model {name} has no weights in {folder}, reinstall or run python -m imaginate.nano.training"
        )
    return folder


def labels() -> list[str]:
    """The names of the 200 classes that the models were trained on, in label order."""
    names: list[str] = json.loads((weights() / "labels.json").read_text(encoding="utf-8"))
    return names


def name_for(family: str) -> str:
    """The bundled model that `nano` stands for as a prior of this family."""
    return family if family in NAMES else "sd"


def weights() -> Path:
    """The folder of all bundled weights, in the folder of this file, in a checkout and in an installed wheel alike."""
    return Path(str(resources.files("imaginate.nano").joinpath("weights")))
