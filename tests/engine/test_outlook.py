"""What is said before a run begins is true, and warns where the hours would be wasted."""

from __future__ import annotations

import io
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import imaginate
from colour_guide import COLOURS, ColourGuide, coloured
from imaginate.data import open_dataset
from imaginate.engine import outlook
from imaginate.engine.near_pool import nearness, pool_fact, unreadable_fact
from imaginate.engine.plan import make_plan
from imaginate.engine.resolve import recipe_from
from imaginate.errors import ImageError
from imaginate.prompts.naming import says_nothing
from imaginate.records import ClassInfo, LabelSpace, Sample
from worlds import MemorySource, folder, png


def photo(root: Path, size: tuple[int, int]) -> Path:
    """A smooth JPEG with some noise, as a camera writes it."""
    draw = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (root / "train" / name).mkdir(parents=True)
        (root / "test" / name).mkdir(parents=True)
        for part in ("train", "test"):
            grid = np.mgrid[0 : size[1], 0 : size[0]].sum(0)[..., None] * 0.4 + draw.normal(0, 6, (size[1], size[0], 3))
            Image.fromarray(grid.clip(0, 255).astype(np.uint8)).save(root / part / name / "0.jpg", quality=80)
    return root


def test_plan_and_expand_say_split_sizes_and_the_format_that_saves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = str(photo(tmp_path / "data", (160, 120)))
    planned = imaginate.plan(data, "duplicate", copies=2)
    text = str(planned)
    assert "reads split 'train' (2 images of 2 classes); free for holding out: test" in text
    assert "4 new images of 160 x 120 pixels (seeds 160 x 120)" in text
    assert "--format webp takes" in text
    caplog.set_level(logging.INFO, "imaginate.facts")
    imaginate.expand(data, str(tmp_path / "run"), "duplicate", copies=2, progress=False)
    said = [record.getMessage() for record in caplog.records]
    assert sum("free for holding out: test" in line for line in said) == 1
    assert sum("--format webp takes" in line for line in said) == 1
    assert "as detailed as the seeds" not in text  # plan made some
    assert sum("as png if they are as detailed as the seeds" in line for line in said) == 1
    caplog.clear()
    imaginate.expand(data, str(tmp_path / "run"), "duplicate", copies=2, progress=False)
    assert not any("new images of" in record.getMessage() for record in caplog.records)  # it is finished


