"""Data sets that look a little like a published one, and are none: they are read as what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.published import Writer, tiny_imagenet
from imaginate.data import open_dataset
from imaginate.errors import DataError


def folders(*classes: str, parts: tuple[str, ...] = ("",), ending: str = "png") -> Callable[[Writer], None]:
    return lambda w: w.pictures(
        f"{part}{name}/{part.lower()[:2]}{n}.{ending}" for part in parts for name in classes for n in (1, 2)
    )


def belgian_signs(w: Writer) -> None:
    folders("00000", "00001", parts=("Training/", "Testing/"), ending="ppm")(w)
    w.text("Training/00000/GT-00000.csv", ["Filename;Width;Height;ClassId", "tr1.ppm;12;12;0"])


def also(write: Callable[[Writer], None], texts: dict[str, str]) -> Callable[[Writer], None]:
    def both(w: Writer) -> None:
        write(w)
        for name, text in texts.items():
            w.text(name, text.split("\n"))

    return both


PARTS = ("train/", "valid/", "test/")
THREE, TWO = ("train", "validation", "test"), ("train", "test")
CATS = ("cat", "dog")
COCO = json.dumps({"images": [{"id": 1}], "annotations": []})
FOREIGN: dict[str, tuple[Callable[[Writer], None], tuple[str, ...], tuple[str, ...]]] = {
    "brain tumours": (folders("glioma", "notumor", parts=("Training/", "Testing/")), ("glioma", "notumor"), TWO),
    "numbers": (folders("0", "1", "2", parts=("Training/", "Testing/")), ("0", "1", "2"), TWO),
    "five digits": (folders("00000", "00001", parts=("Training/", "Testing/")), ("00000", "00001"), TWO),
    "fruits": (folders("Apple Red 1", "Banana", parts=("Training/", "Test/")), ("Apple Red 1", "Banana"), TWO),
    "Belgian signs": (belgian_signs, ("00000", "00001"), TWO),
    "factory": (folders("NG", "OK", parts=PARTS), ("NG", "OK"), THREE),
    "plates": (folders("DE", "FR", "PL", parts=PARTS), ("DE", "FR", "PL"), THREE),
    "covid": (folders("negative", "positive", parts=PARTS), ("negative", "positive"), THREE),
    "zoo": (
        folders("Birds/owl", "Fish/eel", "Mammals/ox", "Reptiles/boa", parts=("train/", "test/")),
        ("Birds/owl", "Fish/eel", "Mammals/ox", "Reptiles/boa"), TWO,
    ),
    "flat zoo": (folders("Birds", "Fish", "Insects", "Mammals"), ("Birds", "Fish", "Insects", "Mammals"), ()),
    "boxes": (also(folders("images/cat", "images/dog"), {f"labels/{p}1.txt": "0 0.5 0.5 1 1" for p in TWO}), CATS, ()),
    "backgrounds": (folders("images_background", "images_object"), ("images_background", "images_object"), ()),
    "demo of scenes": (also(folders(*CATS), {"categories_places365.txt": "/a/airfield 0"}), CATS, ()),
    "no scenes": (also(folders("a", "b"), {"ClassName.txt": ""}), ("a", "b"), ()),
    "catalogue": (
        also(folders("images/001.cat", "images/002.dog"), {"classes.txt": "cat\ndog"}), ("001.cat", "002.dog"), (),
    ),
    "COCO": (also(folders("images/cat", "images/dog"), {f"meta/{p}.json": COCO for p in TWO}), CATS, ()),
    "land": (folders("AnnualCrop", "SeaLake", "Wetland"), ("AnnualCrop", "SeaLake", "Wetland"), ()),
    "batches": (also(folders(*CATS), {"meta": "cats and dogs", "test": "none"}), CATS, ()),
    "arrays": (also(folders(*CATS), {"train_X.bin": "abc", "train_y.bin": "a"}), CATS, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_data_set_that_only_looks_published_is_read_by_its_folders(name: str, tmp_path: Path) -> None:
    write, classes, splits = FOREIGN[name]
    write(Writer(tmp_path / "data"))
    data = open_dataset(tmp_path / "data", split="all")
    assert (data.format, data.labels.names, data.splits) == ("image folder", classes, splits)
    assert len(data) == 2 * len(classes) * max(len(splits), 1)


def test_images_of_one_folder_with_a_table_are_no_signs(tmp_path: Path) -> None:
    w = Writer(tmp_path / "retina")
    w.pictures(f"Training/{n}.png" for n in range(1, 5))
    w.text("labels.csv", ["ID,label", *(f"{n},{'healthy' if n % 2 else 'ill'}" for n in range(1, 5))])
    assert open_dataset(w.root).counts() == {"healthy": 2, "ill": 2}


def test_validation_images_of_imagenet_with_a_table_of_their_own_have_its_labels(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.pictures(f"ILSVRC2012_val_{n:08d}.JPEG" for n in (1, 2))
    w.text("metadata.csv", ["file_name,label", "ILSVRC2012_val_00000001.JPEG,a", "ILSVRC2012_val_00000002.JPEG,b"])
    assert open_dataset(tmp_path).labels.names == ("a", "b")


def test_countries_are_known_by_their_number_where_the_folder_has_another_name(tmp_path: Path) -> None:
    from imaginate.data.official.core.words import words_of

    w = Writer(tmp_path / "photos")
    w.pictures(f"{part}{code}/1.jpg" for part in PARTS for code in list(words_of("country211"))[:211])
    assert open_dataset(w.root).format == "Country211, as published"


def test_validation_images_that_were_sorted_into_folders_stay_a_split(tmp_path: Path) -> None:
    """What scripts make of Tiny-ImageNet: val in class folders, with or without the list."""
    root = tiny_imagenet(tmp_path).path
    wanted = {
        s: sorted((x.label, x.source.read()) for x in open_dataset(root, split=s).samples) for s in ("train", "val")
    }
    for line in (root / "val" / "val_annotations.txt").read_text().splitlines():
        name, wnid = line.split("\t")[:2]
        (root / "val" / wnid).mkdir(exist_ok=True)
        (root / "val" / "images" / name).rename(root / "val" / wnid / name)
    for remove in (None, root / "val" / "val_annotations.txt"):
        if remove is not None:
            remove.unlink()
        for split, found in wanted.items():
            assert sorted((x.label, x.source.read()) for x in open_dataset(root, split=split).samples) == found


def test_species_in_a_folder_called_test_are_no_training_images(tmp_path: Path) -> None:
    species = "00001_Animalia_Chordata_Aves_Passeriformes_Corvidae_Corvus_corax"
    Writer(tmp_path).pictures(f"{part}/{species}/{part}.jpg" for part in ("train", "test"))
    data = open_dataset(tmp_path, split="all")
    assert (data.format, data.splits) == ("iNaturalist, as published", ("train", "test"))


def test_a_published_layout_that_cannot_be_read_says_so_and_gives_way_to_folders(tmp_path: Path) -> None:
    w = Writer(tmp_path / "food")
    folders("images/cake", "images/pie")(w)
    w.text("meta/train.json", ['{"cake": ["cake/1"'])
    w.text("meta/test.json", ["{}"])
    data = open_dataset(w.root)
    assert (data.format, data.labels.names) == ("image folder", ("cake", "pie"))
    (note,) = (note for note in data.notes if "Food-101" in note)
    assert note.endswith("it is read as image folder")
    for file in (w.root / "images").rglob("*.png"):
        file.unlink()
    with pytest.raises(DataError, match="is laid out as Food-101, with a damaged file"):
        open_dataset(w.root)
