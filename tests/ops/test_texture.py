"""What a change repeats in every patch is taken out; everything else stays."""

from __future__ import annotations

import torch

from imaginate.ops.texture import without_texture


def naive(images: torch.Tensor, seeds: torch.Tensor, patch: int) -> torch.Tensor:
    """The definition, patch by patch."""
    out = images.clone()
    rows, columns = images.shape[-2] // patch, images.shape[-1] // patch

    def own(n: int, c: int, row: int, column: int) -> torch.Tensor:
        place = (n, c, slice(row * patch, (row + 1) * patch), slice(column * patch, (column + 1) * patch))
        change = images[place] - seeds[place]
        return change - change.mean()

    for n in range(images.shape[0]):
        for c in range(images.shape[1]):
            for row in range(rows):
                for column in range(columns):
                    near = [
                        own(n, c, r, k)
                        for r in range(max(0, row - 1), min(rows, row + 2))
                        for k in range(max(0, column - 1), min(columns, column + 2))
                    ]
                    y, x = row * patch, column * patch
                    out[n, c, y : y + patch, x : x + patch] -= torch.stack(near).mean(0)
    return out.clamp(0, 1)


def test_it_is_its_definition() -> None:
    draw = torch.Generator().manual_seed(0)
    images, seeds = torch.rand(2, 3, 12, 20, generator=draw), torch.rand(2, 3, 12, 20, generator=draw)
    assert torch.allclose(without_texture(images, seeds, 4), naive(images, seeds, 4), atol=1e-6)


def test_a_repeated_pattern_goes_and_the_colour_of_each_place_stays() -> None:
    draw = torch.Generator().manual_seed(1)
    seeds = torch.rand(1, 3, 32, 32, generator=draw) * 0.2 + 0.4
    pattern = torch.rand(1, 3, 8, 8, generator=draw) * 0.2
    pattern -= pattern.mean(dim=(2, 3), keepdim=True)
    colour = (torch.rand(1, 3, 4, 4, generator=draw) * 0.2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert torch.allclose(
        without_texture(seeds + colour + pattern.tile(1, 1, 4, 4), seeds, 8), seeds + colour, atol=1e-6
    )


def test_gradients_pass() -> None:
    images = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    without_texture(images, torch.zeros(1, 3, 16, 16), 8).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().min() > 0
