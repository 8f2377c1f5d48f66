"""An autoencoder that starts out as principal components.

A convolutional autoencoder spends most of a short training finding what is known in closed form: the best linear code
of an 8 x 8 patch. Here AutoencoderKL's strided convolutions and shortcuts are set to the principal components of
patches, level by level, residual branches start at zero, and the decoder starts by spreading each patch's mean colour.

Two identities make the last normalisation and SiLU of either half linear at the start: silu(t) - silu(-t) = t, so every
signal is carried with both signs; and a group norm over signals and large constants only divides by a known number.
The width `constant` of those constants is the only approximation. All weights stay free to learn.
"""

from typing import Any

import torch
from torch import Tensor, nn

CONSTANT = 3.0
LOGVAR = -6.0


@torch.no_grad()
def principal(vae: Any, x: Tensor) -> None:
    """Initialise an AutoencoderKL of four levels and one norm group, from images x (b, 3, 64, 64) in [-1, 1]."""
    for block in [m for m in vae.modules() if type(m).__name__ == "ResnetBlock2D"]:
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(block.conv2.bias)
    basis, scale = _encoder(vae, x)
    _decoder(vae, basis, scale)
    for conv in (vae.quant_conv, vae.post_quant_conv):
        nn.init.zeros_(conv.bias)
        conv.weight.copy_(torch.eye(len(conv.weight))[:, :, None, None])


def _encoder(vae: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Set the encoder; (mean colour (3, k) of each component, scale (k,) of the latents)."""
    encoder, k = vae.encoder, vae.config.latent_channels
    _blank(encoder.conv_in)
    encoder.conv_in.weight[:3, :, 1, 1] = torch.eye(3)
    h, colour = x, torch.eye(3)
    for level, block in enumerate(encoder.down_blocks[:-1]):
        if level:
            _carry(block.resnets[0].conv_shortcut)
        conv = block.downsamplers[0].conv
        cells = torch.nn.functional.pixel_unshuffle(h, 2)  # channel c, then row, then column
        rows = cells.permute(0, 2, 3, 1).reshape(-1, cells.shape[1])
        vectors = torch.linalg.eigh(rows.T @ rows / len(rows))[1].flip(1)[:, : conv.out_channels]  # (4c, k)
        _blank(conv)
        c = h.shape[1]
        conv.weight[: vectors.shape[1], :c, :2, :2] = vectors.T.reshape(-1, c, 2, 2)
        colour = (vectors.reshape(c, 4, -1).mean(1).T @ colour.T).T  # mean colour of each component
        h = torch.einsum("bchw,ck->bkhw", cells, vectors)
    return colour[:, :k], _code(encoder, h, k)


def _code(encoder: Any, h: Tensor, k: int) -> Tensor:
    """Set the encoder's last level: components with both signs, constants, and the read-out of k latents."""
    last = encoder.down_blocks[-1].resnets[0].conv_shortcut
    signs = torch.zeros(last.out_channels)
    _blank(last)
    for i in range(k):
        last.weight[i, i], last.weight[k + i, i] = 1, -1
    signs[2 * k :] = CONSTANT * (1 - 2 * (torch.arange(last.out_channels - 2 * k) % 2))
    last.bias.copy_(signs)
    deviation = h[:, :k].std((0, 2, 3))
    power = (2 * deviation.square().sum() + signs.square().sum()) / last.out_channels
    _blank(encoder.conv_out)
    scale = deviation.rsqrt()
    for i in range(k):
        encoder.conv_out.weight[i, i, 1, 1] = power.sqrt() * scale[i]
        encoder.conv_out.weight[i, k + i, 1, 1] = -power.sqrt() * scale[i]
    encoder.conv_out.bias[k:] = LOGVAR
    return scale


def _decoder(vae: Any, colour: Tensor, scale: Tensor) -> None:
    """Set the decoder: the mean colour travels in channels 0 to 2, smoothed at each doubling; the rest is random."""
    decoder = vae.decoder
    decoder.conv_in.weight[:3] = 0
    decoder.conv_in.weight[:3, :, 1, 1] = colour / scale
    smooth = torch.tensor([1.0, 2.0, 1.0]) / 4
    for block in decoder.up_blocks[:-1]:
        if block.resnets[0].conv_shortcut is not None:
            _carry(block.resnets[0].conv_shortcut)
        conv = block.upsamplers[0].conv
        conv.weight[:3], conv.bias[:3] = 0, 0
        for i in range(3):
            conv.weight[i, i] = torch.outer(smooth, smooth)
    last = decoder.up_blocks[-1].resnets[0].conv_shortcut
    last.weight[:3, :3] = torch.eye(3)[:, :, None, None]
    last.weight[3:6], last.weight[6:] = -last.weight[:3], 0
    last.bias[:6] = 0
    last.bias[6:] = CONSTANT * (1 - 2 * (torch.arange(last.out_channels - 6) % 2))
    power = (6 * 0.25 + last.bias[6:].square().sum()) / last.out_channels
    _blank(decoder.conv_out)
    for i in range(3):
        decoder.conv_out.weight[i, i, 1, 1], decoder.conv_out.weight[i, 3 + i, 1, 1] = power.sqrt(), -power.sqrt()


def _blank(conv: nn.Conv2d) -> None:
    """All zero."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _carry(conv: nn.Conv2d) -> None:
    """A 1 x 1 shortcut that copies its leading channels."""
    _blank(conv)
    same = min(conv.in_channels, conv.out_channels)
    conv.weight[:same, :same] = torch.eye(same)[:, :, None, None]
