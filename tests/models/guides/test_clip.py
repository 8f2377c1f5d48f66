"""Text guides on tiny random checkpoints: the library's own preprocessing, gradients, ensembles, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from imaginate.contract import TextGuide
from imaginate.errors import ConfigError, ModelError
from imaginate.models.guides import build_guide
from imaginate.records import ClassInfo, LabelSpace

LABELS = LabelSpace.of(["water_lily", "rose", "sun flower"])


@pytest.fixture(scope="module")
def clip_dir(tiny, tmp_path_factory):
    return tiny.clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def siglip_dir(tiny, tmp_path_factory):
    return tiny.siglip_folder(tmp_path_factory.mktemp("siglip"))


@pytest.fixture(scope="module")
def guide(clip_dir):
    return build_guide(f"clip:{clip_dir}", LABELS)


@pytest.mark.parametrize("shape", [(40, 40), (24, 61), (90, 33), (32, 32)])
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_preprocessing_equals_the_librarys_own_within_rounding(tiny, family, shape, clip_dir, siglip_dir):
    from transformers import AutoImageProcessor

    folder = clip_dir if family == "clip" else siglip_dir
    image = tiny.picture(3, *shape)
    ours = build_guide(f"clip:{folder}", LABELS).preprocess(image.unsqueeze(0).float() / 255)
    own = AutoImageProcessor.from_pretrained(folder)
    theirs = own(images=np.asarray(image.permute(1, 2, 0)), return_tensors="pt")["pixel_values"]
    assert ours.shape == theirs.shape
    step = 1 / 255 / min(own.image_std)  # one 8-bit step, as it looks after normalisation
    assert float((ours - theirs).abs().max()) <= 1.01 * step
    assert float((ours - theirs).abs().mean()) <= 0.35 * step


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_probabilities_equal_the_models_own_forward(tiny, family, clip_dir, siglip_dir):
    from transformers import AutoModel, AutoTokenizer

    folder = clip_dir if family == "clip" else siglip_dir
    guide = build_guide(f"clip:{folder}", LABELS)
    images = torch.stack([tiny.picture(i) for i in range(4)]).float() / 255
    texts = [f"a photo of a {title}." for title in LABELS.titles]
    pad = True if family == "clip" else "max_length"
    limit = 77 if family == "clip" else 64
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding=pad, max_length=limit, truncation=True, return_tensors="pt"
    )
    read = ("input_ids", "attention_mask") if family == "clip" else ("input_ids",)  # SigLIP was trained without a mask
    inputs = {k: v for k, v in tokens.items() if k in read}
    with torch.no_grad():
        out = AutoModel.from_pretrained(folder)(pixel_values=guide.preprocess(images), **inputs)
    ours = guide.logits(guide.embed(images)).softmax(-1)
    assert torch.allclose(ours, out.logits_per_image.softmax(-1), atol=1e-5)


def test_texts_are_lower_cased_for_a_tower_that_was_trained_so(tiny, siglip_dir, tmp_path):
    """SigLIP 2's tokenizer file says `do_lower_case`, which its class does not do. (A case-sensitive stand-in.)"""
    import json
    import shutil

    place = tmp_path / "siglip2"
    shutil.copytree(siglip_dir, place)
    config = json.loads((place / "tokenizer_config.json").read_text())
    (place / "tokenizer_config.json").write_text(json.dumps({**config, "do_lower_case": True}))
    guide = build_guide(f"clip:{place}", LABELS)
    seen = []
    own = guide._tokenizer
    guide._tokenizer = lambda texts, **how: seen.extend(texts) or own(texts, **how)
    assert torch.equal(guide.embed_text(["A Photo of a CAT."]), guide.embed_text(["a photo of a cat."]))
    assert seen == ["a photo of a cat."] * 2
    plain = build_guide(f"clip:{siglip_dir}", LABELS)
    assert not plain._lowers


def test_class_texts_that_are_cut_alike_are_refused_and_a_cut_one_is_named(clip_dir, caplog):
    long = "a very long description of a picture of some tissue " * 4
    same = LabelSpace((ClassInfo(name="a", display=long + "healthy"), ClassInfo(name="b", display=long + "ill")))
    with pytest.raises(ModelError, match=r"classes 'a' and 'b' read the same in the 77 tokens"):
        build_guide(f"clip:{clip_dir}", same)
    other = LabelSpace((ClassInfo(name="a", display="healthy " + long), ClassInfo(name="b", display="ill")))
    build_guide(f"clip:{clip_dir}", other)
    assert "reads 77 tokens, the text of class 'a' has" in caplog.text
    assert "'b'" not in caplog.text


