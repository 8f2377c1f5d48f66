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

NAMES = ("clip", "mae", "sd", "unclip")
SIZE = 64  # pixels a side, of every model's input and output
SHARED = ("vae", "text_encoder", "tokenizer")  # parts of nano-sd that nano-unclip uses unchanged, kept once


def path(name: str) -> Path:
    """The folder of the bundled model `name`, ready for `from_pretrained`.

    nano-unclip shares three parts with nano-sd; its folder is put together from links in the cache
    (`$IMAGINATE_CACHE`, else `~/.cache/imaginate`) on the first call.
    """
    if name not in NAMES:
        raise ModelError(f"nano model must be one of {', '.join(NAMES)}, got {name}")
    folder = weights() / name
    if not any((folder / index).is_file() for index in ("config.json", "model_index.json")):
        raise ModelError(
            f"nano model {name} has no weights in {folder}, reinstall or run python -m imaginate.nano.training"
        )
    missing = [part for part in SHARED if name == "unclip" and not (folder / part).is_dir()]
    return _assembled(folder, [weights() / "sd" / part for part in missing]) if missing else folder


def labels() -> list[str]:
    """The names of the 200 classes that the models were trained on, in label order."""
    names: list[str] = json.loads((weights() / "labels.json").read_text(encoding="utf-8"))
    return names


def weights() -> Path:
    """The folder of all bundled weights, in the folder of this file, in a checkout and in an installed wheel alike."""
    return Path(str(resources.files("imaginate.nano").joinpath("weights")))


def _assembled(folder: Path, shared: list[Path]) -> Path:
    """A folder of links to the files of `folder` and to the `shared` parts; whole or not at all."""
    parts = [*sorted(folder.iterdir()), *shared]
    files = [f for part in parts for f in ([part] if part.is_file() else sorted(part.rglob("*")))]
    print_of = hashlib.sha256(repr([(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]).encode())
    base = Path(os.environ.get("IMAGINATE_CACHE", "~/.cache/imaginate")).expanduser()
    target = base / f"nano-{folder.name}-{print_of.hexdigest()[:16]}"
    if target.is_dir():
        return target
    try:
        base.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="nano-", dir=base))
        for part in parts:
            _link(part, fresh / part.name)
        os.rename(fresh, target)
    except OSError as error:
        if target.is_dir():  # another process was faster
            shutil.rmtree(fresh, ignore_errors=True)
            return target
        raise ModelError(f"nano model {folder.name} is put together in {base}, set IMAGINATE_CACHE: {error}") from error
    return target


def _link(source: Path, target: Path) -> None:
    """A symbolic link, or a copy where links are not allowed."""
    try:
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
