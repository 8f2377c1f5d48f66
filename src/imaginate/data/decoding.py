"""Encoded bytes -> RGB pixels, by the first decoder that recognises them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from imaginate import registry
from imaginate.contract import Decoder, NumberDecoder, NumberSource, PixelSource, VolumeDecoder
from imaginate.data.known_formats import HEAD, unreadable
from imaginate.errors import ImageError
from imaginate.records import Image, ImageSource, Sample

if TYPE_CHECKING:
    from imaginate.data.pixels import Pixels
    from imaginate.data.rendering import Numbers, Rendering, Volume


@cache
def _suffixes() -> tuple[str, ...]:
    return tuple(suffix for decoder in registry.in_order("decoders") for suffix in decoder.suffixes)


def has_image_suffix(name: str) -> bool:
    """Whether a file's name promises an image; its content decides in the end."""
    return name.lower().endswith(_suffixes())


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes (512 are enough) are those of a picture that `decode` reads."""
    return any(decoder.recognises(head) for decoder in registry.in_order("decoders"))


def decode(data: bytes) -> Pixels:
    """Encoded image -> (h, w, 3) uint8 RGB. Raises ImageError whose text is a short reason."""
    if not data:
        raise ImageError("empty file")
    pixels: Pixels = _decoder_of(data).decode(data)
    return pixels


def why_not(head: bytes, name: str = "") -> str:
    """Why a file with these first bytes cannot be used, named by its format where that is known; "" where it may."""
    return unreadable(head, name) or ("" if looks_like_image(head) else "not an image")


def _decoder_of(data: bytes) -> Decoder:
    """The first decoder that recognises the bytes, else the last. Raises ImageError for a known format that needs a
    library."""
    *special, last = registry.in_order("decoders")
    head = data[:HEAD]
    if reason := unreadable(head):
        raise ImageError(reason)
    return next((decoder for decoder in special if decoder.recognises(head)), last)


def rendered(source: ImageSource, rendering: Rendering) -> bytes | Pixels:
    """A source's image through a rendering: its pixels, or its bytes where it is an ordinary picture that the rendering
    leaves alone. Raises ImageError."""
    from imaginate.data.rendering import OVER, render

    numbers = numbers_in(source, rendering.page, rendering.channels)
    if not isinstance(numbers, bytes):
        return render(numbers, rendering)
    window = rendering.of_eight_bits
    if rendering.channels is None and window is None:
        return numbers
    pixels = decode(numbers)
    if rendering.channels is None and window is not None and pixels.max() > window.white * OVER:
        return numbers
    return render(_eight_bits(pixels, rendering), rendering)


def numbers_in(
    source: ImageSource, page: int | None = None, channels: tuple[int, ...] | None = None
) -> bytes | Numbers:
    """The numbers that a source's image holds, or the bytes of an ordinary picture of 8 bits. Raises ImageError."""
    if isinstance(source, NumberSource):
        found: Numbers = source.numbers()
        return found
    data = source.read()
    decoder = _decoder_of(data) if data else None
    numbers = decoder.numbers(data, page, channels) if isinstance(decoder, NumberDecoder) else None
    return data if numbers is None else numbers


def volume_of(source: ImageSource) -> Volume:
    """The whole volume that a source's file holds. Raises ImageError."""
    data = source.read()
    decoder = _decoder_of(data) if data else None
    if not isinstance(decoder, VolumeDecoder):
        raise ImageError("not a volume")
    found: Volume = decoder.volume(data)
    return found


def _eight_bits(pixels: Pixels, rendering: Rendering) -> Numbers:
    """An ordinary picture as numbers, of the channels that are asked for."""
    from imaginate.data.rendering import Numbers

    channels = rendering.channels or (1, 2, 3)
    if max(channels) > 3:
        raise ImageError(f"has no channel {max(channels)}")
    values = pixels[..., [c - 1 for c in channels]] if len(channels) > 1 else pixels[..., channels[0] - 1]
    return Numbers(values, "uint8", None if rendering.of_eight_bits else (0.0, 255.0))


def pixels_of(sample: Sample) -> Pixels:
    """A sample's image: (h, w, 3) uint8 array. Raises ImageError."""
    return fetch(sample)()


def fetch(sample: Sample) -> Callable[[], Pixels]:
    """Read a sample's bytes, which not every source can in several threads at once; what is returned decodes them, in
    any thread, to (h, w, 3) uint8. Both raise ImageError."""
    if isinstance(sample.source, PixelSource):
        direct: Pixels = sample.source.pixels()
        return lambda: direct
    return partial(decode, sample.source.read())


def load(sample: Sample) -> Image:
    """A sample's image: (3, h, w) uint8 tensor, contiguous. Raises ImageError."""
    return _planes(pixels_of(sample))


def decode_tensor(data: bytes) -> Image:
    """Encoded image -> (3, h, w) uint8 tensor, contiguous. Raises ImageError."""
    return _planes(decode(data))


def _planes(pixels: Pixels) -> Image:
    import numpy as np
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # numpy turns it in a third of the time