def test_gradient_reaches_the_pixels_and_nothing_else(tiny, guide):
    images = (torch.stack([tiny.picture(i) for i in range(2)]).float() / 255).requires_grad_()
    embeddings = guide.embed(images)
    assert isinstance(guide, TextGuide)
    assert embeddings.shape == (2, guide.dim)
    assert torch.allclose(embeddings.norm(dim=-1), torch.ones(2), atol=1e-5)
    guide.logits(embeddings)[:, 0].sum().backward()
    assert torch.isfinite(images.grad).all()
    assert float(images.grad.abs().sum()) > 0
    assert all(p.grad is None and not p.requires_grad for p in guide.model.parameters())


def test_an_image_does_not_depend_on_its_batch(tiny, guide):
    images = torch.stack([tiny.picture(i) for i in range(5)]).float() / 255
    alone = torch.cat([guide.embed(images[i : i + 1]) for i in range(5)])
    assert torch.allclose(guide.embed(images), alone, atol=1e-6)


def test_ensemble_is_the_mean_over_sentences(clip_dir):
    sentences = ["a photo of a {}.", "a drawing of the {}."]
    both = build_guide(f"clip:{clip_dir}", LABELS, prompts=sentences)
    each = torch.stack([both.embed_text([s.replace("{}", t) for t in LABELS.titles]) for s in sentences])
    assert torch.allclose(both.class_embeddings, F.normalize(each.mean(dim=0), dim=-1), atol=1e-6)
    single = build_guide(f"clip:{clip_dir}", LABELS, prompts="single")
    assert torch.allclose(single.class_embeddings, each[0], atol=1e-5)


def test_the_80_templates_are_clips():
    open_clip = pytest.importorskip("open_clip")
    from imaginate.prompts.zero_shot import templates

    assert list(templates("clip-80")) == [t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES]


def test_prompts_from_a_file(clip_dir, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("# medical\nan x-ray of {}\n\nan MRI of {}\n", encoding="utf-8")
    from_file = build_guide(f"clip:{clip_dir}", LABELS, prompts=str(file)).class_embeddings
    given = build_guide(f"clip:{clip_dir}", LABELS, prompts=["an x-ray of {}", "an MRI of {}"]).class_embeddings
    assert torch.equal(from_file, given)
    with pytest.raises(ConfigError, match="must contain"):
        build_guide(f"clip:{clip_dir}", LABELS, prompts=["a photo"])
    with pytest.raises(ConfigError, match="prompts must be single, clip-80"):
        build_guide(f"clip:{clip_dir}", LABELS, prompts="nowhere.txt")


def _line(spec: str, labels: LabelSpace = LABELS, error: type[Exception] = ModelError) -> str:
    with pytest.raises(error) as caught:
        build_guide(spec, labels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_that_read_the_same_are_refused(clip_dir):
    names = LabelSpace((ClassInfo(name="crane"), ClassInfo(name="n02", display="Crane"), ClassInfo(name="x")))
    line = _line(f"clip:{clip_dir}", names)
    assert "'crane' and 'n02' both read 'crane'" in line
    assert "classes.yaml" in line


def test_folders_that_are_no_checkpoints(tmp_path):
    assert "no such checkpoint folder" in _line(f"clip:{tmp_path}/missing")
    assert "has no config.json" in _line(f"clip:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    assert "has no model.safetensors" in _line(f"clip:{tmp_path}")


def test_a_checkpoint_of_another_kind(tmp_path):
    from transformers import ViTConfig, ViTModel

    small = ViTConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=16, patch_size=8
    )
    ViTModel(small).save_pretrained(tmp_path)
    assert "is a vit checkpoint; clip: needs a CLIP or SigLIP one" in _line(f"clip:{tmp_path}")


def test_a_hub_that_cannot_be_reached():
    line = _line("clip:somebody/some-clip")
    assert "cannot fetch 'somebody/some-clip' from the model hub" in line
    assert "local folder" in line


def test_unknown_guides_and_missing_parts():
    assert "did you mean 'prototypes'?" in _line("prototype:dino", error=ConfigError)
    assert "needs a backbone" in _line("random-init", error=ConfigError)
    assert "learns from the seed set" in _line("probe:nano", error=ConfigError)
    assert "at least two classes, got 1" in _line("nano", LabelSpace.of(["one"]), error=ConfigError)