def test_new_images_and_seeds_are_compared_on_the_same_seeds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where pictures differ in size, a copy as large as its seed is not said to be smaller or larger."""
    for number, side in enumerate((300, 40, 40, 40, 300, 40, 40, 40, 300, 40, 40, 40, 300, 40, 40, 300)):
        (tmp_path / "data" / f"class{number // 8}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (number, 9, 9)).save(tmp_path / "data" / f"class{number // 8}" / f"{number}.png")
    for limit in (1, 16):
        planned = str(imaginate.plan(str(tmp_path / "data"), "duplicate", copies=1, batch=limit))
        (new, seeds) = re.findall(r"new images of (\d+ x \d+) pixels \(seeds (\d+ x \d+)\)", planned)[0]
        assert new == seeds
    caplog.set_level(logging.INFO, "imaginate.facts")
    imaginate.expand(str(tmp_path / "data"), str(tmp_path / "run"), "duplicate", copies=1, progress=False)
    (new, seeds) = re.findall(r"new images of (\d+ x \d+) pixels \(seeds (\d+ x \d+)\)", caplog.text)[0]
    assert new == seeds


def test_bytes_are_foretold_to_a_fifth(tmp_path: Path) -> None:
    data = open_dataset(str(photo(tmp_path / "data", (160, 120))))
    for name in ("png", "jpeg", "webp"):
        recipe = recipe_from({"data": {"path": str(tmp_path)}, "method": "duplicate", "write": {"format": name}})
        seeds = outlook.few_of(data.samples)
        found = outlook.disk_of(seeds, recipe.write, (160, 120))
        assert found is not None
        buffer = io.BytesIO()
        picture = Image.open(io.BytesIO(data.samples[0].source.read())).convert("RGB")
        picture.save(buffer, name.upper(), quality=95, subsampling=0, method=4, compress_level=3)
        assert found.bytes == pytest.approx(len(buffer.getvalue()), rel=0.2)
        half = outlook.disk_of(seeds, recipe.write, (80, 60), measured=1000.0)
        assert half is not None
        assert half.bytes == pytest.approx(1000)


def _plan(labels: LabelSpace) -> outlook.Plan:
    return outlook.Plan(labels, (), (), ())


@pytest.mark.parametrize(("copies", "is_said"), [(1000, False), (90_000, True)])
def test_a_run_of_a_million_files_is_offered_tars(tmp_path: Path, copies: int, is_said: bool) -> None:
    settings = {"data": {"path": str(folder(tmp_path / "data"))}, "method": "duplicate", "expand": {"copies": copies}}
    recipe = recipe_from(settings)
    plan = make_plan(recipe, open_dataset(recipe.data))
    said = [fact.text for fact in outlook.outlook(recipe, plan, None)]
    assert any("imaginate export RUN TARS --format webdataset" in text for text in said) == is_said


def test_a_dataset_without_splits_says_how_to_hold_out(tmp_path: Path) -> None:
    fact = outlook.split_fact(open_dataset(str(folder(tmp_path)))).text
    assert "12 images of 3 classes" in fact
    assert "--folds 5" in fact


def test_what_shots_leave_is_free_for_holding_out(tmp_path: Path) -> None:
    data = str(folder(tmp_path / "data"))
    few = outlook.split_fact(open_dataset(data, shots=2)).text
    assert few == (
        "reads 6 images of 3 classes, chosen by --shots 2; free for holding out: the rest of each class (`imaginate "
        "compare` with --held-out-split rest)"
    )
    folder(tmp_path / "parts" / "train")
    folder(tmp_path / "parts" / "test")
    half = outlook.split_fact(open_dataset(str(tmp_path / "parts"), fraction=0.5)).text
    assert half.startswith("reads 6 images of 3 classes of split 'train', chosen by --fraction 0.5; free for")
    assert half.endswith("--held-out-split rest), test")
    long = outlook.split_fact(open_dataset(data, imbalance=2)).text
    assert "chosen by --imbalance 2; free for holding out: the rest of each class" in long


@pytest.mark.parametrize("name", ["0", "class_3", "n01440764", "bkl", "c12", "A", "label 4", "cls-a", "id 7"])
def test_codes_say_nothing(name: str) -> None:
    assert says_nothing(ClassInfo(name=name))


@pytest.mark.parametrize(
    "name",
    ["cat", "ox", "dog", "犬", "A320", "3d printer", "boxer 2", "tench", "no entry", "type", "sky", "vitamin b12"],
)
def test_words_say_something(name: str) -> None:
    assert not says_nothing(ClassInfo(name=name))


@dataclass
class Seeds:
    """Coloured pictures, some of each class."""

    names: tuple[str, ...]
    each: int = 4

    def __len__(self) -> int:
        return len(self.names) * self.each

    def sample(self, index: int) -> Sample:
        label, number = divmod(index, self.each)
        source = MemorySource(png(coloured(self.names[label], number)))
        return Sample(id=f"s{index}", label=label, source=source)

    def image(self, index: int) -> torch.Tensor:
        label, number = divmod(index, self.each)
        return torch.from_numpy(coloured(self.names[label], number)).permute(2, 0, 1)


class Pool:
    """A pool in memory of pictures of some colours."""

    def __init__(self, *names: str) -> None:
        self.gone: tuple[str, ...] = ()
        pictures = [
            torch.from_numpy(coloured(name, 100 + i)).permute(2, 0, 1) / 255 for name in names for i in range(12)
        ]
        self.rows = ColourGuide().embed(torch.stack(pictures))

    def search(self, embeddings: torch.Tensor, limit: int) -> list[list[dict[str, float]]]:
        best = (embeddings @ self.rows.T).topk(limit).values.tolist()
        return [[{"id": f"row{at}", "similarity": value} for at, value in enumerate(row)] for row in best]

    def image(self, row: dict[str, object]) -> torch.Tensor:
        if row["id"] in self.gone:
            raise ImageError("source disappeared")
        return torch.zeros(3, 8, 8, dtype=torch.uint8)


@dataclass
class Context:
    """What the facts ask for."""

    samples: Seeds
    labels: LabelSpace
    pool: Pool
    guide: ColourGuide
    device: str = "cpu"


def context(*pool: str) -> Context:
    names = tuple(COLOURS)
    return Context(Seeds(names), LabelSpace.of(names), Pool(*pool), ColourGuide())


def test_a_pool_of_other_things_is_said() -> None:
    whole, part = nearness(context(*COLOURS)), nearness(context("red"))
    assert whole is not None
    assert part is not None
    assert whole.share == 1
    assert part.near == {0: True, 1: False, 2: False}
    assert "other things" not in pool_fact(whole, list(COLOURS))
    assert "near to 1 of 3 classes" in pool_fact(part, list(COLOURS))
    assert "none near to green, blue: other things would be filed under these names" in pool_fact(part, list(COLOURS))


def test_a_pool_whose_images_are_gone_is_said_before_the_run() -> None:
    world = context(*COLOURS)
    found = nearness(world)
    assert found is not None
    assert unreadable_fact(found) == ""
    world.pool.gone = ("row0",)  # the nearest of every class
    found = nearness(world)
    assert found is not None
    assert unreadable_fact(found) == ""
    world.pool.gone = tuple(f"row{at}" for at in range(5))
    found = nearness(world)
    assert found is not None
    said = "the pool's images cannot be read: tried 8, the first row0 (source disappeared); put their files back, or "
    assert unreadable_fact(found) == f"{said}build the pool again"


def test_a_guide_that_knows_nothing_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    world = context("red")
    samples = [world.samples.sample(i) for i in range(len(world.samples))]
    monkeypatch.setattr(outlook, "_better", lambda *args: "--guide another")
    good = outlook.guide_fact(world, samples)  # type: ignore[arg-type]
    assert good.text == "guide colour is right on 100% of 12 seed images (zero-shot; chance 33.3%)"
    world.guide = ColourGuide(LabelSpace.of(("green", "blue", "red")))  # every name means another class
    bad = outlook.guide_fact(world, samples)  # type: ignore[arg-type]
    assert bad.warns
    assert bad.text.endswith("it hardly beats chance, and cannot guide; --guide another")
