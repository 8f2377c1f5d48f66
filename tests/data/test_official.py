"""Published data sets in their exact layouts: image by image what torchvision's own class reads of the same files."""

from __future__ import annotations

import gzip
import importlib
import os
import pickle
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import published, zoo
from data.published import SETS, Case, pixels
from imaginate import registry
from imaginate.data import open_dataset
from imaginate.data.decoding import pixels_of
from imaginate.errors import DataError

NEEDS = {"pcam": "h5py", "lsun": "lmdb", **dict.fromkeys(("flowers102", "stanford-cars", "svhn", "imagenet"), "scipy")}
TV_FILES = (
    "celeba",
    "flowers102",
    "lfw",
    "mnist",
    "omniglot",
    "places365",
    "cifar",
    "stl10",
    "svhn",
    "semeion",
    "fer2013",
)


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # torchvision leaves files open


@pytest.fixture(autouse=True)
def _no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision checks the sums of the real files; ours are tiny."""
    for name in TV_FILES:
        module = importlib.import_module(f"torchvision.datasets.{name}")
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: os.path.isfile(path))
    omniglot = importlib.import_module("torchvision.datasets.omniglot")
    list_dir = omniglot.list_dir  # in the order of the file system: its labels are others on another disk
    monkeypatch.setattr(omniglot, "list_dir", lambda root: sorted(list_dir(root)))


def case_of(name: str, root: Path) -> Case:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return SETS[name](root)


def read(path: Path, split: str, **say: Any) -> Counter[tuple[bytes, int, str]]:
    """What we read of a split: pixels, label and class name of every image."""
    data = open_dataset(path, split=split or "all", **say)
    return Counter((pixels_of(s).tobytes(), s.label, data.labels.names[s.label]) for s in data.samples)


def test_every_layout_has_its_files_here() -> None:
    assert set(SETS) == set(registry.names("layouts"))


@pytest.mark.parametrize("name", SETS)
def test_images_labels_and_splits_are_those_of_torchvision(name: str, tmp_path: Path) -> None:
    case = case_of(name, tmp_path)
    title = registry.find("layouts", name).title
    data = open_dataset(case.path, **case.say)
    assert data.format == f"{title}, as published"
    assert any(title in note and "--layout folders" in note for note in data.notes)
    assert set(data.splits) == {split for split in case.splits if split}
    for split, wanted in case.splits.items():
        found = read(case.path, split, **case.say)
        if any(class_name is None for *_, class_name in wanted):
            assert Counter((image, label) for image, label, _ in found.elements()) == Counter(e[:2] for e in wanted)
        else:
            assert found == Counter(wanted)
    assert Counter(item.reason for item in open_dataset(case.path, split="all", **case.say).skipped) == case.skipped


@pytest.mark.parametrize("name", SETS)
def test_one_layout_alone_recognises_a_set(name: str, tmp_path: Path) -> None:
    from imaginate.data.official.core.places import trees
    from imaginate.data.place import examine
    from imaginate.data.readers.official import layouts

    path = str(case_of(name, tmp_path).path)
    known = {other for tree in trees(examine(path), frozenset()) for other in layouts() if other.recognises(tree)}
    assert {layout.title for layout in known} == {registry.find("layouts", name).title}


@pytest.mark.parametrize("name", ["dtd", "cub200", "food101", "tiny-imagenet", "cifar10", "stl10", "caltech101"])
def test_the_archive_as_downloaded_reads_as_the_folder(name: str, tmp_path: Path) -> None:
    case = case_of(name, tmp_path)
    archive = tmp_path / "downloaded.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(case.path, case.path.name)
    for split in case.splits:
        assert read(archive, split) == read(case.path, split)


def test_archives_of_one_set_are_read_together(tmp_path: Path) -> None:
    case = case_of("oxford-pets", tmp_path)
    packed = tmp_path / "packed"
    packed.mkdir()
    for part in ("images", "annotations"):
        with tarfile.open(packed / f"{part}.tar.gz", "w:gz") as tar:
            tar.add(case.path / part, part)
    for place in (packed, packed / "images.tar.gz"):
        assert read(place, "train") == read(case.path, "train")


def test_every_set_of_torchvision_that_has_one_class_an_image_has_a_layout() -> None:
    from torchvision import datasets

    others = {  # no labels, several of an image, boxes, masks, pairs, flow, film
        "CocoCaptions", "CocoDetection", "Cityscapes", "CREStereo", "CarlaStereo", "DatasetFolder", "ETH3DStereo",
        "FakeData", "FallingThingsStereo", "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51",
        "ImageFolder", "InStereo2k", "Kinetics", "Kitti", "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow",
        "LFWPairs", "LSUNClass", "Middlebury2014Stereo", "MovingMNIST", "PhotoTour", "SBDataset", "SBU",
        "SceneFlowStereo", "Sintel", "SintelStereo", "UCF101", "VOCDetection", "VOCSegmentation", "VisionDataset",
        "WIDERFace", "wrap_dataset_for_transforms_v2",
    }  # fmt: skip
    ours = {name.replace("-", "") for name in SETS}
    names = {"oxfordiiitpet": "oxfordpets", "clevrclassification": "clevr"}
    theirs = {name.lower() for name in set(datasets.__all__) - others}
    assert {names.get(name, name) for name in theirs} <= ours


@pytest.mark.parametrize("column", ["Wearing_Hat", "5_o_Clock_Shadow", "identity"])
def test_a_set_of_several_labels_is_read_by_the_one_that_is_asked_for(column: str, tmp_path: Path) -> None:
    from data.published import celeba

    case = celeba(tmp_path, column)
    for split, wanted in case.splits.items():
        assert read(case.path, split, **case.say) == Counter(wanted)
    with pytest.raises(DataError, match="needs --label-column with one of them"):
        open_dataset(case.path)
    with pytest.raises(DataError, match="no attribute 'Smilling'; did you mean 'Smiling'"):
        open_dataset(case.path, label_column="Smilling")


def test_the_csv_edition_of_celeba_reads_as_the_texts(tmp_path: Path) -> None:
    case = case_of("celeba", tmp_path)
    (case.path / "img_align_celeba").rename(tmp_path / "images")
    (case.path / "img_align_celeba").mkdir()
    (tmp_path / "images").rename(case.path / "img_align_celeba" / "img_align_celeba")
    for kind, head in (("attr_celeba", None), ("eval_partition", ["image_id", "partition"])):
        lines = [line.split() for line in (case.path / f"list_{kind}.txt").read_text().splitlines()]
        rows = [head, *lines] if head else [["image_id", *lines[1]], *lines[2:]]
        (case.path / f"list_{kind}.txt").unlink()
        (case.path / f"list_{kind}.csv").write_text("\n".join(",".join(row) for row in rows))
    for split, wanted in case.splits.items():
        assert read(case.path, split, **case.say) == Counter(wanted)


def test_archives_in_an_archive_are_read_where_they_are(tmp_path: Path) -> None:
    case = case_of("caltech101", tmp_path)
    inner, outer = tmp_path / "101_ObjectCategories.tar.gz", tmp_path / "down" / "caltech-101.zip"
    outer.parent.mkdir()
    with tarfile.open(inner, "w:gz") as tar:
        tar.add(case.path / "101_ObjectCategories", "101_ObjectCategories")
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "caltech-101/101_ObjectCategories.tar.gz")
        archive.writestr("caltech-101/Annotations.tar", b"")
        archive.writestr("__MACOSX/caltech-101/._x", b"x")
    for place in (outer, outer.parent):
        assert read(place, "") == read(case.path, "")


def test_all_sets_of_emnist_are_read_in_their_zip(tmp_path: Path) -> None:
    case = case_of("emnist", tmp_path)
    outer = tmp_path / "down" / "gzip.zip"
    outer.parent.mkdir()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((case.path / "raw").glob("*-ubyte")):
            data = gzip.compress(file.read_bytes())
            archive.writestr(f"gzip/{file.name}.gz", data)
            archive.writestr(f"gzip/{file.name.replace('letters', 'digits')}.gz", data)
    for place in (outer, outer.parent):
        for split, wanted in case.splits.items():
            assert read(place, split, label_column="letters") == Counter(wanted)
    with pytest.raises(DataError, match="--label-column letters"):
        open_dataset(outer)


def test_folders_alone_are_read_where_that_is_asked(tmp_path: Path) -> None:
    case = case_of("dtd", tmp_path)
    data = open_dataset(case.path, layout="folders")
    assert data.format == "image folder"
    assert len(data) == 12


def test_codes_have_words(tmp_path: Path) -> None:
    wanted = {
        "gtsrb": {"00000": "speed limit 20 traffic sign"}, "country211": {"AD": "Andorra"}, "fer2013": {"3": "happy"},
        "tiny-imagenet": {"n01443537": "goldfish"}, "imagenet": {"n01440764": "tench"},
        "mnist": {"7 - seven": "digit 7"}, "medmnist": {"0": "malignant"},
        "cub200": {"001.Black_footed_Albatross": "Black footed Albatross"},
        "inaturalist": {"00000_Animalia_Chordata_Aves_Passeriformes_Corvidae_Corvus_corax": "Corvus corax"},
    }  # fmt: skip
    for name, words in wanted.items():
        data = open_dataset(case_of(name, tmp_path / name).path, split="all")
        titles = dict(zip(data.labels.names, data.labels.titles, strict=True))
        assert {key: titles[key] for key in words} == words


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    case = case_of("cifar10", tmp_path)
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(mark),)

    (case.path / "data_batch_1").write_bytes(pickle.dumps({"data": Evil(), "labels": [1]}))
    with pytest.raises(DataError, match="only arrays and plain containers"):
        open_dataset(case.path)
    assert not mark.exists()


@pytest.mark.parametrize("mapping", ["synset_labels.txt", "LOC_val_solution.csv", "meta.bin", ""])
def test_flat_validation_images_have_the_labels_of_a_mapping_file(mapping: str, tmp_path: Path) -> None:
    case = case_of("imagenet", tmp_path)
    ids = [name for *_, name in case.splits["validation"]]
    for file in sorted((case.path / "ILSVRC2012_devkit_t12" / "data").iterdir()):
        file.unlink()
    if not mapping:
        with pytest.raises(DataError, match="in no class folders"):
            open_dataset(case.path, split="val")
        return
    if mapping == "meta.bin":
        import torch

        torch.save(({"n01440764": ("tench",)}, ids), case.path / mapping)
    else:
        csv = [f"ILSVRC2012_val_{n:08d},{wnid} 1 2 3 4" for n, wnid in enumerate(ids, 1)]
        lines = ids if mapping.startswith("synset") else ["ImageId,PredictionString", *reversed(csv)]
        (case.path / mapping).write_text("\n".join(lines))
    assert read(case.path, "val") == Counter(case.splits["validation"])


def test_binary_batches_are_those_of_the_pickles(tmp_path: Path) -> None:
    images = [pixels(n, 32) for n in range(3)]
    for name, before in (("cifar-10-batches-bin", b""), ("cifar-100-binary", b"\x05")):
        (tmp_path / name).mkdir()
        data = b"".join(before + bytes([n]) + image.transpose(2, 0, 1).tobytes() for n, image in enumerate(images))
        is_ten = not before
        (tmp_path / name / ("data_batch_1.bin" if is_ten else "train.bin")).write_bytes(data)
        (tmp_path / name / ("batches.meta.txt" if is_ten else "fine_label_names.txt")).write_text("a\nb\nc\n\n")
        data_set = open_dataset(tmp_path / name)
        assert [(s.label, s.split) for s in data_set.samples] == [(0, "train"), (1, "train"), (2, "train")]
        assert all(np.array_equal(pixels_of(s), images[s.label]) for s in data_set.samples)


def test_of_several_sets_of_emnist_one_is_given(tmp_path: Path) -> None:
    from data.published import idx

    case = case_of("emnist", tmp_path)
    raw = case.path / "raw"
    (raw / "emnist-digits-train-images-idx3-ubyte").write_bytes(idx(np.zeros((1, 28, 28), np.uint8)))
    (raw / "emnist-digits-train-labels-idx1-ubyte").write_bytes(idx(np.zeros(1, np.uint8)))
    with pytest.raises(DataError, match=r"letters, digits: give the file of images of one"):
        open_dataset(case.path)
    one = raw / "emnist-letters-train-images-idx3-ubyte"
    assert read(one, "test") == Counter(case.splits["test"])


def test_inspect_says_the_layout_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from imaginate.cli import main

    case = case_of("oxford-pets", tmp_path)
    assert main(["inspect", str(case.path)]) == 0
    shown = capsys.readouterr().out
    assert "Oxford-IIIT Pet, as published" in shown
    assert "left out: trimaps and boxes in annotations" in shown
    assert "6  train" in shown
    assert "3  test" in shown
    assert "3 classes: Abyssinian, American Bulldog and Bengal" in shown
    assert main(["inspect", str(case.path), "--layout", "folders"]) == 0
    assert "image folder" in capsys.readouterr().out


def test_side_files_of_an_unknown_set_are_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(zoo.png())
    (tmp_path / "README.txt").write_text("what it is")
    assert not any("not read" in note for note in open_dataset(tmp_path).notes)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "test_split.txt").write_text("cat/1.png")
    (note,) = (note for note in open_dataset(tmp_path).notes if "not read" in note)
    assert note.startswith("lists/test_split.txt is not read")
    assert not any("not read" in note for note in open_dataset(tmp_path, layout="folders").notes)


def test_the_tars_of_imagenet_are_read_where_they_are(tmp_path: Path) -> None:
    case = case_of("imagenet", tmp_path / "unpacked")
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "ILSVRC2012_img_train.tar", "w") as outer:
        for folder in sorted((case.path / "train").iterdir()):
            with tarfile.open(tmp_path / f"{folder.name}.tar", "w") as inner:
                for file in sorted(folder.iterdir()):
                    inner.add(file, file.name)
            outer.add(tmp_path / f"{folder.name}.tar", f"{folder.name}.tar")
    with tarfile.open(packed / "ILSVRC2012_img_val.tar", "w") as tar:
        for file in sorted((case.path / "val").iterdir()):
            tar.add(file, file.name)
    with tarfile.open(packed / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        tar.add(case.path / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    for split, wanted in case.splits.items():
        assert read(packed, split) == Counter(wanted)


def test_a_folder_is_not_listed_again_for_each_layout_that_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"{number}.txt").write_text("a")
    calls: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: calls.append(str(path)) or scandir(path))
    from imaginate.data.place import examine
    from imaginate.data.readers.official import Official

    assert not Official().recognises(examine(str(tmp_path)))
    assert calls.count(os.path.join(tmp_path, "")) <= 2  # once for all names, once for the folders alone


def test_files_of_images_and_of_labels_must_have_the_same_length(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    published.pcam(tmp_path)
    (labels,) = (tmp_path / "pcam").glob("*train_y.h5")
    with h5py.File(labels, "r") as file:
        values = file["y"][:]
    with h5py.File(labels, "w") as file:
        file["y"] = values[:-1]
    with pytest.raises(
        DataError, match=rf"train_x.h5 has {len(values)} images, and .*train_y.h5 {len(values) - 1} labels"
    ):
        open_dataset(tmp_path / "pcam")
    labels.unlink()
    with pytest.raises(DataError, match=r"train_y.h5, which holds the labels of .*train_x.h5, is not there"):
        open_dataset(tmp_path / "pcam")
