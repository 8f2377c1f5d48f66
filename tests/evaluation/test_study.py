"""A whole study in small: same protocol for all, resumable, refusing what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from imaginate.errors import ConfigError, RunError
from imaginate.evaluation import running as unit
from imaginate.evaluation.protocol import protocol_from
from imaginate.evaluation.study import compare
from imaginate.models.weights import guide_weights

SMALL = {
    "arch": "small",
    "image_size": 32,
    "seeds": 2,
    "updates": 6,
    "batch": 8,
    "bootstrap": 100,
    "progress": False,
    "controls": False,
}


@pytest.fixture
def world(tmp_path: Path, studies: ModuleType) -> Path:
    import torch

    from imaginate.data import open_dataset

    torch.set_num_threads(1)
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    seeds = {sample.id: sample.label for sample in open_dataset(data).samples}
    studies.write_run(tmp_path / "noise", data, seeds, copies=2)
    return tmp_path


def study(world: Path, arms: list[str], out: str = "study", **changes: Any) -> dict[str, Any]:
    data = world / "data"
    arms = [arm.replace(":noise", f":{world / 'noise'}") for arm in arms]
    return compare(data, arms, data, world / out, **{**SMALL, "held_out_split": "test", "device": "cpu", **changes})


def timeless(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: timeless(v) for k, v in found.items() if k not in ("seconds", "name")}
    return [timeless(v) for v in found] if isinstance(found, list) else found


def test_every_study_has_its_controls_and_its_verdict(world: Path) -> None:
    found = study(world, ["run:noise"], controls=True, seeds=3)
    names = [arm["name"] for arm in found["arms"]]
    assert names == ["noise", "original", "duplicate", "original@0.5", "original@0.25"]
    assert len(found["controls"]["positive"]) == 3
    assert found["controls"]["negative"]["arm"] == "duplicate"
    assert [one["arm"] for one in found["worth"]] == ["noise"]
    kinds = [one["kind"] for one in found["verdict"]]
    assert kinds[-2:] == ["visible", "next"]
    assert "p_holm" in found["arms"][0]["difference"]["top1"]
    assert "p_holm" not in found["arms"][2]["difference"]["top1"]
    again = study(world, ["online-aug"], seeds=3)  # fixed when the study began
    assert [arm["name"] for arm in again["arms"]] == [*names, "online-aug"]


def test_arms_with_new_images_have_predictors_that_see_no_held_out_image(world: Path, studies: ModuleType) -> None:
    found = study(world, ["original", "run:noise"], seeds=1)
    assert found["arms"][0]["predictors"] is None
    before = found["arms"][1]["predictors"]
    assert set(before) == {"influence", "consistency", "kernel_distance", "vendi", "coverage"}
    assert 0 < before["vendi"] <= 1
    assert 0 <= before["coverage"] <= 1
    shutil.rmtree(world / "data" / "test")
    studies.write_folder(world / "data", {"test": 5}, seed=77)
    again = study(world, ["original", "run:noise"], out="again", seeds=1)
    assert again["arms"][1]["predictors"] == pytest.approx(before)


def test_arms_of_one_run_at_several_ratios_have_predictors_of_their_own(world: Path) -> None:
    whole, one = (arm["predictors"] for arm in study(world, ["run:noise", "run:noise@1"], seeds=1)["arms"])
    assert all(whole[name] != one[name] for name in ("influence", "kernel_distance", "vendi"))


def test_an_arm_that_lacks_a_class_says_so_in_its_own_line(world: Path, studies: ModuleType) -> None:
    from imaginate.cli.compare import table
    from imaginate.data import open_dataset

    seeds = {sample.id: sample.label for sample in open_dataset(world / "data").samples if sample.label != 1}
    studies.write_run(world / "two", world / "data", seeds, copies=1)
    found = study(world, ["original", f"synthetic:{world / 'two'}"], seeds=1)
    assert [arm["lacks"] for arm in found["arms"]] == [[], ["green"]]
    assert "synthetic-two has no training image of green" in found["warnings"]
    seen = found["arms"][1]["top1"]["mean"]  # none of the green images is ever seen as green
    assert found["arms"][1]["bounds"] == pytest.approx({"worst": seen, "best": seen + 1 / 3, "images": 4})
    lines = table(found).splitlines()
    assert next(line for line in lines if line.startswith("synthetic-two")).startswith(
        "synthetic-two (no image of green)"
    )
    assert "one seed: no verdict" in lines[2]


def test_every_accuracy_names_the_classes_that_are_held_out(world: Path) -> None:
    from imaginate.cli.compare import table

    def show_training_images(name: str) -> None:
        for i in range(4):
            shutil.copy(world / "data" / "train" / name / f"{i}.png", world / "data" / "test" / name)

    show_training_images("red")
    two = study(world, ["original", "run:noise"], drop_leak=True)
    assert "top-1 % on 2 of 3 classes  mean per class % on 2 of 3 classes" in table(two)
    note = "every accuracy is measured on 2 of 3 classes (1 of 3 classes have no held-out image: red)"
    assert note in two["warnings"]
    show_training_images("green")
    one = study(world, ["original", "run:noise"], out="one", drop_leak=True)
    assert "top-1 % on class blue alone" in table(one)
    assert one["verdict"][0]["text"] == (
        "This study cannot judge: its held-out images are of class blue alone, and who always answers blue is right on "
        "all of them."
    )
    assert not any(sentence["kind"] in ("use", "avoid") for sentence in one["verdict"])


def test_seeds_are_added_until_what_is_asked_for_can_be_seen(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imaginate.evaluation import study as module

    monkeypatch.setattr(module, "seeds_to_add", lambda found: 4 if found["protocol"]["seeds"] == 2 else None)
    found = study(world, ["original", "run:noise"], detect=30)
    assert {unit["seed"] for arm in found["arms"] for unit in arm["units"]} == {0, 1, 2, 3}


def test_killed_and_continued_it_gives_the_same_results(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = ["original", "duplicate", "online-aug", "run:noise"]
    whole = study(world, arms)
    real, calls = unit.rank, []

    def dying(*args: Any) -> Any:
        calls.append(1)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(unit, "rank", dying)
    for _ in range(8):
        try:
            cut = study(world, arms, out="cut")
            break
        except KeyboardInterrupt:
            assert not list((world / "cut" / "arms").rglob("*.part*"))
    assert timeless(cut) == timeless(whole)
    assert whole["complete"]
    on_disk = json.loads((world / "study" / "results.json").read_text())
    assert on_disk == whole


def test_every_arm_gets_the_same_updates_and_the_numbers_are_those_of_the_stored_answers(world: Path) -> None:
    found = study(world, ["original", "run:noise", "run:noise@1", "synthetic:noise"])
    assert {u["updates"] for arm in found["arms"] for u in arm["units"]} == {6}
    by_name = {arm["name"]: arm for arm in found["arms"]}
    assert by_name["noise"]["images"]["total"] == 45
    assert [(p["ratio"], p["arm"]) for p in found["curves"][0]["points"]] == [
        (0.0, "original"),
        (1.0, "noise@1"),
        (2.0, "noise"),
    ]
    for arm in found["arms"]:
        for one in arm["units"]:
            with np.load(world / "study" / "arms" / arm["name"] / f"seed-{one['seed']}" / "predictions.npz") as saved:
                right = saved["label"] == saved["predicted"]
            assert one["top1"] == right.mean()
    assert by_name["original"]["difference"] is None
    gap = by_name["noise"]["difference"]["top1"]
    assert gap["mean"] == pytest.approx(by_name["noise"]["top1"]["mean"] - by_name["original"]["top1"]["mean"])
    assert gap["low"] <= gap["mean"] <= gap["high"]


def test_with_epochs_the_larger_arm_trains_longer_as_in_the_papers(world: Path) -> None:
    found = study(world, ["original", "run:noise"], budget="epochs", epochs=2, updates=None, seeds=1)
    assert [arm["units"][0]["updates"] for arm in found["arms"]] == [4, 12]


def test_an_arm_is_added_and_nothing_is_trained_twice(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(world, ["original"], updates=None, epochs=1)
    first = yaml.safe_load((world / "study" / "study.yaml").read_text())["protocol"]["updates"]
    real, trained = unit.fit, []
    monkeypatch.setattr(unit, "fit", lambda *args, **kwargs: trained.append(args[0]) or real(*args, **kwargs))
    found = study(world, ["original", "run:noise"], updates=None, epochs=1)
    assert len(trained) == 2
    assert {u["updates"] for arm in found["arms"] for u in arm["units"]} == {first}


def test_arms_that_are_not_named_stay_until_their_folder_is_deleted(world: Path) -> None:
    study(world, ["original", "run:noise"], seeds=1)
    found = study(world, ["online-aug"], seeds=1)
    assert [arm["name"] for arm in found["arms"]] == ["original", "noise", "online-aug"]
    assert found["arms"][2]["difference"] is not None
    shutil.rmtree(world / "study" / "arms" / "noise")
    shutil.rmtree(world / "noise")
    found = study(world, ["original"], seeds=1)
    assert [arm["name"] for arm in found["arms"]] == ["original", "online-aug"]


def test_duplicate_keeps_the_size_that_it_first_had(world: Path, studies: ModuleType) -> None:
    from imaginate.data import open_dataset

    alone = study(world, ["original", "duplicate"], out="alone", seeds=1)
    assert [arm["images"]["total"] for arm in alone["arms"]] == [15, 90]
    study(world, ["original", "duplicate", "run:noise"], seeds=1)
    seeds = {sample.id: sample.label for sample in open_dataset(world / "data").samples}
    studies.write_run(world / "more", world / "data", seeds, copies=6)
    found = study(world, [f"run:{world / 'more'}"], seeds=2)
    sizes = {arm["name"]: [unit["epochs"] for unit in arm["units"]] for arm in found["arms"]}
    assert sizes["duplicate"][0] == sizes["duplicate"][1] == round(6 * 8 / 45, 2)
    assert any("more is larger than duplicate" in text and "--arm duplicate:6" in text for text in found["warnings"])


def test_the_ratio_is_that_which_was_reached_and_titles_are_unique(world: Path) -> None:
    arms = ["original", "run:noise@1", "run:noise@5", "other=run:noise", "synthetic:noise"]
    found = study(world, arms, seeds=1)
    assert [arm["ratio"] for arm in found["arms"]] == [None, 1.0, 2.0, 2.0, 2.0]
    assert any("noise@5 has 2 new images for each original and not the 5 asked" in text for text in found["warnings"])
    titles = [arm["title"] for arm in found["arms"]]
    assert titles == ["original", "noise@1", "noise@5", "other", "noise, alone"]


def test_the_same_images_in_another_place_are_the_same_study(world: Path) -> None:
    first = study(world, ["original"], seeds=1)
    shutil.copytree(world / "data", world / "moved")
    moved, settings = world / "moved", {**SMALL, "seeds": 1, "held_out_split": "test", "device": "cpu"}
    again = compare(moved, ["original"], moved, world / "study", **settings)
    assert timeless(again["arms"]) == timeless(first["arms"])


def test_another_protocol_other_images_or_another_folder_are_refused(world: Path, studies: ModuleType) -> None:
    study(world, ["original", "run:noise"], seeds=1)
    with pytest.raises(RunError, match=r"another protocol: updates is 7, was 6"):
        study(world, ["original"], updates=7)
    with pytest.raises(RunError, match=r"arm 'noise' of .* was another one"):
        study(world, ["original", "noise=run:noise@1"])
    (world / "data" / "test" / "red" / "0.png").unlink()
    with pytest.raises(RunError, match="the held-out images have changed since"):
        study(world, ["original"])
    (world / "full").mkdir()
    (world / "full" / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match=r"exists and is not a study"):
        study(world, ["original"], out="full")
    assert (world / "full" / "letter.txt").exists()


def test_settings_are_checked_before_anything_is_read(world: Path) -> None:
    for changes, message in [
        ({"arch": "resnet5000"}, "unknown arch"),
        ({"recipe": "giff"}, "did you mean 'gif'"),
        ({"validation": 1.0}, r"validation must be in \[0, 1\), got 1.0"),
        ({"budget": "money"}, "budget must be one of updates, epochs"),
        ({"sead": 1}, "unknown setting of compare: 'sead'"),
        ({"epochs": 3}, "give one of them"),
        ({"budget": "epochs"}, "takes --epochs"),
        ({"replace_p": 0.5}, "without --mode replace"),
        ({"reference": "orignal"}, "did you mean 'original'"),
        ({"pretrained": True}, "small"),
        ({"image_size": 16, "corruptions": "3"}, "at least 32 px"),
        ({"recipe": "ret", "validation": 0}, "needs a validation part"),
    ]:
        with pytest.raises(ConfigError, match=message) as caught:
            study(world, ["original"], **changes)
        assert "\n" not in str(caught.value)
    assert not (world / "study").exists()


def test_a_wrong_guide_is_refused_before_anything_is_trained(world: Path) -> None:
    with pytest.raises(ConfigError, match="clip must be nano or clip:ID"):
        study(world, ["original", "clip-probe"], clip="nonsense")
    assert not (world / "study" / "study.yaml").exists()


def test_quick_changes_nothing_that_was_asked_for() -> None:
    asked = {"data": "d", "held_out": "h", "quick": True}
    assert protocol_from(asked).updates == 150
    assert protocol_from({**asked, "epochs": 1}).updates is None
    assert protocol_from({**asked, "budget": "epochs"}).updates is None
    assert protocol_from({**asked, "updates": 7, "seeds": 5}).seeds == 5


def test_a_study_says_which_weights_and_goes_on_with_these_alone(world: Path) -> None:
    import tiny

    place, facts = tiny.tiny_clip(world / "clip"), world / "noise" / "run.json"
    made_with = {"guide": {"id": "a/b", "commit": "1" * 40}}
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "weights": made_with}))
    asked = {"arch": f"probe:{place}", "clip": f"clip:{place}", "seeds": 1, "updates": None}
    found = study(world, ["original", "run:noise", "clip-zero-shot"], **asked)
    known = guide_weights(f"clip:{place}")
    assert found["weights"] == {f"probe:{place}": known, f"clip:{place}": known}
    assert yaml.safe_load((world / "study" / "study.yaml").read_text())["weights"] == found["weights"]
    assert found["arms"][1]["weights"] == made_with
    data = bytearray((place / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (place / "model.safetensors").write_bytes(data)
    with pytest.raises(RunError, match=r"is a study with other weights: .* has other weights: hash"):
        study(world, ["original"], **asked)


@pytest.mark.integration
def test_ray_workers_give_the_same_results(world: Path) -> None:
    arms = ["original", "run:noise"]
    alone = study(world, arms)
    together = study(world, arms, out="ray", workers=2)
    assert timeless(alone) == timeless(together)


@pytest.mark.integration
def test_corruption_accuracy_is_the_mean_over_kinds_and_severities(world: Path) -> None:
    found = study(world, ["original", "run:noise"], corruptions="all", corruption_images=6)
    for arm in found["arms"]:
        tables = []
        for one in arm["units"]:
            with np.load(world / "study" / "arms" / arm["name"] / f"seed-{one['seed']}" / "predictions.npz") as saved:
                tables.append(saved["corruption_correct"])
        right = np.stack(tables)
        assert right.shape == (2, 15, 5, 6)
        assert arm["corruption"]["mean"] == pytest.approx(right.mean())
        assert arm["corruption"]["image_size"] == 32
        assert arm["corruption"]["severity_3"] == pytest.approx(right[:, :, 2].mean())
        assert arm["corruption"]["by_kind"]["fog"] == pytest.approx(right[:, 9].mean((0, 2)).tolist())
    assert any("ImageNet-C at 32 pixels" in text for text in found["warnings"])
    assert found["arms"][1]["difference"]["corruption"]["verdict"] in ("gain", "loss", "unclear")


LAUNCHED = """
import sys
from imaginate.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.integration
def test_two_processes_train_one_classifier_together(world: Path) -> None:
    import subprocess
    import sys

    script = world / "launched.py"
    script.write_text(LAUNCHED)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29713"]
    launch += [str(script), "compare", str(world / "data")]
    launch += ["--arm", "original", "--held-out", str(world / "data"), "--held-out-split", "test", "--arch", "small"]
    launch += ["--image-size", "32", "--seeds", "1", "--updates", "6", "--batch", "8", "--out", str(world / "team")]
    done = subprocess.run(
        [*launch, "--device", "cpu", "--bootstrap", "100"], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((world / "team" / "results.json").read_text())
    assert found["complete"]
    assert found["arms"][0]["units"][0]["updates"] == 6
    assert json.loads((world / "team" / "arms" / "original" / "seed-0" / "result.json").read_text())["processes"] == 2
