"""No image that is trained on descends from a validation image: not by `train`, not by `compare`, not where a fit's
checkpoint is chosen; whatever the run is, and whatever the run that it was made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from imaginate import DataSpec, expand, open_dataset
from imaginate.data import load
from imaginate.evaluation.arms import parse_arm
from imaginate.evaluation.compose import compose
from imaginate.evaluation.protocol import protocol_from
from imaginate.evaluation.study_images import gather
from imaginate.training.pixel_cache import build_pixel_cache
from imaginate.training.training_set import CHILD, COPY, Images, TrainingImages
from imaginate.workflows.select_checkpoint import training_sets
from worlds import picture, png

Image = tuple[str, str]  # the folder of a dataset or run, and an id in it
Composed = tuple[list[Image], list[Image], dict[str, int]]  # trained on, validated on, left out
CLASSES = ("ant", "bee", "cow")


def write_data(root: Path) -> Path:
    for label, name in enumerate(CLASSES):
        for split, each in (("train", 4), ("test", 2)):
            (root / split / name).mkdir(parents=True)
            for i in range(each):
                number = 1000 * label + 100 * (split == "test") + i
                (root / split / name / f"{i}.png").write_bytes(png(picture(number, 24, 32)))
    return root


def expanded(source: Path, out: Path, method: str, **settings: Any) -> Path:
    expand(str(source), str(out), method=method, copies=1, progress=False, **settings)
    return out


def retrieved(source: Path, out: Path, **settings: Any) -> Path:
    """A run whose new images name no seed, and are the training images themselves: as a pool would give them."""
    expanded(source, out, "duplicate", **settings)
    table = pq.read_table(out / "metadata.parquet")
    rows = [{**row, "seed_image": None, "origin": "retrieved"} if row["method"] else row for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), out / "metadata.parquet")
    return out


def run_of(kind: str, data: Path) -> Path:
    """A run of each kind, made from the data or from a run of it."""
    root, split = data.parent, {"split": "train"}
    if kind in ("cutout", "mixup", "cutmix"):
        return expanded(data, root / kind, kind, **split)
    if kind == "retrieved":
        return retrieved(data, root / kind, **split)
    first, second = kind.split(" of ")
    return expanded(run_of(second, data), root / "second", first)


KINDS = ("cutout", "mixup", "cutmix", "retrieved", "mixup of cutout", "cutout of mixup", "cutout of retrieved")


class Ancestors:
    """A naive account of which original images went into an image: a recursion over the tables on disk."""

    def __init__(self, data: Path) -> None:
        self.data, self.rows = data, dict[str, dict[str, dict[str, Any]]]()
        self.by_pixels = {self.pixels((str(data), s.id)): s.id for s in open_dataset(data, split="train").samples}

    def pixels(self, image: Image) -> bytes:
        sample = next(s for s in open_dataset(image[0]).samples if s.id == image[1])
        return bytes(load(sample).numpy().tobytes())

    def of(self, image: Image) -> set[str]:
        folder, name = image
        if folder == str(self.data):
            return {name}
        if folder not in self.rows:
            table = pq.read_table(Path(folder) / "metadata.parquet").to_pylist()
            self.rows[folder] = {row["file_name"]: row for row in table}
        row = self.rows[folder][name]
        source = str(yaml.safe_load((Path(folder) / "recipe.yaml").read_text())["data"]["path"])
        seeds = [n for n in (row["seed_image"], row.get("info_partner")) if n]
        return set().union(*(self.of((source, n)) for n in seeds)) if seeds else {self.by_pixels[self.pixels(image)]}


def by_train(data: Path, run: Path, tmp_path: Path) -> Composed:
    dataset = open_dataset(run)
    cache = build_pixel_cache(dataset.samples, tmp_path / "c", size=16, classes=3)
    parts = TrainingImages(Images(dataset, cache)).choose(0.25, 1)
    trained, validation = ([(str(run), cache.ids[i]) for i in rows] for rows in (parts.rows, parts.validation))
    return trained, validation, dict(parts.excluded)


def by_compare(data: Path, run: Path, tmp_path: Path) -> Composed:
    arm = parse_arm(f"run:{run}")
    asked = {"data": str(data), "split": "train", "held_out": str(data), "held_out_split": "test", "arch": "small"}
    protocol = protocol_from({**asked, "validation": 0.25})
    material = gather(protocol, [arm], tmp_path / "c", progress=False)
    made = compose(arm, material, protocol, seed=1, resample=0, times=1)
    caches = {c.path: (folder, c) for folder, c in ((data, material.train), (run, material.runs[str(run)].store))}
    assert made.validation is not None

    def images(rows: Any) -> list[Image]:
        found = [(caches[rows.stores[part]], row) for part, row in zip(rows.part, rows.row, strict=True)]
        return [(str(folder), cache.ids[row]) for (folder, cache), row in found]

    return images(made.train), images(made.validation), dict(made.excluded)


def by_selection(data: Path, run: Path, tmp_path: Path, held_out: tuple[str, ...] = ()) -> Composed:
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    spec = DataSpec(path=recipe["data"]["path"], split=recipe["data"]["split"])
    seeds = open_dataset(spec)
    originals = [s for s in seeds.samples if s.meta.get("origin", "original") == "original"]
    held_out = tuple(next(s.id for s in originals if s.label == label) for label in range(3))
    train, validation, _ = training_sets(spec, run, held_out, tmp_path / "c", size=16)
    ids = [[(spec.path, s.id) for s in seeds.samples], [(str(run), s.id) for s in open_dataset(run).samples]]
    trained = [ids[part][row] for part, row in zip(train.part, train.row, strict=True)]
    return trained, [ids[0][row] for row in validation.row], {CHILD: 1}


@pytest.mark.parametrize("composed", [by_train, by_compare, by_selection])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_is_trained_on_descends_from_a_validation_image(
    tmp_path: Path, kind: str, composed: Callable[[Path, Path, Path], Composed]
) -> None:
    data = write_data(tmp_path / "data")
    run = run_of(kind, data)
    ancestors = Ancestors(data)
    trained, validation, excluded = composed(data, run, tmp_path)
    inside = set().union(*map(ancestors.of, validation))
    assert len(inside) == len(validation) == 3
    assert not [image for image in trained if ancestors.of(image) & inside]
    assert sum(excluded.values()) > 0
    assert excluded.keys() <= {CHILD, COPY}
    new = [image for image in trained if image[0] == str(run)]
    assert len(new) >= 3, "what does not descend from one is trained on"


def test_what_the_source_run_was_made_from_is_needed_only_for_a_validation_part(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    run = run_of("cutout of mixup", data)
    shutil.rmtree(tmp_path / "mixup")
    dataset = open_dataset(run)
    cache = build_pixel_cache(dataset.samples, tmp_path / "c", size=16, classes=3)
    parts = TrainingImages(Images(dataset, cache)).choose(0.0, 1)
    assert parts.rows.tolist() == np.arange(len(dataset)).tolist()
    with pytest.raises(Exception, match="which is not there"):
        TrainingImages(Images(dataset, cache)).choose(0.25, 1)


def test_an_ancestor_that_the_run_does_not_hold_is_found_in_the_run_before_it(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    first = retrieved(data, tmp_path / "retrieved", split="train")
    run = expanded(first, tmp_path / "second", "cutout", originals="none", origin="synthetic", size=0.9)
    ancestors = Ancestors(data)
    trained, validation, excluded = by_compare(data, run, tmp_path)
    inside = set().union(*map(ancestors.of, validation))
    assert not [image for image in trained if ancestors.of(image) & inside]
    assert excluded == {CHILD: 3}
