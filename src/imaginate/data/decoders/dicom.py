"""DICOM, by pydicom: stored values are rescaled, windowed, and turned round where 0 is white.

Rescaling and window of an enhanced file are those of the frame, which its functional groups say.
The window is the file's own (its VOI LUT or centre and width); without one, the numbers of the whole source decide
(`data/photometry.py`), in Hounsfield units for CT. Colours come from pydicom as RGB, whatever the file says; those of a
palette are in the high byte. Only pixels leave this file: no tag is kept, and a picture that says that text is burnt
into it is refused.
"""

from __future__ import annotations

import io
import warnings
from typing import Any, ClassVar

import numpy as np

from imaginate.data import known_formats
from imaginate.data.known_formats import is_dicom
from imaginate.data.picture_files import check_size
from imaginate.data.pixels import Pixels
from imaginate.data.rendering import Numbers, Span, render
from imaginate.errors import ImageError

_GREY = ("MONOCHROME1", "MONOCHROME2")
_SAID = (
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction",
)  # fmt: skip
_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_BROKEN = (Exception,)  # pydicom's plugins raise whatever the library behind them raises


class DicomPicture:
    """Decodes one frame of a DICOM file."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 10

    def recognises(self, head: bytes) -> bool:
        """By the mark behind the preamble, where pydicom is installed."""
        return is_dicom(head) and known_formats.is_installed("pydicom")

    def decode(self, data: bytes) -> Pixels:
        """Encoded image -> (h, w, 3) uint8 RGB. Raises ImageError."""
        return render(self.numbers(data, None, None))

    def numbers(self, data: bytes, page: int | None, channels: tuple[int, ...] | None) -> Numbers:
        """The numbers of a frame. Raises ImageError."""
        import pydicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                file = pydicom.dcmread(io.BytesIO(data))
            except _BROKEN:
                raise ImageError("damaged DICOM") from None
            return _numbers(file, page)


def _numbers(file: Any, page: int | None) -> Numbers:
    if "PixelData" not in file:
        raise ImageError("DICOM without a picture")
    if str(file.get("BurnedInAnnotation", "")).upper() == "YES":
        raise ImageError("DICOM with text burnt into the picture")
    check_size(int(file.get("Columns", 0)), int(file.get("Rows", 0)))
    frames = int(file.get("NumberOfFrames", 1) or 1)
    if page is not None and page > frames:
        raise ImageError(f"has no page {page}")
    kind = str(file.get("PhotometricInterpretation", ""))
    values = _pixels(file, (page or 1) - 1, frames)
    if kind == "PALETTE COLOR":
        return Numbers(_colours(file, values), "uint8", (0.0, 255.0), pages=frames)
    if kind not in _GREY:
        shown = values if values.dtype == np.uint8 else (values >> (int(file.BitsStored) - 8)).astype(np.uint8)
        return Numbers(shown, "uint8", (0.0, 255.0), pages=frames)
    return _grey(_of_frame(file, (page or 1) - 1), file, values, frames)


def _pixels(file: Any, frame: int, frames: int) -> Any:
    """The stored values of a frame; overlays in unused bits are masked by pydicom."""
    try:
        values = file.pixel_array
    except _BROKEN as error:
        if "missing dependencies" in str(error) or "required" in str(error).lower():
            raise ImageError("compressed DICOM: pip install pylibjpeg[all]") from None
        raise ImageError("damaged DICOM") from None
    return values[frame] if frames > 1 else values


def _colours(file: Any, values: Any) -> Any:
    """Indices of a palette -> RGB; colours of 16 bits have their picture in the high byte."""
    from pydicom.pixels import apply_color_lut

    found = apply_color_lut(values, file)
    return (found >> 8).astype(np.uint8) if found.dtype == np.uint16 else found


def _of_frame(file: Any, frame: int) -> Any:
    """What the file says of the values of a frame: its own functional groups come before those of all frames, and both
    before the tags of the file itself."""
    from pydicom import Dataset

    found = Dataset()
    found.update(_said_in(file))
    for name, at in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", frame)):
        groups = file.get(name) or ()
        if at < len(groups):
            for sequence in _GROUPS:
                for item in groups[at].get(sequence) or ():
                    found.update(_said_in(item))
    return found


def _said_in(item: Any) -> dict[Any, Any]:
    """Those of its tags; the others are not looked at."""
    return {item[keyword].tag: item[keyword] for keyword in _SAID if keyword in item}


def _grey(said: Any, file: Any, values: Any, frames: int) -> Numbers:
    """`said`: what the file says of the values of this frame."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    is_inverted = file.PhotometricInterpretation == "MONOCHROME1"
    scaled = np.asarray(apply_modality_lut(values, said))
    if scaled.dtype.kind == "f" and np.array_equal(scaled, np.rint(scaled)):
        scaled = scaled.astype(np.int32)
    if "VOILUTSequence" in said:
        shown = np.asarray(apply_voi(scaled.astype(np.int32), said))
        bits = int(said.VOILUTSequence[0].LUTDescriptor[2])
        return Numbers(shown, "uint16", (0.0, float(2**bits - 1)), is_inverted, frames)
    kind = "float32" if scaled.dtype.kind == "f" else "int32"
    return Numbers(scaled, kind, _window(said), is_inverted, frames)


def _window(file: Any) -> Span | None:
    """The first window of the file, as its linear function has it: black and white are the ends of its slope."""
    centre, width = (_first(file.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width <= 1:
        return None
    if str(file.get("VOILUTFunction", "LINEAR")).upper() == "LINEAR":
        centre, width = centre - 0.5, width - 1
    return centre - width / 2, centre + width / 2


def _first(value: Any) -> float | None:
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if value else None
    except ValueError:
        return None
