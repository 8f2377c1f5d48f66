"""The methods that use an adaptation, and those beyond both papers, on tiny models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.errors import ConfigError
from imaginate.models.adaptations.folder import Adaptation
from imaginate.ops.conditioning import Conditioning
from imaginate.prompts.sets import SETS
from imaginate.records import ClassInfo, LabelSpace
from roles import world_for
from worlds import World

VECTORS = ("ft-conditioning", "ft-cluster", "imagic")
WORDS = ("textual-inversion", "pseudoword-dm")


@dataclass
class FakePrior:
    """Records what it is asked; an image is the mean of its condition."""

    image_size: int = 8
    asked: list[Any] = field(default_factory=list)
    name: str = "fake"
    family: str = "stable-diffusion"
    device: str = "cpu"
    batch: Any = None
    is_adapted: bool = True
    context_length: int = 77

    def encode(self, images: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        return images.clone()

    def diffuse(self, latents: Any, prompts: Any, *, strength: float, seeds: list[int], **more: Any) -> torch.Tensor:
        self.asked.append({"prompts": prompts, "strength": strength, "seeds": seeds, **more})
        return torch.full((len(seeds), 3, 8, 8), strength)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def embed_prompts(self, prompts: list[str]) -> Conditioning:
        raise NotImplementedError

    def count_tokens(self, prompt: str) -> int:
        return 0


def world(technique: str, **more: Any) -> World:
    labels = LabelSpace.of(["ant", "bee", "cow"])
    adaptation = Adaptation(
        path="fit",
        technique=technique,
        checkpoint="epoch-02",
        words={name: f"<{name}>" for name in labels.names},
        conditioning={
            n: Conditioning(torch.full((3, 4, 2), float(i)) * torch.arange(3)[:, None, None], torch.full((3, 5), i))
            for i, n in enumerate(labels.names)
        },
        clusters={"ant": (1, 0, 9), "bee": (1, 1, 1), "cow": (0, 0, 1)},
    )
    return World(prior=FakePrior(), adaptation=adaptation, **more)


@pytest.mark.parametrize("name", VECTORS)
def test_the_learnt_conditionings_are_what_is_denoised(name: str) -> None:
    here = world(name)
    given = registry.make("methods", name).expand(here.class_requests(name, copies=40), here)
    told = here.prior.asked[0]["prompts"]
    clusters = [int(c.info["cluster"]) for c in given]
    expected = torch.tensor([float(c.label * k) for c, k in zip(given, clusters, strict=True)])
    assert torch.equal(told.hidden[:, 0, 0], expected)
    assert told.pooled[:, 0].tolist() == [c.label for c in given]
    ants = clusters[:40]
    assert set(ants) == {0, 2}
    assert ants.count(2) > 25
    assert set(clusters[80:]) == {2}
    assert given[0].info["checkpoint"] == "epoch-02"


@pytest.mark.parametrize("name", WORDS)
def test_pseudowords_stand_in_varied_templates(name: str) -> None:
    here = world(name)
    given = registry.make("methods", name).expand(here.class_requests(name, copies=30), here)
    assert all(f"<{here.labels[c.label].name}>" in str(c.prompt) for c in given)
    assert len({c.prompt for c in given if c.label == 0}) > 10
    assert here.prior.asked[0]["prompts"] == [c.prompt for c in given]


@pytest.mark.parametrize("name", [*VECTORS, *WORDS, "da-fusion"])
def test_an_adaptation_of_another_technique_is_refused(name: str) -> None:
    here = world("dreambooth")
    method = registry.make("methods", name)
    asked = here.requests(name) if method.starts_from == "sample" else here.class_requests(name)
    with pytest.raises(ConfigError, match=r"adaptation must be made by `imaginate fit .*, fit is dreambooth"):
        method.expand(asked, here)


def test_da_fusion_draws_its_strength_for_each_copy() -> None:
    here = world("textual-inversion")
    given = registry.make("methods", "da-fusion").expand(here.requests("da-fusion", copies=20), here)
    levels = [c.info["strength"] for c in given]
    assert set(levels) == {0.25, 0.5, 0.75, 1.0}
    assert [float(c.image[0, 0, 0]) for c in given] == levels
    assert {c.prompt for c in given} == {"a photo of a <ant>", "a photo of a <bee>", "a photo of a <cow>"}
    with pytest.raises(ConfigError, match="strengths"):
        registry.make("methods", "da-fusion", {"strengths": (0.0,)})


def test_diff_mix_labels_follow_the_papers_formula() -> None:
    here = world("textual-inversion", count=9)
    given = registry.make("methods", "diff-mix").expand(here.class_requests("diff-mix", copies=20), here)
    for c in given:
        source = here.labels.index(str(c.info["reference_class"]))
        assert source != c.label
        weight = float(c.info["strength"]) ** 0.5
        expected = [0.0, 0.0, 0.0]
        expected[source], expected[c.label] = 1 - weight, weight
        assert c.soft_label == pytest.approx(expected)
        assert c.prompt == f"a photo of a <{here.labels[c.label].name}>"
    assert {c.info["strength"] for c in given} == {0.3, 0.5, 0.7, 0.9}


def test_diff_mix_goes_between_the_classes_of_its_pairs_alone() -> None:
    here = world("textual-inversion", count=9)
    method = registry.make("methods", "diff-mix", {"between": ("ant=bee",)})
    seen = {
        (here.labels[c.label].name, c.info["reference_class"])
        for c in method.expand(here.class_requests("diff-mix", copies=20), here)
    }
    assert seen == {("ant", "bee"), ("bee", "ant"), ("cow", "ant"), ("cow", "bee")}  # cow is in no pair
    for pair in ("ant=wasp", "ant", "ant=ant"):
        with pytest.raises(ConfigError, match=rf"between: '{pair}' is no pair A=B of two classes"):
            registry.make("methods", "diff-mix", {"between": (pair,)}).expand(here.class_requests("diff-mix"), here)


def test_boomerang_is_guidance_free() -> None:
    here = world("none")
    registry.make("methods", "boomerang", {"strength": 0.2}).expand(here.requests("boomerang"), here)
    assert [a["strength"] for a in here.prior.asked] == [0.2]
    assert here.prior.asked[0]["guidance_scale"] == 1.0
    assert set(here.prior.asked[0]["prompts"]) == {""}


def test_boomerang_comes_back_closer_from_nearer(tmp_path_factory: pytest.TempPathFactory) -> None:
    here = world_for("boomerang", tmp_path_factory)
    asked = here.requests("boomerang")
    latents = {s: torch.stack([c.image for c in _expand(s, asked, here)]) for s in (0.05, 0.3, 0.9)}
    back = latents[0.05]
    assert (latents[0.3] - back).abs().mean() < (latents[0.9] - back).abs().mean()


def _expand(strength: float, asked: Any, here: Any) -> Any:
    return registry.make("methods", "boomerang", {"strength": strength, "steps": 20}).expand(asked, here)


def test_real_guidance_drops_what_the_guide_refuses(tmp_path_factory: pytest.TempPathFactory) -> None:
    here = world_for("real-guidance", tmp_path_factory)
    asked = here.requests("real-guidance")
    for least in (0.0, 0.34, 0.99):
        for c in registry.make("methods", "real-guidance", {"min_probability": least, "steps": 4}).expand(asked, here):
            refused = c.scores["class_probability"] < least
            assert (c.failed is not None) == refused
    assert any(
        c.failed
        for c in registry.make("methods", "real-guidance", {"min_probability": 0.99, "steps": 4}).expand(asked, here)
    )


def test_prompts_say_what_they_skip(caplog: pytest.LogCaptureFixture) -> None:
    here = world("none")
    full = ClassInfo(name="ant", definition="a small insect", hypernym="insect")
    here.labels = LabelSpace((full, ClassInfo(name="q1"), ClassInfo(name="q2")))
    method = registry.make("methods", "prompt", {"prompts": "sariyildiz", "wordnet": False})
    given = method.expand(here.class_requests("prompt", copies=5), here)
    assert [c.info["category"] for c in given[:5]] == ["name", "hypernym", "multiple", "definition", "background"]
    assert {c.info["category"] for c in given[5:]} == {"name"}
    assert "skips for class 'q1': hypernym, multiple, definition, background" in caplog.text
    bare = world("none")
    with pytest.raises(ConfigError, match="needs hypernym, which no class has"):
        method.expand(bare.class_requests("prompt"), bare)


def test_a_definition_that_is_too_long_is_left_out_and_said(
    caplog: pytest.LogCaptureFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = world_for("prompt", tmp_path_factory)
    long = ClassInfo(name="ant", definition="small " * 30, hypernym="insect")
    here.labels = LabelSpace((long, ClassInfo(name="bee", definition="an insect", hypernym="bug")))
    method = registry.make("methods", "prompt", {"prompts": "sariyildiz", "wordnet": False, "steps": 1})
    ready = method._labels(SETS["sariyildiz"], here)
    assert (ready[0].definition, ready[1].definition) == ("", "an insect")
    assert "definition of class 'ant' is too long" in caplog.text
