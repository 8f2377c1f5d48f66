"""Projection onto the eps-ball of a latent: what keeps imagination under control (GIF, Eq. 1)."""

from __future__ import annotations

import torch


def project(perturbed: torch.Tensor, latent: torch.Tensor, eps: float) -> torch.Tensor:
    """P_{f,eps}(f'): the nearest point to f' with ||f' - f||_inf <= eps. Differentiable inside the ball.

    f' (..., *latent_shape), f of the same shape or one that broadcasts to it -> within eps of f in every entry.
    """
    return latent + (perturbed - latent).clamp(-eps, eps)
