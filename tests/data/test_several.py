"""Files that hold several pictures: which are images, what belongs together, and that it stays so in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

import imaginate
from data.test_field_files import RAMP, dicom, nifti
from imaginate.data import open_dataset
from imaginate.data.decoding import decode, pixels_of
from imaginate.data.relatives import named_pairs, relatives_of
from imaginate.data.slices import Slices
from imaginate.errors import ConfigError, DataError
from imaginate.runs import RunFolder

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_tag_that_names_no_person_is_the_class(tmp_path: Path) -> None:
    for at, (folder, part) in enumerate((("x", "CHEST"), ("x/y", "KNEE"), ("", "CHEST"), ("", ""))):
        write(tmp_path / folder / f"{at}.dcm", dicom(RAMP + at, BodyPartExamined=part, PatientID="one", **WINDOW))
    write(tmp_path / "notes.txt", b"text")
    data = open_dataset(tmp_path, label_tag="BodyPartExamined")
    assert {s.id: data.labels.names[s.label] for s in data.samples} == {
        "2.dcm": "CHEST",
        "x/0.dcm": "CHEST",
        "x/y/1.dcm": "KNEE",
    }
    assert data.reasons() == {"no label": 1, "not a DICOM file": 1}
    assert named_pairs(data.samples, "near") == [(0, 1), (0, 2)]
    for tag in ("PatientName", "PatientID", "StudyDate", "InstitutionName"):
        with pytest.raises(ConfigError, match="label_tag must be one of"):
            open_dataset(tmp_path, label_tag=tag)
    with pytest.raises(DataError, match=r"no file in .* is a DICOM with the tag Laterality"):
        open_dataset(tmp_path, label_tag="Laterality")


def test_splits_of_tagged_files_are_the_folders_on_top(tmp_path: Path) -> None:
    for at, folder in enumerate(("train", "test", "train/a", "test")):
        write(tmp_path / folder / f"{at}", dicom(RAMP + at, ViewPosition="PA" if at < 2 else "AP", **WINDOW))
    assert len(open_dataset(tmp_path, label_tag="ViewPosition")) == 2
    assert len(open_dataset(tmp_path, label_tag="ViewPosition", split="test")) == 2


def test_overlays_are_in_no_picture() -> None:
    overlay = (RAMP % 3 == 0).astype(np.uint16) << 12
    assert np.array_equal(decode(dicom(RAMP + overlay, **WINDOW)), decode(dicom(RAMP, **WINDOW)))


@pytest.mark.parametrize(
    ("text", "count", "pages"),
    [(None, 5, [3]), ("middle", 4, [3]), ("every:1", 3, [1, 2, 3]), ("every:2", 5, [1, 3, 5]),
     ("every:3", 8, [1, 4, 7]), ("every:4", 7, [2, 6]), ("every:9", 5, [3]), ("every:3", 1, [1])],
)  # fmt: skip
def test_slices_are_as_far_from_both_ends(text: str | None, count: int, pages: list[int]) -> None:
    assert list(Slices.of(text).pages(count)) == pages


def test_slices_are_refused_in_one_line() -> None:
    for text in ("every", "every:0", "every:x", "all", ""):
        with pytest.raises(ConfigError, match="middle, mask or every:N"):
            Slices.of(text)


def test_slices_of_a_volume_are_images_of_one_group(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="needs nibabel (the extra medical)")
    rng = np.random.default_rng(0)
    for at, name in enumerate(("ill", "well")):
        volume = rng.integers(0, 1000, (6, 8, 5)).astype(np.int16)
        mask = np.zeros((6, 8, 5), np.int16)
        mask[2, 3, [1, 4]] = 1
        write(tmp_path / name / f"case{at}.nii", nifti(volume))
        write(tmp_path / name / f"case{at}_seg.nii", nifti(mask))
    whole = open_dataset(tmp_path)
    assert [s.id for s in whole.samples] == ["ill/case0.nii", "well/case1.nii"]
    assert whole.reasons() == {"mask of a volume that is there": 2}
    every = open_dataset(tmp_path, slices="every:2")
    assert [s.id for s in every.samples] == [f"{n}.nii#{p}" for n in ("ill/case0", "well/case1") for p in (1, 3, 5)]
    assert np.array_equal(pixels_of(every.samples[1]), pixels_of(whole.samples[0]))
    assert named_pairs(every.samples, "near") == [(0, 1), (0, 2), (3, 4), (3, 5)]
    marked = open_dataset(tmp_path, slices="mask")
    assert [s.id for s in marked.samples if s.label == 0] == ["ill/case0.nii#2", "ill/case0.nii#5"]
    (tmp_path / "ill" / "case0_seg.nii").unlink()
    assert open_dataset(tmp_path, slices="mask").reasons()["volume without a mask"] == 1


def slide(path: Path, side: int = 1024, **how: object) -> np.ndarray:
    """A slide in tiles, as scanners write it: glass, and tissue in its left upper quarter."""
    tifffile = pytest.importorskip("tifffile")
    y, x = np.mgrid[:side, :side]
    levels = np.full((side, side, 3), 240, np.uint8)
    inside = (x < side // 2) & (y < side // 2)
    levels[inside] = np.stack([x % 200, y % 200, (x + y) % 99], axis=2).astype(np.uint8)[inside]
    with tifffile.TiffWriter(path) as file:
        file.write(levels, photometric="rgb", tile=(256, 256), metadata=None, **how)
    return levels


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_slide_is_cut_into_tiles_without_background(compression: str | None, tmp_path: Path) -> None:
    shown = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shown.append(slide(tmp_path / name / "1.svs", compression=compression))
    data = open_dataset(tmp_path, tiles=192)
    assert len(data) == 18
    assert any("2 slides are cut into 18 tiles of 192 pixels; 32 tiles of background" in note for note in data.notes)
    for sample in data.samples[:9]:
        x, y = (int(n) for n in sample.id.partition("#x")[2].split("y"))
        assert np.array_equal(pixels_of(sample), shown[0][y : y + 192, x : x + 192])
    groups = {frozenset(n) for n in relatives_of(data).names.values()}
    assert len({next(n for n in names if n.startswith("group ")) for names in groups}) == 2
    near = named_pairs(data.samples, "near")
    assert len(near) == 16
    assert set(near) < set(named_pairs(data.samples, "#x0y0"))
    with pytest.raises(ConfigError):
        open_dataset(tmp_path, tiles=8)


def test_a_slide_of_strips_has_the_same_tiles_and_is_never_read_whole(tmp_path: Path) -> None:
    from imaginate.data.slides import open_slide

    levels = slide(tmp_path / "1.tif")
    for kind in ("jpeg", "tiff_lzw"):
        path = tmp_path / f"{kind}.tif"
        how = {"quality": 100} if kind == "jpeg" else {}
        Image.fromarray(levels).save(path, compression=kind, tiffinfo={TiffImagePlugin.ROWSPERSTRIP: 64}, **how)
        found = open_slide(str(path)).region(100, 200, 64, 90)
        assert np.abs(found.astype(int) - levels[200:290, 100:164]).mean() < (8 if kind == "jpeg" else 1e-9)


def test_the_small_page_of_a_slide_says_where_tissue_is(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    levels = slide(tmp_path / "0.tif", 2048)
    path = tmp_path / "a" / "1.tif"
    path.parent.mkdir()
    small = np.asarray(Image.fromarray(levels).resize((512, 512), Image.Resampling.BOX))
    small = np.where(np.arange(512)[None, :, None] < 128, small, 240).astype(np.uint8)  # says less than the large one
    with tifffile.TiffWriter(path) as file:
        file.write(levels, photometric="rgb", tile=(256, 256), metadata=None)
        file.write(small, photometric="rgb", tile=(256, 256), subfiletype=1, metadata=None)
    (tmp_path / "0.tif").unlink()
    assert len(open_dataset(tmp_path, tiles=512, layout="classes")) == 2


def test_groups_are_kept_in_a_run_and_in_its_exports(tmp_path: Path) -> None:
    for at in range(4):
        for label in ("a", "b"):
            still = dicom(np.roll(RAMP, at * 3 + (label == "b"), 1), PatientID=f"PID-{at // 2}", **WINDOW)
            write(tmp_path / "data" / label / f"{at}", still)
    run = tmp_path / "run"
    imaginate.expand(tmp_path / "data", run, method="duplicate", copies=1)
    rows = RunFolder(run).rows()
    patient = {name: int(name[-1]) // 2 for name in (f"{label}/{n}" for label in "ab" for n in range(4))}
    assert len(rows) == 16
    assert {row["group"] for row in rows} == {"a/0", "a/2"}
    assert all(row["group"] == f"a/{2 * patient[row['seed_image']]}" for row in rows)
    forms = {"run": run}
    for form in ("parquet", "csv", "webdataset"):
        imaginate.export(str(run), str(tmp_path / form), form)
        forms[form] = tmp_path / form / "manifest.csv" if form == "csv" else tmp_path / form
    for path in forms.values():
        data = open_dataset(path)
        relatives = relatives_of(data)
        assert len(data) == 16
        assert {len(relatives.related_to([s.id])) for s in data.samples} == {8}
        assert len(named_pairs(data.samples, "near")) == 14
