"""Tiny files in the exact layouts of published data sets, and torchvision's own reading of them.

`SETS[layout](root)` writes one and returns a `Case`: what to give imaginate, and what torchvision (or, where it has no
such class, the publisher's description) makes of the same files: split -> [(pixels, label, class name or None)].
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Entry = tuple[bytes, int, str | None]


@dataclass
class Case:
    """`path`: what is given. `splits`: our split -> what torchvision reads of it; "" where there is no split."""

    path: Path
    splits: Mapping[str, Sequence[Entry]]
    skipped: Mapping[str, int] = field(default_factory=dict)
    say: Mapping[str, Any] = field(default_factory=dict)  # settings that the set needs


def pixels(seed: int, size: int = 12, *, grey: bool = False) -> np.ndarray:
    shape = (size, size) if grey else (size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


class Writer:
    """Writes pictures and texts below a root; every picture is another."""

    def __init__(self, root: Path) -> None:
        self.root, self.count = root, 0

    def at(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def pictures(self, names: Iterable[str], *, grey: bool = False) -> None:
        for name in names:
            self.count += 1
            kind = {".ppm": "PPM", ".png": "PNG"}.get(Path(name).suffix, "JPEG")
            Image.fromarray(pixels(self.count, grey=grey)).save(self.at(name), kind)

    def text(self, name: str, lines: Iterable[str]) -> None:
        self.at(name).write_text("".join(f"{line}\n" for line in lines))

    def data(self, name: str, content: bytes) -> None:
        self.at(name).write_bytes(content)


def of(dataset: Any, classes: Sequence[str] | None = None) -> list[Entry]:
    """What a data set of torchvision gives, item by item."""
    found = []
    for index in range(len(dataset)):
        image, label = dataset[index]
        name = classes[label] if classes is not None else None
        found.append((np.asarray(image.convert("RGB")).tobytes(), int(label), name))
    return found


def flowers102(root: Path) -> Case:
    from scipy.io import savemat
    from torchvision.datasets import Flowers102

    w = Writer(root / "flowers-102")
    w.pictures(f"jpg/image_{n:05d}.jpg" for n in range(1, 10))
    savemat(w.at("imagelabels.mat"), {"labels": np.array([[1, 77, 3, 1, 77, 3, 1, 77, 102]], np.uint8)})
    ids = {"trnid": [[1, 2]], "valid": [[3, 9]], "tstid": [[4, 5, 6, 7]]}
    savemat(w.at("setid.mat"), {key: np.array(value, np.uint16) for key, value in ids.items()})
    words = {"train": "train", "val": "validation", "test": "test"}
    splits = {ours: of(Flowers102(root, s), Flowers102.classes) for s, ours in words.items()}
    return Case(w.root, splits, {"in no list of the publisher": 1})


def oxford_pets(root: Path) -> Case:
    from torchvision.datasets import OxfordIIITPet

    w = Writer(root / "oxford-iiit-pet")
    breeds = (("Abyssinian", 1, 1), ("american_bulldog", 2, 2), ("Bengal", 3, 1))
    every = [(n, f"{name}_{n}", number, species) for name, number, species in breeds for n in (1, 2, 3)]
    w.pictures(f"images/{image}.jpg" for _, image, *_ in every)
    w.pictures(f"annotations/trimaps/{image}.png" for _, image, *_ in every)
    lines = {image: f"{image} {number} {species} {n}" for n, image, number, species in every}
    w.text("annotations/list.txt", ["#Image CLASS-ID SPECIES BREED ID", *lines.values()])
    w.text("annotations/trainval.txt", [lines[image] for n, image, *_ in every if n < 3])
    w.text("annotations/test.txt", [lines[image] for n, image, *_ in every if n == 3])
    data = {ours: OxfordIIITPet(root, s) for s, ours in (("trainval", "train"), ("test", "test"))}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def stanford_cars(root: Path) -> Case:
    from scipy.io import savemat
    from torchvision.datasets import StanfordCars

    w = Writer(root / "stanford_cars")
    w.pictures(f"cars_{part}/{n:05d}.jpg" for part in ("train", "test") for n in (1, 2, 3))
    kind = [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
    for part, file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        rows = np.array([(5, 1 + n * (part == "train") % 2, f"{n:05d}.jpg") for n in (1, 2, 3)], kind)
        savemat(w.at(file), {"annotations": rows[None]})
    names = np.array(["AM General Hummer SUV 2000", "Acura RL Sedan 2012"], object)
    savemat(w.at("devkit/cars_meta.mat"), {"class_names": names[None]})
    data = {split: StanfordCars(root, split) for split in ("train", "test")}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def dtd(root: Path) -> Case:
    from torchvision.datasets import DTD

    w = Writer(root / "dtd" / "dtd")
    for n, part in enumerate(("train", "val", "test")):
        names = [f"{texture}/{texture}_{n}{i}.jpg" for texture in ("zigzagged", "banded") for i in (1, 2)]
        w.pictures(f"images/{name}" for name in names)
        w.text(f"labels/{part}1.txt", names)
        w.text(f"labels/{part}2.txt", reversed(names))
    words = {"train": "train", "val": "validation", "test": "test"}
    data = {ours: DTD(root, s) for s, ours in words.items()}
    return Case(root / "dtd", {split: of(one, one.classes) for split, one in data.items()})


def food101(root: Path) -> Case:
    from torchvision.datasets import Food101

    w = Writer(root / "food-101")
    dishes = ("waffles", "apple_pie")
    w.pictures(f"images/{dish}/{n}.jpg" for dish in dishes for n in range(4))
    for split, numbers in (("train", (0, 1, 2)), ("test", (3,))):
        w.text(f"meta/{split}.json", [json.dumps({dish: [f"{dish}/{n}" for n in numbers] for dish in dishes})])
    data = {split: Food101(root, split) for split in ("train", "test")}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def fgvc_aircraft(root: Path) -> Case:
    from torchvision.datasets import FGVCAircraft

    w = Writer(root / "fgvc-aircraft-2013b")
    variants = ("707-320", "A330-200", "Cessna 172")
    w.text("data/variants.txt", variants)
    w.text("data/families.txt", ["Boeing 707"])
    w.pictures(f"data/images/{n:07d}.jpg" for n in range(9))
    for at, split in enumerate(("train", "val", "test")):
        w.text(f"data/images_variant_{split}.txt", [f"{3 * at + n:07d} {variants[n]}" for n in (2, 0, 1)])
    words = {"train": "train", "val": "validation", "test": "test"}
    data = {ours: FGVCAircraft(root, s) for s, ours in words.items()}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def caltech101(root: Path) -> Case:
    from torchvision.datasets import Caltech101

    w = Writer(root / "caltech101")
    for name in ("accordion", "Faces", "BACKGROUND_Google", "crab"):
        w.pictures(f"101_ObjectCategories/{name}/image_{n:04d}.jpg" for n in (1, 2))
        w.data(f"Annotations/{name}/annotation_0001.mat", b"an outline")
    data = Caltech101(root)
    return Case(w.root, {"": of(data, data.categories)})


ATTRIBUTES = ("5_o_Clock_Shadow", "Smiling", "Wearing_Hat")


def celeba(root: Path, column: str = "Smiling") -> Case:
    from torchvision.datasets import CelebA

    w = Writer(root / "celeba")
    names = [f"{n:06d}.jpg" for n in range(1, 7)]
    w.pictures(f"img_align_celeba/{name}" for name in [*names, "000009.jpg"])
    signs = [[1 if n >> bit & 1 else -1 for bit in range(3)] for n in range(6)]
    table = [f"{name} {' '.join(f'{s:2d}' for s in row)}" for name, row in zip(names, signs, strict=True)]
    w.text("list_attr_celeba.txt", [str(len(names)), " ".join(ATTRIBUTES), *table])
    w.text("list_eval_partition.txt", [f"{name} {n % 3}" for n, name in enumerate(names)])
    w.text("identity_CelebA.txt", [f"{name} {n}" for name, n in zip(names, (3, 1, 2, 4, 3, 2), strict=True)])
    for kind, columns in (("bbox_celeba", "image_id x_1 y_1 width height"), ("landmarks_align_celeba", "lefteye_x")):
        width = len(columns.split()) - (kind == "bbox_celeba")
        w.text(f"list_{kind}.txt", [str(len(names)), columns, *(f"{name} {' '.join('1' * width)}" for name in names)])
    splits = {}
    for theirs, ours in (("train", "train"), ("valid", "validation"), ("test", "test")):
        data = CelebA(root, theirs, "identity" if column == "identity" else "attr")
        at = ATTRIBUTES.index(column) if column != "identity" else 0
        number = [int(y) - 1 if column == "identity" else int(y[at]) for _, y in data]
        words = [str(n + 1) for n in range(4)] if column == "identity" else [f"not {column}", column]
        images = [np.asarray(image.convert("RGB")).tobytes() for image, _ in data]
        splits[ours] = [(image, n, words[n]) for image, n in zip(images, number, strict=True)]
    return Case(w.root, splits, {"in no list of the publisher": 1}, {"label_column": column})


def clevr(root: Path) -> Case:
    from torchvision.datasets import CLEVRClassification

    w = Writer(root / "clevr" / "CLEVR_v1.0")
    for word in ("train", "val", "test"):
        w.pictures(f"images/{word}/CLEVR_{word}_{n:06d}.png" for n in range(3))
    for word, counts in (("train", (3, 10, 4)), ("val", (4, 4, 7))):
        scenes = [
            {"image_filename": f"CLEVR_{word}_{n:06d}.png", "objects": [{}] * count} for n, count in enumerate(counts)
        ]
        w.data(f"scenes/CLEVR_{word}_scenes.json", json.dumps({"scenes": scenes}).encode())
    data = {ours: CLEVRClassification(root, word) for word, ours in (("train", "train"), ("val", "validation"))}
    return Case(w.root, {split: of(one, [str(n) for n in range(11)]) for split, one in data.items()})


def lsun(root: Path) -> Case:
    import lmdb
    from torchvision.datasets import LSUN

    from imaginate.data.official.lsun import CATEGORIES

    w = Writer(root / "lsun")
    for at, name in enumerate(CATEGORIES):
        for word in ("train", "val"):
            w.at(f"{name}_{word}_lmdb/data.mdb")
            with (
                lmdb.open(str(w.root / f"{name}_{word}_lmdb"), map_size=2**22) as database,
                database.begin(write=True) as to,
            ):
                for n in range(2):
                    out = io.BytesIO()
                    Image.fromarray(pixels(100 * at + 10 * n + len(word))).save(out, "WEBP", lossless=True)
                    to.put(f"{n}{at:039x}".encode(), out.getvalue())
    with contextlib.chdir(root):  # torchvision writes a file of its own to the working directory
        data = {ours: LSUN(str(w.root), classes=word) for word, ours in (("train", "train"), ("val", "validation"))}
    return Case(w.root, {split: of(one, CATEGORIES) for split, one in data.items()})


def caltech256(root: Path) -> Case:
    from torchvision.datasets import Caltech256

    w = Writer(root / "caltech256")
    for number, name in enumerate(("001.ak47", "002.american-flag", "003.clutter"), 1):
        w.pictures(f"256_ObjectCategories/{name}/{number:03d}_{n:04d}.jpg" for n in (1, 2))
    data = Caltech256(root)
    return Case(w.root, {"": of(data, data.categories)[:-2]})  # torchvision keeps the clutter, as the last class


def gtsrb(root: Path) -> Case:
    from torchvision.datasets import GTSRB

    w = Writer(root / "gtsrb")
    w.pictures(f"GTSRB/Training/{sign:05d}/00000_{n:05d}.ppm" for sign in range(3) for n in (0, 1))
    w.text("GTSRB/Training/00001/GT-00001.csv", ["Filename;Width;Height;ClassId", "00000_00000.ppm;12;12;1"])
    w.pictures(f"GTSRB/Final_Test/Images/{n:05d}.ppm" for n in range(3))
    w.text("GT-final_test.csv", ["Filename;Width;Height;ClassId", *(f"{n:05d}.ppm;12;12;{2 - n}" for n in range(3))])
    return Case(w.root, {split: of(GTSRB(root, split)) for split in ("train", "test")})


def eurosat(root: Path) -> Case:
    from torchvision.datasets import EuroSAT

    w = Writer(root / "eurosat")
    w.pictures(f"2750/{name}/{name}_{n}.jpg" for name in ("AnnualCrop", "Forest", "SeaLake") for n in (1, 2))
    data = EuroSAT(root)
    return Case(w.root, {"": of(data, data.classes)})


def svhn(root: Path) -> Case:
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    w = Writer(root / "svhn")
    for at, split in enumerate(("train", "test", "extra")):
        images = np.stack([pixels(100 * at + n, 32) for n in range(4)], axis=3)
        savemat(w.at(f"{split}_32x32.mat"), {"X": images, "y": np.array([[10], [1], [9], [2]], np.uint8)})
    return Case(w.root, {split: of(SVHN(w.root, split)) for split in ("train", "test", "extra")})


def usps(root: Path) -> Case:
    from torchvision.datasets import USPS

    w = Writer(root / "usps")
    rng = np.random.default_rng(1)
    for name in ("usps.bz2", "usps.t.bz2"):
        rows = [" ".join([str(digit), *(f"{i + 1}:{v:.4f}" for i, v in enumerate(rng.uniform(-1, 1, 256)))])
                for digit in (7, 10, 1)]  # fmt: skip
        w.data(name, bz2.compress("\n".join(rows).encode()))
    return Case(w.root, {split: of(USPS(w.root, train=split == "train")) for split in ("train", "test")})


def semeion(root: Path) -> Case:
    from torchvision.datasets import SEMEION

    w = Writer(root / "semeion")
    bits = np.random.default_rng(2).integers(0, 2, (3, 256))
    rows = [" ".join(f"{bit}.0000" for bit in row) for row in bits]
    w.text(
        "semeion.data",
        [f"{row} " + " ".join("01"[n == d] for n in range(10)) for row, d in zip(rows, (4, 0, 9), strict=True)],
    )
    return Case(w.root, {"": of(SEMEION(w.root, download=False))})


def sun397(root: Path) -> Case:
    from torchvision.datasets import SUN397

    w = Writer(root / "SUN397")
    scenes = ("/a/abbey", "/a/apse/indoor", "/c/church/outdoor")
    w.text("ClassName.txt", scenes)
    w.pictures(f"{scene[1:]}/sun_{name}{at}.jpg" for at, scene in enumerate(scenes) for name in ("a", "b"))
    data = SUN397(root)
    return Case(w.root, {"": of(data, data.classes)})


def country211(root: Path) -> Case:
    from torchvision.datasets import Country211

    w = Writer(root / "country211")
    words = {"train": "train", "valid": "validation", "test": "test"}
    w.pictures(f"{split}/{code}/{n}.jpg" for split in words for code in ("DE", "AD") for n in (1, 2))
    data = {ours: Country211(root, s) for s, ours in words.items()}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def rendered_sst2(root: Path) -> Case:
    from torchvision.datasets import RenderedSST2

    w = Writer(root / "rendered-sst2")
    w.pictures(
        f"{s}/{name}/{n}.png" for s in ("train", "valid", "test") for name in ("positive", "negative") for n in (1, 2)
    )
    words = {"train": "train", "val": "validation", "test": "test"}
    data = {ours: RenderedSST2(root, s) for s, ours in words.items()}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def imagenette(root: Path) -> Case:
    from torchvision.datasets import Imagenette

    from imaginate.data.official.imagenette import WORDS

    w = Writer(root / "imagenette2")
    w.pictures(f"{split}/{wnid}/{wnid}_{n}.JPEG" for split in ("train", "val") for wnid in WORDS for n in (1, 2))
    w.text("noisy_imagenette.csv", ["path,noisy_labels_0"])
    data = {ours: Imagenette(root, s) for s, ours in (("train", "train"), ("val", "validation"))}
    return Case(w.root, {split: of(one, one.wnids) for split, one in data.items()})


def inaturalist(root: Path) -> Case:
    from torchvision.datasets import INaturalist

    w = Writer(root)
    species = ("Animalia_Chordata_Aves_Passeriformes_Corvidae_Corvus_corax",
               "Animalia_Arthropoda_Insecta_Odonata_Aeshnidae_Aeshna_cyanea")  # fmt: skip
    names = [f"{n:05d}_{name}" for n, name in enumerate(species)]
    w.pictures(f"{part}/{name}/{n}.jpg" for part in ("2021_train_mini", "2021_valid") for name in names for n in (1, 2))
    parts = {"train_mini": "2021_train_mini", "validation": "2021_valid"}
    data = {ours: INaturalist(root, version) for ours, version in parts.items()}
    return Case(w.root, {split: of(one, one.all_categories) for split, one in data.items()})


def omniglot(root: Path) -> Case:
    from torchvision.datasets import Omniglot

    w = Writer(root / "omniglot-py")
    for at, part in enumerate(("images_background", "images_evaluation")):
        names = (f"{part}/Alphabet{at}{a}/character{c:02d}/{n}.png" for a in (1, 2) for c in (1, 2) for n in (1, 2))
        w.pictures(names, grey=True)
        w.data(f"{part}.zip", b"kept by torchvision")
    data = {ours: Omniglot(root, background=ours == "train") for ours in ("train", "test")}
    return Case(w.root, {split: of(one, one._characters) for split, one in data.items()})


def lfw_people(root: Path) -> Case:
    from torchvision.datasets import LFWPeople

    w = Writer(root / "lfw-py")
    people = {"Aaron_Eckhart": 1, "Zico": 3, "Yao_Ming": 2}
    w.text("lfw-names.txt", [f"{name}\t{count}" for name, count in people.items()])
    w.pictures(f"lfw_funneled/{name}/{name}_{n + 1:04d}.jpg" for name, count in people.items() for n in range(count))
    w.text("peopleDevTrain.txt", ["2", "Zico\t3", "Aaron_Eckhart\t1"])
    w.text("peopleDevTest.txt", ["1", "Yao_Ming\t2"])
    w.data("lfw-funneled.tgz", b"kept by torchvision")
    data = {split: LFWPeople(str(root), split) for split in ("train", "test")}
    return Case(w.root, {split: of(one, list(one.class_to_idx)) for split, one in data.items()})


def places365(root: Path) -> Case:
    from torchvision.datasets import Places365

    w = Writer(root)
    scenes = ("/a/airfield", "/a/airplane_cabin", "/b/balcony/exterior")
    w.text("categories_places365.txt", [f"{name} {n}" for n, name in enumerate(scenes)])
    train = [f"{name}/{n:08d}.jpg" for name in scenes for n in (1, 2)]
    w.pictures(f"data_256_standard{name}" for name in train)
    w.text("places365_train_standard.txt", [f"{name} {n // 2}" for n, name in enumerate(train)])
    w.pictures(f"val_256/Places365_val_{n:08d}.jpg" for n in range(3))
    w.text("places365_val.txt", [f"Places365_val_{n:08d}.jpg {2 - n}" for n in range(3)])
    data = {ours: Places365(root, s, small=True) for s, ours in (("train-standard", "train"), ("val", "validation"))}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def fer2013(root: Path) -> Case:
    from torchvision.datasets import FER2013

    w = Writer(root / "fer2013")
    uses = ("Training", "Training", "PublicTest", "PrivateTest")
    rows = [(n % 7, " ".join(map(str, pixels(n, 48, grey=True).ravel())), use) for n, use in enumerate(uses)]
    with open(w.at("fer2013.csv"), "w", newline="") as file:
        csv.writer(file).writerows([("emotion", "pixels", "Usage"), *rows])
    return Case(w.root, {split: of(FER2013(root, split)) for split in ("train", "test")})


def pcam(root: Path) -> Case:
    import h5py
    from torchvision.datasets import PCAM

    w = Writer(root / "pcam")
    for at, split in enumerate(("train", "valid", "test")):
        name = f"camelyonpatch_level_2_split_{split}"
        with h5py.File(w.at(f"{name}_x.h5"), "w") as file:
            file["x"] = np.stack([pixels(10 * at + n, 96) for n in range(3)])
        with h5py.File(w.at(f"{name}_y.h5"), "w") as file:
            file["y"] = np.array([1, 0, 1], np.uint8).reshape(3, 1, 1, 1)
    words = {"train": "train", "val": "validation", "test": "test"}
    return Case(w.root, {ours: of(PCAM(root, s)) for s, ours in words.items()})


def stl10(root: Path) -> Case:
    from torchvision.datasets import STL10

    w = Writer(root / "stl10_binary")
    names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    w.text("class_names.txt", names)
    for at, split in enumerate(("train", "test", "unlabeled")):
        w.data(f"{split}_X.bin", b"".join(pixels(10 * at + n, 96).transpose(2, 1, 0).tobytes() for n in range(3)))
        if split != "unlabeled":
            w.data(f"{split}_y.bin", bytes([10, 1, 3]))
    data = {split: STL10(root, split) for split in ("train", "test")}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def _batch(first: int, labels: Sequence[int], key: str) -> bytes:
    rows = np.stack([pixels(first + n, 32).transpose(2, 0, 1).ravel() for n in range(len(labels))])
    return pickle.dumps({"data": rows, key: list(labels), "filenames": ["a.png"] * len(labels)}, protocol=2)


def cifar10(root: Path) -> Case:
    from torchvision.datasets import CIFAR10

    from imaginate.data.official.cifar10 import FILES, NAMES

    w = Writer(root / "cifar-10-batches-py")
    for at, name in enumerate(FILES):
        w.data(name, _batch(10 * at, (9, at, 0), "labels"))
    w.data("batches.meta", pickle.dumps({"label_names": list(NAMES)}, protocol=2))
    data = {split: CIFAR10(root, train=split == "train") for split in ("train", "test")}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def cifar100(root: Path) -> Case:
    from torchvision.datasets import CIFAR100

    w = Writer(root / "cifar-100-python")
    names = [f"thing {n}" for n in range(100)]
    for at, name in enumerate(("train", "test")):
        w.data(name, _batch(10 * at, (99, at, 50), "fine_labels"))
    w.data("meta", pickle.dumps({"fine_label_names": names, "coarse_label_names": ["x"]}, protocol=2))
    data = {split: CIFAR100(root, train=split == "train") for split in ("train", "test")}
    return Case(w.root, {split: of(one, one.classes) for split, one in data.items()})


def idx(values: np.ndarray) -> bytes:
    """An array as an idx file of bytes, or of 32-bit numbers."""
    kind = 8 if values.dtype == np.uint8 else 12
    head = bytes([0, 0, kind, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return head + values.astype(">u1" if kind == 8 else ">i4").tobytes()


def _idx_case(
    root: Path, name: str, files: Mapping[str, tuple[str, str]], labels: np.ndarray, make: Callable[[bool], Any]
) -> Case:
    w = Writer(root / name / "raw")
    for at, (images, numbers) in enumerate(files.values()):
        grey = np.stack([pixels(10 * at + n, 28, grey=True) for n in range(len(labels))])
        w.data(images, idx(grey))
        w.data(f"{numbers}.gz", gzip.compress(idx(labels)))
        w.data(numbers, idx(labels))
    data = {split: make(split == "train") for split in files}
    return Case(root / name, {split: of(one, one.classes) for split, one in data.items()})


def _mnist_like(name: str) -> Callable[[Path], Case]:
    def write(root: Path) -> Case:
        from torchvision import datasets

        from imaginate.data.official.core.idx import mnist_pairs

        kind = {"MNIST": datasets.MNIST, "FashionMNIST": datasets.FashionMNIST, "KMNIST": datasets.KMNIST}[name]
        return _idx_case(root, name, mnist_pairs(), np.array([7, 0, 9], np.uint8), lambda train: kind(root, train))

    return write


def qmnist(root: Path) -> Case:
    from torchvision.datasets import QMNIST

    from imaginate.data.official.qmnist import PAIRS

    labels = np.array([[5, 1, 2, 3, 4, 5, 6, 7], [0, 9, 9, 9, 9, 9, 9, 9]], np.int32)
    return _idx_case(root, "QMNIST", PAIRS, labels, lambda train: QMNIST(root, train=train))


def emnist(root: Path) -> Case:
    from torchvision.datasets import EMNIST

    files = {
        s: (f"emnist-letters-{s}-images-idx3-ubyte", f"emnist-letters-{s}-labels-idx1-ubyte") for s in ("train", "test")
    }
    labels = np.array([1, 26, 3], np.uint8)
    return _idx_case(root, "EMNIST", files, labels, lambda train: EMNIST(root, "letters", train=train))


def imagenet(root: Path) -> Case:
    """torchvision sorts the flat validation images into folders; the labels are those of the devkit."""
    from scipy.io import savemat

    w = Writer(root / "ILSVRC")
    ids = ("n02119789", "n01440764", "n03085013")  # by their number in the devkit
    w.pictures(f"train/{wnid}/{wnid}_{n}.JPEG" for wnid in sorted(ids) for n in (1, 2))
    w.pictures(f"val/ILSVRC2012_val_{n:08d}.JPEG" for n in (1, 2, 3, 4))
    truth = (3, 1, 2, 1)
    w.text("ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", map(str, truth))
    kind = [(name, "O") for name in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    words = ("kit fox, Vulpes macrotis", "tench, Tinca tinca", "keyboard, keypad")
    rows = [(n + 1, wnid, text, "what it is", 0) for n, (wnid, text) in enumerate(zip(ids, words, strict=True))]
    rows.append((1001, "n00001740", "entity", "what is above", 3))
    savemat(w.at("ILSVRC2012_devkit_t12/data/meta.mat"), {"synsets": np.array(rows, kind)[:, None]})
    order = sorted(ids)

    def entry(name: str, wnid: str) -> Entry:
        return np.asarray(Image.open(w.root / name).convert("RGB")).tobytes(), order.index(wnid), wnid

    train = [entry(f"train/{wnid}/{wnid}_{n}.JPEG", wnid) for wnid in order for n in (1, 2)]
    val = [entry(f"val/ILSVRC2012_val_{n:08d}.JPEG", ids[number - 1]) for n, number in enumerate(truth, 1)]
    return Case(w.root, {"train": train, "validation": val})


def tiny_imagenet(root: Path) -> Case:
    w = Writer(root / "tiny-imagenet-200")
    ids = ("n01443537", "n01629819")
    w.text("wnids.txt", reversed(ids))
    w.text("words.txt", ["n01443537\tgoldfish, Carassius auratus", "n01629819\tfire salamander"])
    train = [(f"train/{wnid}/images/{wnid}_{n}.JPEG", wnid) for wnid in ids for n in (0, 1)]
    val = [(f"val/images/val_{n}.JPEG", ids[1 - n % 2]) for n in range(3)]
    w.pictures([*(name for name, _ in (*train, *val)), "test/images/test_0.JPEG"])
    w.text("val/val_annotations.txt", [f"{name.rsplit('/', 1)[1]}\t{wnid}\t0\t0\t62\t62" for name, wnid in val])
    return Case(w.root, {s: _by_name(w, found, ids) for s, found in (("train", train), ("validation", val))})


def cub200(root: Path) -> Case:
    w = Writer(root / "CUB_200_2011")
    names = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
    images = [(f"images/{name}/{name[4:]}_{n}.jpg", name, n != 2) for name in names for n in (1, 2, 3)]
    w.pictures(image for image, *_ in images)
    w.pictures(image.replace("images/", "segmentations/").replace(".jpg", ".png") for image, *_ in images)
    w.text("images.txt", [f"{n} {image[7:]}" for n, (image, *_) in enumerate(images, 1)])
    w.text("classes.txt", [f"{n} {name}" for n, name in enumerate(names, 1)])
    w.text("image_class_labels.txt", [f"{n} {names.index(name) + 1}" for n, (_, name, _) in enumerate(images, 1)])
    w.text("train_test_split.txt", [f"{n} {int(train)}" for n, (*_, train) in enumerate(images, 1)])
    parts = {s: [(i, name) for i, name, train in images if train == (s == "train")] for s in ("train", "test")}
    return Case(w.root, {split: _by_name(w, found, names) for split, found in parts.items()})


def medmnist(root: Path) -> Case:
    w = Writer(root / "saved")
    rows = [(split, f"{split}{n}_{n % 2}.png", n % 2) for split in ("train", "val", "test") for n in range(3)]
    w.pictures(f"breastmnist_64/{file}" for _, file, _ in rows)
    said = {"train": "TRAIN", "val": "VALIDATION", "test": "TEST"}
    w.text("breastmnist_64.csv", [f"{said[split]},{file},{label}" for split, file, label in rows])
    words = {"train": "train", "val": "validation", "test": "test"}
    found = {ours: [(f"breastmnist_64/{f}", str(n)) for s, f, n in rows if s == split] for split, ours in words.items()}
    return Case(w.root, {split: _by_name(w, one, ("0", "1")) for split, one in found.items()})


def _by_name(w: Writer, found: Sequence[tuple[str, str]], names: Sequence[str]) -> list[Entry]:
    shown = ((np.asarray(Image.open(w.root / file).convert("RGB")).tobytes(), name) for file, name in found)
    return [(data, names.index(name), name) for data, name in shown]


SETS: dict[str, Callable[[Path], Case]] = {
    "flowers102": flowers102, "oxford-pets": oxford_pets, "stanford-cars": stanford_cars, "dtd": dtd,
    "food101": food101, "fgvc-aircraft": fgvc_aircraft, "caltech101": caltech101, "caltech256": caltech256,
    "gtsrb": gtsrb, "eurosat": eurosat, "svhn": svhn, "usps": usps, "semeion": semeion, "sun397": sun397,
    "country211": country211, "rendered-sst2": rendered_sst2, "imagenette": imagenette, "inaturalist": inaturalist,
    "omniglot": omniglot, "lfw-people": lfw_people, "places365": places365, "fer2013": fer2013, "pcam": pcam,
    "stl10": stl10, "cifar10": cifar10, "cifar100": cifar100, "mnist": _mnist_like("MNIST"),
    "fashion-mnist": _mnist_like("FashionMNIST"), "kmnist": _mnist_like("KMNIST"), "qmnist": qmnist,
    "emnist": emnist, "imagenet": imagenet, "tiny-imagenet": tiny_imagenet, "cub200": cub200, "medmnist": medmnist,
    "celeba": celeba, "clevr": clevr, "lsun": lsun,
}  # fmt: skip
