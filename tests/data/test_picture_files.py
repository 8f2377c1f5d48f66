"""A kept original shows what its copies show: upright, in every carrier of the orientation, and readable by all."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from data import zoo
from imaginate.data import decode
from imaginate.data.decoding import decode_tensor
from imaginate.data.picture_files import plain_format, without_long_texts
from imaginate.write.images import Writing, original

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
PICTURE = Image.fromarray(zoo.picture())


def exif(orientation: int = 6) -> bytes:
    found = Image.Exif()
    found[0x0112] = orientation
    data = found.tobytes()
    return data if data.startswith(b"Exif") else b"Exif\0\0" + data


def block(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG with blocks in front of its pixels, and behind them."""
    data = zoo.encoded(PICTURE)
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    return data[:start] + before + data[start:end] + after + data[end:]


def raw_profile(kind: str = "exif") -> bytes:
    """EXIF as ImageMagick writes it into a text of a PNG."""
    text = f"\n{kind}\n{len(exif()):8d}\n{exif().hex()}\n"
    return block(b"zTXt", f"Raw profile type {kind}\0\0".encode() + zlib.compress(text.encode()))


def xmp_text() -> bytes:
    return block(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)


CARRIERS = {
    "EXIF of a JPEG": zoo.encoded(PICTURE, "JPEG", exif=exif()),
    "XMP of a JPEG": zoo.encoded(PICTURE, "JPEG", xmp=XMP),
    "EXIF of a PNG": png_with(block(b"eXIf", exif()[6:])),
    "EXIF of a PNG, behind the pixels": png_with(after=block(b"eXIf", exif()[6:])),
    "raw profile of a PNG": png_with(raw_profile()),
    "raw profile of a PNG, behind the pixels": png_with(after=raw_profile()),
    "raw profile of a PNG, as a JPEG names it": png_with(raw_profile("APP1")),
    "XMP of a PNG": png_with(xmp_text()),
    "XMP of a PNG, behind the pixels": png_with(after=xmp_text()),
    "EXIF of a WebP": zoo.encoded(PICTURE, "WEBP", lossless=True, exif=exif()),
    "XMP of a WebP": zoo.encoded(PICTURE, "WEBP", lossless=True, xmp=XMP),
    "tag of a TIFF": zoo.encoded(PICTURE, "TIFF", tiffinfo={0x0112: 6}),
}


@pytest.mark.parametrize("data", CARRIERS.values(), ids=CARRIERS.keys())
def test_originals_are_turned_as_copies_are(data: bytes) -> None:
    image = decode_tensor(data)
    assert image.shape == (3, 40, 24)
    written, _ = original(data, image, Writing())
    plain = np.asarray(Image.open(io.BytesIO(written)).convert("RGB"))
    assert np.array_equal(plain, image.permute(1, 2, 0).numpy())
    assert Image.open(io.BytesIO(written)).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", [1, 0, 9, 999])
def test_what_turns_nothing_stays_as_it_is(orientation: int) -> None:
    for data in (
        zoo.encoded(PICTURE, "JPEG", exif=exif(orientation)),
        png_with(after=block(b"eXIf", exif(orientation)[6:])),
    ):
        assert original(data, decode_tensor(data), Writing())[0] is data


def text_of(size: int) -> PngInfo:
    info = PngInfo()
    info.add_text("workflow", "x" * size, zip=True)
    return info


LONG = {
    "packed text": zoo.encoded(PICTURE, pnginfo=text_of(30_000_000)),
    "packed text behind the pixels": png_with(after=block(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 3_000_000))),
    "international text": png_with(block(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000))),
    "profile": png_with(block(b"iCCP", b"a\0\0" + zlib.compress(b"x" * 3_000_000))),
    "many texts": png_with(block(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 1_000_000)) * 70),
}


@pytest.mark.parametrize("data", LONG.values(), ids=LONG.keys())
def test_a_long_text_in_a_png_is_left_out(data: bytes) -> None:
    assert np.array_equal(decode(data), zoo.picture())
    image = decode_tensor(data)
    written, extension = original(data, image, Writing())
    assert extension == ".png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(written)).convert("RGB")), zoo.picture())


def test_a_turned_picture_with_a_long_text_is_upright() -> None:
    data = png_with(raw_profile() + block(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 3_000_000)))
    assert decode(data).shape == (40, 24, 3)
    plain = zoo.png()
    assert without_long_texts(plain) is plain


def test_the_format_of_plain_files_is_known_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"png": zoo.png(), "jpeg": zoo.jpeg(), "webp": zoo.encoded(PICTURE, "WEBP")}
    assert {name: plain_format(data) for name, data in files.items()} == {name: name for name in files}
    assert [plain_format(data) for data in (zoo.animated("GIF"), zoo.animated("PNG"), b"", b"\x89PNG")] == [None] * 4
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    assert plain_format(files["png"]) == "png"
