"""The closed loop on a small real job: real images of the same classes help, copies of the originals cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.errors import ConfigError, ImaginateError, RunError
from imaginate.runs import Values
from imaginate.workflows import improve as module
from imaginate.workflows import improve_start as starts
from imaginate.workflows.improve_start import guide_for, learner_settings

HUES = {"amber": (204, 135, 22), "brick": (174, 85, 52), "coral": (221, 95, 101)}


def pictures(root: Path, each: int, seed: int, size: int = 32) -> Path:
    """Three classes of close colours with a blob somewhere: too few of them to tell them apart well."""
    rng = np.random.default_rng(seed)
    for name, hue in HUES.items():
        (root / name).mkdir(parents=True)
        for i in range(each):
            coarse = rng.normal(0, 45, (4, 4, 3)) + np.array(hue) + rng.normal(0, 8, 3)
            picture = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize(
                (size, size), Image.Resampling.BICUBIC
            )
            picture.save(root / name / f"{i:02d}.png")
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("improve")
    data, more = pictures(root / "data", 10, 0), pictures(root / "more", 30, 1)
    pictures(root / "test", 12, 2)
    imaginate.train(str(data), str(root / "clf"), arch="probe:nano", progress=False)
    imaginate.adopt(more, root / "run", data=data, progress=False)
    imaginate.adopt(data, root / "copies", data=data, progress=False)
    return root


def tree(root: Path) -> dict[str, bytes]:
    """What a result is: all files but caches, and those of its runs and classifiers that hold times or places."""
    timed = ("run.json", "README.md", "history.json", "recipe.yaml", "recipe.json")
    files = [p for p in root.rglob("*") if p.is_file() and "cache" not in p.parts]
    kept = [p for p in files if p.parent == root or p.name not in timed]
    return {str(p.relative_to(root)): p.read_bytes() for p in kept}


QUICK = {"budget": 30, "folds": 3, "repeats": 2, "progress": False}


@pytest.mark.integration
def test_copies_of_the_originals_are_in_no_fold_that_they_show(world: Path, tmp_path: Path) -> None:
    given = {"runs": (str(world / "copies"),), **QUICK}
    found = imaginate.improve(world / "data", world / "clf", tmp_path / "out", **given)
    assert found.chosen is None
    assert found.rounds[-1].get("gain", {"low": 0})["low"] <= 0
    assert "nothing was seen to help" in str(found)
    begun = json.loads((tmp_path / "out" / "improve.json").read_text())
    later = {"settings": ("fit", "fit_steps"), "classifier": ("shots", "fraction", "subset_seed")}
    for part, names in later.items():  # as by a version that did not have these
        begun[part] = {name: value for name, value in begun[part].items() if name not in names}
    (tmp_path / "out" / "improve.json").write_text(json.dumps(begun))
    again = imaginate.improve(world / "data", world / "clf", tmp_path / "out", **given)
    assert again.why == found.why
    assert again.rounds == found.rounds


@pytest.mark.integration
def test_a_round_that_is_kept_and_a_stopped_loop_that_comes_to_the_same(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few images show no gain reliably: here the first round is said to have shown one."""
    real, calls = module.gain, [0]

    def seen(*args: object) -> Values:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        found = real(*args)  # type: ignore[arg-type]
        return found | (
            {"low": 0.01, "mean": 0.2, "smallest": 0.1} if calls[0] != 2 else {"low": -0.1, "smallest": 0.1}
        )

    monkeypatch.setattr(module, "gain", seen)
    how = {"runs": (str(world / "run"),), "rounds": 3, "held_out": str(world / "test"), **QUICK}
    whole = imaginate.improve(world / "data", world / "clf", tmp_path / "a", **how)
    assert [one.get("is_kept") for one in whole.rounds] == [True, False]
    assert sum(whole.rounds[0]["added"].values()) <= 30
    assert whole.chosen == str(tmp_path / "a" / "round-1" / "chosen")
    assert whole.held_out is not None
    assert [facts["images"] for facts in (whole.held_out["before"], whole.held_out["after"])] == [36, 36]
    page = (tmp_path / "a" / "README.md").read_text()
    assert all(f"| {name} |" in page for name in HUES)
    assert tuple(imaginate.load_classifier(tmp_path / "a" / "model").classes) == tuple(HUES)

    with pytest.raises(KeyboardInterrupt):
        imaginate.improve(world / "data", world / "clf", tmp_path / "c", **how)
    assert (tmp_path / "c" / ".lock").exists()
    with pytest.raises(RunError, match=r"c was begun with budget 30, and now it is 31; use a new folder"):
        imaginate.improve(world / "data", world / "clf", tmp_path / "c", **{**how, "budget": 31})
    calls[0] = 0
    imaginate.improve(world / "data", world / "clf", tmp_path / "c", **how)
    assert not (tmp_path / "c" / ".lock").exists()
    ours, theirs = tree(tmp_path / "a"), tree(tmp_path / "c")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert {"history.json", "result.json", "README.md", "model/weights.safetensors", "round-1/answers.npy"} <= set(ours)


