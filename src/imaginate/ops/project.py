"""Projection onto the eps-ball of a latent: what keeps imagination under control (GIF, Eq. 1)."""

from __future__ import annotations

import torch


def project(perturbed: torch.Tensor, latent: torch.Tensor, eps: float) -> torch.Tensor:
    """P_{f,eps}(f'): the nearest point to f' with ||f' - f||_inf <= eps. Broadcasts; differentiable inside the ball."""
    return latent + (perturbed - latent).clamp(-eps, eps)
