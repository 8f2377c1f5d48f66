#!/usr/bin/env bash
# datasets 5.2.0, litdata 0.2.76: a picture that was opened and then drawn on is stored as it was on disk.
#
# A picture from Pillow's open() keeps the name of its file, and both libraries take the file for the picture: datasets
# stores the name (of any format), litdata copies the bytes of the file (of a JPEG). What was done to the picture in
# place is lost: ImageDraw, paste, putpixel, thumbnail. The picture in memory is right, the stored one is not, and
# nothing is said. It bites whoever blacks out faces, names in a radiograph or a watermark before storing: they are all
# still there. Operations that return a picture (resize, crop, convert) are kept. Give picture.copy(), which has no file
# name.
#
# Seen:   left half painted black, a pixel there: in memory 0; stored by datasets 200, by litdata 200; of copies 0 and 0
# Exits 0 while these libraries behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 datasets==5.2.0 litdata==0.2.76 \
    pillow==13.0.0 numpy
cd "$place"
mkdir home temporary
export HOME="$place/home" TMPDIR="$place/temporary" HF_HUB_OFFLINE=1
cat > drawn.py <<'PYTHON'
import sys
from importlib.metadata import version

import datasets
import litdata
from PIL import Image, ImageDraw


def painted(copied):
    picture = Image.open("picture.jpg")
    ImageDraw.Draw(picture).rectangle((0, 0, 31, 63), fill=(0, 0, 0))
    return picture.copy() if copied else picture


def item(copied):
    return {"image": painted(copied)}


def level(image):
    """The level of red inside of what was painted. litdata may give a tensor, channels first."""
    pixel = image.getpixel((10, 10)) if isinstance(image, Image.Image) else image[:, 10, 10].tolist()
    return int(pixel[0])


def stored(copied):
    """The level that each library gives back."""
    table = datasets.Dataset.from_dict({"image": [painted(copied)]})
    litdata.optimize(item, [copied], f"lit{copied}", num_workers=1, chunk_size=1)
    lit = litdata.StreamingDataset(f"lit{copied}")[0]["image"]
    return [level(table[0]["image"]), level(lit)]


if __name__ == "__main__":
    Image.new("RGB", (64, 64), (200, 200, 200)).save("picture.jpg", quality=100)
    memory, drawn, copies = level(painted(False)), stored(False), stored(True)
    print(", ".join(f"{name} {version(name)}" for name in ("datasets", "litdata")))
    print(f"painted black; in memory {memory}; stored {drawn}; copies stored {copies}")
    is_so = memory == 0 and all(abs(n - 200) < 8 for n in drawn) and all(n < 8 for n in copies)
    print("as described" if is_so else "changed")
    sys.exit(0 if is_so else 1)
PYTHON
"$place/venv/bin/python" drawn.py >said 2>&1 && tail -n 3 said || { cat said; exit 1; }
