"""Numbers of any type become the picture that their owner sees, the same in every image of a source."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data import zoo
from imaginate.data import Dataset, decode, load, open_dataset, verify
from imaginate.data.rendering import Window, windows_for
from imaginate.engine.run import expand
from imaginate.errors import ConfigError, DataError, ImageError
from imaginate.pool import refs
from imaginate.training.held_out import open_held_out

tifffile = pytest.importorskip("tifffile")
Array = np.ndarray[Any, Any]
GREY = zoo.picture(1)[..., 0]
COLOUR = zoo.picture(2)


def png_of(values: Array) -> bytes:
    """A PNG of 16 bits, of 1 to 4 channels."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", zlib.compress(rows)) + block(b"IEND", b"")


def tiff_of(values: Array, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, **{"photometric": "rgb" if values.ndim == 3 else "minisblack", **options})
    return out.getvalue()


def pgm_of(values: Array, most: int) -> bytes:
    return b"P5 %d %d %d\n" % (values.shape[1], values.shape[0], most) + values.astype(">u2").tobytes()


def source(root: Path, **files: bytes) -> Dataset:
    """A dataset of one class of these files; `a_png` is a.png."""
    (root / "set/class").mkdir(parents=True)
    for name, data in files.items():
        (root / "set/class" / name.replace("_", ".")).write_bytes(data)
    return open_dataset(root / "set")


def shown(data: Dataset) -> dict[str, Array]:
    """Name -> (h, w, 3), as the pixels of the sample, which its bytes repeat."""
    found = {sample.id.split("/")[-1]: load(sample).permute(1, 2, 0).numpy().astype(int) for sample in data.samples}
    for sample in pickle.loads(pickle.dumps(data.samples)):
        again = decode(sample.source.read())
        assert np.array_equal(again, found[sample.id.split("/")[-1]])
    return found


