"""What a written file says of itself: read back by Pillow, equal pixels, nothing false, hostile texts harmless."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imaginate.data.decoding import decode_tensor
from imaginate.data.digital_source import source_in
from imaginate.engine.resolve import digital_source
from imaginate.registry import find, names
from imaginate.write.images import Writing, encode
from imaginate.write.marks import IPTC, LONGEST, Mark, Taken, packet

HOSTILE = "</rdf:li><script>&\"'\x00\ud800]]> 花" + "x" * 10_000


def read_back(data: bytes) -> dict[str, Any]:
    """The description that Pillow finds in a file."""
    with Image.open(io.BytesIO(data)) as opened:
        found: dict[str, Any] = opened.getxmp()["xmpmeta"]["RDF"]["Description"]
    return found


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_every_format_carries_the_mark_and_no_other_pixel(form: Any) -> None:
    image = torch.randint(0, 256, (3, 17, 23), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    taken = Taken(url="https://x.org/?a=1&b=2", licence="CC BY 4.0", author="A. <b>", text=HOSTILE)
    mark = packet(Mark("1a2b", "gif-sd", "compositeWithTrainedAlgorithmicMedia", taken))
    plain, marked = (encode(image, Writing(format=form), xmp) for xmp in (b"", mark))
    assert torch.equal(decode_tensor(plain), decode_tensor(marked))
    assert 0 < len(marked) - len(plain) < len(mark) + 100
    found = read_back(marked)
    assert found["DigitalSourceType"] == IPTC + "compositeWithTrainedAlgorithmicMedia"
    assert (found["run"], found["method"], found["source"]) == ("1a2b", "gif-sd", taken.url)
    assert found["creator"]["Seq"]["li"] == "A. <b>"
    assert len(found["description"]["Alt"]["li"]["text"]) <= LONGEST
    assert source_in(marked) == "compositeWithTrainedAlgorithmicMedia"
    assert source_in(plain) is None
    ElementTree.fromstring(mark)


def test_a_compressed_packet_of_a_png_is_read() -> None:
    info, out = PngInfo(), io.BytesIO()
    info.add_itxt("XML:com.adobe.xmp", packet(Mark("", "", "trainedAlgorithmicMedia")).decode(), zip=True)
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    assert b"trainedAlgorithmicMedia" not in out.getvalue()
    assert source_in(out.getvalue()) == "trainedAlgorithmicMedia"
    assert source_in(out.getvalue()[:300]) in (None, "trainedAlgorithmicMedia")


# What each method's files say, by hand: the words are public, and a false one is worse than none.
EXPECTED = {
    None: {"adopt", "duplicate", "mix", "retrieval"},
    "algorithmicallyEnhanced": {"augmix", "cutout", "flip-crop", "gridmask", "randaugment", "trivialaugment"},
    "composite": {"background", "cutmix", "mixup", "paste"},
    "trainedAlgorithmicMedia": {
        "ft-cluster", "ft-conditioning", "gif-dalle", "imagic", "prompt", "pseudoword-dm",
        "textual-inversion", "unclip",
    },
    "compositeWithTrainedAlgorithmicMedia": {
        "boomerang", "da-fusion", "diff-ii", "diff-mix", "edit", "gif-mae", "gif-sd", "mae", "real-guidance",
        "retrieve-then-edit", "sd",
    },
}  # fmt: skip


def test_every_method_says_what_its_images_are() -> None:
    found: dict[str | None, set[str]] = {}
    for name in names("methods"):
        found.setdefault(digital_source(find("methods", name)), set()).add(name)
    assert found == EXPECTED
