"""Guides that learn from the seed set, over tiny random backbones: formulas against loops, leaks, and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from imaginate.contract import Guide
from imaginate.errors import DataError, ModelError
from imaginate.models.guides import build_guide
from imaginate.models.guides.core.heads import validation_part
from imaginate.models.guides.core.store import EmbeddingStore, content_key
from imaginate.records import LabelSpace

LABELS = LabelSpace.of(["a", "b", "c"])


@pytest.fixture(scope="module")
def backbone(tiny, tmp_path_factory):
    return tiny.clip_folder(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def seeds(tiny):
    return tiny.clustered(3, 5)


@pytest.fixture(scope="module")
def prototypes(backbone, seeds):
    return build_guide(f"prototypes:{backbone}", LABELS, samples=seeds)


def _embeddings(guide, seeds):
    return guide.embed(torch.stack([seeds.image(i) for i in range(len(seeds))]).float() / 255)


def test_prototypes_are_class_means(prototypes, seeds):
    rows = _embeddings(prototypes, seeds).tolist()
    for label in range(3):
        members = [r for r, y in zip(rows, seeds.labels, strict=True) if y == label]
        mean = [math.fsum(col) / len(members) for col in zip(*members, strict=True)]
        length = math.sqrt(math.fsum(v * v for v in mean))
        assert prototypes.prototypes[label].tolist() == pytest.approx([v / length for v in mean], abs=1e-5)


def test_leave_one_out_equals_building_without_the_image(tiny, backbone, prototypes, seeds):
    whole = _embeddings(prototypes, seeds)
    left = prototypes.logits_without(whole, [f"s{i}" for i in range(len(seeds))]) * prototypes.temperature
    for i in (0, 7):
        rest = [j for j in range(len(seeds)) if j != i]
        fewer = tiny.Seeds([seeds.images[j] for j in rest], [seeds.labels[j] for j in rest])
        without = build_guide(f"prototypes:{backbone}", LABELS, samples=fewer)
        naive = without.logits(whole[i : i + 1])[0] * without.temperature
        assert torch.allclose(left[i], naive, atol=1e-5)
    unknown = prototypes.logits_without(whole, ["elsewhere"] * len(seeds))
    assert torch.equal(unknown, prototypes.logits(whole))


def test_a_lone_seed_keeps_its_own_prototype(tiny, backbone):
    lone = tiny.clustered(3, 1)
    guide = build_guide(f"prototypes:{backbone}", LABELS, samples=lone)
    rows = _embeddings(guide, lone)
    assert torch.equal(guide.logits_without(rows, ["s0", "s1", "s2"]), guide.logits(rows))


def test_temperature_is_the_best_of_its_candidates(prototypes, seeds):
    from imaginate.models.guides.prototypes import TEMPERATURES

    left = prototypes.logits_without(_embeddings(prototypes, seeds), [f"s{i}" for i in range(len(seeds))])
    cosine = left * prototypes.temperature
    losses = {t: float(F.cross_entropy(cosine / t, torch.tensor(seeds.labels))) for t in TEMPERATURES}
    assert losses[prototypes.temperature] == pytest.approx(min(losses.values()), abs=1e-4)


@pytest.mark.parametrize("kind", ["prototypes", "probe", "finetuned", "random-init"])
def test_every_guide_keeps_the_contract(tiny, kind, backbone, seeds):
    guide = build_guide(f"{kind}:{backbone}", LABELS, samples=seeds)
    images = (torch.stack([tiny.picture(i, 30, 50) for i in range(3)]).float() / 255).requires_grad_()
    embeddings = guide.embed(images)
    assert isinstance(guide, Guide)
    assert guide.name == f"{kind}:{backbone}"
    assert embeddings.shape == (3, guide.dim)
    assert torch.allclose(embeddings.norm(dim=-1), torch.ones(3), atol=1e-5)
    guide.logits(embeddings).softmax(-1)[:, 1].sum().backward()
    assert torch.isfinite(images.grad).all()
    assert float(images.grad.abs().sum()) > 0
    alone = torch.cat([guide.embed(images[i : i + 1]) for i in range(3)])
    assert torch.allclose(embeddings, alone, atol=1e-6)


@pytest.mark.parametrize("kind", ["prototypes", "probe", "finetuned"])
def test_learnt_guides_classify_fresh_images_and_repeat(tiny, kind, backbone, seeds):
    fresh = tiny.clustered(3, 4, seed=9)
    guide = build_guide(f"{kind}:{backbone}", LABELS, samples=seeds)
    logits = guide.logits(_embeddings(guide, fresh))
    assert (logits.argmax(-1) == torch.tensor(fresh.labels)).float().mean() >= 0.9
    again = build_guide(f"{kind}:{backbone}", LABELS, samples=seeds)
    assert torch.equal(logits, again.logits(_embeddings(again, fresh)))


def test_random_init_is_drawn_from_its_seed_alone(backbone, seeds):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one = build_guide(f"random-init:{backbone}", LABELS)
    assert torch.equal(torch.rand(1), expected), "building must not disturb the global generator"
    two = build_guide(f"random-init:{backbone}", LABELS)
    rows = _embeddings(one, seeds)
    assert torch.equal(one.logits(rows), two.logits(rows))
    other = build_guide(f"random-init:{backbone}", LABELS, seed=1)
    assert not torch.allclose(rows, _embeddings(other, seeds))


def test_validation_part_is_stratified():
    labels = torch.tensor([0] * 10 + [1] * 3 + [2] * 2)
    held = validation_part(labels, 0)
    assert [int(held[labels == c].sum()) for c in range(3)] == [2, 1, 0]
    assert torch.equal(held, validation_part(labels, 0))
    assert not torch.equal(held, validation_part(labels, 1))


def test_a_class_without_a_readable_image_is_named(tiny, backbone):
    broken = tiny.Seeds([tiny.picture(0), tiny.picture(1), None], [0, 1, 2])
    for kind in ("prototypes", "probe", "finetuned"):
        with pytest.raises(DataError, match=r"no readable seed image for 1 of 3 classes \(c\)"):
            build_guide(f"{kind}:{backbone}", LABELS, samples=broken)


def test_unknown_backbones_are_refused_in_one_line(seeds):
    for spec, text in [
        ("timm:resnet5000", "timm has no model 'resnet5000'"),
        ("torchvision:resnet19", "torchvision has no model 'resnet19'"),
        ("./nowhere", "no such checkpoint folder"),
    ]:
        with pytest.raises(ModelError, match=text) as caught:
            build_guide(f"prototypes:{spec}", LABELS, samples=seeds)
        assert "\n" not in str(caught.value)


def test_store_embeds_once_by_content_and_survives_damage(tiny, tmp_path):
    calls = []

    def embed(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x.mean(dim=(2, 3))

    images = [tiny.picture(i) for i in (0, 1, 0)]
    first = EmbeddingStore(tmp_path, owner="x")
    rows = first.embed(embed, images, 8, "cpu")
    first.save()
    assert calls == [2], "equal images are embedded once"
    second = EmbeddingStore(tmp_path, owner="x")
    assert torch.equal(second.embed(embed, images, 8, "cpu"), rows)
    assert calls == [2]
    assert len(EmbeddingStore(tmp_path, owner="y")) == 0, "another network's embeddings are not mixed in"
    assert second.path is not None
    second.embed(embed, [tiny.picture(2)], 8, "cpu")
    second.save()
    assert len(EmbeddingStore(tmp_path, owner="x")) == 3, "what is new stands beside what was there"
    for part in second.path.iterdir():
        part.write_bytes(b"half a file")
    assert len(EmbeddingStore(tmp_path, owner="x")) == 0
    assert content_key(images[0]) != content_key(images[0].view(3, 20, 80))


def test_finetuned_weights_are_kept_by_content(tiny, backbone, seeds, tmp_path, monkeypatch):
    first = build_guide(f"finetuned:{backbone}", LABELS, samples=seeds, cache=tmp_path)
    rows = _embeddings(first, seeds)
    monkeypatch.setattr(
        "imaginate.models.guides.finetuned.FinetunedGuide._train", lambda *_: pytest.fail("trained again")
    )
    second = build_guide(f"finetuned:{backbone}", LABELS, samples=seeds, cache=tmp_path)
    assert torch.equal(rows, _embeddings(second, seeds))
    assert not list(tmp_path.glob("*.part"))


# Relatives: images that were made from one another stay on one side.


@pytest.mark.parametrize("kind", ["probe", "finetuned", "prototypes"])
def test_a_guide_on_a_run_is_not_measured_on_relatives_of_what_it_learnt(tmp_path, kind):
    """Pictures of noise: nobody can tell the classes apart, but a memory of the copies can."""
    from imaginate import expand, guide

    rng = np.random.default_rng(0)
    for name in "abcd":
        (tmp_path / "noise" / name).mkdir(parents=True)
        for i in range(12):
            small = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8))
            small.resize((32, 32), Image.Resampling.BICUBIC).save(tmp_path / "noise" / name / f"{i}.png")
    expand(str(tmp_path / "noise"), str(tmp_path / "run"), method="duplicate", copies=3, progress=False)
    plain = guide(str(tmp_path / "noise"), f"{kind}:nano", device="cpu", progress=False).assessment
    found = guide(str(tmp_path / "run"), f"{kind}:nano", device="cpu", progress=False).assessment
    if kind == "prototypes":  # class means of three equal copies are the same means
        assert (found.right, found.images) == (4 * plain.right, 4 * plain.images)
    else:
        assert found.images == plain.images == 8
        assert found.interval[0] < 0.25


def test_leaving_out_a_family_is_leaving_out_each_member(tmp_path):
    from imaginate.models.guides.prototypes import related_rows
    from imaginate.records import Relatives

    names = {"a": frozenset({"a"}), "a1": frozenset({"a1", "a"}), "ab": frozenset({"ab", "a", "b"})}
    relatives = Relatives(names=names, new=frozenset({"a1", "ab"}))
    assert related_rows(["a", "a1", "b", "ab", "c"], relatives) == {
        0: {0, 1, 3}, 1: {0, 1, 3}, 2: {2, 3}, 3: {0, 1, 2, 3}, 4: {4},
    }  # fmt: skip
    assert relatives.related_to(["b"]) == {"b", "ab"}
    assert related_rows(["a"], Relatives()) == {}
