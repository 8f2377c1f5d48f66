"""Files of clinics, cameras and microscopes: read by their library where it is there, else named with the way on."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imaginate
from data import zoo
from imaginate.data import known_formats, open_dataset
from imaginate.data.decoders.dicom import DicomPicture
from imaginate.data.decoding import decode, pixels_of
from imaginate.data.rendering import render
from imaginate.errors import DataError, ImageError

RAMP = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 5  # 0..3835, no symmetry


def dicom_head() -> bytes:
    """A preamble that is the header of a TIFF, as GE's scanners write it."""
    return b"II*\0".ljust(128, b"\0") + b"DICM" + bytes(400)


def nifti(values: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    """A NIfTI-1 file of 16-bit numbers, made by hand: its header and the numbers, first index fastest."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *values.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, *(np.eye(4) if affine is None else affine)[:3].ravel())
    head[344:348] = b"n+1\0"
    return bytes(head) + values.astype("<i2").tobytes(order="F")


HEADS = {
    "DICOM: pip install 'imaginate[medical]'": dicom_head(),
    "HEIC: pip install 'imaginate[photo]'": b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(300),
    "NIfTI volume: pip install 'imaginate[medical]'": nifti(np.zeros((2, 2, 2))),
    "medical volume (NRRD, MHA): pip install 'imaginate[medical]'": b"NRRD0005\ntype: short\n" + bytes(300),
    "camera raw: pip install 'imaginate[photo]'": b"II*\0\x10\0\0\0CR\x02\0" + bytes(300),
    "JPEG XL: save it as PNG first": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(300),
    "Photoshop file: save it as PNG first": b"8BPS\0\1" + bytes(300),
}


@pytest.mark.parametrize("name", ["1", "1.dcm", "1.jpg"])
@pytest.mark.parametrize("reason", HEADS)
def test_a_known_format_is_named(reason: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_formats, "is_installed", lambda library: False)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(HEADS[reason])
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert f"2 {reason}" in str(caught.value)
    assert len(reason) < 64


def test_packed_volumes_are_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_formats, "is_installed", lambda library: False)
    assert known_formats.unreadable(gzip.compress(nifti(np.zeros((4, 4, 4))))[:512]).startswith("NIfTI volume")
    assert known_formats.unreadable(gzip.compress(b"a text" * 99)[:512]) == ""


def raw_tiff(path: Path) -> None:
    """A thumbnail in front, the picture of the sensor in a directory below it: the layout of NEF, ARW and most DNGs."""
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(path) as file:
        thumb = zoo.picture(1)
        file.write(thumb, photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(np.zeros((96, 160), np.uint16), photometric=32803, subfiletype=0, metadata=None,
                   extratags=[(33421, "H", 2, (2, 2), False), (33422, "B", 4, (0, 1, 1, 2), False)])  # fmt: skip


@pytest.mark.parametrize("name", ["1.nef", "1.tif"])
def test_a_raw_is_never_its_thumbnail(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_formats, "is_installed", lambda library: False)
    raw_tiff(tmp_path / name)
    with pytest.raises(ImageError, match="camera raw: pip install"):
        decode((tmp_path / name).read_bytes())


def dicom(values: np.ndarray, **tags: Any) -> bytes:
    """A DICOM file of one frame, or of several."""
    pydicom = pytest.importorskip("pydicom", reason="needs pydicom (the extra medical)")
    file = pydicom.Dataset()
    file.SOPClassUID, file.SOPInstanceUID, file.Modality = "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "CT"
    file.PatientName, file.PatientID = "Doe^Jane", "PID-4711"
    file.Rows, file.Columns = values.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
    if values.ndim == 3:
        file.NumberOfFrames = len(values)
    file.PixelData = values.astype("<u2").tobytes()
    for key, value in tags.items():
        setattr(file, key, value)
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def level(values: np.ndarray, black: float, white: float) -> np.ndarray:
    return np.rint(np.clip((values.astype(float) - black) / (white - black), 0, 1) * 255)


def test_dicom_is_rescaled_windowed_and_turned_round() -> None:
    plain = dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=[40, 600], WindowWidth=[400, 1600])
    shown = decode(plain)
    assert np.abs(shown[..., 0] - level(RAMP - 1024.0, 39.5 - 199.5, 39.5 + 199.5)).max() <= 1
    inverted = decode(dicom(RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=2048, WindowWidth=4096))
    assert np.abs(inverted[..., 0] - (255 - level(RAMP, 0, 4095))).max() <= 1


def enhanced(values: np.ndarray, frames: list[dict[str, float]], shared: dict[str, float] | None = None) -> bytes:
    """A film whose rescaling and window are in its functional groups: of each frame, and of all."""
    pydicom = pytest.importorskip("pydicom", reason="needs pydicom (the extra medical)")

    def group(said: dict[str, float]) -> Any:
        one = pydicom.Dataset()
        for name, keys in (
            ("PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept")),
            ("FrameVOILUTSequence", ("WindowCenter", "WindowWidth")),
        ):
            item = pydicom.Dataset()
            for key in keys:
                if key in said:
                    setattr(item, key, said[key])
            if len(item):
                setattr(one, name, [item])
        return one

    return dicom(
        values,
        SharedFunctionalGroupsSequence=[group(shared or {})],
        PerFrameFunctionalGroupsSequence=[group(said) for said in frames],
    )


def test_each_frame_of_an_enhanced_file_has_its_own_rescaling_and_window() -> None:
    film = np.stack([RAMP, RAMP, RAMP])
    said = [
        {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 1000.5, "WindowWidth": 2001},
        {"RescaleSlope": 4, "RescaleIntercept": -1024, "WindowCenter": 1000.5, "WindowWidth": 2001},
        {"RescaleSlope": 1, "RescaleIntercept": 0, "WindowCenter": 300.5, "WindowWidth": 201},
    ]
    wanted = [level(RAMP - 1024.0, 0, 2000), level(RAMP * 4 - 1024.0, 0, 2000), level(RAMP, 200, 400)]
    for page, picture in enumerate(wanted, start=1):
        shown = render(DicomPicture().numbers(enhanced(film, said), page, None))
        assert np.abs(shown[..., 0] - picture).max() <= 1, f"frame {page}"


def test_what_all_frames_share_holds_for_each_that_says_nothing() -> None:
    shared = {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": 1000.5, "WindowWidth": 2001}
    film = enhanced(np.stack([RAMP, RAMP]), [{}, {"WindowCenter": 300.5, "WindowWidth": 201}], shared)
    first, second = (render(DicomPicture().numbers(film, page, None)) for page in (1, 2))
    assert np.abs(first[..., 0] - level(RAMP * 2 - 1024.0, 0, 2000)).max() <= 1
    assert np.abs(second[..., 0] - level(RAMP * 2 - 1024.0, 200, 400)).max() <= 1


def test_dicom_shows_the_picture_of_other_formats(tmp_path: Path) -> None:
    files = {
        "dcm": dicom(RAMP),
        "png": zoo.encoded(Image.fromarray(RAMP)),
        "tif": zoo.encoded(Image.fromarray(RAMP), "TIFF"),
    }
    shown = []
    for kind, data in files.items():
        for name in ("a", "b"):
            (tmp_path / kind / name).mkdir(parents=True)
            (tmp_path / kind / name / f"1.{kind}").write_bytes(data)
        dataset = open_dataset(tmp_path / kind)
        assert any("black 0, white 4095" in note for note in dataset.notes)
        shown.append(pixels_of(dataset.samples[0]).astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 1
    assert np.abs(shown[0] - shown[2]).max() <= 1


def test_colours_of_a_palette_are_in_the_high_byte() -> None:
    indices = (RAMP % 4).astype(np.uint16)
    table = np.array([0, 20, 200, 255], np.uint16) << 8
    tags = {
        f"{name}PaletteColorLookupTable{kind}": value
        for name in ("Red", "Green", "Blue")
        for kind, value in (("Descriptor", [4, 0, 16]), ("Data", table.astype("<u2").tobytes()))
    }
    shown = decode(dicom(indices, PhotometricInterpretation="PALETTE COLOR", BitsStored=16, HighBit=15, **tags))
    assert (shown[..., 0] == np.array([0, 20, 200, 255])[indices]).all()


def test_text_that_is_burnt_in_is_refused() -> None:
    with pytest.raises(ImageError, match="text burnt into"):
        decode(dicom(RAMP, BurnedInAnnotation="YES"))


def test_frames_are_images_and_a_patient_is_one_group(tmp_path: Path) -> None:
    from imaginate.data.relatives import named_pairs, relatives_of

    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    for at, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "film").write_bytes(dicom(np.stack([RAMP + at, RAMP[::-1]]), PatientID=name, **window))
        (tmp_path / name / "still.dcm").write_bytes(dicom(RAMP[:, ::-1] + at, PatientID=name, **window))
    data = open_dataset(tmp_path)
    assert [s.id for s in data.samples] == [
        "a/film#1",
        "a/film#2",
        "a/still.dcm",
        "b/film#1",
        "b/film#2",
        "b/still.dcm",
    ]
    assert np.array_equal(pixels_of(data.samples[1]), decode(dicom(RAMP[::-1], **window)))
    assert any("2 files hold 4 frames" in note for note in data.notes)
    assert named_pairs(data.samples, "near") == [(0, 1), (0, 2), (3, 4), (3, 5)]
    assert relatives_of(data).related_to(["a/still.dcm"]) == {"a/film#1", "a/film#2", "a/still.dcm"}
    assert not any(name in str(sample.meta) for sample in data.samples for name in ("'a'", "Doe", "1.2.3"))


def test_no_tag_of_a_patient_is_in_a_run(tmp_path: Path) -> None:
    import imaginate

    for name, values in (("ill", RAMP), ("well", RAMP[::-1])):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.dcm").write_bytes(dicom(values, WindowCenter=2048, WindowWidth=4096))
    imaginate.expand(tmp_path / "data", tmp_path / "run", method="cutout", copies=1)
    found = [file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert len(found) > 6
    assert not any(word in data for data in found for word in (b"Doe", b"PID-4711", b"1.2.3"))


def test_a_slice_of_a_volume_is_right_way_up() -> None:
    pytest.importorskip("nibabel", reason="needs nibabel (the extra medical)")
    volume = np.zeros((6, 8, 5), np.int16)
    volume[5, 7, 2] = 1000  # right, front, middle slice
    volume[0, 0, 2] = 500
    for turned in (nifti(volume), gzip.compress(nifti(volume[::-1], np.diag([-1.0, 1, 1, 1])))):
        shown = decode(turned)
        assert shown.shape == (8, 6, 3)
        assert shown[0, 5, 0] > 240
        assert shown[7, 0, 0] > 100
        assert np.count_nonzero(shown[..., 0]) == 2


def test_a_medical_volume_is_right_way_up(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK (the extra medical)")
    values = np.zeros((3, 8, 6), np.int16)  # (slice, row, column), by default left, back, up
    values[1, 0, 0] = 1000
    for ending in ("mha", "nrrd"):
        sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"1.{ending}"))
        shown = decode((tmp_path / f"1.{ending}").read_bytes())
        assert shown.shape == (8, 6, 3)
        assert shown[0, 5, 0] > 240  # its first column is on the right of the body


def test_heic_is_upright() -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif (the extra photo)")
    image = Image.fromarray(zoo.picture(1, 64, 96))
    exif = Image.Exif()
    exif[274] = 6
    out = io.BytesIO()
    heif.from_pillow(image).save(out, quality=95, exif=exif.tobytes())
    assert decode(out.getvalue()).shape == (96, 64, 3)


def test_the_raw_of_a_jpeg_is_no_second_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_formats, "is_installed", lambda library: True)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        raw_tiff(tmp_path / name / "IMG_1.NEF")
        (tmp_path / name / "img_1.jpg").write_bytes(zoo.jpeg())
    data = open_dataset(tmp_path)
    assert len(data) == 2
    assert data.reasons() == {"raw of a JPEG that is there": 2}


def test_a_jpeg_of_12_bits_is_not_called_damaged() -> None:
    data = bytearray(zoo.jpeg())
    at = data.index(b"\xff\xc0")
    data[at : at + 2], data[at + 4] = b"\xff\xc1", 12
    with pytest.raises(ImageError, match="JPEG of 12 bits: save it as PNG first"):
        decode(bytes(data))


def test_plan_says_what_the_seed_images_are_read_as(tmp_path: Path) -> None:
    for at, label in enumerate(("a", "b")):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "scan.dcm").write_bytes(dicom(RAMP + at, WindowCenter=2048, WindowWidth=4096))
    forecast = imaginate.plan(str(tmp_path / "data"), "duplicate")
    assert (
        str(forecast).splitlines()[-1]
        == "note: of the 2 seed images that were looked at, these are no ordinary pictures: 2 DICOM"
    )
