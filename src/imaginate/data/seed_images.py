"""The seed images of a dataset, read one at a time when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from imaginate.data.decoding import decode_tensor, load
from imaginate.records import Image, Sample

HELD_BYTES = 32 * 2**20  # of small images; an image takes some bytes beyond its pixels
OVERHEAD = 1024


class SeedImages:
    """Random access to the seed images, with a small cache: neighbours in a batch ask for the same image again, and
    mixtures for any. At least `keep` images are held; once any image is asked for, as many small ones as fit into
    `HELD_BYTES`."""

    def __init__(self, samples: Sequence[Sample], keep: int = 64) -> None:
        self._samples, self._keep = samples, keep
        self._cache: OrderedDict[int, Image] = OrderedDict()
        self._held = 0  # bytes
        self._most = 0  # bytes

    def __len__(self) -> int:
        return len(self._samples)

    def sample(self, index: int) -> Sample:
        """The record at this index."""
        return self._samples[index]

    def image(self, index: int) -> Image:
        """(3, h, w) uint8. Raises ImageError for an unusable file."""
        self._most = HELD_BYTES
        return self.next(index)

    def next(self, index: int, data: bytes | None = None) -> Image:
        """The same for someone who takes the images one after another, and comes back to none. `data`: the file's
        bytes (what the source's `read` gave), where they are at hand."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        image = load(self._samples[index]) if data is None else decode_tensor(data)
        self._cache[index] = image
        self._held += _bytes(image)
        while len(self._cache) > self._keep and self._held > self._most:
            _, oldest = self._cache.popitem(last=False)
            self._held -= _bytes(oldest)
        return image


def _bytes(image: Image) -> int:
    return int(image.numel()) + OVERHEAD
