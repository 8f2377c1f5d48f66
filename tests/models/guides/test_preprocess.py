"""What a network is fed is what its library feeds it, for every processor that is read; the others are refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from imaginate.errors import ModelError
from imaginate.models.guides.core.preprocess import Preprocess, from_processor, from_timm, from_torchvision

pytestmark = pytest.mark.filterwarnings("ignore")


def photograph(height: int, width: int, seed: int) -> np.ndarray:
    """Shapes, shading and grain, as in a photograph: (h, w, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    out = np.zeros((height, width, 3))
    for c in range(3):
        fx, fy, phase = rng.uniform(0.01, 0.15, 3)
        out[..., c] = 120 + 80 * np.sin(fx * x + 9 * phase) * np.cos(fy * y)
    for _ in range(6):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(5, 40)
        out[(y - cy) ** 2 + (x - cx) ** 2 < r**2] += rng.uniform(-90, 90, 3)
    return np.clip(out + rng.normal(0, 6, out.shape), 0, 255).astype(np.uint8)


PHOTOGRAPHS = [photograph(300, 433, 0), photograph(371, 250, 1), photograph(90, 121, 2)]


def differs(steps: Preprocess, theirs: Any, photo: np.ndarray) -> tuple[float, float]:
    """Mean difference in 8-bit levels, and the cosine of the two pictures about their means."""
    a = steps(torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255)
    b = torch.as_tensor(theirs).float().reshape(a.shape)
    scale = 255 * torch.tensor(steps.std).view(1, 3, 1, 1)
    cosine = F.cosine_similarity(*((v - v.mean()).flatten() for v in (a, b)), dim=0)
    return float(((a - b).abs() * scale).mean()), float(cosine)


def check(steps: Preprocess, of: Any) -> None:
    for photo in PHOTOGRAPHS:
        levels, cosine = differs(steps, of(photo), photo)
        assert levels < 1
        assert cosine > 0.999


def processors() -> list[str]:
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    found = set()
    for entry in IMAGE_PROCESSOR_MAPPING_NAMES.values():
        found |= {name for name in (entry.values() if isinstance(entry, dict) else entry) if name}
    return sorted(found)


def is_as_itself(name: str, **config: Any) -> bool:
    """Whether a processor of transformers is read; then it is read right."""
    import transformers

    try:
        processor = getattr(transformers, name)(**config)
    except (ImportError, TypeError):
        return False
    try:
        steps = from_processor(processor, where="a checkpoint")
    except ModelError as error:
        check_refusal(str(error), name)
        return False
    check(steps, lambda photo: processor(images=Image.fromarray(photo), return_tensors="pt")["pixel_values"])
    return True


def check_refusal(refusal: str, name: str) -> None:
    """One line that names the processor."""
    assert f"its {name} is not supported" in refusal
    assert "\n" not in refusal


READ = [
    "ViTImageProcessor", "CLIPImageProcessor", "SiglipImageProcessor", "DeiTImageProcessor", "BeitImageProcessor",
    "BitImageProcessor", "ConvNextImageProcessor", "PoolFormerImageProcessor", "LevitImageProcessor",
    "MobileViTImageProcessor", "EfficientNetImageProcessor", "DINOv3ViTImageProcessor", "MobileNetV2ImageProcessor",
    "PvtImageProcessor", "SegformerImageProcessor",
]  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_the_processors_of_image_networks_are_read(name: str) -> None:
    assert is_as_itself(name)
    assert name.startswith("DINOv3") or is_as_itself(f"{name}Pil")


ODD: list[tuple[str, dict[str, Any]]] = [
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.75}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 400}}),
    ("PoolFormerImageProcessor", {"size": {"height": 60, "width": 60}, "crop_size": {"height": 60, "width": 60}}),
    ("PoolFormerImageProcessor", {"crop_pct": 0.95, "size": {"shortest_edge": 97}}),
    ("LevitImageProcessor", {"size": {"shortest_edge": 65}, "crop_size": {"height": 65, "width": 65}}),
    ("EfficientNetImageProcessor", {"include_top": False, "size": {"height": 64, "width": 64}}),
    ("EfficientNetImageProcessor", {"rescale_offset": True, "rescale_factor": 1 / 127.5, "do_normalize": False}),
    ("MobileViTImageProcessor", {"do_flip_channel_order": False, "do_center_crop": False}),
    ("CLIPImageProcessor", {"do_rescale": False, "image_mean": [120.0] * 3, "image_std": [60.0] * 3}),
    ("CLIPImageProcessor", {"do_normalize": False, "size": {"shortest_edge": 61}}),
    ("CLIPImageProcessor", {"crop_size": {"height": 300, "width": 260}}),
    ("ViTImageProcessor", {"size": {"height": 50, "width": 130}, "resample": 2}),
    ("ViTImageProcessor", {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}),
    ("BitImageProcessor", {"do_center_crop": True, "size": {"shortest_edge": 83}, "crop_size": 64}),
]


@pytest.mark.parametrize(("name", "config"), ODD)
def test_odd_settings_are_read_as_the_library_reads_them(name: str, config: dict[str, Any]) -> None:
    assert is_as_itself(name, **config)


