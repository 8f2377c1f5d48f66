"""Encoded bytes -> RGB pixels, by the first decoder that recognises them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from imaginate import registry
from imaginate.contract import PixelSource
from imaginate.errors import ImageError
from imaginate.records import Image, Sample

if TYPE_CHECKING:
    from imaginate.data.pixels import Pixels


@cache
def _suffixes() -> tuple[str, ...]:
    return tuple(suffix for decoder in registry.in_order("decoders") for suffix in decoder.suffixes)


def has_image_suffix(name: str) -> bool:
    """Whether a file's name promises an image; its content decides in the end."""
    return name.lower().endswith(_suffixes())


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes (32 are enough) are those of a picture that `decode` reads."""
    return any(decoder.recognises(head) for decoder in registry.in_order("decoders"))


def decode(data: bytes) -> Pixels:
    """Encoded image -> (h, w, 3) uint8 RGB. Raises ImageError whose text is a short reason."""
    if not data:
        raise ImageError("empty file")
    *special, last = registry.in_order("decoders")
    head = data[:32]
    decoder = next((decoder for decoder in special if decoder.recognises(head)), last)
    pixels: Pixels = decoder.decode(data)
    return pixels


def pixels_of(sample: Sample) -> Pixels:
    """A sample's image: (h, w, 3) uint8 array. Raises ImageError."""
    if isinstance(sample.source, PixelSource):
        direct: Pixels = sample.source.pixels()
        return direct
    return decode(sample.source.read())


def load(sample: Sample) -> Image:
    """A sample's image: (3, h, w) uint8 tensor, contiguous. Raises ImageError."""
    return _planes(pixels_of(sample))


def decode_tensor(data: bytes) -> Image:
    """Encoded image -> (3, h, w) uint8 tensor, contiguous. Raises ImageError."""
    return _planes(decode(data))


def _planes(pixels: Pixels) -> Image:
    import torch

    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
