"""Noise schedules: every scheduler keeps the checkpoint's noise, and `noise` means the same level under all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch

from imaginate.errors import ConfigError
from imaginate.models.priors.core.sampling import sample
from imaginate.models.priors.core.schedulers import (
    LATENT,
    PIXEL,
    SCHEDULERS,
    Family,
    begin,
    beginning,
    make_scheduler,
    noise_share,
    start,
)

# Some classes hand tensors to NumPy, when they are built, in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
# Classes that checkpoints of diffusion models on a table of noise levels are saved with.
CLASSES = [
    "DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "LMSDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler", "DEISMultistepScheduler", "KDPM2DiscreteScheduler", "SASolverScheduler", "LCMScheduler",
    "TCDScheduler", "UnCLIPScheduler",
]  # fmt: skip
SHAPE = (4, 8, 8)


def own(name: str, **more: Any) -> tuple[Any, Family]:
    """A checkpoint's own scheduler, as its file leaves it, and its family."""
    cls = getattr(diffusers, name)
    return (cls(**more), PIXEL) if name == "UnCLIPScheduler" else (cls(**SD, **more), LATENT)


def perfect(clean: torch.Tensor, scheduler: Any, kind: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A network that knows the clean image, on the checkpoint's own noise levels (fractional timesteps between)."""
    kept = scheduler.alphas_cumprod.double()
    sigmas = ((1 - kept) / kept).sqrt().log()

    def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        low = int(t)
        share = float(t) - low
        sigma = ((1 - share) * sigmas[low] + share * sigmas[min(low + 1, len(kept) - 1)]).exp()
        image = (1 / (1 + sigma**2)).sqrt()
        noise = (x.double() - image * clean) / (1 - image**2).sqrt()
        velocity = image * noise - (1 - image**2).sqrt() * clean
        return {"epsilon": noise, "sample": clean.expand_as(noise), "v_prediction": velocity}[kind]

    return predict


def error(scheduler: Any, mine: Any, clean: torch.Tensor, kind: str, steps: int) -> float:
    timesteps = start(scheduler, steps, 1.0, "cpu")
    out = sample(perfect(clean, mine, kind), [1], SHAPE, scheduler, timesteps, device="cpu")
    return float((out - clean).pow(2).mean().sqrt())


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    return 2 * torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("saved", CLASSES)
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_perfect_denoiser_ends_at_the_image(saved: str, kind: str, clean: torch.Tensor) -> None:
    """Unless the noise table, the prediction or the clipping changed on the way. What is left is the noise of the
    lowest level, for those that end there (as Stable Diffusion's files and TCD say)."""
    if saved == "UnCLIPScheduler" and kind != "epsilon":
        return
    mine, family = own(saved, prediction_type=kind)
    target = clean.clamp(-1, 1) if family.clips else clean
    left = {name: error(make_scheduler(name, mine, family), mine, target, kind, 20) for name in (None, *SCHEDULERS)}
    assert all(value < 0.06 for value in left.values()), left


@pytest.mark.parametrize("saved", CLASSES)
def test_what_the_checkpoint_says_of_its_noise_is_kept(saved: str) -> None:
    mine, family = own(saved, **({} if saved == "UnCLIPScheduler" else {"prediction_type": "v_prediction"}))
    offset = mine.config.get("steps_offset")
    for name in SCHEDULERS:
        made = make_scheduler(name, mine, family)
        assert torch.allclose(made.alphas_cumprod.double(), mine.alphas_cumprod.double(), atol=1e-6), name
        assert made.config.prediction_type == mine.config.prediction_type
        spacing = "trailing" if name.endswith("-trailing") else mine.config.get("timestep_spacing") or family.spacing
        assert made.config.timestep_spacing == spacing
        assert made.config.steps_offset == (family.offset if offset is None else offset)
        assert made.config.get("clip_sample", family.clips) == family.clips
        assert not made.config.get("thresholding", False)


def test_latents_are_never_clipped_and_pixels_are() -> None:
    """Whatever the file says, or leaves out: diffusers' own classes clip where nobody says otherwise."""
    for saved in ("DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler"):
        mine, _ = own(saved)
        for name in (None, "ddim", "ddpm"):
            assert not make_scheduler(name, mine).config.get("clip_sample", False)
    mine, family = own("UnCLIPScheduler")
    assert make_scheduler("ddim", mine, family).config.clip_sample


def test_karlo_keeps_its_cosine_levels_over_a_hundred_steps(clean: torch.Tensor) -> None:
    mine, family = own("UnCLIPScheduler", variance_type="learned_range")
    assert error(make_scheduler("ddim", mine, family), mine, clean.clamp(-1, 1), "epsilon", 100) < 1e-6


def test_a_checkpoint_saved_with_karras_levels_does_not_change_the_others() -> None:
    """A named scheduler is the same one whichever the checkpoint was saved with."""
    plain, _ = own("DDIMScheduler", steps_offset=1)
    karras, _ = own("DPMSolverMultistepScheduler", use_karras_sigmas=True, timestep_spacing="leading", steps_offset=1)
    for name in ("dpmsolver", "euler", "heun"):
        a, b = (begin(name, mine, steps=10, strength=0.5)[1] for mine in (plain, karras))
        assert a.tolist() == b.tolist()


def test_what_cannot_be_kept_is_refused_in_one_line() -> None:
    predicts, _ = own("DDIMScheduler", prediction_type="sample")
    for name in ("pndm", "euler-ancestral"):
        with pytest.raises(ConfigError, match="predicts 'sample'"):
            make_scheduler(name, predicts)
    silent, _ = own("DDIMScheduler", rescale_betas_zero_snr=True, timestep_spacing="trailing")
    for name in ("heun", "lms", "pndm"):
        with pytest.raises(ConfigError, match="ends in pure noise"):
            make_scheduler(name, silent)
    for flow in (diffusers.FlowMatchEulerDiscreteScheduler(), diffusers.EDMEulerScheduler()):
        with pytest.raises(ConfigError, match="no table of noise levels"):
            make_scheduler("ddim", flow)
        with pytest.raises(ConfigError, match="give strength"):
            begin(None, flow, steps=4, noise=0.3)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5, 0.95])
