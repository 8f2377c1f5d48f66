"""A vision transformer that starts out as a convolutional network.

A transformer must learn that neighbours matter, which takes more images than a small corpus has. Structured
initialisation (ConViT, d'Ascoli et al., 2021; Zheng et al., 2024) starts its attention heads as shifts: with positions
coded as sines and cosines, q = P x and k = R(d) P x, where P picks the coded position and R(d) rotates it by the
offset d, give q_i . k_j a peak at p_j = p_i + d. Four heads of a layer look up, down, left and right; the others keep
their random start. All weights stay free to learn.
"""

import math
from typing import Any

import torch
from torch import Tensor

FREQUENCIES = 6  # per axis; each takes a sine and a cosine
CODED = 4 * FREQUENCIES  # leading channels that carry the position
STEP = 1.5 / 8  # offset of a head, in image widths: between a patch at 64 px and one at 32 px
SHARPNESS = 1.4
OFFSETS = ((STEP, 0.0), (-STEP, 0.0), (0.0, STEP), (0.0, -STEP))


def position_code(side: int, amplitude: float = 0.5) -> Tensor:
    """(side * side, CODED): cos and sin of pi f x for f = 1..FREQUENCIES, then the same of y."""
    centre = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    f = math.pi * torch.arange(1, FREQUENCIES + 1)
    angles = [axis.reshape(-1, 1) * f for axis in (x, y)]
    return amplitude * torch.cat([part for a in angles for part in (a.cos(), a.sin())], dim=1)


def shift_matrix(dx: float, dy: float) -> Tensor:
    """(CODED, CODED) rotation with position_code(p + d) = R(d) position_code(p)."""
    matrix = torch.zeros(CODED, CODED)
    for axis, d in enumerate((dx, dy)):
        for i in range(FREQUENCIES):
            a = math.pi * (i + 1) * d
            c, s = 2 * axis * FREQUENCIES + i, (2 * axis + 1) * FREQUENCIES + i
            matrix[c, c], matrix[c, s] = math.cos(a), -math.sin(a)
            matrix[s, c], matrix[s, s] = math.sin(a), math.cos(a)
    return matrix


@torch.no_grad()
def conv_like(vision: Any) -> None:
    """Initialise a CLIP vision tower in place."""
    side = vision.config.image_size // vision.config.patch_size
    width, heads = vision.config.hidden_size, vision.config.num_attention_heads
    embeddings = vision.embeddings
    embeddings.patch_embedding.weight[:CODED] = 0
    embeddings.position_embedding.weight.zero_()
    embeddings.position_embedding.weight[1:, :CODED] = position_code(side)
    for layer in vision.encoder.layers:
        layer.self_attn.out_proj.weight[:CODED] = 0
        layer.mlp.fc2.weight[:CODED] = 0
        for head, (dx, dy) in zip(range(heads), OFFSETS, strict=False):
            first = head * (width // heads)
            q, k = (w[first : first + CODED] for w in (layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight))
            q.zero_(), k.zero_()
            q[:, :CODED] = SHARPNESS * shift_matrix(dx, dy)
            k[:, :CODED] = SHARPNESS * torch.eye(CODED)
