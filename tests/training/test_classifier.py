"""One classifier: what it trains on, what is refused before training, and its folder after a stop or a second call."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imaginate import expand, open_dataset
from imaginate.cli import main
from imaginate.data.lineage import lineage_of, parents_among
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.progress import Silent
from imaginate.training import classifier as single
from imaginate.training.architectures import build_classifier
from imaginate.training.classifier import train
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.training_set import CHILD, COPY, Images, Parts, TrainingImages
from worlds import folder

QUICK: dict[str, Any] = {"arch": "small", "updates": 2, "batch": 4, "online_aug": "none"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def studies() -> ModuleType:
    path = Path(__file__).parents[1] / "evaluation" / "studies.py"
    spec = importlib.util.spec_from_file_location("tiny_studies", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path, studies: ModuleType) -> Path:
    return Path(studies.write_folder(tmp_path / "data", {"train": 5, "test": 3}))


def made(data: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return train(data, out, device="cpu", progress=False, **{**QUICK, **settings})


def measured(data: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return made(data, out, held_out=str(data), held_out_split="test", **settings)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("training has begun")

    monkeypatch.setattr(single, "fit", fail)


# What it trains on


def stored(tmp_path: Path, run: Path) -> tuple[Any, PixelCache]:
    dataset = open_dataset(run)
    return dataset, build_pixel_cache(dataset.samples, tmp_path / "c", size=32, classes=len(dataset.labels))


def choose(dataset: Any, store: PixelCache, share: float, seed: int) -> Parts:
    return TrainingImages(Images(dataset, store)).choose(share, seed)


def names(store: PixelCache, rows: np.ndarray) -> set[str]:
    return {store.ids[i] for i in rows}


@pytest.mark.parametrize("method", ["cutout", "mixup"])
def test_no_descendant_of_a_validation_image_is_trained_on(tmp_path: Path, method: str) -> None:
    """Not a child, not one by its mixing partner, not one over a run that was made from a run."""
    first, second = tmp_path / "first", tmp_path / "second"
    expand(str(folder(tmp_path / "data", each=4)), str(first), method=method, copies=1, progress=False)
    expand(str(first), str(second), method=method, copies=1, progress=False)
    for run, new in ((first, 12), (second, 36)):
        dataset, store = stored(tmp_path, run)
        originals = [s.id for s in dataset.samples if s.meta["origin"] == "original"]
        lineage = lineage_of(dataset)
        parents = parents_among(originals, lineage, lineage)
        for seed in range(3):
            choice = choose(dataset, store, 0.25, seed)
            inside, rows = names(store, choice.validation), names(store, choice.rows)
            assert len(inside) == 3
            assert not inside & rows
            assert not inside & set(parents)
            children = {name for name, of in parents.items() if of & inside}
            assert choice.excluded == {CHILD: len(children)}
            assert rows == set(store.ids) - inside - children
            assert len(children) >= (new // 4 if method == "cutout" else new // 3)


def test_an_image_without_a_seed_that_shows_a_validation_image_is_left_out(tmp_path: Path, data: Path) -> None:
    """As `retrieval` would find the training images themselves in a pool."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = tmp_path / "run"
    expand(str(data), str(run), method="duplicate", copies=1, split="train", progress=False)
    table = pq.read_table(run / "metadata.parquet")
    seeds = [row["seed_image"] if row["origin"] == "original" else None for row in table.to_pylist()]
    place = table.column_names.index("seed_image")
    pq.write_table(table.set_column(place, "seed_image", pa.array(seeds, pa.string())), run / "metadata.parquet")
    dataset, store = stored(tmp_path, run)
    choice = choose(dataset, store, 0.2, 0)
    assert choice.excluded == {COPY: 3}
    content = {int(store.content[i]) for i in choice.validation}
    assert len(content) == 3
    assert not content & {int(store.content[i]) for i in choice.rows}