def test_noise_is_the_same_level_for_every_scheduler_and_number_of_steps(noise: float) -> None:
    for saved, more in (("PNDMScheduler", {"skip_prk_steps": True}), ("EulerDiscreteScheduler", {})):
        mine, _ = own(saved, **more)
        levels = 1 - mine.alphas_cumprod.double()
        nearest = float((levels - noise).abs().min())
        for name in (None, *SCHEDULERS):
            for steps in (1, 4, 50):
                scheduler, timesteps = begin(name, mine, steps=steps, noise=noise)
                where = beginning(scheduler, timesteps, mine, is_pure=False)
                assert abs(where.noise - noise) <= nearest + 0.002, (saved, name, steps)
                assert where.steps >= min(steps, 4)
                assert float(timesteps.min()) >= 0


@pytest.mark.parametrize("steps", [2, 12])
def test_a_perfect_denoiser_finds_the_image_from_any_level(steps: int, clean: torch.Tensor) -> None:
    mine, _ = own("PNDMScheduler", steps_offset=1, skip_prk_steps=True)
    left = {}
    for name in (None, *SCHEDULERS):
        scheduler, timesteps = begin(name, mine, steps=steps, noise=0.2)
        out = sample(perfect(clean, mine, "epsilon"), [1], SHAPE, scheduler, timesteps, device="cpu", clean=clean)
        left[name] = float((out - clean).pow(2).mean().sqrt())
    assert all(value < 0.06 for value in left.values()), left


def test_strength_is_counted_as_before_and_its_level_is_computed() -> None:
    """The start of Stable Diffusion 1.5 at strength 0.1 (10 and 50 steps): 0.2 % and 8 % by DDIM, and so on."""
    mine, _ = own("PNDMScheduler", steps_offset=1, skip_prk_steps=True)
    shares = {
        name: [
            round(beginning(*begin(name, mine, steps=n, strength=0.1), mine, is_pure=False).noise, 3) for n in (10, 50)
        ]
        for name in ("ddim", "pndm", "dpmsolver-karras")
    }
    assert shares["ddim"] == [0.002, 0.083]
    assert shares["pndm"] == [0.107, 0.107]
    assert shares["dpmsolver-karras"][1] == pytest.approx(0.004, abs=0.002)


def test_the_share_is_that_of_the_variance_by_any_way_of_mixing() -> None:
    mine, _ = own("EulerDiscreteScheduler")
    scheduler, timesteps = begin(None, mine, steps=10, strength=0.5)
    sigma = float(scheduler.sigmas[5])
    assert noise_share(scheduler, timesteps[0]) == pytest.approx(sigma**2 / (1 + sigma**2), rel=1e-5)
    ddim = begin("ddim", mine, steps=10, strength=0.5)
    assert noise_share(ddim[0], ddim[1][0]) == pytest.approx(1 - float(mine.alphas_cumprod[int(ddim[1][0])]), rel=1e-4)