def grey(plane: Array) -> Array:
    return np.repeat(np.asarray(plane, int)[..., None], 3, axis=2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_8_and_of_16_bits_are_twins(channels: int, tmp_path: Path) -> None:
    eight = zoo.ALPHA[..., [0, 3]] if channels == 2 else zoo.ALPHA[..., :channels]
    eight = eight[..., 0] if channels == 1 else eight
    deep = eight.astype(np.uint16) * 257
    files = {"a_png": zoo.encoded(Image.fromarray(eight)), "b_png": png_of(deep)}
    if channels != 2:
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        files |= {"c_tif": tiff_of(deep, **extra), "d_tif": tiff_of(deep, byteorder=">", compression="zlib", **extra)}
        files |= {"e_tif": tiff_of(deep, bigtiff=True, predictor=True, compression="zlib", **extra)}
    found = shown(source(tmp_path, **files))
    assert len(found) == len(files)
    for name, pixels in found.items():
        assert np.abs(pixels - found["a.png"]).max() <= 1, name


def test_twelve_bits_are_the_same_in_every_container(tmp_path: Path) -> None:
    twelve = (GREY.astype(np.uint16) * 16 + 7).clip(0, 4095)
    rgb = np.dstack([twelve] * 3)
    data = source(
        tmp_path,
        a_png=png_of(twelve), b_png=png_of(rgb), c_tif=tiff_of(twelve), d_tif=tiff_of(rgb), e_pgm=pgm_of(twelve, 4095),
    )  # fmt: skip
    assert data.rendering is not None
    assert data.rendering.windows == (Window("uint16", 0, 4095),)
    held = f"4 of them hold {twelve.min()} to {twelve.max()}"
    assert data.notes[-1].startswith(f"uint16 images are read with black 0, white 4095: {held}")
    for name, pixels in shown(data).items():
        assert np.abs(pixels - grey(np.rint(twelve / 4095 * 255))).max() <= 1, name


def test_white_may_be_zero(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    found = shown(
        source(
            tmp_path,
            a_tif=tiff_of(deep), b_tif=tiff_of(65535 - deep, photometric="miniswhite"),
            c_tif=tiff_of(255 - GREY, photometric="miniswhite"),
        )
    )  # fmt: skip
    assert all(np.abs(pixels - grey(GREY)).max() <= 1 for pixels in found.values())


def test_a_fourth_band_that_was_marked_as_alpha_can_be_left_out(tmp_path: Path) -> None:
    """Near infrared, in bytes, as GDAL writes it unless it is asked not to."""
    infrared = np.where(GREY > 128, 255, 0).astype(np.uint8)
    data = source(tmp_path, a_tif=tiff_of(np.dstack([COLOUR, infrared]), extrasamples=["unassalpha"]))
    blended = shown(data)["a.tif"]
    assert (blended[infrared == 0] == 255).all()
    chosen = open_dataset(tmp_path / "set", channels=[1, 2, 3])
    assert np.array_equal(load(chosen.samples[0]).permute(1, 2, 0).numpy(), COLOUR)


def test_hounsfield_units_are_equally_bright_in_every_slice(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1000, 20), (24, 1)).astype(np.int16)
    air, water = (np.hstack([ramp, np.full((24, 20), value, np.int16)]) for value in (-1000, 0))
    (tmp_path / "set/test/x").mkdir(parents=True)
    (tmp_path / "set/test/x/1.tif").write_bytes(tiff_of(water))
    (tmp_path / "set/train/x").mkdir(parents=True)
    (tmp_path / "set/train/x/1.tif").write_bytes(tiff_of(air))
    train, test = (open_dataset(tmp_path / "set", split=split) for split in ("train", "test"))
    assert train.rendering == test.rendering
    assert train.rendering is not None
    assert train.rendering.windows == (Window("int16", -1000, 1000),)
    assert np.array_equal(load(train.samples[0])[:, :, :20], load(test.samples[0])[:, :, :20])
    brain = open_dataset(tmp_path / "set", split="test", range="0..80")
    assert load(brain.samples[0])[0, 0].tolist()[2:5] == [255, 255, 255]
    assert not any("int16" in note for note in brain.notes)


@pytest.mark.parametrize(
    ("kind", "spans", "windows"),
    [
        ("float32", [(0, 1)], [(0, 1)]),
        ("float32", [(0, 1), (-0.02, 1.04)], [(0, 1)]),
        ("float32", [(0, 255)], [(0, 255)]),
        ("float64", [(3, 260)], [(0, 255)]),
        ("float32", [(0, 1.02), (0, 256)], [(0, 1), (0, 255)]),
        ("float32", [(-1, 1)], [(-1, 1)]),
        ("float32", [(271.3, 310.5), (280.0, 315.0)], [(271.3, 315.0)]),
        ("float32", [(-2.1, 2.6)], [(-2.1, 2.6)]),
        ("float32", [(0.4, 9.7)], [(0, 9.7)]),
        ("float32", [(120, 4090)], [(0, 4095)]),
        ("float32", [(120, 8000)], [(0, 8000)]),
        ("uint16", [(0, 1)], [(0, 1)]),
        ("uint16", [(0, 255)], [(0, 255)]),
        ("uint16", [(0, 900), (3, 1023)], [(0, 1023)]),
        ("uint16", [(12, 4095)], [(0, 4095)]),
        ("uint16", [(12, 4200)], [(0, 4095)]),
        ("uint16", [(0, 60000)], [(0, 65535)]),
        ("uint16", [(27315, 31000)], [(27315, 31000)]),
        ("int16", [(0, 255)], [(0, 255)]),
        ("int16", [(0, 32767)], [(0, 32767)]),
        ("int16", [(-32768, 32767)], [(-32768, 32767)]),
        ("int8", [(0, 127)], [(0, 127)]),
        ("int8", [(-128, 127)], [(-128, 127)]),
        ("int32", [(0, 256)], [(0, 255)]),
        ("uint32", [(0, 1_000_000)], [(0, 1_000_000)]),
        ("bool", [(0, 1)], [(0, 1)]),
    ],
)
def test_the_range_of_a_source(kind: str, spans: list[Any], windows: list[Any]) -> None:
    assert windows_for(kind, spans) == tuple(Window(kind, *side) for side in windows)


@pytest.mark.parametrize("kind", ["uint16", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("top", [1, 255, 4095])
def test_arrays_and_tiffs_hold_the_same_picture(kind: str, top: int, tmp_path: Path) -> None:
    values = (GREY.astype(np.float64) / GREY.max() * top).astype(kind)
    expected = grey(np.rint(values.astype(np.float64) / top * 255))
    np.savez(tmp_path / "a.npz", images=np.stack([values] * 3), labels=np.array([0, 0, 1]))
    packed = open_dataset(tmp_path / "a.npz")
    assert np.abs(load(packed.samples[0]).permute(1, 2, 0).numpy() - expected).max() <= 1
    assert np.array_equal(decode(packed.samples[0].source.read()), load(packed.samples[0]).permute(1, 2, 0).numpy())
    found = shown(source(tmp_path, a_tif=tiff_of(values)))
    assert np.abs(found["a.tif"] - expected).max() <= 1


def test_masks_of_0_and_1_are_seen(tmp_path: Path) -> None:
    mask = (GREY > 100).astype(np.uint8)
    data = source(tmp_path, a_png=zoo.encoded(Image.fromarray(mask)), b_png=zoo.encoded(Image.fromarray(mask * 0)))
    assert np.array_equal(shown(data)["a.png"], grey(mask * 255))
    assert any("hold 0 and 1 alone" in note for note in data.notes)
    kept = open_dataset(tmp_path / "set", range="0..255")
    assert np.array_equal(load(kept.samples[0])[0].numpy(), mask)
    np.savez(tmp_path / "a.npz", images=np.stack([mask] * 2), labels=np.array([0, 1]))
    assert np.array_equal(load(open_dataset(tmp_path / "a.npz").samples[0])[0].numpy(), mask * 255)
    dark = source(tmp_path / "dark", a_png=zoo.encoded(Image.fromarray(mask)), b_png=zoo.png())
    assert dark.rendering is None


def test_a_given_range_leaves_ordinary_pictures_alone(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 16
    (tmp_path / "set/class").mkdir(parents=True)
    (tmp_path / "set/class/a.png").write_bytes(png_of(deep))
    (tmp_path / "set/class/b.jpg").write_bytes(zoo.jpeg())
    data = open_dataset(tmp_path / "set", range="0..2048")
    assert np.abs(shown(data)["a.png"] - grey(np.rint(np.clip(deep / 2048, 0, 1) * 255))).max() <= 1
    assert data.samples[1].source.read() == zoo.jpeg()


@pytest.mark.parametrize("text", ["0-4095", "..", "a..b", "5..5", "9..1"])
def test_a_range_is_checked(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"range must (be LOW..HIGH|rise from black to white)"):
        open_dataset(tmp_path, range=text)


def test_many_bands(tmp_path: Path) -> None:
    bands = np.stack([GREY.astype(np.uint16) * (band + 1) for band in range(13)], axis=2)
    data = tiff_of(bands, photometric="minisblack", planarconfig="contig")
    apart = tiff_of(np.moveaxis(bands, 2, 0), photometric="minisblack", planarconfig="separate")
    for encoded in (data, apart):
        with pytest.raises(ImageError, match=r"^with 13 bands: say which with --channels$"):
            decode(encoded)
    source(tmp_path, a_tif=data, b_tif=apart, c_png=zoo.png())
    chosen = open_dataset(tmp_path / "set", channels=[4, 3, 2], range="0..3315")
    checked = verify(chosen)
    assert {item.reason for item in checked.skipped} == {"has no channel 4"}
    found = shown(checked)
    expected = np.rint(bands[..., [3, 2, 1]] / 3315 * 255)
    assert np.abs(found["a.tif"] - expected).max() <= 1
    assert np.array_equal(found["a.tif"], found["b.tif"])


def test_floating_point_colours(tmp_path: Path) -> None:
    found = shown(source(tmp_path, a_tif=tiff_of(COLOUR.astype(np.float32) / 255), b_png=zoo.png(2)))
    assert np.abs(found["a.tif"] - COLOUR).max() <= 1


def test_a_kind_that_needs_another_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff_of(COLOUR.astype(np.float32) / 255)
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(ImageError, match=r"^needs tifffile: pip install tifffile$"):
        decode(data)


def test_pages_and_channels_of_a_stack(tmp_path: Path) -> None:
    stack = np.stack([COLOUR[..., band] for band in range(3)])
    data = source(tmp_path, a_tif=tiff_of(stack, photometric="minisblack"), b_tif=tiff_of(GREY))
    assert data.notes[-1].startswith(
        "1 of 1 images that were looked at have several pages (up to 3): the first is used"
    )
    assert np.array_equal(shown(data)["a.tif"], grey(stack[0]))
    third = open_dataset(tmp_path / "set", page=3)
    assert np.array_equal(load(third.samples[0])[0].numpy(), stack[2])
    assert [item.reason for item in verify(third).skipped] == ["has no page 3"]
    colours = open_dataset(tmp_path / "set", channels=[3, 2, 1])
    assert np.array_equal(load(colours.samples[0]).permute(1, 2, 0).numpy(), COLOUR[..., ::-1])


def test_half_precision_is_read_without_a_warning(tmp_path: Path) -> None:
    plane = np.linspace(0, 1, 24, dtype=np.float16).reshape(4, 6)
    data = source(tmp_path, a_tif=tiff_of(plane), b_tif=tiff_of(plane))
    assert np.abs(shown(data)["a.tif"] - grey(np.rint(plane.astype(float) * 255))).max() <= 1


def test_numbers_that_stand_for_nothing_are_black(tmp_path: Path) -> None:
    values = GREY.astype(np.float32) / 255
    values[:3] = -9999
    nan = np.where(values < 0, np.nan, values)
    data = source(
        tmp_path, a_tif=tiff_of(values, extratags=[(42113, "s", 0, "-9999", True)]), b_tif=tiff_of(nan)
    )  # fmt: skip
    assert data.rendering is not None
    assert data.rendering.windows == (Window("float32", 0, 1),)
    expected = grey(np.where(np.isnan(nan), 0, GREY))
    assert all(np.abs(pixels - expected).max() <= 1 for pixels in shown(data).values())


def test_what_is_not_finite_is_black_also_where_0_is_white(tmp_path: Path) -> None:
    values = np.tile(np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6), (2, 1))
    values[0, :3] = np.nan, np.inf, -np.inf
    data = source(tmp_path, a_tif=tiff_of(values, photometric="miniswhite"))
    assert (shown(data)["a.tif"][0, :3] == 0).all()
    assert shown(data)["a.tif"][4, 0].tolist() == [255, 255, 255]


def test_an_image_without_any_number_is_skipped(tmp_path: Path) -> None:
    plane = GREY.astype(np.float32) / 255
    nothing = np.full_like(plane, np.nan)
    data = source(tmp_path, a_tif=tiff_of(plane), b_tif=tiff_of(nothing), c_tif=tiff_of(np.dstack([nothing] * 3)))
    checked = verify(data)
    assert [sample.id for sample in checked.samples] == ["class/a.tif"]
    assert [(s.id, s.reason) for s in checked.skipped] == [
        (f"class/{name}.tif", "no pixel has a finite number") for name in "bc"
    ]


def test_a_pool_keeps_how_an_image_is_rendered(tmp_path: Path) -> None:
    data = source(tmp_path, a_png=png_of(GREY.astype(np.uint16) * 16))
    sample = data.samples[0]
    ref = refs.encoded(sample.source)
    assert ref is not None
    assert refs.read(ref) == sample.source.read()


def test_a_run_keeps_the_picture_of_a_deep_original(tmp_path: Path) -> None:
    import imaginate

    twelve = GREY.astype(np.uint16) * 16
    source(tmp_path, a_png=png_of(np.dstack([twelve] * 3)), b_tif=tiff_of(twelve))
    imaginate.expand(
        str(tmp_path / "set"), tmp_path / "run", method="duplicate", copies=1, originals="link", progress=False
    )
    files = sorted((tmp_path / "run/images/class").iterdir())
    pixels = {path.name: np.asarray(Image.open(path).convert("RGB")) for path in files}
    assert len(files) == 4
    assert not any(path.is_symlink() for path in files)
    for name, picture in pixels.items():
        assert np.abs(picture.astype(int) - grey(np.rint(twelve / 4095 * 255))).max() <= 1, name


def test_damaged_tiffs_are_no_traceback() -> None:
    data = tiff_of(GREY.astype(np.uint16))
    for length in range(8, len(data) - 8, 23):
        with pytest.raises(ImageError):
            decode(data[:length])
    with pytest.raises(DataError):
        decode(b"II*\0" + b"\xff" * 100)


def test_another_source_is_read_in_the_range_of_the_one_that_it_is_compared_with(tmp_path: Path) -> None:
    """Held-out images that are all dark stay dark; kinds of numbers that the first one lacks have their own range."""
    for part, white in (("train", 4000), ("test", 200)):
        (tmp_path / part / "x").mkdir(parents=True)
        ramp = np.tile(np.linspace(0, white, 20), (24, 1))
        Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / part / "x" / "1.png")
        (tmp_path / part / "x" / "2.tif").write_bytes(tiff_of((ramp / white).astype(np.float32)))
    (tmp_path / "train/x/2.tif").unlink()
    train, alone = open_dataset(tmp_path / "train"), open_dataset(tmp_path / "test")
    assert train.rendering is not None
    held_out = open_held_out(str(tmp_path / "test"), None, train)
    assert alone.rendering is not None
    assert held_out.rendering is not None
    assert train.rendering.windows == (Window("uint16", 0, 4095),)
    assert set(alone.rendering.windows) == {Window("uint16", 0, 255), Window("float32", 0, 1)}
    assert set(held_out.rendering.windows) == {Window("uint16", 0, 4095), Window("float32", 0, 1)}
    assert int(load(held_out.samples[0]).max()) == 12
    assert any("uint16 images are read with black 0, white 4095, as the images" in note for note in held_out.notes)


def test_a_run_remembers_how_its_seeds_were_read(tmp_path: Path) -> None:
    for part, white in (("train", 4000), ("test", 200)):
        (tmp_path / part / "x").mkdir(parents=True)
        ramp = np.tile(np.linspace(0, white, 20), (24, 1))
        Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / part / "x" / "1.png")
    expand(tmp_path / "train", tmp_path / "run", "duplicate", copies=1, progress=False)
    held_out = open_held_out(str(tmp_path / "test"), None, open_dataset(tmp_path / "run"))
    assert int(load(held_out.samples[0]).max()) == 12


def test_each_file_of_an_ome_set_is_itself(tmp_path: Path) -> None:
    """A file of such a set lists the others in its header, and tifffile would read all of them for each."""
    names, ids = [f"{n}.ome.tif" for n in range(3)], [f"urn:uuid:{n + 1:032x}" for n in range(3)]
    (tmp_path / "set/x").mkdir(parents=True)
    frames = "".join(
        f'<TiffData FirstT="{n}" IFD="0" PlaneCount="1"><UUID FileName="{names[n]}">{ids[n]}</UUID></TiffData>'
        for n in range(3)
    )
    for n, (name, own) in enumerate(zip(names, ids, strict=True)):
        about = (
            f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{own}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="40" '
            f'SizeY="24" SizeC="1" SizeZ="1" SizeT="3"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{frames}'
            "</Pixels></Image></OME>"
        )
        values = np.full((24, 40), 50 * (n + 1), np.uint8)
        (tmp_path / "set/x" / name).write_bytes(tiff_of(values, description=about, metadata=None))
    assert tifffile.imread(tmp_path / "set/x" / names[0]).shape == (3, 24, 40)
    data = open_dataset(tmp_path / "set")
    assert [int(load(sample).unique().item()) for sample in data.samples] == [50, 100, 150]
