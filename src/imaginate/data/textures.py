"""Ten texture classes cut from the public-domain pictures that scikit-image carries: a dataset without a download.

Train and test crops come from disjoint halves of each picture, so that the held-out images are new ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imaginate.errors import ConfigError, DataError

# name: (picture of skimage.data, what it shows); a border of `MARGIN` of its size is never cut from
CLASSES = {
    "brick": ("brick", "a brick wall"),
    "grass": ("grass", "grass"),
    "gravel": ("gravel", "gravel"),
    "coins": ("coins", "ancient coins"),
    "stained_tissue": ("immunohistochemistry", "stained tissue under a microscope"),
    "retina": ("retina", "a retina"),
    "star_field": ("hubble_deep_field", "a star field"),
    "moon": ("moon", "the surface of the moon"),
    "printed_page": ("page", "a printed page"),
    "cat_fur": ("chelsea", "the fur of a cat"),
}
MARGIN = {"retina": 0.2}  # the corners of the picture are black


def make_textures(out: str | Path, *, train: int = 12, test: int = 20, size: int = 64, seed: int = 0) -> Path:
    """Write `train` and `test` crops of `size` pixels for each class as an image folder with a `classes.yaml`.

    Train crops come from the left half of each picture, test crops from the right. The folder must be new or empty.
    """
    import yaml

    root = Path(out)
    if root.exists() and any(root.iterdir()):
        raise DataError(f"{root} is not empty; choose a new or empty folder")
    for name, (picture, _) in CLASSES.items():
        _crops(root, name, picture, {"train": train, "test": test}, size, seed)
    words = {name: {"display": shown} for name, (_, shown) in CLASSES.items()}
    (root / "classes.yaml").write_text(yaml.safe_dump(words, sort_keys=False))
    return root


def _crops(root: Path, name: str, picture: str, counts: dict[str, int], size: int, seed: int) -> None:
    import random

    import numpy as np
    from PIL import Image

    whole = Image.fromarray(_picture(picture))
    inset = round(MARGIN.get(name, 0) * min(whole.size))
    image = whole.crop((inset, inset, whole.width - inset, whole.height - inset))
    short = min(image.width // 2, image.height)
    middle = image.width // 2
    for split, count in counts.items():
        rng = random.Random(f"{seed}/{name}/{split}")
        low, high = (0, middle) if split == "train" else (middle, image.width)
        (root / split / name).mkdir(parents=True)
        for number in range(count):
            side = min(short, rng.randint(min(size, short), max(size, short * 2 // 3)))
            left, top = rng.randint(low, high - side), rng.randint(0, image.height - side)
            crop = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
            Image.fromarray(np.asarray(crop)).save(root / split / name / f"{number:03d}.png")


def _picture(name: str) -> Any:
    """(h, w, 3) uint8 of one of scikit-image's pictures that are in its wheel."""
    import numpy as np

    try:
        from skimage import data
    except ImportError:
        raise ConfigError("the demo pictures need scikit-image: pip install 'imaginate[demo]'") from None
    pictures: dict[str, Any] = {
        "brick": data.brick, "grass": data.grass, "gravel": data.gravel, "coins": data.coins,
        "immunohistochemistry": data.immunohistochemistry, "retina": data.retina, "page": data.page,
        "hubble_deep_field": data.hubble_deep_field, "moon": data.moon, "chelsea": data.chelsea,
    }  # fmt: skip
    array = np.asarray(pictures[name]())
    return np.ascontiguousarray(np.stack([array] * 3, -1) if array.ndim == 2 else array[..., :3])
