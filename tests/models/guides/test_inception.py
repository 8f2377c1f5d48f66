"""Inception v3, which RET clusters by: torchvision's own features, and used where its weights are on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imaginate.models.guides.backbones import is_at_hand, load_backbone
from imaginate.personalisation.ft_cluster import FtCluster, _network

models = pytest.importorskip("torchvision").models
SPEC = "torchvision:inception_v3"


def test_its_features_are_torchvisions_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its weights torchvision turns ImageNet's normalisation into the one that they were trained with."""
    weights = models.Inception_V3_Weights.DEFAULT
    state = models.Inception3(init_weights=False).state_dict()
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *args, **kwargs: state)
    library = models.inception_v3(weights=weights).eval()
    library.fc = torch.nn.Identity()
    images = torch.rand(1, 3, 342, 342, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own = load_backbone(SPEC).features(images)
        torch.testing.assert_close(own, library(weights.transforms()(images)))


def test_it_is_used_where_its_weights_are_and_what_is_used_instead_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    other = "efficientnet-lite0" if is_at_hand("efficientnet-lite0") else "nano"
    name, why = _network()
    assert (FtCluster().backbone, name) == ("auto", other)
    assert "RET's Inception v3 is not in torch's cache (--backbone torchvision:inception_v3 fetches it)" in why
    assert f"images are clustered by {other}{why}" in caplog.text
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "inception_v3_google-0cc3c7bd.pth").touch()
    assert _network() == (SPEC, "")
