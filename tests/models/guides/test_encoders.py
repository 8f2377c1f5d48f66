"""Today's encoders as guides, on tiny random checkpoints: against the libraries' own processors and forward passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny as models
from imaginate.errors import ModelError
from imaginate.models.guides import build_guide
from imaginate.models.guides.core.backbones import load_backbone
from imaginate.records import LabelSpace
from tiny_towers import SMALL, tiny_towers

torch.set_num_threads(1)
LABELS = LabelSpace.of(["water_lily", "rose"])


@pytest.mark.parametrize("kind", ["siglip2", "metaclip_2", "altclip", "chinese_clip"])
def test_towers_give_the_librarys_own_probabilities(kind: str, tiny: Any, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    tiny_towers(tmp_path, kind)
    guide: Any = build_guide(f"clip:{tmp_path}", LABELS)
    image = tiny.picture(3, 40, 61)
    own = AutoImageProcessor.from_pretrained(tmp_path)
    pixels = own(images=np.asarray(image.permute(1, 2, 0)), return_tensors="pt")
    pad, limit = ("max_length", 64) if kind == "siglip2" else (True, 64 if kind != "altclip" else 77)
    texts = [f"a photo of a {title}." for title in LABELS.titles]
    tokens = AutoTokenizer.from_pretrained(tmp_path)(
        texts, padding=pad, max_length=limit, truncation=True, return_tensors="pt"
    )
    inputs = {"input_ids": tokens.input_ids}
    inputs |= {} if kind == "siglip2" else {"attention_mask": tokens.attention_mask}
    with torch.no_grad():
        out = AutoModel.from_pretrained(tmp_path)(**pixels, **inputs)
    batch = (image[None].float() / 255).requires_grad_()
    ours = guide.logits(guide.embed(batch)).softmax(-1)
    assert torch.allclose(ours, out.logits_per_image.softmax(-1), atol=2e-3)
    ours[:, 0].sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0


def test_a_masked_autoencoder_sees_everything_in_order(tiny: Any, tmp_path: Path) -> None:
    backbone = load_backbone(str(models.tiny_mae(tmp_path)))
    images = torch.stack([tiny.picture(i) for i in range(2)]).float() / 255
    with torch.no_grad():
        once, again = backbone.features(images), backbone.features(images)
        whole = backbone.network(backbone.preprocess(images)).last_hidden_state
    assert torch.equal(once, again)
    assert whole.shape[1] == 17
    assert torch.allclose(once, whole[:, 0], atol=1e-5)


def test_a_folder_of_timm_is_a_backbone(tiny: Any, tmp_path: Path) -> None:
    import timm
    from timm.models._hub import save_for_hf

    network = models.seeded(lambda: timm.create_model("test_vit", num_classes=7))
    save_for_hf(network.eval(), str(tmp_path / "own"), safe_serialization=True)
    backbone = load_backbone(f"timm:{tmp_path / 'own'}")
    image = tiny.picture(1).float()[None] / 255
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(backbone.preprocess(image)), pre_logits=True)
        assert torch.allclose(backbone.features(image), expected, atol=1e-4)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="was not written by timm's save_for_hf"):
        load_backbone(f"timm:{tmp_path / 'other'}")


def test_a_classifier_of_transformers_is_asked_for_the_datasets_classes_alone(tmp_path: Path, tiny: Any) -> None:
    from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification, ViTImageProcessor

    names = ["Rose", "tulip", "Water lily"]
    config = ViTConfig(**SMALL, image_size=16, patch_size=8, id2label=dict(enumerate(names)))
    models.seeded(lambda: ViTForImageClassification(config)).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(tmp_path)
    guide: Any = build_guide(f"classifier:{tmp_path}", LABELS)
    images = torch.stack([tiny.picture(i) for i in range(3)]).float() / 255
    with torch.no_grad():
        own = AutoModelForImageClassification.from_pretrained(tmp_path)(guide.preprocess(images)).logits
        ours = guide.logits(guide.embed(images))
    assert torch.allclose(ours, own[:, [2, 0]], atol=1e-4)
    with pytest.raises(ModelError, match="does not know class 'daisy': it was trained on other classes"):
        build_guide(f"classifier:{tmp_path}", LabelSpace.of(["rose", "daisy"]))
    weights = tmp_path / "model.safetensors"
    from safetensors.torch import load_file, save_file

    headless = {k: v for k, v in load_file(str(weights)).items() if "classifier" not in k}
    save_file(headless, str(weights), {"format": "pt"})
    with pytest.raises(ModelError, match="is no trained classifier: it has no weights for classifier"):
        build_guide(f"classifier:{tmp_path}", LABELS)


def test_a_classifier_that_imaginate_trained(tmp_path: Path, tiny: Any) -> None:
    from safetensors.torch import save_file

    from imaginate.training.learners import learner_of
    from imaginate.training.loading import load_classifier

    names = ["rose", "tulip", "water_lily"]
    network = learner_of("small").build(3, seed=1)
    save_file(network.state_dict(), str(tmp_path / "weights.safetensors"))
    settings = {"arch": "small", "image_size": 32, "pretrained": False, "rules": 1}
    facts = {"images": 9, "updates": 1, "validation": None, "held_out": None, "leak": None, "temperature": 1.7}
    (tmp_path / "classifier.json").write_text(json.dumps({"classes": names, "settings": settings, **facts}))
    guide: Any = build_guide(f"classifier:{tmp_path}", LABELS)
    image = tiny.picture(4, 40, 50)
    theirs = load_classifier(tmp_path, device="cpu").probabilities([image])[0, [2, 0]]
    with torch.no_grad():
        ours = guide.logits(guide.embed(image[None].float() / 255)).softmax(-1)[0]
    assert torch.allclose(ours, theirs / theirs.sum(), atol=5e-3)


def test_a_repository_of_open_clip(tmp_path: Path, tiny: Any) -> None:
    open_clip = pytest.importorskip("open_clip")
    folder = models.tiny_open_clip_guide(tmp_path / "model")
    guide: Any = build_guide(f"open_clip:{folder}", LABELS)
    network, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    image = tiny.picture(3, 40, 61)
    from torchvision.transforms.functional import to_pil_image

    texts = open_clip.get_tokenizer(f"local-dir:{folder}")([f"a photo of a {title}." for title in LABELS.titles])
    with torch.no_grad():
        seen = F.normalize(network.eval().encode_image(preprocess(to_pil_image(image))[None]), dim=-1)
        said = F.normalize(network.encode_text(texts), dim=-1)
        ours = guide.logits(guide.embed(image[None].float() / 255))
    assert torch.allclose(ours.softmax(-1), (network.logit_scale.exp() * seen @ said.T).softmax(-1), atol=2e-3)
    with pytest.raises(ModelError, match="is not a checkpoint of open_clip"):
        build_guide(f"open_clip:{tmp_path}", LABELS)
