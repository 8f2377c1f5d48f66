"""How images are recognised: by a hash of the decoded pixels, and by a perceptual hash with a grey thumbnail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imaginate.files import content_hash

THUMB, SIDE = 16, 64
_CHUNK = 512


class ImageHashes(NamedTuple):
    """Perceptual hashes (n, 64) bool and grey thumbnails (n, 16, 16) uint8 of n images."""

    bits: np.ndarray
    thumbs: np.ndarray


def pixel_hash(image: np.ndarray) -> int:
    """(h, w, 3) uint8 -> 64 bits, never 0: the same for any two files that decode to the same pixels."""
    return int(content_hash(repr(image.shape).encode(), image.tobytes(), size=8), 16) or 1


class ImageHasher:
    """The hashes of `count` images and of their mirror images, which are added one by one, whole and of any shape; rows
    that were never added stay 0."""

    def __init__(self, count: int) -> None:
        self._plain, self._mirrored = (
            ImageHashes(np.zeros((count, 64), bool), np.zeros((count, THUMB, THUMB), np.uint8)) for _ in range(2)
        )
        self._rows: list[int] = []
        self._small: list[np.ndarray] = []

    def add(self, row: int, small: np.ndarray) -> None:
        """The `small_version` of a row."""
        self._rows.append(row)
        self._small.append(small)
        if len(self._rows) == _CHUNK:
            self._flush()

    def finish(self) -> tuple[ImageHashes, ImageHashes]:
        """Of the images, of their mirror images."""
        self._flush()
        return self._plain, self._mirrored

    def _flush(self) -> None:
        if not self._rows:
            return
        batch = np.stack(self._small)
        for hashes, images in ((self._plain, batch), (self._mirrored, batch[:, :, ::-1])):
            hashes.bits[self._rows], hashes.thumbs[self._rows] = hash_images(images)
        self._rows, self._small = [], []


def small_version(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 -> (SIDE, SIDE, 3) uint8, of which the hashes are."""
    from PIL import Image

    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small)


def hash_images(images: np.ndarray) -> ImageHashes:
    """(n, s, s, 3) uint8 -> their hashes and thumbnails."""
    import torch
    import torch.nn.functional as F

    from imaginate.ops.similarity import hash_bits, phash

    batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    small = F.interpolate(batch.float().mean(1, keepdim=True), size=(THUMB, THUMB), mode="area")
    return ImageHashes(hash_bits(phash(batch)).bool().numpy(), small[:, 0].round().byte().numpy())


def matching(some: ImageHashes, others: ImageHashes, *, within: int, alike: float) -> list[tuple[int, int]]:
    """Pairs (i, j) of images that look the same: hashes at most `within` bits apart, and thumbnails whose correlation
    is at least `alike` in [-1, 1], whatever their brightness and contrast (the second test drops the chance matches
    that small or plain images give)."""
    a, b = (x.bits.astype(np.float32) * 2 - 1 for x in (some, others))
    flat, other = _standardised(some.thumbs), _standardised(others.thumbs)
    found: list[tuple[int, int]] = []
    for start in range(0, len(a), 1024):
        near = np.argwhere(a[start : start + 1024] @ b.T >= 64 - 2 * within) + np.array([start, 0])
        close = np.einsum("nd,nd->n", flat[near[:, 0]], other[near[:, 1]]) >= alike
        found += [(int(i), int(j)) for i, j in near[close]]
    return found


def _standardised(thumbs: np.ndarray) -> np.ndarray:
    """(n, s, s) uint8 -> (n, s * s) float32 of mean 0 and length 1; 0 for an image of one grey."""
    flat = thumbs.reshape(len(thumbs), THUMB * THUMB).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)  # type: ignore[no-any-return]
