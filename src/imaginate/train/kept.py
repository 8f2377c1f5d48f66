"""The folder of one classifier. What it is trained with is written first (recipe.json), the result last
(classifier.json): the same call goes on or returns what is there, another recipe or other images are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imaginate.errors import RunError
from imaginate.train import checkpoint

RECIPE, RESULT, HISTORY, WEIGHTS = "recipe.json", "classifier.json", "history.json", "weights.safetensors"
_OWN = ("cache", checkpoint.NAME, RECIPE, RESULT, HISTORY, WEIGHTS)
_DATA = {"train": "training images", "held_out": "held-out images"}


def is_finished(folder: str | os.PathLike[str]) -> bool:
    """Whether a classifier lies there, measured and whole."""
    return (Path(folder) / RESULT).exists()


def stored_recipe(folder: Path) -> dict[str, Any] | None:
    """With what the folder's classifier is, or was, trained; None where there is nothing yet that it could spoil."""
    if folder.exists() and not (folder.is_dir() and all(map(_own, folder.iterdir()))):
        raise RunError(f"{folder} exists and is not a training folder; choose another --out")
    if not (is_finished(folder) or (folder / checkpoint.NAME).exists()):
        return None
    wanted = (RECIPE, WEIGHTS, HISTORY) if is_finished(folder) else (RECIPE,)
    lost = [name for name in wanted if not (folder / name).exists()]
    if lost:
        raise RunError(f"{folder} holds a classifier that has lost its {', '.join(lost)}; choose another --out")
    return _read(folder / RECIPE)


def check_settings(folder: Path, stored: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """RunError that says which setting is another one."""
    for name, value in settings.items():
        was = stored["settings"].get(name)
        if was != value:
            raise RunError(
                f"{folder} holds a classifier with other settings: {name} is {value}, was {was}; choose another --out"
            )


def check_images(folder: Path, stored: Mapping[str, Any], data: Mapping[str, str | None]) -> None:
    """RunError that says whether the training or the held-out images have changed."""
    for key, value in data.items():
        if stored["data"].get(key) != value:
            what = f"the {_DATA[key]} have changed"
            raise RunError(f"{folder} holds a classifier of other images: {what}; choose another --out")


def result_of(folder: Path) -> dict[str, Any]:
    """The result of a finished classifier."""
    return _read(folder / RESULT)


def write_json(path: Path, value: Any) -> None:
    """A JSON file, whole or not at all."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    put(path, lambda part: part.write_text(text, encoding="utf-8"))


def put(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside, then rename: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    write(part)
    os.replace(part, path)


def _own(path: Path) -> bool:
    return path.name in _OWN or (path.suffix == ".part" and path.name.startswith(_OWN))


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"cannot read {path}: {str(error).splitlines()[0]}; choose another --out") from None