def test_lanczos_is_read_as_the_library_reads_it_or_refused() -> None:
    """The oldest versions allowed take another filter in its place: the processor is refused there, by name."""
    import transformers
    from packaging.version import Version

    config = {"resample": 1, "size": {"shortest_edge": 75}, "crop_size": {"height": 64, "width": 64}}
    assert is_as_itself("CLIPImageProcessor", **config) or Version(transformers.__version__) < Version("5.24")


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("Siglip2ImageProcessor", {}),
    ("PerceiverImageProcessor", {}),
    ("ImageGPTImageProcessor", {}),
    ("DetrImageProcessor", {"size": {"shortest_edge": 60, "longest_edge": 80}}),
    ("ViTImageProcessor", {"resample": 4}),
    ("PixtralImageProcessor", {}),
    ("VideoMAEImageProcessor", {}),
]


@pytest.mark.parametrize(("name", "config"), REFUSED)
def test_what_does_more_is_refused_by_its_name(name: str, config: dict[str, Any]) -> None:
    assert not is_as_itself(name, **config)


@pytest.mark.integration
@pytest.mark.parametrize("name", processors())
def test_every_processor_is_read_right_or_refused(name: str) -> None:
    is_as_itself(name)


def timm_configs(largest: int) -> Iterator[dict[str, Any]]:
    """The distinct evaluation configurations of timm's pretrained models, but for mean and deviation."""
    import timm
    from timm.data import resolve_data_config

    seen = set()
    for name in timm.list_models(pretrained=True):
        config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        key = tuple(config[k] for k in ("input_size", "interpolation", "crop_pct", "crop_mode"))
        if key not in seen and max(config["input_size"]) <= largest:
            seen.add(key)
            yield config


def check_timm(largest: int) -> int:
    from timm.data import create_transform

    count = 0
    for config in timm_configs(largest):
        theirs = create_transform(**config, is_training=False)
        check(from_timm(config), lambda photo, theirs=theirs: theirs(Image.fromarray(photo)))
        count += 1
    return count


def test_timms_configurations_are_its_own_pixels() -> None:
    assert check_timm(230) > 25


@pytest.mark.integration
def test_all_of_timms_configurations_are_its_own_pixels() -> None:
    assert check_timm(4096) > 100


@pytest.mark.parametrize(
    "more",
    [
        {"crop_mode": "border", "input_size": (3, 64, 64), "crop_pct": 0.9},
        {"crop_mode": "squash", "input_size": (3, 64, 96), "crop_pct": 0.8},
        {"crop_mode": "center", "input_size": (3, 64, 96), "crop_pct": 0.875},
        {"crop_mode": "center", "input_size": (3, 65, 65), "crop_pct": 0.95, "interpolation": "lanczos"},
    ],
)
def test_timms_ways_of_cropping(more: dict[str, Any]) -> None:
    from timm.data import create_transform

    config = {"interpolation": "bicubic", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3), **more}
    theirs = create_transform(**config, is_training=False)
    check(from_timm(config), lambda photo: theirs(Image.fromarray(photo)))


def test_all_of_torchvisions_weights_are_its_own_pixels() -> None:
    from torchvision import models

    seen = set()
    for name in models.list_models(models):
        for weights in models.get_model_weights(name):
            transforms = weights.transforms()
            if str(transforms) not in seen:
                seen.add(str(transforms))
                steps = from_torchvision(transforms, where=name)
                check(steps, lambda photo, t=transforms: t(Image.fromarray(photo)))
    assert len(seen) > 15


@pytest.mark.parametrize("turned", [False, True])
def test_a_very_long_picture_is_cropped_before_it_is_resized(turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Preprocess(size=16, crop=(16, 16), mode="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, rounds=True)
    image = torch.rand(1, 3, 4, 4 * 101, generator=torch.Generator().manual_seed(0))
    image = image.transpose(2, 3) if turned else image
    short = steps(image)
    monkeypatch.setattr("imaginate.models.guides.core.preprocess.LONGEST", 10**9)
    assert torch.allclose(short, steps(image), atol=1e-5)


def test_the_gradient_reaches_the_pixels_through_every_step() -> None:
    steps = Preprocess(
        size=(40, 30), crop=(36, 36), mode="lanczos", mean=(0.5,) * 3, std=(0.2,) * 3, fit="contain", flips=True
    )
    pixels = (torch.rand(2, 3, 50, 44) * 0.8 + 0.1).requires_grad_()
    steps(pixels).sum().backward()
    assert pixels.grad is not None
    assert float((pixels.grad != 0).float().mean()) > 0.99


def test_features_repeat_where_a_checkpoint_has_no_pooler(tmp_path: Path) -> None:
    """A classifier's checkpoint has no pooling layer: it would be drawn anew at each load."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    from imaginate.models.guides.backbones import load_backbone

    torch.manual_seed(0)
    small = ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    network = ViTForImageClassification(small).eval()
    network.save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    image = torch.rand(1, 3, 40, 40)
    once, twice = (load_backbone(str(tmp_path)) for _ in range(2))
    assert torch.equal(once.features(image), twice.features(image))
    with warnings.catch_warnings():
        expected = network.vit(once.preprocess(image)).last_hidden_state[:, 0]
    assert torch.allclose(once.features(image), expected, atol=1e-5)


def test_a_checkpoint_without_its_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    from imaginate.models.guides.backbones import load_backbone

    small = ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    ViTModel(small).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    some = {name: value for name, value in tensors.items() if "attention" not in name}
    save_file(some, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has no weights for"):
        load_backbone(str(tmp_path))


def test_a_checkpoint_of_open_clip_is_named(tmp_path: Path) -> None:
    from imaginate.models.guides.backbones import load_backbone

    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(ModelError, match="a checkpoint of open_clip, which is not read"):
        load_backbone(str(tmp_path))
