"""The unCLIP decoders, both kinds: reconstruction loss falls, the image encoder stays, the result loads again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from imaginate.models.adaptations.folder import load_adaptation
from imaginate.models.priors import build_prior
from imaginate.personalisation.core.run import fit
from imaginate.records import LabelSpace

from .conftest import COLOURS, QUICK


def decoder(prior: Any) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in prior.decoder.unet.state_dict().items()}


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")
@pytest.mark.parametrize(
    ("make", "mode"), [(tiny.tiny_unclip, "full"), (tiny.tiny_unclip, "lora"), (tiny.tiny_karlo, "full")]
)
def test_reconstruction(make: Any, mode: str, dataset: str, tmp_path: Path) -> None:
    folder = str(make(tmp_path / "prior"))
    prior = build_prior("unclip", folder)
    encoder = {k: v.clone() for k, v in prior.image_encoder.state_dict().items()}
    before = decoder(prior)
    how = {"learning_rate": 2e-3, "epochs": 4, "mode": mode}
    plan = {**QUICK, "sheet_every": 4, "sheet_steps": 2}
    manifest = fit("reconstruction", dataset, tmp_path / "a", prior=prior, settings=how, plan=plan, progress=False)
    losses = [h["validation_loss"] for h in manifest.history]
    assert min(losses[1:]) < losses[0]
    assert all(torch.equal(v, encoder[k]) for k, v in prior.image_encoder.state_dict().items())
    fresh = build_prior("unclip", folder)
    load_adaptation(str(tmp_path / "a"), fresh, LabelSpace.of(sorted(COLOURS)))
    assert any(not torch.equal(v, before[k]) for k, v in decoder(fresh).items())
    assert (tmp_path / "a" / "samples" / "epoch-04.png").is_file()