@pytest.mark.integration
def test_the_command_says_what_it_did(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["improve", str(world / "data"), str(world / "clf"), str(tmp_path / "out"), "--rounds", "1", "--quiet"]
    assert main([*words, "--methods", "flip-crop", "--offers", "1"]) == 0
    said = capsys.readouterr().out
    assert "round 1: " in said
    assert "README.md for what changed class by class" in said
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert history[0]["candidates"]["flip-crop"] > 0
    assert set(history[0]["weak"]) <= set(HUES)


@pytest.mark.integration
def test_a_round_fits_the_prior_and_edits_between_the_classes_of_its_confusions(world: Path, tmp_path: Path) -> None:
    """Whatever it comes to: what was made is of weak classes, each from an image of a class that it is taken for."""
    made = {"methods": ("diff-mix", "prompt"), "prior": "nano", "fit": "textual-inversion", "fit_steps": 2}
    imaginate.improve(world / "data", world / "clf", tmp_path / "out", rounds=1, offers=1, **made, **QUICK)
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    pairs = {frozenset(pair[:2]) for pair in history[0]["confusions"]}
    fitted = json.loads((tmp_path / "out" / "round-1" / "adaptation" / "adaptation.json").read_text())
    assert fitted["technique"] == "textual-inversion"
    for name in made["methods"]:
        recipe = imaginate.runs.RunFolder(tmp_path / "out" / "round-1" / name).recipe
        assert recipe["roles"]["adaptation"].endswith("adaptation")
        assert set(recipe["data"]["classes"]) == set(history[0]["weak"])
    rows = imaginate.runs.RunFolder(tmp_path / "out" / "round-1" / "diff-mix").rows()
    assert {frozenset((row["class_name"], row["info_reference_class"])) for row in rows} <= pairs


def test_a_fit_that_nothing_would_take_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clf").mkdir()
    for given, words in [
        ({"fit": "textual-inversion", "adaptation": "x"}, "leave out --adaptation"),
        ({"fit_steps": 5}, "fit_steps is of --fit"),
    ]:
        with pytest.raises(ConfigError, match=words):
            imaginate.improve(tmp_path, tmp_path / "clf", tmp_path / "out", **given)


def test_what_cannot_be_done_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "dataset" / "a").mkdir(parents=True)
    for place in ("nothing", "dataset", "missing"):
        with pytest.raises(ConfigError, match=r"is neither a classifier .* nor a study"):
            imaginate.improve(tmp_path, tmp_path / place, tmp_path / "out")
    settings = {"arch": "probe:nano", "split": "train", "updates": 5}
    numbers = {
        "images": 4,
        "updates": 0,
        "image_size": 64,
        "temperature": 1.0,
        "validation": None,
        "held_out": None,
        "leak": None,
    }
    facts = {"classes": ["a", "b"], "settings": settings, **numbers}
    for name in ("classifier.json", "recipe.json"):
        (tmp_path / "nothing" / name).write_text(json.dumps(facts))
    found = learner_settings(tmp_path / "nothing")
    assert (found.arch, found.split, found.updates) == ("probe:nano", "train", 5)
    assert guide_for(None, found) == "probe:nano"
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").touch()
    protocol = {"arch": "probe:nano", "split": "train", "shots": 5, "subset_seed": 2}
    monkeypatch.setattr(starts, "StudyFile", lambda place: SimpleNamespace(protocol=protocol))
    assert learner_settings(tmp_path / "study").chosen == {"split": "train", "shots": 5, "subset_seed": 2}
    assert guide_for("clip:x", found) == "clip:x"
    with pytest.raises(ConfigError, match="mix chooses among the others"):
        imaginate.improve(tmp_path, tmp_path / "nothing", tmp_path / "out", methods="mix")
    with pytest.raises(ConfigError, match="gif-mae needs a prior: give --prior"):
        imaginate.improve(tmp_path, tmp_path / "nothing", tmp_path / "out", methods="gif-mae")
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds no improvement"):
        imaginate.improve(tmp_path, tmp_path / "nothing", tmp_path / "full")


def test_what_the_last_step_would_refuse_is_refused_first(world: Path, tmp_path: Path) -> None:
    """A mistyped path, another dataset's classifier, held-out images that are training images: nothing is locked."""
    data, out = world / "data", tmp_path / "out"
    for given, words in [
        ({"runs": (str(tmp_path / "no-run"),)}, "no-run is not a run folder"),
        ({"runs": (str(world / "run"),), "held_out": str(tmp_path / "no-images")}, "there is nothing at .*no-images"),
        ({"held_out": str(data)}, "30 of 30 held-out images .* are also among .*; leave them out of one of the two$"),
    ]:
        with pytest.raises(ImaginateError, match=words):
            imaginate.improve(data, world / "clf", out, **given, **QUICK)
        assert not (out / "improve.json").exists()
    two = tmp_path / "two"
    for name in list(HUES)[:2]:
        shutil.copytree(data / name, two / name)
    with pytest.raises(
        ConfigError, match=r"clf is of 3 classes \(.*\), .*two has 2 \(.*\): give the classifier of this"
    ):
        imaginate.improve(two, world / "clf", out, **QUICK)
    assert not (out / "improve.json").exists()


@pytest.mark.integration
def test_held_out_images_among_the_runs_are_not_taken_and_the_budget_is_that_of_all_rounds(
    world: Path, tmp_path: Path
) -> None:
    """Images of more classes than the first round spent on, with the held-out ones in one of the runs."""
    imaginate.adopt(world / "test", tmp_path / "leak", data=world / "data", progress=False)
    runs = (str(tmp_path / "leak"), str(world / "run"))
    given = {"rounds": 2, "runs": runs, "held_out": str(world / "test"), **QUICK, "budget": 10}
    found = imaginate.improve(world / "data", world / "clf", tmp_path / "out", **given)
    for number, one in enumerate(found.rounds, start=1):
        assert 0 < sum(one["added"].values()) <= 10 * number
        rows = imaginate.runs.RunFolder(tmp_path / "out" / f"round-{number}" / "chosen").rows()
        assert not any(row["info_taken_from"] == str(tmp_path / "leak") for row in rows if row["method"])
    assert found.held_out is not None
