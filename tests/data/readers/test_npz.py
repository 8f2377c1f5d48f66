"""MedMNIST-style npz: shapes of images and labels, number types, packed and mapped arrays, and what is refused."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import zoo
from imaginate.data import arrays, decode, load, open_dataset
from imaginate.errors import DataError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 0, 2, 1], np.uint8)


def example(root: Path) -> str:
    arrays: dict[str, Any] = {"class_names": np.array(["cat", "dog"])}
    for split in ("train", "test"):
        rows = [(name, decode(data)) for at, name, data in zoo.EXAMPLE if at == split]
        labels = [["cat", "dog"].index(name) for name, _ in rows]
        images = [pixels for _, pixels in rows]
        if split == "train":
            labels, images = [*labels, -1], [*images, images[0]]
        arrays |= {f"{split}_images": np.stack(images), f"{split}_labels": np.array(labels)}
    np.savez(root / "example.npz", **arrays)
    return str(root / "example.npz")


def write(path: Path, save: Any = np.savez_compressed, **arrays: Any) -> Path:
    save(path, **arrays)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("images", [COLOUR, COLOUR[..., 0], COLOUR[..., :1]], ids=["colour", "grey", "grey-1"])
def test_pixels_come_back(tmp_path: Path, save: Any, shape: tuple[int, ...], images: Any) -> None:
    path = write(tmp_path / "a.npz", save, train_images=images, train_labels=LABELS.reshape(shape))
    data = open_dataset(path)
    assert [sample.label for sample in data.samples] == LABELS.tolist()
    assert data.labels.names == ("0", "1", "2")
    wanted = np.broadcast_to(images[..., None] if images.ndim == 3 else images, (6, 5, 7, 3))
    for index, sample in enumerate(pickle.loads(pickle.dumps(data.samples))):
        assert np.array_equal(load(sample).permute(1, 2, 0).numpy(), wanted[index])
        assert np.array_equal(decode(sample.source.read()), wanted[index])


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (np.array([[[0, 257, 65535]]], np.uint16), [0, 1, 255]),
        (np.array([[[0.0, 0.5, 1.0]]], np.float32), [0, 128, 255]),
        (np.array([[[0.0, 127.0, 255.0]]]), [0, 127, 255]),
        (np.array([[[-1.0, 0.0, 1.0]]]), [0, 128, 255]),
        (np.array([[[False, True, True]]]), [0, 255, 255]),
        (np.array([[[np.nan, np.inf, 1.0]]]), [0, 0, 255]),
    ],
)
def test_numbers_are_scaled_not_clipped(tmp_path: Path, images: Any, wanted: list[int]) -> None:
    data = open_dataset(write(tmp_path / "a.npz", images=images, labels=np.array([0])))
    assert data.image(0)[0, 0].tolist() == wanted


def test_stored_arrays_are_mapped_and_packed_ones_unpacked_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "ARRAY_BYTES", 100)
    stored = write(tmp_path / "a.npz", np.savez, images=COLOUR, labels=LABELS)
    packed = write(tmp_path / "b.npz", images=COLOUR, labels=LABELS)
    assert isinstance(arrays.array(str(stored), "images"), np.memmap)
    assert isinstance(arrays.array(str(packed), "images"), arrays.PackedArray)
    for path in (stored, packed):
        data = open_dataset(path)
        assert all(np.array_equal(s.source.pixels(), COLOUR[n]) for n, s in enumerate(data.samples))  # type: ignore[attr-defined]


def test_other_keys_splits_and_names(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.npz",
        x_train=COLOUR, y_train=LABELS, x_test=COLOUR[:2], y_test=np.array([3, -1]), class_names=np.array(list("abcd")),
    )  # fmt: skip
    assert open_dataset(path).labels.names == ("a", "b", "c", "d")
    test = open_dataset(path, split="test")
    assert [(sample.id, sample.label) for sample in test.samples] == [("x_test/0", 3)]
    assert dict(test.reasons()) == {"no label": 1}
    text = write(tmp_path / "b.npz", images=COLOUR, labels=np.array(["b", "a", "b", "a", "c", "a"]))
    assert open_dataset(text).labels.names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_images": COLOUR}, r"has no <split>_images with <split>_labels; it has train_images$"),
        ({"images": COLOUR, "labels": np.zeros((6, 14))}, r"labels must be \(6,\) or \(6, 1\), got \(6, 14\)$"),
        ({"images": COLOUR, "labels": LABELS[:5]}, r"labels must be \(6,\) or \(6, 1\), got \(5,\)$"),
        ({"images": np.zeros((6, 8, 8, 8)), "labels": LABELS}, r"images must be \(n, h, w\) or .*got \(6, 8, 8, 8\)$"),
        ({"images": np.array([None] * 6), "labels": LABELS}, r"images must be \(n, h, w\)"),
        ({"images": COLOUR, "labels": np.array([{}] * 6)}, r"labels holds pickled objects, which are not read$"),
    ],
)
def test_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(write(tmp_path / "a.npz", **arrays))


def test_cut_npz(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", images=COLOUR, labels=LABELS)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="as npz"):
        open_dataset(path)


def said(shape: tuple[int, ...], data: bytes) -> bytes:
    """An array in a file that says another shape than it has."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return out.getvalue() + data


@pytest.mark.parametrize(
    ("images", "labels"),
    [((10**7, 256, 256, 3), (10**7,)), ((4, 5, 5), (10**12,)), ((4, 5, 5), (4, 10**9)), ((4, 6, 5), (4,))],
)
def test_a_shape_that_is_not_true_is_one_line(images: Any, labels: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", said(images, bytes(100)))
        archive.writestr("labels.npy", said(labels, bytes(4)))
    with pytest.raises(DataError, match=r"a.npz is damaged: (images|labels) says that its shape is \(") as caught:
        open_dataset(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_labels_as_columns_of_marks(tmp_path: Path) -> None:
    marks = np.eye(3, dtype=np.float32)[LABELS]
    data = open_dataset(write(tmp_path / "a.npz", images=COLOUR, labels=marks))
    assert [sample.label for sample in data.samples] == LABELS.tolist()
