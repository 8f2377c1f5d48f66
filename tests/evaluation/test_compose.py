"""What an arm trains on: nothing of the validation part, not even a child of it; and the checks before any training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imaginate.errors import DataError
from imaginate.evaluation.arms import parse_arms
from imaginate.evaluation.compose import compose, drawn_from
from imaginate.evaluation.leaks import HELD_OUT, TRAINING
from imaginate.evaluation.protocol import Protocol, protocol_from
from imaginate.evaluation.study_images import StudyImages, gather
from imaginate.training.labels import _scattered
from imaginate.training.split import split
from imaginate.training.training_set import CHILD, COPY


def protocol(data: Path, **changes: object) -> Protocol:
    values = {"data": str(data), "held_out": str(data), "held_out_split": "test", "arch": "small", "validation": 0.34}
    return protocol_from({**values, **changes})


def seeds_of(data: Path) -> dict[str, int]:
    from imaginate.data import open_dataset

    return {sample.id: sample.label for sample in open_dataset(data).samples}


def rows_of(pool, store) -> np.ndarray:
    return pool.row[pool.part == pool.stores.index(store.path)]


def material_of(tmp_path: Path, data: Path, arms: list[str], **changes: object) -> tuple[StudyImages, Protocol, list]:
    settings, parsed = protocol(data, **changes), parse_arms(arms)
    return gather(settings, parsed, tmp_path / "cache", progress=False), settings, parsed


def test_no_child_of_a_validation_image_is_trained_on(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    run = studies.write_run(tmp_path / "run", data, seeds_of(data))
    material, settings, (original, arm) = material_of(tmp_path, data, ["original", f"run:{run}"])
    for seed in range(4):
        made = compose(arm, material, settings, seed=seed, resample=0, times=1)
        plain = compose(original, material, settings, seed=seed, resample=0, times=1)
        assert made.validation is not None
        inside = {material.train.ids[i] for i in made.validation.row}
        store = material.runs[str(run)].store
        parents = {p for i in rows_of(made.train, store) for p in material.runs[str(run)].parents[store.ids[i]]}
        assert len(inside) == 6
        assert not parents & inside
        assert parents == set(material.train.ids) - inside
        assert made.excluded == {CHILD: 12}
        assert plain.validation is not None
        assert plain.validation.row.tolist() == made.validation.row.tolist()


def test_mixing_partners_and_grandparents_are_parents_too(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    seeds = seeds_of(data)
    names = list(seeds)
    partners = [names[(i + 5) % len(names)] for i in range(len(names))]
    first = studies.write_run(tmp_path / "first", data, seeds, copies=1, info_partner=partners)
    files = {f"images/{studies.CLASSES[label]}/{n.replace('/', '_')[:-4]}_0.png": label for n, label in seeds.items()}
    second = studies.write_run(tmp_path / "second", first, files, copies=1)
    material, settings, (arm,) = material_of(tmp_path, data, [f"run:{second}"])
    made = compose(arm, material, settings, seed=0, resample=0, times=1)
    run, store = material.runs[str(second)], material.runs[str(second)].store
    expected = [frozenset({name, partner}) for name, partner in zip(names, partners, strict=True)]
    assert sorted(map(sorted, run.parents.values())) == sorted(map(sorted, expected))
    assert made.validation is not None
    inside = {material.train.ids[i] for i in made.validation.row}
    assert all(not run.parents[store.ids[i]] & inside for i in rows_of(made.train, store))


def test_images_without_a_seed_that_show_a_validation_image_are_left_out(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    seeds = seeds_of(data)
    run = studies.write_run(
        tmp_path / "found", data, seeds, copies=1, make=lambda image, rng: image, seed_image=[None] * len(seeds)
    )
    material, settings, (arm,) = material_of(tmp_path, data, [f"run:{run}"])
    made = compose(arm, material, settings, seed=0, resample=0, times=1)
    assert made.excluded == {COPY: 6}
    assert made.synthetic == 12


def test_ratios_are_nested_resamples_have_the_original_size_and_duplicates_grow(
    tmp_path: Path, studies: ModuleType
) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    run = studies.write_run(tmp_path / "run", data, seeds_of(data), copies=3)
    specs = ["original", "duplicate", f"run:{run}", f"run:{run}@1", f"run:{run}@2", f"synthetic:{run}"]
    material, settings, arms = material_of(tmp_path, data, specs)
    made = {arm.name: compose(arm, material, settings, seed=0, resample=0, times=4) for arm in arms}
    store = material.runs[str(run)].store
    one, two, full = (set(rows_of(made[name].train, store)) for name in ("run@1", "run@2", "run"))
    assert one < two < full
    assert (len(one), len(two), len(full)) == (12, 24, 36)
    copies = material.runs[str(run)].copies
    assert {copies[store.ids[i]] for i in one} == {0}
    assert (made["duplicate"].original, made["synthetic-run"].original) == (48, 0)
    settings = protocol(data, resamples=3)
    drawn = [compose(arms[2], material, settings, seed=0, resample=r, times=1) for r in range(3)]
    assert [c.synthetic for c in drawn] == [12, 12, 12]
    assert len({tuple(rows_of(c.train, store)) for c in drawn}) == 3


def test_what_predicts_an_arm_is_of_its_own_images(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    run = studies.write_run(tmp_path / "run", data, seeds_of(data), copies=3)
    material, settings, arms = material_of(tmp_path, data, [f"run:{run}", f"run:{run}@1", f"run:{run}@2"], validation=0)
    rows = [drawn_from(arm, material.runs[str(run)], material).tolist() for arm in arms]
    assert [len(some) for some in rows] == [54, 18, 36]
    assert set(rows[1]) < set(rows[2]) < set(rows[0])
    for arm, own in zip(arms, rows, strict=True):
        trained = compose(arm, material, settings, seed=0, resample=0, times=1).train
        assert rows_of(trained, material.runs[str(run)].store).tolist() == own


def test_a_share_of_the_originals_is_nested_by_class_and_differs_between_seeds(
    tmp_path: Path, studies: ModuleType
) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 9, "test": 4})
    material, settings, arms = material_of(
        tmp_path, data, ["original", "original@0.5", "original@0.01"], validation=0.1
    )
    picked = []
    for seed in range(3):
        whole, half, least = (compose(arm, material, settings, seed=seed, resample=0, times=1) for arm in arms)
        rows = [set(one.train.row.tolist()) for one in (whole, half, least)]
        assert rows[0] > rows[1] > rows[2]
        assert [len(row) for row in rows] == [24, 12, 3]
        assert np.bincount(half.train.label).tolist() == [4, 4, 4]
        assert half.images["original"] == half.images["total"] == 12
        picked.append(frozenset(rows[1]))
    assert len(set(picked)) == 3


def test_replacing_draws_children_of_the_same_original(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    run = studies.write_run(tmp_path / "run", data, seeds_of(data), copies=2)
    material, settings, (arm,) = material_of(tmp_path, data, [f"run:{run}"], mode="replace", replace_p=0.5)
    pool = compose(arm, material, settings, seed=0, resample=0, times=1).train
    store, parents = material.runs[str(run)].store, material.runs[str(run)].parents
    assert len(pool) == 12
    rows = np.arange(12).repeat(200)
    drawn = pool.substitute(rows, seed=3)
    assert 0.45 < (drawn != rows).mean() < 0.55
    for row, got in zip(rows[drawn != rows], drawn[drawn != rows], strict=True):
        assert parents[store.ids[pool.row[got]]] == {material.train.ids[pool.row[row]]}


def test_the_validation_part_is_a_share_of_each_class_and_leaves_one_image() -> None:
    label = np.array([0] * 10 + [1] * 1 + [2] * 5)
    usable = np.ones(16, bool)
    usable[0] = False
    train, inside = split(label, usable, 0.4, 0)
    assert sorted([*train, *inside]) == list(range(1, 16))
    assert np.bincount(label[inside], minlength=3).tolist() == [4, 0, 2]
    assert split(label, usable, 0.4, 1)[1].tolist() != inside.tolist()


def test_a_held_out_image_in_the_training_set_is_counted_and_refused(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    leaked = data / "test" / "red" / "0.png"
    leaked.write_bytes((data / "train" / "red" / "3.png").read_bytes())
    with pytest.raises(DataError, match=r"1 of 12 held-out images .*1 equal.*train/red/3.png = test/red/0.png"):
        material_of(tmp_path, data, ["original"])
    assert len(material_of(tmp_path, data, ["original"], allow_leak=True)[0].held_rows) == 12
    dropped = material_of(tmp_path, data, ["original"], drop_leak=True)[0]
    assert len(dropped.held_rows) == 11
    assert dropped.leak["removed"] == 1


def test_a_resaved_held_out_image_is_found_by_its_look(tmp_path: Path, studies: ModuleType) -> None:
    from PIL import Image

    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    image = Image.open(data / "train" / "blue" / "2.png")
    image.resize((48, 48)).save(data / "test" / "blue" / "1.jpg", quality=80)
    with pytest.raises(DataError, match="0 equal, 1 near-equal"):
        material_of(tmp_path, data, ["original"])


def test_a_run_that_shows_a_held_out_image_is_refused_or_loses_it(tmp_path: Path, studies: ModuleType) -> None:
    from PIL import Image

    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    stolen = np.asarray(Image.open(data / "test" / "green" / "2.png"))
    seeds = {name: label for name, label in seeds_of(data).items() if label == 1}
    run = studies.write_run(tmp_path / "run", data, seeds, copies=1, make=lambda image, rng: stolen)
    with pytest.raises(DataError, match="among the new images of"):
        material_of(tmp_path, data, [f"run:{run}"])
    kept = material_of(tmp_path, data, ["original", f"run:{run}"], drop_leak=True)[0]
    assert kept.runs[str(run)].usable.sum() == 0
    assert len(kept.held_rows) == 12


def test_one_class_alone_is_refused(tmp_path: Path, studies: ModuleType) -> None:
    from imaginate.training.classifier import train

    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4}, classes=("only",))
    with pytest.raises(DataError, match=r"at least two classes, got 1 \(only\)"):
        material_of(tmp_path, data, ["original"])
    with pytest.raises(DataError, match=r"at least two classes, got 1 \(only\)"):
        train(data, tmp_path / "out", progress=False)


def test_what_would_spoil_a_comparison_is_refused_in_one_line(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    other = studies.write_folder(tmp_path / "other", {"train": 2}, seed=5)
    strange = {f"{name[:-4]}-x.png": label for name, label in seeds_of(other).items()}
    for name in strange:
        (other / name).write_bytes((other / f"{name[:-6]}.png").read_bytes())
    run = studies.write_run(tmp_path / "run", other, strange, copies=1)
    with pytest.raises(DataError, match="made from another dataset or split: 6 of its 6 seed images"):
        material_of(tmp_path, data, [f"run:{run}"])
    two = studies.write_folder(tmp_path / "two", {"test": 3}, seed=9, classes=("blue", "green"))
    with pytest.raises(DataError, match=r"held-out set .* has no image of 1 classes: red"):
        material_of(tmp_path, data, ["original"], held_out=str(two))
    more = studies.write_folder(tmp_path / "more", {"test": 3}, seed=9, classes=("blue", "green", "red", "teal"))
    with pytest.raises(DataError, match="classes that the training set lacks: teal"):
        material_of(tmp_path, data, ["original"], held_out=str(more))
    with pytest.raises(DataError, match="needs --shots or --fraction"):
        material_of(tmp_path, data, ["real:2"])


def test_more_real_images_are_those_that_shots_left_out(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 8, "test": 4})
    material, settings, arms = material_of(tmp_path, data, ["original", "real:2", "real:4"], shots=3)
    assert material.real is not None
    small, large = (compose(a, material, settings, seed=0, resample=0, times=1) for a in arms[1:])
    assert (small.real, large.real, small.original) == (6, 12, 6)
    assert set(rows_of(small.train, material.real)) < set(rows_of(large.train, material.real))
    assert not set(material.real.ids) & set(material.train.ids)
    rest = material_of(tmp_path, data, ["original"], shots=3, held_out_split="rest")[0]
    assert set(rest.held.ids) == set(material.real.ids)


def test_a_validation_split_must_be_apart_from_both_sides(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4, "validation": 3})
    with pytest.raises(DataError, match=r"12 of 12 held-out images .*the validation split"):
        material_of(tmp_path, data, ["original"], validation_split="test")
    with pytest.raises(DataError, match=r"18 of 18 validation images .*also among the training images"):
        material_of(tmp_path, data, ["original"], validation_split="train")
    (data / "validation" / "red" / "x.png").write_bytes((data / "train" / "red" / "1.png").read_bytes())
    (data / "validation" / "red" / "y.png").write_bytes((data / "test" / "red" / "1.png").read_bytes())
    material, settings, (arm,) = material_of(
        tmp_path, data, ["original"], validation_split="validation", drop_leak=True
    )
    made = compose(arm, material, settings, seed=0, resample=0, times=1)
    assert material.validation is not None
    assert len(material.validation) == 11
    assert made.validation is not None
    assert len(made.validation) == 9
    assert material.leak["validation"] == {"held_out": 1, "train": 1, "removed": 2}


def test_more_real_images_are_none_that_the_study_has(tmp_path: Path, studies: ModuleType) -> None:
    data = studies.write_folder(tmp_path / "data", {"train": 8, "test": 4})
    more = tmp_path / "more"
    shutil.copytree(data / "train", more)
    (more / "red" / "x.png").write_bytes((data / "test" / "red" / "1.png").read_bytes())
    material, settings, arms = material_of(tmp_path, data, ["real:20"], shots=3, real=str(more))
    made = compose(arms[0], material, settings, seed=0, resample=0, times=1)
    assert material.real is not None
    used = {material.real.ids[i] for i in rows_of(made.train, material.real)}
    assert not {f"train/{name}" for name in used} & {*material.train.ids, "train/red/x.png"}
    assert made.real == len(used) == 24 - 9
    assert made.excluded == {HELD_OUT: 1, TRAINING: 9}


def test_what_a_run_shows_is_told_where_it_is_allowed(tmp_path: Path, studies: ModuleType) -> None:
    from PIL import Image

    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    stolen = np.asarray(Image.open(data / "test" / "green" / "2.png"))
    seeds = {name: label for name, label in seeds_of(data).items() if label == 1}
    run = studies.write_run(tmp_path / "run", data, seeds, copies=1, make=lambda image, rng: stolen)
    leak = material_of(tmp_path, data, [f"run:{run}"], allow_leak=True)[0].leak
    assert leak["runs"] == {str(run): {"same": 6, "near": 0, "removed": 0}}
    leak = material_of(tmp_path, data, [f"run:{run}"], drop_leak=True)[0].leak
    assert leak["runs"] == {str(run): {"same": 6, "near": 0, "removed": 6}}


def test_soft_labels_follow_their_classes(tmp_path: Path, studies: ModuleType) -> None:
    assert _scattered((0.7, 0.3), {0: 2, 1: 0}, 3) == pytest.approx((0.3, 0.0, 0.7))
    assert _scattered(None, {0: 1}, 2) is None
    data = studies.write_folder(tmp_path / "data", {"train": 6, "test": 4})
    seeds = seeds_of(data)
    soft = [[0.8 if k == 2 - label else 0.1 for k in range(3)] for label in seeds.values()]
    turned = studies.CLASSES[::-1]
    run = studies.write_run(tmp_path / "run", data, seeds, copies=1, soft_label=soft)
    table = pq.read_table(run / "metadata.parquet")
    labels = pa.array([turned.index(name) for name in table["class_name"].to_pylist()])
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", labels), run / "metadata.parquet")
    (run / "run.json").write_text(json.dumps({"classes": [{"name": name} for name in turned]}))
    store = material_of(tmp_path, data, [f"run:{run}"])[0].runs[str(run)].store
    assert store.soft is not None
    assert store.soft.argmax(1).tolist() == store.label.tolist()
    assert {studies.CLASSES[label] for label in store.label} == set(studies.CLASSES)
