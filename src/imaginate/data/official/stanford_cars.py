"""Stanford Cars: `cars_train/00001.jpg`, `cars_test/`, labels and names in .mat files of the devkit."""

from __future__ import annotations

from typing import Any, ClassVar

from imaginate.data.official.core.matrices import mat
from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, first
from imaginate.records import Part

LABELS = {
    "train": ("cars_train", ("devkit/cars_train_annos.mat", "cars_train_annos.mat")),
    "test": (
        "cars_test",
        ("cars_test_annos_withlabels.mat", "devkit/cars_test_annos_withlabels.mat", "devkit/cars_test_annos.mat"),
    ),
}


class StanfordCars:
    """196 models; the labels count from 1 in the files. The first devkit has no labels of the test images."""

    title: ClassVar[str] = "Stanford Cars"
    archives: ClassVar[tuple[str, ...]] = ("cars_train.tgz", "cars_test.tgz", "car_devkit.tgz")

    def recognises(self, tree: Tree) -> bool:
        """By the names of the models."""
        return tree.has("devkit/cars_meta.mat") and not tree.names().isdisjoint({"cars_train", "cars_test"})

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        names = [str(name) for name in _listed(mat(tree, "devkit/cars_meta.mat")["class_names"])]
        rows: list[Row] = []
        for split, (folder, files) in LABELS.items():
            if not (file := first(tree, files)):
                continue
            for car in _listed(mat(tree, file)["annotations"]):
                label = int(car["class"]) - 1 if "class" in (car.dtype.names or ()) else None
                rows.append(Row(f"{folder}/{car['fname']}", label, split))
        return Published(
            classes=named(names), rows=rows, by="the devkit", left_out=["boxes"], listed=["cars_train", "cars_test"]
        )


def _listed(values: Any) -> list[Any]:
    """The rows of an array that may have lost its only dimension."""
    return list(values.reshape(-1))
