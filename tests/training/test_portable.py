"""A classifier in other tools' forms says there what it says here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.errors import ConfigError, ModelError, RunError
from imaginate.training import portable
from worlds import folder


def trained(root: Path, arch: str, **more: Any) -> Path:
    folder(root / "data", each=6)
    imaginate.train(root / "data", root / "model", arch=arch, progress=False, device="cpu", **more)
    path = root / "model" / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "temperature": 1.7}))  # as if it had been fitted
    return root / "model"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("small"), "small", updates=3, batch=4)


def prepared(path: Path, facts: dict[str, Any]) -> np.ndarray:
    """A picture as the exported card says."""
    picture = Image.open(path).convert("RGB")
    scale = facts["resize_shorter_side_to"] / min(picture.size)
    picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
    side = facts["image_size"]
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return np.asarray(picture.crop((left, top, left + side, top + side)), np.float32).transpose(2, 0, 1) / 255


@pytest.mark.integration
def test_onnxruntime_says_what_torch_says(small: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert main(["export-model", str(small), str(tmp_path / "onnx")]) == 0
    facts = json.loads((tmp_path / "onnx" / "preprocessing.json").read_text())
    files = sorted((small.parent / "data").glob("*/*.png"))[:5]
    session = runtime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    (found,) = session.run(["probabilities"], {"pixels": np.stack([prepared(f, facts) for f in files])})
    wanted = imaginate.load_classifier(small, device="cpu").probabilities(files)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)
    assert facts["classes"] == ["ant", "bee", "cow"]
    assert facts["temperature"] == 1.7
    with pytest.raises(RunError, match="not empty"):
        imaginate.export_model(small, tmp_path / "onnx")


@pytest.mark.integration
def test_timm_and_transformers_load_the_folder(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    transformers = pytest.importorskip("transformers")
    model = trained(tmp_path, "resnet10t", image_size=64, updates=2, batch=4)
    imaginate.export_model(model, tmp_path / "timm", "timm")
    loaded = timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True).eval()
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(loaded), is_training=False)
    files = sorted((tmp_path / "data").glob("*/*.png"))[:4]
    images = torch.stack([prepare(Image.open(f)) for f in files])
    wanted = imaginate.load_classifier(model, device="cpu").probabilities(files)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images).softmax(1), wanted, atol=2e-3, rtol=0)
        other = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "timm").eval()
        torch.testing.assert_close(other(pixel_values=images).logits.softmax(1), wanted, atol=2e-3, rtol=0)
    assert [other.config.id2label[i] for i in range(3)] == ["ant", "bee", "cow"]


def test_what_cannot_be_written_is_one_line(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="timm has none like it: use --format onnx"):
        imaginate.export_model(small, tmp_path / "a", "timm")
    with pytest.raises(ConfigError, match="format must be one of onnx, timm"):
        imaginate.export_model(small, tmp_path / "a", "tflite")
    assert not (tmp_path / "a").exists()


@pytest.mark.integration
def test_what_says_otherwise_is_not_left_there(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(portable, "APART", -1.0)
    with pytest.raises(ModelError, match="says otherwise in onnxruntime"):
        imaginate.export_model(small, tmp_path / "a")
    assert not (tmp_path / "a").exists()
