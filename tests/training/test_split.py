"""The cut between training and validation: a share of each class, groups on one side, rare classes too."""

from __future__ import annotations

import json
import math
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imaginate.cli import main
from imaginate.data import open_dataset
from imaginate.data.relatives import joined, named_pairs, parted
from imaginate.engine.run import expand
from imaginate.errors import ConfigError, DataError
from imaginate.records import Sample
from imaginate.training.pixel_cache import build_pixel_cache
from imaginate.training.split import folds, split
from imaginate.training.training_set import Images, TrainingImages
from worlds import MemorySource, picture, png

cuts = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.booleans()), min_size=2, max_size=40)


@settings(max_examples=150, deadline=None)
@given(cuts, st.floats(0.05, 0.9), st.integers(0, 5))
def test_groups_stay_together_every_class_trains_and_where_it_can_is_checked(
    images: list[tuple[int, int, bool]], share: float, seed: int
) -> None:
    label, group, usable = (np.array(column) for column in zip(*images, strict=True))
    train, inside = split(label, usable, share, seed, group=group)
    assert sorted([*train, *inside]) == np.flatnonzero(usable).tolist()
    assert not set(group[train]) & set(group[inside])
    assert set(label[train]) == set(label[usable])
    alone = [label[usable & (group == g)] for g in set(group[usable])]
    for c in set(label[usable]):
        pure = [own for own in alone if set(own) == {c}]
        if len(pure) >= 2:  # a group of this class alone may always be given
            assert c in label[inside]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.floats(0, 0.9), st.integers(0, 5))
def test_without_groups_it_is_the_share_of_each_class_and_at_least_one(
    labels: list[int], share: float, seed: int
) -> None:
    label = np.array(labels)
    _, inside = split(label, np.ones(len(label), bool), share, seed)
    for c, count in zip(*np.unique(label, return_counts=True), strict=True):
        wanted = min(max(1, int(share * count + 0.5)), count - 1) if share else 0
        assert int((label[inside] == c).sum()) == wanted


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=60), st.integers(2, 5))
def test_folds_cover_every_image_once_keep_groups_together_and_spread_the_classes(
    images: list[tuple[int, int]], count: int
) -> None:
    label, group = (np.array(column) for column in zip(*images, strict=True))
    found = folds(label, np.ones(len(label), bool), count, 0, group=group)
    assert set(found) <= set(range(count))
    assert all(len(set(found[group == g])) == 1 for g in set(group))
    single = folds(label, np.ones(len(label), bool), count, 0, group=np.arange(len(label)))
    for c in set(label):
        sizes = np.bincount(single[label == c], minlength=count)
        assert sizes.max() - sizes.min() <= 1


def test_pairs_join_into_groups_named_by_their_first_image() -> None:
    assert joined(6, [(4, 2), (2, 5), (0, 1)]).tolist() == [0, 0, 2, 3, 2, 2]


def samples(*named: tuple[str, dict[str, str]]) -> list[Sample]:
    return [Sample(id=name, label=0, source=MemorySource(b""), meta=meta) for name, meta in named]


def test_a_person_groups_by_a_column_or_by_a_pattern_in_the_name() -> None:
    people = samples(("a/p1-1.png", {"patient": "x"}), ("a/p2-1.png", {"patient": "x"}), ("b/p1-2.png", {}))
    assert named_pairs(people, "patient") == [(0, 1)]
    assert named_pairs(people, r"(p\d+)-") == [(0, 2)]
    assert named_pairs(people, "near") == named_pairs(people, "none") == []
    copied = samples(("images/a/0.png", {"seed_image": "a/p1-1.png"}), ("images/a/1.png", {"seed_image": "a/p1-2.png"}))
    assert named_pairs(copied, r"p\d+") == [(0, 1)]
    for wrong, message in (("doctor", "no column of the dataset .which has patient."), ("(p", "no regular")):
        with pytest.raises(ConfigError, match=message):
            named_pairs(people, wrong)


