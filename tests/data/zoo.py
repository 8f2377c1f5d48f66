"""A zoo of ugly image files, and what must become of each: used, or skipped with this reason."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from imaginate.data import Dataset

USED = "used"
Array = np.ndarray


def picture(seed: int = 0, height: int = 24, width: int = 40) -> Array:
    """(h, w, 3) uint8, smooth and without any symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 5 + seed * 13, y * 9, (x + y) * 3 + seed * 7]
    return np.stack([plane % 256 for plane in planes], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as file bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(seed: int = 0, **size: int) -> bytes:
    """An ordinary PNG."""
    return encoded(Image.fromarray(picture(seed, **size)))


def jpeg(seed: int = 0, **options: object) -> bytes:
    """An ordinary JPEG."""
    return encoded(Image.fromarray(picture(seed)), "JPEG", **options)


def png_header(width: int, height: int) -> bytes:
    """A whole black one-bit PNG of any size, small as a file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    row = b"\0" * (1 + (width + 7) // 8)
    data = b"".join(packer.compress(row * 1000) for _ in range(height // 1000)) + packer.compress(row * (height % 1000))
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data + packer.flush()) + chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def exif_rotated(orientation: int) -> bytes:
    """`picture()` stored turned, with the EXIF tag that turns it back; lossless."""
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](picture())
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)


def animated(kind: str) -> bytes:
    """Three frames, of which the first is `picture(0)`."""
    frames = [Image.fromarray(picture(seed)) for seed in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **LOSSLESS.get(kind, {}))


LOSSLESS: dict[str, dict[str, object]] = {"WEBP": {"lossless": True}}
ALPHA = np.dstack([picture(), np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None], 24, 0)])
DEEP = (np.arange(24 * 40).reshape(24, 40) * 68).astype(np.uint16)
INDEXED = Image.fromarray(picture()).quantize(16)


def on_white() -> Array:
    """`ALPHA` over white, in floating point."""
    alpha = ALPHA[..., 3:].astype(float) / 255
    return ALPHA[..., :3] * alpha + 255 * (1 - alpha)


def grey(plane: Array) -> Array:
    """(h, w) -> (h, w, 3)."""
    return np.repeat(np.asarray(plane, float)[..., None], 3, axis=2)


@dataclass(frozen=True)
class Beast:
    """One ugly file: its bytes (or how to make it), what becomes of it, its pixels when decoded (within `off`)."""

    name: str
    outcome: str
    data: bytes | Callable[[Path], None]
    pixels: Array | None = None
    off: float = 1.0

    def put(self, folder: Path) -> None:
        """Write it into a folder."""
        if callable(self.data):
            self.data(folder / self.name)
        else:
            (folder / self.name).write_bytes(self.data)


def beasts() -> list[Beast]:
    """The whole zoo."""
    return [*_odd_pixels(), *_odd_containers(), *_broken(), *_not_files()]


def _odd_pixels() -> list[Beast]:
    rgb = Image.fromarray(picture())
    transparent = Image.fromarray(ALPHA)
    return [
        Beast("plain.png", USED, png(), picture(), 0),
        *[Beast(f"exif-{n}.png", USED, exif_rotated(n), picture(), 0) for n in range(1, 9)],
        Beast("exif-damaged.jpg", USED, jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), picture(), 60),
        Beast("cmyk.jpg", USED, encoded(rgb.convert("CMYK"), "JPEG", quality=95), picture(), 60),
        Beast("cmyk.tif", USED, encoded(rgb.convert("CMYK"), "TIFF"), picture(), 2),
        Beast("palette.png", USED, encoded(INDEXED), np.array(INDEXED.convert("RGB")), 0),
        Beast("palette-transparent.png", USED, encoded(INDEXED, transparency=0), _palette_on_white(), 0),
        Beast("grey.png", USED, encoded(Image.fromarray(picture()[..., 0])), grey(picture()[..., 0]), 0),
        Beast("grey-alpha.png", USED, encoded(transparent.convert("LA"))),
        Beast("one-bit.png", USED, encoded(rgb.convert("1")), grey(np.array(rgb.convert("1")) * 255.0), 0),
        Beast("alpha.png", USED, encoded(transparent), on_white()),
        Beast("alpha.webp", USED, encoded(transparent, "WEBP", lossless=True, exact=True), on_white()),
        Beast("deep.png", USED, encoded(Image.fromarray(DEEP)), grey(DEEP / 257)),
        Beast("deep.tif", USED, encoded(Image.fromarray(DEEP), "TIFF"), grey(DEEP / 257)),
        Beast("deep.pgm", USED, b"P5 40 24 65535\n" + DEEP.astype(">u2").tobytes(), grey(DEEP / 257)),
        Beast("float.tif", USED, encoded(Image.fromarray(DEEP.astype(np.float32) / 65535), "TIFF"), grey(DEEP / 257)),
        Beast("signed.tif", USED, encoded(Image.fromarray(DEEP.astype(np.int32) - 30000), "TIFF")),
        Beast("ycbcr.tif", USED, encoded(rgb.convert("YCbCr"), "TIFF"), picture(), 6),
    ]


def _palette_on_white() -> Array:
    pixels = np.array(INDEXED.convert("RGB"))
    pixels[np.array(INDEXED) == 0] = 255
    return pixels


def _odd_containers() -> list[Beast]:
    return [
        Beast("animated.gif", USED, animated("GIF")),
        Beast("animated.webp", USED, animated("WEBP"), picture(), 0),
        Beast("animated.png", USED, animated("PNG"), picture(), 0),
        Beast("pages.tif", USED, animated("TIFF"), picture(), 0),
        Beast("png-called.jpg", USED, png(), picture(), 0),
        Beast("image-called.txt", USED, png(), picture(), 0),
        Beast("no-extension", USED, png(), picture(), 0),
        Beast("UPPER.PNG", USED, png(), picture(), 0),
        Beast("snö ☃ 图像 صورة.png", USED, png(), picture(), 0),
        Beast("new\nline.png", USED, png(), picture(), 0),
        Beast(".hidden.png", USED, png(), picture(), 0),
    ]


def _broken() -> list[Beast]:
    return [
        Beast("truncated.jpg", "truncated", jpeg()[:-200]),
        Beast("truncated.png", "truncated", png(height=200, width=300)[:400]),
        Beast("header-only.webp", "damaged", encoded(Image.fromarray(picture()), "WEBP")[:20]),
        Beast("damaged.png", "damaged", png()[:40] + b"\0" * 40 + png()[80:]),
        Beast("empty.jpg", "empty file", b""),
        Beast("text-called.jpg", "not an image", b"<html>404 not found</html>"),
        Beast("drawing.svg", "not an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        Beast("program.eps", "not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        Beast("notes.md", "not an image", b"# notes"),
        Beast("bomb.png", "too many pixels", png_header(20_000, 20_000)),
        Beast("bomb-10k.png", "too many pixels", png_header(10_000, 10_000)),
        Beast("bomb.jpg", "too many pixels", jpeg_of_size(65_000, 65_000)),
        Beast(".DS_Store", "system file", b"\0\0\0\1Bud1"),
        Beast("._plain.png", "system file", b"\0\5\x16\7"),
        Beast("Thumbs.db", "system file", b"\xd0\xcf\x11\xe0"),
    ]


def _not_files() -> list[Beast]:
    return [
        Beast("link-to-nothing.png", "broken link", lambda at: at.symlink_to("nowhere.png")),
        Beast("link-to-itself.png", "link loop", lambda at: at.symlink_to(at.name)),
        Beast("link-to-parent/", "link loop", lambda at: at.symlink_to("..", target_is_directory=True)),
        Beast("link-to-image.png", USED, lambda at: at.symlink_to("plain.png"), picture(), 0),
        Beast("pipe.png", "not a regular file", lambda at: os.mkfifo(at)),
        Beast(".ipynb_checkpoints/", "system folder", _checkpoints),
    ]


def _checkpoints(at: Path) -> None:
    at.mkdir()
    (at / "plain-checkpoint.png").write_bytes(png())


@cache
def noise(number: int) -> bytes:
    """A PNG of about 270 KB: far more than the listing of a small dataset needs."""
    pixels = np.random.default_rng(number).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), compress_level=1)


# What every reader's example holds: split, class and content of each image.
EXAMPLE = tuple(
    (split, name, noise(10 * place + number))
    for place, (split, name, count) in enumerate(
        [("train", "cat", 3), ("train", "dog", 2), ("test", "cat", 1), ("test", "dog", 1)]
    )
    for number in range(count)
)


def example_folder(root: Path) -> Path:
    """`EXAMPLE` as an image folder, with an empty file in it."""
    for number, (split, name, data) in enumerate(EXAMPLE):
        (root / split / name).mkdir(parents=True, exist_ok=True)
        (root / split / name / f"{number}.png").write_bytes(data)
    (root / "train/cat/empty.png").write_bytes(b"")
    return root


def folder(root: Path, classes: dict[str, int] | None = None) -> Path:
    """An ordinary image folder: so many images in each class, all different."""
    seed = 0
    for name, count in (classes or {"cat": 3, "dog": 2}).items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / name / f"{number:03}.png").write_bytes(png(seed, height=8, width=10))
            seed += 1
    return root


def packed(root: Path, kind: str) -> Path:
    """The folder itself, or the same tree in a zip or tar next to it."""
    if kind == "folder":
        return root
    path = root.with_suffix(f".{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as to:
            for file in sorted(root.rglob("*.*")):
                to.write(file, file.relative_to(root))
    else:
        with tarfile.open(path, "w") as tar:
            tar.add(root, ".")
    return path


def contents(data: Dataset) -> list[tuple[str, str, str | None, bytes]]:
    """Id, class, split and bytes of every sample."""
    return [(s.id, data.labels.names[s.label], s.split, s.source.read()) for s in data.samples]


def plain_folder(root: Path) -> Path:
    """Two splits of two classes, one of whose names is not ASCII."""
    folder(root / "train", {"cat": 3, "été": 2})
    return folder(root / "val", {"cat": 1, "été": 1}).parent


def by_class(data: Dataset) -> dict[str, list[str]]:
    """Class -> ids of its samples."""
    return {name: [s.id for s in data.samples if s.label == label] for label, name in enumerate(data.labels.names)}
