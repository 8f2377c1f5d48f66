"""A picture of any shape goes into a square and comes back as itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imaginate.ops.geometry import MOST_SIDE, Window, cut_back, to_square, window_of
from imaginate.ops.grey import is_grey, to_grey
from imaginate.ops.pixels import antialiased

sizes = st.integers(1, 40)


@given(sizes, sizes)
def test_padded_and_cut_back_is_the_picture_itself(height: int, width: int) -> None:
    image = torch.arange(3 * height * width, dtype=torch.int32).view(3, height, width)
    square = to_square(image, "pad")
    assert square.shape[-2:] == (max(height, width),) * 2
    assert torch.equal(cut_back(square, window_of(height, width, "pad")), image)


@given(sizes, sizes)
def test_the_border_is_the_picture_mirrored(height: int, width: int) -> None:
    """Against a naive walk that turns round at each end."""
    image = torch.arange(height * width).view(1, height, width)
    square, side = to_square(image, "pad"), max(height, width)

    def walk(place: int, length: int) -> int:
        while not 0 <= place < length:
            place = -place - 1 if place < 0 else 2 * length - 1 - place
        return place

    top, left = (side - height) // 2, (side - width) // 2
    for y in range(0, side, 3):
        for x in range(0, side, 3):
            assert square[0, y, x] == image[0, walk(y - top, height), walk(x - left, width)]


@given(sizes, sizes, st.integers(8, 64))
def test_what_comes_back_from_a_network_has_the_shape_of_the_picture(height: int, width: int, side: int) -> None:
    drawn = cut_back(torch.zeros(3, side, side), window_of(height, width, "pad"))
    longest = max(height, width)
    assert max(drawn.shape[-2:]) == side
    assert drawn.shape[-2] == max(1, round(side * height / longest))
    assert drawn.shape[-1] == max(1, round(side * width / longest))


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("before", [1, 2, 4])
def test_a_step_stays_a_step_in_every_width(before: int, width: int) -> None:
    """torch itself has nothing but zeros for the width 1."""
    image = torch.zeros(2, 3, 16, before)
    image[:, :, 8:] = 1
    found = antialiased(image, 8, width)
    assert found.shape == (2, 3, 8, width)
    assert torch.allclose(found, antialiased(image, 8, 5)[..., :1].expand_as(found), atol=1e-6)
    assert found[0, 0, :, 0].tolist() == pytest.approx([0, 0, 0, 0.125, 0.875, 1, 1, 1], abs=0.01)


@pytest.mark.parametrize(("height", "width"), [(3, 20_000), (17_000, 2)])
def test_a_long_picture_is_a_square_of_bounded_size(height: int, width: int) -> None:
    """A column of light stays where it is; the square never grows with the length of the picture."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    longest = max(height, width)
    (image[:, :, longest // 2 :] if width > height else image[:, longest // 2 :])[:] = 200
    square = to_square(image, "pad")
    assert square.shape == (3, MOST_SIDE, MOST_SIDE)
    assert square.dtype == torch.uint8
    drawn = cut_back(square, window_of(height, width, "pad"))
    assert drawn.shape[-2:] == tuple(max(1, round(MOST_SIDE * side / longest)) for side in (height, width))
    assert (drawn[:, 0, 0].tolist(), drawn[:, -1, -1].tolist()) == ([0] * 3, [200] * 3)


def test_crop_takes_the_middle_and_stretch_nothing() -> None:
    image = torch.arange(24).view(1, 4, 6)
    assert torch.equal(to_square(image, "crop"), image[:, :, 1:5])
    assert to_square(image, "stretch") is image
    assert window_of(4, 6, "crop") == window_of(4, 6, "stretch") == Window()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_grey_is_luminance_in_every_channel(dtype: torch.dtype) -> None:
    colour = torch.tensor([200.0, 100.0, 50.0]).view(3, 1, 1).expand(3, 2, 2)
    colour = colour.to(torch.uint8) if dtype == torch.uint8 else colour / 255
    grey = to_grey(colour)
    wanted = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert grey.dtype == dtype
    assert torch.allclose(grey.float() * (1 if dtype == torch.uint8 else 255), torch.full((3, 2, 2), wanted), atol=0.5)
    same = torch.full((3, 2, 2), 7, dtype=torch.uint8)
    assert torch.equal(to_grey(same), same)


def test_grey_within_the_rounding_of_a_jpeg() -> None:
    grey = torch.full((3, 4, 4), 90, dtype=torch.uint8)
    assert is_grey(grey)
    grey[1, 0, 0] = 92
    assert is_grey(grey)
    grey[1, 0, 0] = 93
    assert not is_grey(grey)