def copies_of(data: Path) -> Path:
    """Two classes of four pictures, each picture four times under other names; one of them mirrored and resaved."""
    for label, name in enumerate("ab"):
        (data / name).mkdir(parents=True)
        for i in range(4):
            image = Image.fromarray(picture(10 * label + i, 48, 48))
            image.save(data / name / f"{i}.png")
            for k in (1, 2):
                shutil.copy(data / name / f"{i}.png", data / name / f"{i} ({k}).png")
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(data / name / f"{i} (3).jpg", quality=90)
    return data


def test_copies_and_near_copies_stay_on_one_side_and_are_counted(tmp_path: Path) -> None:
    dataset = open_dataset(copies_of(tmp_path / "data"))
    cache = build_pixel_cache(dataset.samples, tmp_path / "c", size=16, classes=2)
    images = TrainingImages(Images(dataset, cache))
    picture_of = [name.replace(" ", ".").split(".")[0] for name in cache.ids]
    for seed in range(4):
        parts = images.choose(0.25, seed)
        sides = [{picture_of[i] for i in rows} for rows in (parts.rows, parts.validation)]
        assert not sides[0] & sides[1]
        assert len(parts.validation) == 8
    assert images.dataset.grouped == (32, 8)
    assert "32 original images are in 8 groups" in images.notes(parts, dataset.labels)[0]
    apart = TrainingImages(Images(dataset, cache, group_by="none")).choose(0.25, 0)
    assert {picture_of[i] for i in apart.rows} & {picture_of[i] for i in apart.validation}


RARE: dict[str, Any] = {"a": 40, "b": 2, "c": 2, "d": 1}


def test_rare_classes_are_validated_and_those_that_cannot_be_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label, (name, count) in enumerate(RARE.items()):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(picture(100 * label + i)).save(tmp_path / "data" / name / f"{i}.png")
    command = ["train", str(tmp_path / "data"), "--out", str(tmp_path / "t"), "--arch", "small", "--updates", "2"]
    assert main([*command, "--device", "cpu"]) == 0
    assert (
        "note: 1 of 4 classes have no validation image (one image, or one group of them): d" in capsys.readouterr().out
    )
    found = json.loads((tmp_path / "t" / "classifier.json").read_text())
    assert found["images"] == 32 + 1 + 1 + 1


def patients(root: Path) -> Path:
    """Two classes, six images each of three patients, whose table has a column for them; of two the last image is of
    another split."""
    root.mkdir(exist_ok=True)
    rows = ["path,label,patient,split"]
    for label, name in enumerate(("ant", "bee")):
        for number in range(6):
            patient = f"p{number // 2 + 3 * label}"
            split = "test" if number == 5 else "train"
            (root / f"{name}{number}.png").write_bytes(png(picture(10 * label + number)))
            rows.append(f"{name}{number}.png,{name},{patient},{split}")
    (root / "images.csv").write_text("\n".join(rows))
    return root / "images.csv"


def test_a_column_of_a_table_says_what_belongs_together(tmp_path: Path) -> None:
    table = patients(tmp_path)
    plain = open_dataset(table)
    by_name = named_pairs(plain.samples, "patient", plain)
    read = open_dataset(table, group_column="Patient")
    assert {s.id: s.meta["group"] for s in read.samples}["bee0.png"] == "p3"
    assert by_name == named_pairs(read.samples, "near", read) == [(0, 1), (2, 3), (5, 6), (7, 8)]
    with pytest.raises(ConfigError, match=r"'doctor' is no column of the dataset, and as a pattern"):
        named_pairs(plain.samples, "doctor", plain)
    run = expand(
        str(table), tmp_path / "run", "cutout", copies=1, split="train", group_column="patient", progress=False
    )
    made = open_dataset(run.path)
    assert {str(s.meta["seed_image"]): s.meta["group"] for s in made.samples}["ant2.png"] == "p1"
    ungrouped = open_dataset(expand(str(table), tmp_path / "plain", "cutout", copies=1, progress=False).path)
    originals = [s for s in ungrouped.samples if s.meta["origin"] == "original"]
    assert named_pairs(originals, "patient", ungrouped) == by_name


