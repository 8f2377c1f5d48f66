"""`mix`: a run of the images of other runs that help a head on seeds that are held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate
from colour_guide import COLOURS, ColourGuide, coloured
from imaginate.data.seed_images import SeedImages
from imaginate.errors import ConfigError, RunError
from imaginate.methods.mix import Mix
from imaginate.records import Request
from worlds import World

NAMES = tuple(sorted(COLOURS))


def _colours(root: Path, names: dict[str, str], first: int, count: int) -> Path:
    """Pictures of a colour under the name of a class: class -> the colour that is shown."""
    for name, colour in names.items():
        (root / name).mkdir(parents=True)
        for i in range(first, first + count):
            Image.fromarray(coloured(colour, i)).save(root / name / f"{i}.png")
    return root


def _faint(name: str, number: int) -> np.ndarray:
    """(24, 24, 3) uint8: a picture whose colour hardly shows, so that there is something to gain."""
    draw = np.random.default_rng([number, len(name), 7])
    base = 128 + 14 * (np.asarray(COLOURS[name]) - 0.4)
    return (base + draw.normal(0, 30, (4, 4, 3))).clip(0, 255).astype(np.uint8).repeat(6, 0).repeat(6, 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(_faint(name, i)).save(tmp_path / "data" / name / f"{i}.png")
    _colours(tmp_path / "good", {name: name for name in NAMES}, 100, 5)
    wrong = dict(zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True))
    _colours(tmp_path / "bad", wrong, 200, 5)
    for name in ("good", "bad"):
        imaginate.adopt(tmp_path / name, tmp_path / f"run-{name}", data=tmp_path / "data", progress=False)
    return tmp_path


def _world(place: Path) -> World:
    data = imaginate.open_dataset(place / "data")
    world = World(guide=ColourGuide(data.labels))
    world.labels, world.samples = data.labels, SeedImages(data.samples)
    return world


def _requests(world: World, copies: int) -> list[Request]:
    return world.class_requests("mix", copies=copies)


def test_images_that_help_are_taken_and_mislabelled_ones_are_left(place: Path) -> None:
    world = _world(place)
    both = (str(place / "run-good"), str(place / "run-bad"))
    made = Mix(runs=both, step=1).expand(_requests(world, 4), world)
    assert made
    good = sum(candidate.info["taken_from"] == both[0] for candidate in made)
    assert good > 2 * (len(made) - good)
    assert all(candidate.scores["influence"] < 0 for candidate in made)
    assert all(candidate.image is not None for candidate in made)


def test_images_of_several_classes_keep_their_shares(place: Path) -> None:
    mixed = imaginate.expand(place / "data", place / "mixed", "mixup", copies=2, progress=False)
    world = _world(place)
    made = Mix(runs=(mixed.path,), force=True, alike=1.01).expand(_requests(world, 4), world)
    there = [row["soft_label"] for row in mixed.table().to_pylist() if row["soft_label"]]
    assert made
    assert all(list(candidate.soft_label) in there for candidate in made)
    few = imaginate.open_dataset(place / "data", classes=NAMES[:2])
    world.labels, world.samples = few.labels, SeedImages(few.samples)
    world.guide = ColourGuide(few.labels)
    some = Mix(runs=(mixed.path,), force=True, alike=1.01).expand(_requests(world, 40), world)
    assert 0 < len(some) < 24
    assert all(len(one.soft_label) == 2 and sum(one.soft_label) == pytest.approx(1) for one in some)


def test_an_expansion_that_is_predicted_to_harm_is_refused_unless_forced(place: Path) -> None:
    world = _world(place)
    bad = (str(place / "run-bad"),)
    with pytest.raises(RunError, match=r"is predicted to (help|harm).*--force"):
        Mix(runs=bad).prepare(world)
    forced = Mix(runs=bad, force=True, alike=1.01)
    forced.prepare(world)
    assert len(forced.expand(_requests(world, 3), world)) == 9


def test_a_copy_of_a_seed_is_not_judged_by_that_seed(place: Path) -> None:
    """Its parents stay with it, so that every later cut of the data keeps them on one side."""
    copies = imaginate.expand(place / "data", place / "copies", "duplicate", copies=1, progress=False)
    assert copies.kept == 18
    world = _world(place)
    made = Mix(runs=(str(place / "copies"),), force=True, alike=1.01).expand(_requests(world, 2), world)
    names = {world.samples.sample(i).id for i in range(len(world.samples))}
    assert len(made) == 6
    assert all(candidate.info["parent_0"] in names for candidate in made)


def test_what_cannot_be_mixed_is_one_line(place: Path) -> None:
    world = _world(place)
    with pytest.raises(ConfigError, match=r"is no run: `imaginate adopt .* RUN` makes one of it"):
        Mix(runs=(str(place / "good"),)).prepare(world)
    alone = imaginate.open_dataset(place / "data")
    world.samples = SeedImages([sample for sample in alone.samples if sample.label == 0])
    with pytest.raises(ConfigError, match="seed images of at least two"):
        Mix(runs=(str(place / "run-good"),)).prepare(world)


def test_the_run_is_the_same_again_and_its_lineage_reaches_the_seeds(place: Path) -> None:
    imaginate.expand(place / "data", place / "flips", "flip-crop", copies=2, progress=False)
    runs = [str(place / "run-good"), str(place / "flips")]
    settings = {"runs": runs, "per_class": 4, "guide": "prototypes:nano", "force": True, "progress": False}
    first, second = (imaginate.expand(place / "data", place / name, "mix", **settings) for name in ("one", "two"))
    assert first.kept == second.kept > 3
    tables = [(place / name / "metadata.parquet").read_bytes() for name in ("one", "two")]
    assert tables[0] == tables[1]
    lineage = imaginate.data.lineage.read_lineage(imaginate.runs.RunFolder(place / "one"))
    from_flips = [names for names in lineage.ancestors.values() if any(name.endswith(".png") for name in names)]
    assert from_flips
