"""Where the held-out and the validation images come from, which learners a study has, and what it will cost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from imaginate.errors import ConfigError, DataError
from imaginate.evaluation import running, study
from imaginate.evaluation.arms import parse_arms
from imaginate.evaluation.compose import compose
from imaginate.evaluation.cost import Cost, Part, _fit_seconds
from imaginate.evaluation.protocol import Protocol, protocol_from
from imaginate.evaluation.study_images import StudyImages, gather, open_study
from imaginate.training.learners.core import heads

TINY = {"arch": "small", "image_size": 16, "seeds": 1, "updates": 2, "batch": 4, "controls": False}


@pytest.fixture
def world(tmp_path: Path, studies: ModuleType) -> Path:
    import torch

    from imaginate.data import open_dataset

    torch.set_num_threads(1)
    data = studies.write_folder(tmp_path / "data", {"train": 8, "test": 4})
    seeds = {sample.id: sample.label for sample in open_dataset(data).samples}
    studies.write_run(tmp_path / "noise", data, seeds, copies=2)
    return tmp_path


def protocol(world: Path, **changes: Any) -> Protocol:
    return protocol_from({"data": str(world / "data"), "held_out": None, **TINY, **changes})


def compared(world: Path, arms: list[str], out: str = "study", **changes: Any) -> Any:
    arms = [arm.replace(":noise", f":{world / 'noise'}") for arm in arms]
    settings = {**TINY, "device": "cpu", "progress": False, **changes}
    return study.compare(world / "data", arms, settings.pop("held_out", None), world / out, **settings)


def images(world: Path, arms: list[str], **changes: Any) -> tuple[Protocol, StudyImages]:
    asked = protocol(world, **changes)
    return asked, gather(asked, parse_arms(arms), world / "cache", progress=False)


def test_folds_hold_each_image_out_once_and_its_relatives_with_it(world: Path, studies: ModuleType) -> None:
    first = world / "data" / "train" / "red" / "0.png"
    for i in (6, 7):  # a burst: the same picture three times
        (world / "data" / "train" / "red" / f"{i}.png").write_bytes(first.read_bytes())
    run = str(world / "noise")
    asked, material = images(world, [f"run:{run}"], folds=3)
    arm, folds = parse_arms([f"run:{run}"])[0], material.folds(3, 0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(24))
    burst = [i for i, name in enumerate(material.train.ids) if name.rpartition("/")[2] in ("0.png", "6.png", "7.png")]
    burst = [i for i in burst if "/red/" in material.train.ids[i] or material.train.ids[i].startswith("red/")]
    assert len(burst) == 3
    for rows in folds:
        assert len(set(burst) & set(rows.tolist())) in (0, 3)
        assert set(material.train.label[rows].tolist()) == {0, 1, 2}
        found = compose(arm, material, asked, seed=0, resample=0, times=1, fold=rows)
        assert found.validation is not None
        own = found.train.row[: found.original]
        parts = [set(rows.tolist()), set(own.tolist()), set(found.validation.row.tolist())]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 24
        used = [material.runs[run].store.ids[i] for i in found.train.row[found.original :]]
        parents = {name for image in used for name in material.runs[run].parents[image]}
        assert used
        assert parents <= {material.train.ids[i] for i in own}
    other = material.folds(3, 1)
    assert any(a.tolist() != b.tolist() for a, b in zip(folds, other, strict=True))


def test_a_study_by_folds_has_one_answer_for_every_image(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(world, ["original", "run:noise"], folds=3, seeds=2)
    assert found["data"]["held_out"] == 24
    with np.load(world / "study" / "arms" / "original" / "seed-0" / "predictions.npz") as saved:
        assert Counter(saved["label"].tolist()) == {0: 8, 1: 8, 2: 8}
        assert found["arms"][0]["units"][0]["top1"] == pytest.approx((saved["predicted"] == saved["label"]).mean())
    monkeypatch.setattr(running, "_train", lambda *_: pytest.fail("trained again"))
    assert compared(world, ["original"], folds=3, seeds=2)["complete"]
    with pytest.raises(ConfigError, match="folds hold each image out once"):
        protocol(world, folds=3, held_out_split="test")


def test_rest_is_what_shots_left_out_and_the_validation_part_is_disjoint(world: Path) -> None:
    asked = protocol(world, shots=3, split="train", held_out_split="rest", validation_split="rest")
    found = open_study(asked, parse_arms(["original"]))
    assert found.validation is not None
    parts = [{sample.id for sample in data.samples} for data in (found.train, found.validation, found.held_out)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 24
    assert [set(data.counts().values()) for data in (found.train, found.validation, found.held_out)] == [{3}, {2}, {3}]
    whole = protocol(world, shots=3, split="train", held_out_split="test", validation_split="rest")
    validation = open_study(whole, parse_arms(["original"])).validation
    assert validation is not None
    assert set(validation.counts().values()) == {3}, "of the same size as the training part"
    assert found.train.samples == open_study(whole, parse_arms(["original"])).train.samples
    with pytest.raises(DataError, match="needs --shots or --fraction"):
        open_study(protocol(world, split="train", held_out_split="rest"), parse_arms(["original"]))


def test_a_long_tail_is_what_every_arm_starts_from(world: Path) -> None:
    asked = protocol(world, imbalance=4, split="train", held_out_split="test")
    found = open_study(asked, parse_arms(["original", "real:3"]))
    assert list(found.train.counts().values()) == [8, 4, 2]
    assert found.real is not None
    assert list(found.real.counts().values()) == [0, 4, 6], "what the tail left out"


def test_classes_that_a_run_fell_short_of_are_left_out_of_every_arm(world: Path, studies: ModuleType) -> None:
    data = world / "data"
    seeds = {s.id: s.label for s in open_study(protocol(world, held_out_split="test"), []).train.samples}
    few = {name: label for name, label in seeds.items() if label != 1 or name.endswith(("0.png", "1.png"))}
    run = studies.write_run(world / "short", data, few, copies=2)
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe + "expand: {copies: 2}\n")
    arms = ["original", f"run:{run}", "duplicate:1"]
    found = compared(world, arms, held_out_split="test", short="exclude")
    assert {arm["images"]["original"] for arm in found["arms"] if arm["kind"] == "original"} == {12}
    assert found["data"]["held_out_per_class"] == [4, 0, 4]
    assert any("fell short" in note and "green" in note for note in found["warnings"])
    for arm in found["arms"]:
        right = round(8 * arm["top1"]["mean"] * arm["top1"]["n"]) / arm["top1"]["n"]
        assert arm["bounds"] == pytest.approx({"worst": right / 12, "best": (right + 4) / 12, "images": 4})
    kept = compared(world, arms, "kept", held_out_split="test")
    assert kept["data"]["held_out_per_class"] == [4, 4, 4]
    assert [arm["bounds"] for arm in kept["arms"]] == [None] * len(kept["arms"])


def test_several_learners_see_the_same_images_and_each_has_its_table(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ["original", "run:noise"]
    asked: dict[str, Any] = {"learners": "probe:nano,small", "arch": None, "held_out_split": "test", "seeds": 2}
    asked["image_size"] = 64
    found = compared(world, arms, **asked)
    assert list(found["by_learner"]) == ["probe:nano", "small"]
    assert found["arms"] == found["by_learner"]["probe:nano"]["arms"]
    rows = {arch: one["arms"] for arch, one in found["by_learner"].items()}
    assert [row["images"] for row in rows["small"]] == [row["images"] for row in rows["probe:nano"]]
    assert rows["small"][0]["units"][0]["parameters"] > rows["probe:nano"][0]["units"][0]["updates"]
    for arch in ("probe-nano", "small"):
        assert (world / "study" / "arms" / "original" / arch / "seed-1" / "result.json").exists()
    monkeypatch.setattr(study, "run_job", lambda *_: pytest.fail("trained again"))
    assert compared(world, arms, **asked)["complete"]


def test_a_probe_gives_the_same_answers_again_and_embeds_an_image_once(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imaginate.training.learners.core.features import Features

    seen: list[int] = []
    embedded = Features._embedded
    monkeypatch.setattr(Features, "_embedded", lambda self, x: seen.append(len(x)) or embedded(self, x))
    asked = {"arch": "probe:nano", "held_out_split": "test", "seeds": 3, "image_size": 64, "updates": None}
    arms = ["original", "duplicate:2", "run:noise"]
    found = compared(world, arms, **asked)
    assert sum(seen) <= 24 + 48 + 12, "each of the pictures once, for all seeds and arms"
    again = compared(world, arms, "again", **asked)
    assert [arm["top1"] for arm in again["arms"]] == [arm["top1"] for arm in found["arms"]]
    one, two = (arm["units"] for arm in found["arms"][:2])
    assert [unit["top1"] for unit in one] == [unit["top1"] for unit in two], "repeating an image adds nothing"


def test_the_cost_is_said_before_work_and_hours_on_a_cpu_need_a_yes(world: Path, capsys: Any) -> None:
    planned = compared(world, ["original", "run:noise"], held_out_split="test", plan=True, updates=100)
    assert planned["learners"][0]["classifiers"] == 2
    assert planned["learners"][0]["updates"] == 100
    assert planned["text"].startswith("2 arms x 1 seeds: about ")
    assert not (world / "study" / "arms").exists()
    long = Part(arch="small", classifiers=4, updates=5000, seconds=4 * 3600)
    cost = Cost(arms=2, seeds=2, parts=(long,), reading=3.0, memory=2**30, device="cpu", workers=1)
    with pytest.raises(ConfigError, match=r"4 h 0 min.*--arch probe:efficientnet-lite0 takes minutes.*--yes"):
        cost.check(protocol(world, held_out_split="test"), agreed=False)
    cost.check(protocol(world, held_out_split="test"), agreed=True)
    with pytest.raises(ConfigError, match="--yes begins it all the same"):
        compared(world, ["original"], held_out_split="test", updates=10**7)
    compared(world, ["original"], held_out_split="test", progress=True)
    assert "1 arms x 1 seeds: about" in capsys.readouterr().err.splitlines()[0]


def test_equal_cost_gives_the_time_of_making_the_images_to_the_other_arms(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imaginate.training.trial import Pace

    monkeypatch.setattr(study, "measure_pace", lambda plan: Pace(update=0.5, image=0.01, memory=1))
    path = world / "noise" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cost": {"seconds": 4.0}}))
    found = compared(world, ["original", "run:noise"], held_out_split="test", budget="cost", validation=0.0)
    assert [arm["units"][0]["updates"] for arm in found["arms"]] == [2 + 8, 2]
    half = compared(world, ["original", "run:noise@1"], "half", held_out_split="test", budget="cost", validation=0.0)
    assert [arm["units"][0]["updates"] for arm in half["arms"]] == [2 + 4, 2]


def test_equal_cost_is_refused_for_images_of_which_nothing_says_what_they_took(world: Path) -> None:
    path = world / "noise" / "recipe.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["method"] = {"name": "adopt"}
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(ConfigError, match=r"--budget cost counts what making the images took, and nothing says it of "):
        compared(world, ["original", "run:noise"], held_out_split="test", budget="cost", validation=0.0)


def test_the_planned_seconds_of_a_logistic_head_are_measured_on_a_few_of_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One regression of three steps stands for all: of six penalties on two thirds of the images, three times, and the
    last on all, a hundred steps each."""
    asked: list[tuple[int, int, int]] = []
    clock = iter([10.0, 10.6])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    monkeypatch.setattr(heads, "_regression", lambda x, y, w, p, most: asked.append((len(x), y.shape[1], most)))
    seconds = _fit_seconds(4000, "logistic", 7)
    assert asked == [(2000, 7, 3)]
    assert seconds == pytest.approx(0.15 + 0.2 * 100 * 2 * (2 * 6 + 1))


def test_quick_is_a_probe_with_eleven_seeds() -> None:
    quick = protocol_from({"data": "d", "held_out": "h", "quick": True})
    assert (quick.archs, quick.seeds >= 11) == (("probe:efficientnet-lite0",), True)


def test_the_planned_seconds_of_a_fit_grow_with_its_images_and_less_steeply_beyond_the_width() -> None:
    sizes = [10, 200, 800, 1280, 5000, 20_000]
    seconds = [_fit_seconds(size) for size in sizes]
    assert seconds == sorted(seconds)
    assert seconds[0] < 0.2
    assert seconds[-1] / seconds[-2] < sizes[-1] / sizes[-2]