@pytest.mark.parametrize("form", ["webdataset", "parquet", "jsonl"])
def test_the_column_of_any_table(form: str, tmp_path: Path) -> None:
    """The same groups where the images and their facts are in other files."""
    table = patients(tmp_path)
    rows = [dict(zip(("path", "label", "patient", "split"), line.split(","), strict=True))
            for line in table.read_text().split("\n")[1:]]  # fmt: skip
    table.unlink()
    if form == "jsonl":
        place = tmp_path / "images.jsonl"
        place.write_text("\n".join(json.dumps(row) for row in rows))
    elif form == "parquet":
        place = tmp_path / "images.parquet"
        images = [{"bytes": (tmp_path / row["path"]).read_bytes(), "path": row["path"]} for row in rows]
        columns = {key: [row[key] for row in rows] for key in ("label", "patient")}
        pq.write_table(pa.table({"image": images, **columns}), place)
    else:
        place = tmp_path / "images.tar"
        with tarfile.open(place, "w") as tar:
            for row in rows:
                facts = tmp_path / row["path"].replace(".png", ".json")
                facts.write_text(json.dumps({"label": row["label"], "patient": row["patient"]}))
                tar.add(tmp_path / row["path"], row["path"])
                tar.add(facts, facts.name)
    found = open_dataset(place, group_column="patient", split="all")
    assert sorted(s.meta["group"] for s in found.samples) == sorted(row["patient"] for row in rows)
    with pytest.raises(DataError, match=r"has no column 'doctor'|no value in a column 'doctor' \(--group-column\)"):
        open_dataset(place, group_column="doctor")


def test_a_patient_on_both_sides_of_a_split_is_said(tmp_path: Path) -> None:
    table = patients(tmp_path)
    train, test = (open_dataset(table, split=split) for split in ("train", "test"))
    said = [
        "2 of 2 held-out images are of a group (a patient, a plant, a video) of which there are training images: they "
        "may be known by heart; `compare --folds` parts no group"
    ]
    assert parted(train, test, "patient") == said
    assert parted(train, test, "near") == parted(train, test, "none") == []
    again = (open_dataset(table, split=split, group_column="patient") for split in ("train", "test"))
    assert parted(*again, "near") == said
    elsewhere = open_dataset(patients(tmp_path / "other"), split="test")
    assert parted(train, elsewhere, "patient") == said  # in two tables by a column that is named alone
    assert parted(*(replace(d, spec=replace(d.spec, group_column="patient")) for d in (train, elsewhere)), "near") == []


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_a_group_is_one_however_its_number_is_written_and_a_gap_is_none(form: str, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(png(picture(number)))
    said = ["1", "1.0", "2", "", "", "2.00"] if form == "csv" else [1, 1.0, 2, math.nan, None, 2.0]
    rows = [{"path": f"{n}.png", "label": "ab"[n % 2], "plant": said[n]} for n in range(6)]
    place = tmp_path / f"images.{form}"
    if form == "csv":
        place.write_text("path,label,plant\n" + "\n".join(",".join(map(str, row.values())) for row in rows))
    elif form == "jsonl":
        place.write_text(
            "\n".join(json.dumps({k: v for k, v in row.items() if v == v and v is not None}) for row in rows)
        )
    else:
        columns = {key: [row[key] for row in rows] for key in ("path", "label")}
        pq.write_table(pa.table({**columns, "plant": pa.array([row["plant"] for row in rows], pa.float64())}), place)
    found = open_dataset(place, group_column="plant")
    assert [s.meta.get("group") for s in found.samples] == ["1", "1", "2", None, None, "2"]