def test_no_original_no_validation_part(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    expand(str(data), str(run), method="cutout", copies=1, split="train", originals="none", progress=False)
    found = made(run, tmp_path / "out")
    assert (found["validation"], found["images"], found["excluded"]) == (None, 15, {})
    arguments = ["--arch", "small", "--updates", "2", "--device", "cpu"]
    assert main(["train", str(folder(tmp_path / "one", each=1)), "--out", str(tmp_path / "two"), *arguments]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'two'}: 3 images, 2 updates\n"
    assert json.loads((tmp_path / "two" / "classifier.json").read_text())["validation"] is None


# What is refused before any training


def test_a_leak_is_refused_allowed_or_dropped(
    tmp_path: Path, data: Path, no_training: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "test" / "red" / "0.png").write_bytes((data / "train" / "red" / "3.png").read_bytes())
    with pytest.raises(DataError, match=r"1 of 9 held-out images \(.*, split test\) .*red/3.png = test/red/0.png"):
        measured(data, tmp_path / "out")
    monkeypatch.undo()
    allowed = measured(data, tmp_path / "allowed", allow_leak=True)
    assert allowed["leak"] == {"same": 1, "near": 0, "removed": 0, "allowed": True}
    assert allowed["held_out"]["images"] == 9
    dropped = measured(data, tmp_path / "dropped", drop_leak=True)
    assert dropped["leak"] == {"same": 1, "near": 0, "removed": 1, "allowed": False}
    assert dropped["held_out"]["images"] == 8
    assert json.loads((tmp_path / "dropped" / "classifier.json").read_text())["leak"] == dropped["leak"]
    with pytest.raises(DataError, match=r"no held-out image .* is left to measure on"):
        made(data, tmp_path / "same", held_out=str(data), held_out_split="train", drop_leak=True)


def test_shots_are_those_of_every_other_command(tmp_path: Path, data: Path) -> None:
    found = made(data, tmp_path / "few", shots=2, subset_seed=3, validation=0)
    assert found["images"] == len(open_dataset(data, shots=2, subset_seed=3).samples) == 6
    run = tmp_path / "run"
    expand(str(data), str(run), method="duplicate", copies=1, shots=2, subset_seed=3, progress=False)
    used = {s.meta.get("seed_image") or s.id for s in open_dataset(run, origin="original").samples}
    assert used == {s.id for s in open_dataset(data, shots=2, subset_seed=3).samples}
    with pytest.raises(RunError, match="shots is 3, was 2"):
        made(data, tmp_path / "few", shots=3, subset_seed=3, validation=0)
    with pytest.raises(DataError, match=r"cut to so many a class when it is made \(expand --shots\)"):
        made(run, tmp_path / "again", shots=1)


def test_a_new_image_that_shows_a_held_out_one_is_a_leak(tmp_path: Path, data: Path, no_training: None) -> None:
    run = tmp_path / "run"
    expand(str(data), str(run), method="cutout", copies=1, split="train", progress=False)
    with pytest.raises(DataError, match=r"cut to a long tail when it is made \(expand --imbalance\)"):
        made(run, tmp_path / "tail", imbalance=10)
    new = next(s for s in open_dataset(run, origin="synthetic").samples)
    (run / new.id).write_bytes((data / "test" / "blue" / "1.png").read_bytes())
    with pytest.raises(DataError, match=r"1 of 9 held-out images .* = test/blue/1.png"):
        made(run, tmp_path / "out", held_out=str(data), held_out_split="test", validation=0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"held_out": "nowhere"}, DataError, "nowhere"),
        ({"held_out": "OTHER"}, DataError, "held-out images have classes that the training set lacks: teal"),
        ({"held_out_split": "test"}, ConfigError, "held_out_split 'test' needs held_out"),
        ({"recipe": "ret", "validation": 0}, ConfigError, "needs a validation part, --validation above 0"),
        ({"patience": 2, "validation": 0}, ConfigError, "needs a validation part, --validation above 0"),
        ({"epochs": 2}, ConfigError, "give one of updates and epochs, got updates 2 and epochs 2"),
        ({"pretrained": True}, ConfigError, "pretrained must be off for arch 'small'"),
        ({"lr": "inf"}, ConfigError, r"lr must be in \(0, inf\), got inf"),
        ({"lr": "nan"}, ConfigError, r"lr must be in \(0, inf\), got nan"),
        ({"arch": "smal"}, ConfigError, "unknown arch 'smal'"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    settings: dict[str, Any], error: type[Exception], message: str, tmp_path: Path, data: Path, no_training: None,
    studies: ModuleType,
) -> None:  # fmt: skip
    if settings.get("held_out") == "OTHER":
        classes = ("blue", "green", "red", "teal")
        settings = {"held_out": str(studies.write_folder(tmp_path / "other", {"test": 2}, seed=9, classes=classes))}
    with pytest.raises(error, match=message) as caught:
        made(data, tmp_path / "out", **settings)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_waits_for_a_validation_part_is_refused_where_no_class_can_have_one(
    tmp_path: Path, no_training: None
) -> None:
    with pytest.raises(ConfigError, match="needs a validation part, --validation above 0"):
        made(folder(tmp_path / "one", each=1), tmp_path / "out", recipe="ret")


