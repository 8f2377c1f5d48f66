"""The small target datasets of the laboratory, as `imaginate compare` names them, and Tiny-ImageNet-S cut to size."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Target:
    """One dataset. `path` is under the data folder, or under the work folder where it begins with `work/`; `data`: the
    flags that choose its original images, `held` and `real` those of the held-out and of more real images; `updates`
    of a classifier that is trained by updates; `gif`: its column in GIF Table 1."""

    name: str
    title: str
    path: str
    data: tuple[str, ...] = ()
    held: tuple[str, ...] = ("--held-out", "{path}", "--held-out-split", "test")
    guarded: bool = True  # whether runs keep copies of held-out images out
    real: tuple[str, ...] = ()
    copies: int = 4
    per_class: int = 20  # images that methods which start from classes make
    updates: int = 300
    gif: str | None = None
    medical: bool = False
    covered: bool = False  # whether the pool of Tiny-ImageNet holds its classes
    own: tuple[str, ...] = ()  # its own images without labels: the pool `own` is these among those of Tiny-ImageNet
    note: str = ""

    def place(self, data: Path, work: Path) -> Path:
        """Where the dataset is."""
        front, _, rest = self.path.partition("/")
        return work / rest if front == "work" else data / self.path

    def filled(self, flags: tuple[str, ...], data: Path, work: Path) -> list[str]:
        """Flags with the places in them."""
        return [flag.format(path=self.place(data, work), data=data, work=work) for flag in flags]


_TINY = ("--held-out", "{work}/tiny-imagenet-s/held.parquet")
TARGETS = {
    t.name: t
    for t in (
        Target(
            name="tiny-5", title="Tiny-ImageNet-S, 5 shots", path="work/tiny-imagenet-s/seeds.parquet", held=_TINY,
            data=("--shots", "5"), real=("--real", "{work}/tiny-imagenet-s/real.parquet"), covered=True,
            note="200 classes; 8,000 of val held out; the pool is 25,000 training images of these classes",
        ),
        Target(
            name="tiny-10", title="Tiny-ImageNet-S, 10 shots", path="work/tiny-imagenet-s/seeds.parquet", held=_TINY,
            data=("--shots", "10"), real=("--real", "{work}/tiny-imagenet-s/real.parquet"), copies=2, covered=True,
            note="the same with all ten seed images; retrieval by a head without its class for other things",
        ),
        Target(
            name="flowers102-5", title="Flowers-102, 5 shots", path="flowers102-64",
            data=("--split", "train", "--shots", "5"),
            real=("--real", "{path}", "--real-split", "validation"), own=("{path}/validation.parquet",),
            note="official test split held out; its own pool: the 1,020 images of the validation split, no label read",
        ),
        Target(
            name="flowers102", title="Flowers-102, 10 shots, no flowers in the pool", path="flowers102-64",
            data=("--split", "train"), gif="Flowers", real=("--real", "{path}", "--real-split", "validation"), copies=2,
            note="official train (10 a class) and test split; GIF trained on 6,552 images; the pool, Tiny-ImageNet, "
            "has no flowers",
        ),
        Target(
            name="caltech101-5", title="Caltech-101, 5 shots", path="work/caltech101-s/seeds",
            held=("--held-out", "{work}/caltech101-s/held"), real=("--real", "{work}/caltech101-s/real"),
            own=("{work}/caltech101-s/pool",),
            note="measured on up to 45 other images a class; its own pool: up to 20 a class, no label read",
        ),
        Target(
            name="caltech101", title="Caltech-101, 30 shots, another pool", path="caltech101-96.zip",
            data=("--shots", "30"), copies=1,
            per_class=30, held=("--held-out-split", "rest"), guarded=False, gif="Caltech101",
            note="30 images a class, measured on up to 50 others; the pool, Tiny-ImageNet, has few of its classes",
        ),
        Target(
            name="imagenette", title="Imagenette-S", path="imagenette-96.zip",
            data=("--split", "train", "--shots", "10"),
            held=("--held-out", "{path}", "--held-out-split", "validation"), updates=150,
            own=("{work}/imagenette-pool",),
            note="10 images a class; not in GIF; its own pool: 700 other training images, no label read; "
            "retrieval by a head without its class for other things",
        ),
        Target(
            name="breastmnist", title="BreastMNIST", path="breastmnist.npz", gif="BreastMNIST",
            data=("--split", "train"),
            held=("--folds", "5"), guarded=False, copies=1, per_class=200, updates=100, medical=True,
            note="5-fold over the 546 training images (GIF: 78 images and the test split)",
        ),
    )
}  # fmt: skip


def prepare(data: Path, work: Path) -> None:
    """The datasets and pools that are cut from others, each once."""
    for name, cut in (("tiny-imagenet-s", _tiny), ("caltech101-s", _caltech), ("imagenette-pool", _imagenette)):
        if not (work / name).exists():
            partial = work / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            cut(data, partial)
            partial.rename(work / name)


def _tiny(data: Path, out: Path) -> None:
    """Tiny-ImageNet-S: ten val images a class to start from, the other forty held out, forty more real ones from the
    last training shard (the pool is the first)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(name: str, table: pa.Table, first: int, last: int) -> None:
        """The images `first` to `last` of each class, in the order of the file."""
        labels = np.asarray(table["label"])
        rows = [np.flatnonzero(labels == label)[first:last] for label in np.unique(labels)]
        pq.write_table(table.take(np.sort(np.concatenate(rows))), out / name, row_group_size=1000)

    val = pq.read_table(data / "tiny-imagenet-64" / "val-00000-of-00001.parquet")
    write("seeds.parquet", val, 0, 10)
    write("held.parquet", val, 10, 50)
    write("real.parquet", pq.read_table(data / "tiny-imagenet-64" / "train-00003-of-00004.parquet"), 0, 40)


def _caltech(data: Path, out: Path) -> None:
    """Caltech-101 in an order drawn by name: five images a class to start from, five more real ones, up to twenty for
    the pool (in one folder, without classes), the rest held out."""
    for name, files in _by_class(data / "caltech101-96.zip", "caltech101-96/").items():
        for part, some in (("seeds", files[:5]), ("real", files[5:10]), ("pool", files[10:30]), ("held", files[30:])):
            _put(out / part / ("" if part == "pool" else name), name, some)


def _imagenette(data: Path, out: Path) -> None:
    """Seventy training images a class that are not among the originals of the target, in one folder."""
    from imaginate import open_dataset

    place = data / TARGETS["imagenette"].path
    originals = {sample.id for sample in open_dataset(place, split="train", shots=10).samples}
    for name, files in _by_class(place, "imagenette-96/train/").items():
        _put(out, name, [(path, image) for path, image in files if path not in originals][:70])


def _by_class(archive: Path, front: str) -> dict[str, list[tuple[str, bytes]]]:
    """The images of an archive by their folder, in an order that only depends on their names."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.startswith(front) and not name.endswith("/")]
        for name in sorted(names, key=lambda name: hashlib.blake2b(name.encode()).digest()):
            found.setdefault(name.removeprefix(front).split("/")[0], []).append((name, opened.read(name)))
    return found


def _put(folder: Path, class_name: str, files: list[tuple[str, bytes]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in files:
        (folder / f"{class_name}-{Path(name).name}").write_bytes(image)
