"""PatchCamelyon: HDF5 files, `camelyonpatch_level_2_split_train_x.h5` with `..._y.h5`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree
from imaginate.data.sources.array_row import ArrayRow
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError
from imaginate.records import Part

SPLITS = {"train": "train", "valid": "validation", "test": "test"}


class Pcam:
    """Two classes: whether the centre of a patch holds tumour tissue."""

    title: ClassVar[str] = "PatchCamelyon"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the name of a file of images."""
        return any(tree.has(_file(word, "x")) for word in SPLITS)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of each file; the labels need h5py."""
        try:
            import h5py
        except ImportError:
            raise DataError("its files are HDF5: pip install 'imaginate[official]' reads them") from None
        rows: list[Row] = []
        for word, split in SPLITS.items():
            if not tree.has(_file(word, "x")):
                continue
            images, labels = tree.source(_file(word, "x")), tree.source(_file(word, "y"))
            if not isinstance(images, FileSource) or not isinstance(labels, FileSource):
                raise DataError("HDF5 files are not read in an archive: unpack it")
            if not tree.has(_file(word, "y")):
                raise DataError(f"{_file(word, 'y')}, which holds the labels of {_file(word, 'x')}, is not there")
            with h5py.File(labels.path, "r") as file:
                values = file["y"][:].reshape(-1).tolist()
            with h5py.File(images.path, "r") as file:
                count = len(file["x"])
            if count != len(values):
                raise DataError(f"{_file(word, 'x')} has {count} images, and {_file(word, 'y')} {len(values)} labels")
            rows += [
                Row(f"{_file(word, 'x')}/{n}", int(value), split, ArrayRow(images, "pcam", n))
                for n, value in enumerate(values)
            ]
        return Published(classes=named(["0", "1"], {"0": "normal tissue", "1": "tumour tissue"}), rows=rows)


def _file(word: str, kind: str) -> str:
    return f"camelyonpatch_level_2_split_{word}_{kind}.h5"
