"""Pictures that need a library which is not there, or that nobody here reads: named by format, with the way on."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

HEAD = 512  # bytes that tell
RAW_SUFFIXES = (
    ".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".3fr",
    ".iiq", ".erf", ".kdc", ".mrw", ".rwl",
)  # fmt: skip
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_RAW_HEADS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_TO_PNG = "save it as PNG first"


@dataclass(frozen=True, slots=True)
class Known:
    """A format: how its first bytes are recognised, and the library and extra that read it ("" where none does)."""

    name: str
    recognises: Callable[[bytes], bool]
    library: str = ""
    extra: str = ""

    @property
    def reason(self) -> str:
        """Why it cannot be used here; "" where its library is installed."""
        if not self.library:
            return f"{self.name}: {_TO_PNG}"
        return "" if is_installed(self.library) else f"{self.name}: pip install 'imaginate[{self.extra}]'"


@cache
def is_installed(library: str) -> bool:
    """Whether a library can be imported; it is not."""
    return find_spec(library) is not None


def is_dicom(head: bytes) -> bool:
    """By the mark behind the preamble, which may itself be the header of a TIFF."""
    return head[128:132] == b"DICM"


def is_heif(head: bytes) -> bool:
    """By the brand; AVIF has others."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF and b"avif" not in head[8:32]


def is_nifti(head: bytes) -> bool:
    """By the header of version 1 or 2, packed by gzip or not."""
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(31).decompress(head, HEAD)
        except zlib.error:
            return False
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def is_volume(head: bytes) -> bool:
    """NRRD, or a MetaImage header."""
    return head.startswith((b"NRRD000", b"ObjectType", b"NDims ="))


def is_raw(head: bytes) -> bool:
    """Camera raws that are no TIFF, and Canon's, which say it in their first bytes."""
    return head.startswith(_RAW_HEADS) or head[4:12] == b"ftypcrx " or (head[:4] == b"II*\0" and head[8:10] == b"CR")


KNOWN = (
    Known("DICOM", is_dicom, "pydicom", "medical"),
    Known("HEIC", is_heif, "pillow_heif", "photo"),
    Known("NIfTI volume", is_nifti, "nibabel", "medical"),
    Known("medical volume (NRRD, MHA)", is_volume, "SimpleITK", "medical"),
    Known("camera raw", is_raw, "rawpy", "photo"),
    Known("JPEG XL", lambda head: head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL "))),
    Known("OpenEXR", lambda head: head.startswith(b"\x76\x2f\x31\x01")),
    Known("Radiance HDR", lambda head: head.startswith(b"#?RADIANCE")),
    Known("Photoshop file", lambda head: head.startswith(b"8BPS")),
    Known("FITS", lambda head: head.startswith(b"SIMPLE  =")),
    Known("Zeiss CZI", lambda head: head.startswith(b"ZISRAWFILE")),
    Known("Nikon ND2", lambda head: head.startswith(b"\xda\xce\xbe\x0a")),
    Known("JPEG XR", lambda head: head.startswith(b"II\xbc\x01")),
    Known("QOI", lambda head: head.startswith(b"qoif")),
    Known("DDS", lambda head: head.startswith(b"DDS ")),
    Known("MP4 video", lambda head: bool(re.match(rb".{4}ftyp(isom|iso2|mp4[12]|avc1|M4V |qt  )", head, re.DOTALL))),
)


def unreadable(head: bytes, name: str = "") -> str:
    """The reason for a format that is known and not read here, from its first bytes and its name; "" for any other."""
    found = next((known for known in KNOWN if known.recognises(head)), None)
    if found is not None:
        return found.reason
    is_tiff = head.startswith((b"II*\0", b"MM\0*"))
    return raw_reason() if is_tiff and name.lower().endswith(RAW_SUFFIXES) else ""


def raw_reason() -> str:
    """Why a camera raw that is a TIFF cannot be used here: without its library only a thumbnail would be read."""
    return "" if is_installed("rawpy") else "camera raw: pip install 'imaginate[photo]'"


def format_of(head: bytes) -> str:
    """The name of the format that these first bytes are of; "" for an ordinary picture."""
    return next((known.name for known in KNOWN if known.recognises(head)), "")


def formats_of(paths: Iterable[str]) -> dict[str, int]:
    """How many of these files are of each format that is no ordinary picture; files that are gone are not counted."""
    found: Counter[str] = Counter()
    for path in paths:
        try:
            with open(path, "rb") as file:
                found[format_of(file.read(HEAD))] += 1
        except OSError:
            continue
    return {name: count for name, count in found.items() if name}
