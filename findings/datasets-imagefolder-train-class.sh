#!/usr/bin/env bash
# datasets 5.2.0: where one class is called "train", load_dataset("imagefolder") gives that class and leaves out the rest.
#
# One folder for each class is the layout of torchvision and of imagefolder. datasets first looks for the words of splits
# in the names of folders and files ("train", "training", "val", "valid", "dev", "test", "testing", "eval", ..., alone or
# set off by a blank, "-", "_", "." or a digit), and where a single one matches, files without such a word belong to no
# split and are not read. The vehicle "train" is a class of VOC, COCO and CIFAR-100; "test tube", "dev board" and "eval
# kit" do the same. split="train" then works: it has the trains alone, and no labels. Nothing is said. The guide says that
# split names may be folders, not that the others go (huggingface/datasets#5021 tells it of file names). Give
# data_files={"train": "FOLDER/**"}.
#
# Seen:   10 images of bus, car, train: train 2 images, columns image; of dish, test tube, vial: test 2 images; by
#         data_files: 10 images, labels bus, car, train; with the class called tram: 10
# Exits 0 while datasets behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0
cd "$place"
mkdir home
HOME="$place/home" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from pathlib import Path

warnings.simplefilter("error", UserWarning)
import datasets
from PIL import Image


def folder(name, **classes):
    """A folder of images, one folder for each class."""
    for one, count in classes.items():
        place = Path(name, one.replace("_", " "))
        place.mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(place / f"{number}.png")
    return name


def read(**where):
    """For each split: how many images, its columns, its classes."""
    splits = datasets.load_dataset("imagefolder", **where)
    return {
        split: (len(rows), list(rows.features), rows.features["label"].names if "label" in rows.features else [])
        for split, rows in splits.items()
    }


vehicles = folder("vehicles", bus=4, car=4, train=2)
with_train = read(data_dir=vehicles)
with_test = read(data_dir=folder("glass", dish=4, test_tube=2, vial=4))
by_files = read(data_files={"train": f"{vehicles}/**"})
other_word = read(data_dir=folder("trams", bus=4, car=4, tram=2))
print("datasets", datasets.__version__)
print("bus, car, train:", with_train)
print("dish, test tube, vial:", with_test)
print("bus, car, train by data_files:", by_files)
print("bus, car, tram:", other_word)
is_so = (
    with_train == {"train": (2, ["image"], [])}
    and with_test == {"test": (2, ["image"], [])}
    and by_files == {"train": (10, ["image", "label"], ["bus", "car", "train"])}
    and other_word == {"train": (10, ["image", "label"], ["bus", "car", "tram"])}
)
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
