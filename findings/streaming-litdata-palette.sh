#!/usr/bin/env bash
# mosaicml-streaming 0.13.0, litdata 0.2.76: a picture with a palette is stored without its colours and comes back black.
#
# PNG and GIF from the web, screenshots, diagrams and quantised photos have a palette: a pixel is a number, the palette
# says its colour, and Pillow gives mode "P". Streaming's encoding "pil" ("store PIL image raw") and litdata, which stores
# every picture so that is not from a JPEG file, write mode, size and pixels, and not the palette. What is read has mode
# "P", the size and the numbers, so a test for equal bytes passes; convert("RGB"), which every training loop calls, gives
# black for each of them. A class whose images come from another source (drawings among photos) is black as a whole and
# is learned at once. Transparency is gone as well. Nothing is said. Call convert("RGB") before storing, or take
# streaming's encoding "png".
#
# Seen:   a red and green picture with a palette, as RGB: before (255, 0, 0) (0, 255, 0); streaming "pil" (0, 0, 0) (0, 0,
#         0); litdata the same; streaming "png" and pictures that were converted first: as before; numbers equal: True
# Exits 0 while both behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 mosaicml-streaming==0.13.0 \
    litdata==0.2.76 pillow==13.0.0 numpy
cd "$place"
mkdir home temporary
export HOME="$place/home" TMPDIR="$place/temporary"
cat > palette.py <<'PYTHON'
import sys
from importlib.metadata import version

import litdata
import numpy as np
import streaming
from PIL import Image


def picture(converted):
    """A picture of two colours with a palette, as it is opened from a PNG file."""
    opened = Image.open("picture.png")
    opened.load()
    return opened.convert("RGB") if converted else opened


def item(converted):
    return {"image": picture(converted)}


def as_rgb(image):
    """The colours of its left and its right half, as a training loop sees them."""
    rgb = image.convert("RGB")
    return [rgb.getpixel((2, 4)), rgb.getpixel((6, 4))]


def by_streaming(encoding, converted):
    folder = f"mds-{encoding}-{converted}"
    with streaming.MDSWriter(out=folder, columns={"image": encoding}) as writer:
        writer.write({"image": picture(converted)})
    return streaming.LocalDataset(folder)[0]["image"]


def by_litdata(converted):
    litdata.optimize(item, [converted], f"lit-{converted}", num_workers=1, chunk_size=1)
    image = litdata.StreamingDataset(f"lit-{converted}")[0]["image"]
    assert isinstance(image, Image.Image)
    return image


if __name__ == "__main__":
    drawn = Image.new("P", (8, 8), 1)
    drawn.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    drawn.paste(2, (4, 0, 8, 8))
    drawn.save("picture.png")
    before = picture(False)
    raw, lit = by_streaming("pil", False), by_litdata(False)
    kept = [by_streaming("png", False), by_streaming("pil", True), by_litdata(True)]
    equal = all(np.array_equal(np.asarray(before), np.asarray(image)) for image in (raw, lit))
    print(", ".join(f"{name} {version(name)}" for name in ("mosaicml-streaming", "litdata", "pillow")))
    print(f"mode {before.mode}, as RGB {as_rgb(before)}")
    print(f"streaming pil: mode {raw.mode}, {as_rgb(raw)}; litdata: mode {lit.mode}, {as_rgb(lit)}")
    print(f"numbers equal: {equal}")
    print(f"streaming png, and converted first by streaming and litdata: {[as_rgb(image) for image in kept]}")
    colours, black = [(255, 0, 0), (0, 255, 0)], [(0, 0, 0), (0, 0, 0)]
    is_so = (
        before.mode == raw.mode == lit.mode == "P"
        and equal
        and as_rgb(before) == colours
        and as_rgb(raw) == as_rgb(lit) == black
        and all(as_rgb(image) == colours for image in kept)
    )
    print("as described" if is_so else "changed")
    sys.exit(0 if is_so else 1)
PYTHON
"$place/venv/bin/python" palette.py >said 2>&1 && tail -n 6 said || { cat said; exit 1; }
