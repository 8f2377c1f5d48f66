"""Images that another tool made: matched by name, kept apart from held-out and validation images, or not judged."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imaginate.data import open_dataset
from imaginate.data.matching import match_classes
from imaginate.errors import ConfigError, DataError
from imaginate.evaluation.arms import parse_arms
from imaginate.evaluation.compose import compose
from imaginate.evaluation.elsewhere import HELD_OUT_COPY, VALIDATION_COPY
from imaginate.evaluation.protocol import protocol_from
from imaginate.evaluation.study import compare
from imaginate.evaluation.study_images import StudyImages, gather
from imaginate.records import ClassInfo, LabelSpace

NAMES = ("Blue", "001.green", "RED", "purple")


@pytest.fixture
def world(tmp_path: Path, studies: ModuleType) -> Path:
    """A dataset, and a folder of other pictures whose classes are spelt another way, with one more class."""
    studies.write_folder(tmp_path / "data", {"train": 6, "test": 5})
    other = studies.write_folder(tmp_path / "made", {".": 8}, seed=9)
    for name, theirs in zip(studies.CLASSES, NAMES, strict=False):
        (other / name).rename(other / theirs)
    shutil.copytree(other / "RED", other / "purple")
    return tmp_path


def settings_of(world: Path, **changes: Any) -> dict[str, Any]:
    small = {"arch": "small", "image_size": 32, "updates": 4, "batch": 8, "validation": 0.34, "controls": False}
    return {"held_out_split": "test", "seeds": 2, **small, **changes}


def material_of(world: Path, *arms: str) -> StudyImages:
    data = str(world / "data")
    protocol = protocol_from({"data": data, "held_out": data, **settings_of(world)})
    return gather(protocol, parse_arms(arms), world / "cache", progress=False)


def leak(world: Path, source: str, as_file: str, alter: str = "same") -> None:
    """A held-out or training image among those that the other tool made."""
    image = Image.open(world / "data" / source).convert("RGB").resize((64, 64))
    if alter == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if alter == "cropped":
        image = image.crop((16, 0, 64, 48)).resize((48, 48))
    image.save(world / "made" / as_file)


def test_classes_are_matched_by_name_and_the_others_are_listed(world: Path) -> None:
    found = material_of(world, f"folder:{world / 'made'}").runs[str(world / "made")]
    assert found.elsewhere is not None
    assert found.elsewhere["unmatched"] == ["purple"]
    assert found.elsewhere["unmatched_images"] == 8
    assert np.bincount(found.store.label).tolist() == [8, 8, 8]
    assert found.usable.all()
    assert (found.elsewhere["held_out"], found.elsewhere["doubt"]) == (0, "")


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (("cat", "dog"), ("dog", "cat"), {0: 1, 1: 0}),
        (("n01440764_tench", "Great white-shark"), ("great_white_shark", "tench"), {0: 1, 1: 0}),
        (("7.daisy", "12"), ("daisy", "12"), {0: 0, 1: 1}),
        (("cafe\u0301",), ("caf\u00e9", "bar"), {0: 0}),
        (("Cat",), ("cat", "CAT"), {}),
        (("0", "1"), ("daisy", "rose"), {}),
    ],
)
def test_what_counts_as_the_same_name(theirs: tuple[str, ...], ours: tuple[str, ...], expected: dict[int, int]) -> None:
    assert dict(match_classes(LabelSpace.of(theirs), LabelSpace.of(ours)).labels) == expected


def test_a_display_name_matches_too() -> None:
    ours = LabelSpace((ClassInfo(name="n01440764", display="tench"), ClassInfo(name="b", synonyms=("goldfish",))))
    assert dict(match_classes(LabelSpace.of(("Goldfish", "Tench")), ours).labels) == {0: 1, 1: 0}


def test_a_folder_without_any_class_of_the_dataset_shows_both_sides(world: Path) -> None:
    for name in NAMES:
        (world / "made" / name).rename(world / "made" / f"kind-{name}")
    with pytest.raises(DataError, match=r"there: kind-001\.green.*; here: blue, green, red"):
        material_of(world, f"folder:{world / 'made'}")


@pytest.mark.parametrize("alter", ["same", "mirrored", "cropped"])
def test_near_copies_of_held_out_images_are_left_out_and_counted(world: Path, alter: str) -> None:
    leak(world, "test/blue/1.png", "Blue/leaked.png", alter)
    found = material_of(world, f"folder:{world / 'made'}").runs[str(world / "made")]
    assert dict(found.dropped) == {HELD_OUT_COPY: 1}
    assert [found.store.ids[i] for i in np.flatnonzero(~found.usable)] == ["made/Blue/leaked.png"]


def test_a_copy_of_an_original_is_not_trained_on_where_that_one_validates(world: Path) -> None:
    leak(world, "train/green/2.png", "001.green/leaked.png", "mirrored")
    arms = parse_arms([f"folder:{world / 'made'}"])
    material = material_of(world, arms[0].spec)
    data = str(world / "data")
    protocol = protocol_from({"data": data, "held_out": data, **settings_of(world)})
    for seed in range(6):
        composed = compose(arms[0], material, protocol, seed=seed, resample=0, times=1)
        assert composed.validation is not None
        inside = {material.train.ids[row] for row in composed.validation.row}
        is_left_out = "train/green/2.png" in inside
        assert composed.excluded == ({VALIDATION_COPY: 1} if is_left_out else {})
        assert composed.synthetic == 25 - is_left_out


def test_a_study_with_a_folder_and_no_verdict_where_too_many_held_out_images_are_in_it(world: Path) -> None:
    data = world / "data"
    shutil.copytree(world / "made", world / "leaky")
    for i in range(4):
        leak(world, f"test/red/{i}.png", f"../leaky/RED/leaked-{i}.png", "mirrored")
    arms = ["original", f"folder:{world / 'made'}", f"folder:{world / 'leaky'}"]
    found = compare(data, arms, data, world / "study", progress=False, device="cpu", **settings_of(world))
    made, leaky = found["arms"][1:]
    assert (made["name"], made["kind"], made["run"]) == ("made", "folder", None)
    assert made["difference"]["top1"]["verdict"] in ("gain", "loss", "unclear")
    assert made["files"]["recognised"] < 0.7
    assert leaky["difference"]["top1"]["verdict"] == "no verdict"
    assert "p_holm" not in leaky["difference"]["top1"]
    sentence = next(one["text"] for one in found["verdict"] if one["kind"] == "judge")
    assert sentence.startswith("No verdict on leaky: 4 of its 28 images are near-copies of 4 of the 15 held-out images")
    assert any("seeds of its images are unknown" in text for text in found["warnings"])
    assert any("classes that the dataset does not have were left out (8): purple" in text for text in found["warnings"])
    again = compare(data, arms, data, world / "study", progress=False, device="cpu", **settings_of(world))
    assert again["arms"][1]["top1"] == made["top1"]


def test_a_run_is_no_folder_of_another_tool(world: Path, studies: ModuleType) -> None:
    seeds = {sample.id: sample.label for sample in open_dataset(world / "data").samples}
    run = studies.write_run(world / "run", world / "data", seeds)
    with pytest.raises(ConfigError, match="use --arm run:"):
        material_of(world, f"folder:{run}")
