"""The bundled miniature models: a CLIP, a ViTMAE, a Stable Diffusion and a Stable unCLIP for 64 px images.

All four are trained from scratch on Tiny-ImageNet (`python -m imaginate.nano.training`), saved in the formats of
transformers and diffusers, and found by name: `path("clip")` is a folder that `from_pretrained` reads unchanged.
"""

import hashlib
import json
import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from imaginate.errors import ModelError
from imaginate.machine_cache import home

NAMES = ("clip", "mae", "sd", "unclip")
SIZE = 64  # pixels a side, of every model's input and output
# Files that a model has in common with another one, kept once: where a model lacks one, it is linked from there.
TEXT, VISION = "clip/model-00002-of-00003.safetensors", "clip/model-00001-of-00003.safetensors"
BORROWED = {
    "sd": {"text_encoder/model.safetensors": TEXT, "tokenizer/tokenizer.json": "clip/tokenizer.json"},
    "unclip": {
        "image_encoder/model.safetensors": VISION,
        "text_encoder/config.json": "sd/text_encoder/config.json",
        "text_encoder/model.safetensors": TEXT,
        "tokenizer/tokenizer.json": "clip/tokenizer.json",
        "tokenizer/tokenizer_config.json": "sd/tokenizer/tokenizer_config.json",
    },
}


def path(name: str) -> Path:
    """The folder of the bundled model `name`, ready for `from_pretrained`.

    nano-sd and nano-unclip share files with other models; their folders are put together from links in the cache
    (`$IMAGINATE_CACHE`, else the cache folder of this system) on the first call.
    """
    if name not in NAMES:
        raise ModelError(f"nano model must be one of {', '.join(NAMES)}, got {name}")
    folder = weights() / name
    if not any((folder / index).is_file() for index in ("config.json", "model_index.json")):
        raise ModelError(
            f"nano model {name} has no weights in {folder}, reinstall or run python -m imaginate.nano.training"
        )
    lacking = {file: source for file, source in BORROWED.get(name, {}).items() if not (folder / file).is_file()}
    return _assembled(folder, {file: weights() / source for file, source in lacking.items()}) if lacking else folder


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


def _assembled(folder: Path, borrowed: dict[str, Path]) -> Path:
    """A folder of links to the files of `folder` and to the `borrowed` ones; whole or not at all."""
    files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()} | borrowed
    facts = [(at, str(file), file.stat().st_size, file.stat().st_mtime_ns) for at, file in files.items()]
    print_of = hashlib.sha256(repr(facts).encode())
    base = home()
    target = base / f"nano-{folder.name}-{print_of.hexdigest()[:16]}"
    if target.is_dir():
        return target
    try:
        base.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="nano-", dir=base))
        for at, file in files.items():
            _link(file, fresh / at)
        os.rename(fresh, target)
    except OSError as error:
        if target.is_dir():  # another process was faster
            shutil.rmtree(fresh, ignore_errors=True)
            return target
        raise ModelError(f"nano model {folder.name} is put together in {base}, set IMAGINATE_CACHE: {error}") from error
    return target


def _link(source: Path, target: Path) -> None:
    """A symbolic link to a file, or a copy where links are not allowed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.resolve())
    except OSError:
        shutil.copy2(source, target)
