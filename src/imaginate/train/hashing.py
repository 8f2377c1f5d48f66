"""What an image is (hash of its decoded pixels) and what it looks like (perceptual hash and a grey thumbnail)."""

from __future__ import annotations

import hashlib

import numpy as np

THUMB = 16


def content_hash(image: np.ndarray) -> int:
    """(h, w, 3) uint8 -> 64 bits, never 0: the same for any two files that decode to the same pixels."""
    digest = hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def looks(pixels: np.ndarray, chunk: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """(n, s, s, 3) uint8 -> perceptual hashes (n, 64) bool and grey thumbnails (n, 16, 16) uint8."""
    import torch
    import torch.nn.functional as F

    from imaginate.ops.similarity import hash_bits, phash

    bits = np.zeros((len(pixels), 64), bool)
    thumbs = np.zeros((len(pixels), THUMB, THUMB), np.uint8)
    for start in range(0, len(pixels), chunk):
        batch = torch.from_numpy(np.array(pixels[start : start + chunk])).permute(0, 3, 1, 2)
        rows = slice(start, start + len(batch))
        bits[rows] = hash_bits(phash(batch)).numpy()
        small = F.interpolate(batch.float().mean(1, keepdim=True), size=(THUMB, THUMB), mode="area")
        thumbs[rows] = small[:, 0].round().byte().numpy()
    return bits, thumbs


def same_look(
    bits: np.ndarray, thumbs: np.ndarray, other_bits: np.ndarray, other_thumbs: np.ndarray, *, within: int, alike: float
) -> list[tuple[int, int]]:
    """Pairs (i, j) of images that look the same: hashes (n, 64) at most `within` bits apart, and thumbnails (n, 16, 16)
    whose correlation is at least `alike` in [-1, 1], whatever their brightness and contrast (the second test drops the
    chance matches that small or plain images give)."""
    a, b = (x.astype(np.float32) * 2 - 1 for x in (bits, other_bits))
    flat, other = _standardised(thumbs), _standardised(other_thumbs)
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
