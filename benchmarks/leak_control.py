"""What makes a copy: the thresholds of the held-out filter and of the studies' leak check, weighed on real images.

    python benchmarks/leak_control.py DATA [DATA ...] [--images 600]

For each data set: (a) altered copies of `--images` images of the test split (recompressed, resized, cropped, brighter,
mirrored, ...) should be found; (b) images of the train split should not, unless they are copies: what the sets share in
truth is in (b) too, so its share at few bits is no error. Both are compared with the whole test split as the filter
does it: perceptual hash, mirror image too. Chosen: the most bits at which (b) is still what it is at two bits.

A study refuses to go on where it finds one, so its check (`data/relatives.py`) asks more: 8 bits at most, and
thumbnails of at least this correlation. `study` has the same shares by correlation.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _machine import write
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

from imaginate.data import load, open_dataset
from imaginate.data.image_hashes import ImageHasher, ImageHashes, matching
from imaginate.data.relatives import WITHIN_BITS
from imaginate.errors import DataError, ImageError
from imaginate.filters.core.alike import mirrored, signatures
from imaginate.ops.similarity import SignatureIndex

BITS = tuple(range(17))
ALIKE = (0.0, 0.9, 0.95, 0.97, 0.98, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--images", type=int, default=600)
    args = parser.parse_args()
    found = {Path(path).name: measure(path, args.images) for path in args.data}
    write("leak-control", {"bits": BITS, "alike": ALIKE, "images": args.images, "sets": found})


def measure(path: str, count: int) -> dict[str, Any]:
    """Shares found at each number of bits: of every kind of altered copy, and of the train images."""
    torch.set_num_threads(1)
    held = list(_images(path, "test", 2000))
    known = SignatureIndex(64)
    for number, signed in enumerate(signatures(held)):
        known.add(str(number), signed)
    known_hashes = _hashes(held)
    chosen = held[:: max(1, len(held) // count)][:count]
    others = {name: [_altered(x, fn) for x in chosen] for name, fn in ALTERATIONS.items()}
    others["train"] = list(_images(path, "train", count))
    shares = {name: _share(images, known) for name, images in others.items()}
    study = {name: _study_share(_hashes(images), known_hashes) for name, images in others.items()}
    for name, row in shares.items():
        shares = " ".join(f"{100 * v:5.1f}" for v in (*row[::2], *study[name]))
        print(f"{Path(path).name:24} {name:16} {shares}")
    return {"held_out": len(held), "train": shares.pop("train"), "altered": shares, "study": study}


def _hashes(images: list[Tensor]) -> tuple[ImageHashes, ImageHashes]:
    """As a study takes them: of the images, of their mirror images."""
    hasher = ImageHasher(len(images))
    for row, image in enumerate(images):
        hasher.add(row, image.permute(1, 2, 0).numpy())
    return hasher.finish()


def _study_share(images: tuple[ImageHashes, ImageHashes], held: tuple[ImageHashes, ImageHashes]) -> list[float]:
    """Share of images that a study's leak check calls a held-out one, for each correlation."""
    shares = []
    for alike in ALIKE:
        hits = {i for other in held for i, _ in matching(images[0], other, within=WITHIN_BITS, alike=alike)}
        shares.append(round(len(hits) / len(images[0].bits), 4))
    return shares


def _share(images: list[Tensor], known: SignatureIndex) -> list[float]:
    """Share of images within each number of bits of a known one."""
    both = zip(signatures(images), mirrored(images), strict=True)
    near = np.array([min(found.bits for found in map(known.near, pair) if found) for pair in both])
    return [round(float((near <= b).mean()), 4) for b in BITS]


def _images(path: str, split: str, most: int) -> Iterator[Tensor]:
    samples = _samples(path, split)
    for sample in samples[:: max(1, len(samples) // most)][:most]:
        try:
            yield load(sample)
        except ImageError:
            continue


def _samples(path: str, split: str) -> Any:
    """The split; `val` where there is no `test`; every other image where there are no splits."""
    for name in (split, "val" if split == "test" else "train"):
        try:
            return open_dataset(path, split=name).samples
        except DataError:
            continue
    return open_dataset(path).samples[split == "train" :: 2]


def _altered(image: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    made = change(Image.fromarray(image.permute(1, 2, 0).numpy())).convert("RGB")
    return torch.from_numpy(np.asarray(made).copy()).permute(2, 0, 1)


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out)


def _crop(image: Image.Image, share: float) -> Image.Image:
    w, h = image.size
    return image.crop((int(w * share), int(h * share), w - int(w * share), h - int(h * share))).resize((w, h))


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 50": lambda x: _jpeg(x, 50),
    "JPEG quality 10": lambda x: _jpeg(x, 10),
    "half size": lambda x: x.resize((x.width // 2, x.height // 2)),
    "brighter 1.4": lambda x: ImageEnhance.Brightness(x).enhance(1.4),
    "contrast 0.6": lambda x: ImageEnhance.Contrast(x).enhance(0.6),
    "grey": lambda x: x.convert("L"),
    "mirrored": lambda x: x.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "blurred, 1 px": lambda x: x.filter(ImageFilter.GaussianBlur(1)),
    "cropped 2 %": lambda x: _crop(x, 0.02),
    "cropped 5 %": lambda x: _crop(x, 0.05),
    "rotated 3 degrees": lambda x: x.rotate(3, Image.Resampling.BILINEAR),
}

if __name__ == "__main__":
    main()
