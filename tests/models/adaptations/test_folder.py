"""adaptation.json: written whole, read back, refused when damaged; folders from elsewhere are loaded as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.folder import (
    Adaptation,
    Manifest,
    fingerprint,
    load_adaptation,
    read_manifest,
    same_prior,
)
from imaginate.records import LabelSpace

LABELS = LabelSpace.of(["ant", "bee"])


class Prior:
    """A prior of one small network."""

    family, name = "stable-diffusion", "small"

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.unet = nn.Linear(4, 4)
        self.loaded: list[str] = []

    def networks(self) -> dict[str, nn.Module]:
        return {"unet": self.unet}

    def load_adaptation(self, path: str) -> None:
        self.loaded.append(path)


def manifest(prior: Any, **more: Any) -> Manifest:
    return Manifest(
        finished=True,
        technique="dreambooth",
        family="stable-diffusion",
        prior="small",
        fingerprint=fingerprint(prior),
        classes=["ant", "bee", "cow"],
        settings={},
        **more,
    )


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    written = manifest(Prior(), history=[{"epoch": 1, "validation_loss": 0.5}], words={"ant": "<ant>"})
    written.write(tmp_path)
    assert read_manifest(tmp_path) == written
    assert [p.name for p in tmp_path.iterdir()] == ["adaptation.json"]


def test_roles_name_checkpoints(tmp_path: Path) -> None:
    prior = Prior()
    roles = {"best": "epoch-02", "last": "epoch-05"}
    manifest(prior, checkpoints=roles, chosen="epoch-02").write(tmp_path)
    for name in ("epoch-02", "epoch-05"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert load_adaptation(str(tmp_path), prior, LABELS).checkpoint == "epoch-02"
    assert load_adaptation(f"{tmp_path}@last", prior, LABELS).checkpoint == "epoch-05"
    assert [Path(p).name for p in prior.loaded] == ["epoch-02", "epoch-05"]
    with pytest.raises(ConfigError, match="checkpoint must be one of best, epoch-02, epoch-05, last, got 'first'"):
        load_adaptation(f"{tmp_path}@first", prior, LABELS)


def test_what_is_damaged_or_unfinished_is_told(tmp_path: Path) -> None:
    manifest(Prior()).write(tmp_path)
    with pytest.raises(ModelError, match="has no checkpoint yet"):
        load_adaptation(str(tmp_path), Prior(), LABELS)
    (tmp_path / "adaptation.json").write_text('{"technique": ')
    with pytest.raises(ModelError, match="is damaged"):
        read_manifest(tmp_path)


def test_a_folder_from_elsewhere_is_loaded_as_it_is(tmp_path: Path) -> None:
    prior = Prior()
    assert load_adaptation(str(tmp_path), prior, LABELS).technique == "other"
    assert prior.loaded == [str(tmp_path)]


def test_the_fingerprint_knows_weights_and_forgives_precision() -> None:
    one, other, half = Prior(0), Prior(1), Prior(0)
    half.unet.bfloat16()
    assert same_prior(fingerprint(one), fingerprint(half))
    assert not same_prior(fingerprint(one), fingerprint(other))


def test_missing_words_and_vectors_are_told() -> None:
    adaptation = Adaptation(path="fit", technique="imagic", checkpoint="epoch-01")
    with pytest.raises(ModelError, match="no pseudoword for class 'ant'"):
        adaptation.word("ant")
    with pytest.raises(ModelError, match="no conditioning for class 'ant'"):
        adaptation.vectors("ant")