# Its folder


def test_one_classifier_is_trained_measured_and_kept(tmp_path: Path, data: Path) -> None:
    from safetensors.torch import load_file

    found = measured(data, tmp_path / "out", updates=40, batch=8, online_aug="light")
    assert found["held_out"]["images"] == 9
    assert found["held_out"]["top1"] > 0.6
    assert found["leak"] == {"same": 0, "near": 0, "removed": 0, "allowed": False}
    build_classifier("small", 3).load_state_dict(load_file(tmp_path / "out" / "weights.safetensors"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "README.md", "cache", "classifier.json", "history.json", "recipe.json", "weights.safetensors"
    ]  # fmt: skip
    with pytest.raises(RunError, match="not a training folder"):
        measured(data, data)


def test_every_accuracy_names_the_classes_that_it_was_measured_on(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    flags = ["--arch", "small", "--updates", "2", "--batch", "4", "--online-aug", "none", "--device", "cpu"]
    held = ["--held-out", str(data), "--held-out-split", "test"]
    for name in ("blue", "green"):
        for place in (data / "train" / name).glob("[1-9]*.png"):
            place.unlink()  # a class of one image has none for validation
    shutil.rmtree(data / "test" / "green")
    assert main(["train", str(data), "--out", str(tmp_path / "two"), *flags, *held, "--validation", "0.3"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert re.search(
        r"validation [\d.]+ % on class red alone \(2 of 3 classes have no validation image: blue, green", line
    )
    assert re.search(
        r"mean per class [\d.]+ % on 2 of 3 classes \(1 of 3 classes have no held-out image: green\)", line
    )
    shutil.rmtree(data / "test" / "red")
    assert main(["train", str(data), "--out", str(tmp_path / "one"), *flags, *held, "--validation", "0"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert re.search(r"top-1 [\d.]+ % on class blue alone \(2 of 3 classes have no held-out image", line)
    assert "per class" not in line


def test_a_finished_classifier_is_returned_and_never_trained_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found = measured(data, out)
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    monkeypatch.setattr(single, "fit", None)
    assert measured(data, out) == found
    flags = ["--arch", "small", "--updates", "2", "--batch", "4", "--online-aug", "none", "--device", "cpu"]
    held = ["--held-out", str(data), "--held-out-split", "test"]
    assert main(["train", str(data), "--out", str(out), *flags, *held]) == 0
    assert "finished before" in capsys.readouterr().out
    with pytest.raises(RunError, match=r"with other settings: lr is 0\.2, was None; choose another --out"):
        measured(data, out, lr=0.2)
    picture = data / "test" / "red" / "1.png"
    kept = picture.read_bytes()
    picture.write_bytes((data / "test" / "red" / "2.png").read_bytes())
    with pytest.raises(RunError, match="of other images: the held-out images have changed"):
        measured(data, out)
    picture.write_bytes(kept)
    (data / "train" / "red" / "1.png").unlink()
    with pytest.raises(RunError, match="of other images: the training images have changed"):
        measured(data, out)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    (out / "weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"has lost its weights\.safetensors"):
        measured(data, out)


def test_stopped_it_goes_on_to_the_same_weights(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    class Stopping:
        done = 0.0

        def advance(self, count: float = 1) -> None:
            self.done += count
            if self.done >= 5:
                raise Stopped

    @contextmanager
    def bar(text: str, *_: Any, **__: Any) -> Iterator[Any]:
        yield Stopping() if text.startswith("train") else Silent()

    def finish(out: Path, **settings: Any) -> bytes:
        measured(data, out, updates=8, **settings)
        return (out / "weights.safetensors").read_bytes()

    whole, cut = finish(tmp_path / "whole"), tmp_path / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(single, "bar", bar)
        with pytest.raises(Stopped):
            finish(cut)
    assert (cut / "state.pt").exists()
    (cut / "state.pt.123.part").write_bytes(b"half")
    with pytest.raises(RunError, match="with other settings: seed is 1, was 0"):
        finish(cut, seed=1)
    picture = data / "train" / "red" / "1.png"
    kept = picture.read_bytes()
    Image.new("RGB", (32, 32), "red").save(picture)
    with pytest.raises(RunError, match="of other images: the training images have changed"):
        finish(cut)
    picture.write_bytes(kept)
    assert finish(cut) == whole
