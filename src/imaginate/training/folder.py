"""The folder of one classifier. What it is trained with is written first (recipe.json), the result last
(classifier.json): the same call goes on or returns what is there, another recipe or other images are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate import shapes
from imaginate.errors import RunError
from imaginate.files import LOCK, is_partial, replace_file
from imaginate.limits import parse_json
from imaginate.models.weights import Weights, difference
from imaginate.ownership import is_begun
from imaginate.runs import Facts, Values
from imaginate.training import checkpoint

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

RECIPE, RESULT, HISTORY, WEIGHTS = "recipe.json", "classifier.json", "history.json", "weights.safetensors"
CARD = "README.md"
_OWN = ("cache", LOCK, checkpoint.NAME, RECIPE, RESULT, HISTORY, WEIGHTS, CARD)
_DATA = {"train": "training images", "held_out": "held-out images"}


def is_finished(folder: str | os.PathLike[str]) -> bool:
    """Whether a classifier is there, measured and whole."""
    return (Path(folder) / RESULT).exists()


def check_foreign(folder: Path) -> None:
    """RunError for a folder that holds something else than a classifier."""
    if folder.exists() and not (folder.is_dir() and (is_begun(folder, "train") or all(map(_own, folder.iterdir())))):
        raise RunError(f"{folder} exists and is not a training folder; choose another --out")


def stored_recipe(folder: Path) -> Values | None:
    """With what the folder's classifier is, or was, trained; None where there is nothing yet that it could spoil."""
    check_foreign(folder)
    if not (is_finished(folder) or (folder / checkpoint.NAME).exists()):
        return None
    wanted = (RECIPE, WEIGHTS, HISTORY) if is_finished(folder) else (RECIPE,)
    lost = [name for name in wanted if not (folder / name).exists()]
    if lost:
        raise RunError(f"{folder} holds a classifier that has lost its {', '.join(lost)}; choose another --out")
    return _read(folder / RECIPE, shapes.TRAINING)


def check_settings(folder: Path, stored: Facts, settings: Facts) -> None:
    """RunError that says which setting is another one."""
    for name, value in settings.items():
        was = stored.get(name)
        if was != value:
            raise RunError(
                f"{folder} holds a classifier with other settings: {name} is {value}, was {was}; choose another --out"
            )


def check_images(folder: Path, stored: Facts, data: Mapping[str, str | None]) -> None:
    """RunError that says whether the training or the held-out images have changed."""
    for key, value in data.items():
        if stored["data"].get(key) != value:
            what = f"the {_DATA[key]} have changed"
            raise RunError(f"{folder} holds a classifier of other images: {what}; choose another --out")


def check_weights(folder: Path, stored: Facts, weights: Mapping[str, Weights]) -> None:
    """RunError that says which checkpoint has changed."""
    if changed := difference(stored.get("weights"), weights):
        raise RunError(f"{folder} holds a classifier that started from other weights: {changed}; choose another --out")


def result_of(folder: Path) -> Values:
    """The result of a finished classifier."""
    return _read(folder / RESULT, shapes.CLASSIFIER)


def write_json(path: Path, value: object) -> None:
    """A JSON file, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A compressed .npz file, whole or not at all."""
    import numpy as np

    def write(partial: Path) -> None:
        with partial.open("wb") as file:  # given a name, numpy would add to it
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    replace_file(path, write)


def save_weights(path: Path, model: nn.Module) -> None:
    """A classifier's weights as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    replace_file(path, lambda partial: save_file(weights, partial))


def _own(path: Path) -> bool:
    return (
        path.name in _OWN
        or path.name.startswith("weight-")
        or is_partial(path.name)
        or (path.suffix == ".part" and path.name.startswith(_OWN))
    )


def _read(path: Path, shape: shapes.Shape) -> Values:
    try:
        found = dict(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"cannot read {path}: {str(error).splitlines()[0]}; choose another --out") from None
    if wrong := shapes.misfit(found, shape):
        raise RunError(f"{path} is damaged: {wrong}; choose another --out")
    return found
