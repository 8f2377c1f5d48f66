"""Encoding: what each setting may change, and what it may not."""

from __future__ import annotations

import pytest
import torch

from imaginate.data.decoding import decode_tensor
from imaginate.errors import ConfigError
from imaginate.write.images import Writing, encode


def test_png_keeps_every_pixel_at_any_effort() -> None:
    steps = torch.arange(48 * 40).reshape(1, 48, 40) // 7 % 256
    image = torch.cat([steps, 255 - steps, steps // 2]).to(torch.uint8)
    files = {level: encode(image, Writing(png_level=level)) for level in (0, 3, 9)}
    assert all(torch.equal(decode_tensor(data), image) for data in files.values())
    assert len(files[0]) > len(files[3]) >= len(files[9])


def test_an_effort_that_zlib_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="png_level"):
        Writing(png_level=10)
