"""The small target datasets of the laboratory, as `imaginate compare` names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Target:
    """One dataset: `path` under the data folder, the flags that choose its training and held-out images, how long a
    classifier is trained, and the name of its column in GIF Table 1."""

    name: str
    title: str
    path: str
    data: tuple[str, ...] = ()
    held_out_split: str = "test"
    real: tuple[str, ...] = ()
    real_arms: tuple[str, ...] = ()
    updates: int = 300
    gif: str | None = None
    medical: bool = False
    note: str = ""


TARGETS = {
    t.name: t
    for t in (
        Target(
            name="flowers102", title="Flowers-102", path="flowers102-64", gif="Flowers",
            real=("--real-split", "validation"), real_arms=("real:3", "real:10"),
            note="official train (10 a class) and test split; GIF trained on 6,552 images",
        ),
        Target(
            name="imagenette", title="Imagenette-S", path="imagenette-96.zip", data=("--shots", "40"),
            held_out_split="validation", real_arms=("real:15", "real:60"), updates=150,
            note="40 images a class; not in GIF",
        ),
        Target(
            name="imagenette-long", title="Imagenette-S, trained longer", path="imagenette-96.zip",
            data=("--shots", "40"), held_out_split="validation", updates=1000,
            note="the same images and runs, 1,000 updates in place of 150",
        ),
        Target(
            name="breastmnist", title="BreastMNIST", path="breastmnist.npz", data=("--shots", "39"), gif="BreastMNIST",
            real_arms=("real:39",), updates=100, medical=True,
            note="39 images a class (GIF: 78 images in all); 156 held-out images",
        ),
        Target(
            name="caltech101", title="Caltech-101", path="caltech101-96.zip", data=("--shots", "30"),
            held_out_split="rest", gif="Caltech101", note="30 images a class, measured on up to 50 others",
        ),
    )
}  # fmt: skip
