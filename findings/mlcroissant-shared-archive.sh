#!/usr/bin/env bash
# mlcroissant 1.1.1: two datasets whose archives have one name share what was unpacked first: one gives the other's
# images.
#
# A zip or tar is unpacked into a cache in the home directory, under a hash of its contentUrl alone. Where that URL is
# relative, as in every dataset next to its archive, it is just "images.zip": of all datasets on the machine that call
# their archive so, and of all versions of one. What is there is never compared. The SHA-256 in the metadata is checked
# on the new archive, passes, and then the images of the old one are read, without a warning. It bites whoever rebuilds
# a dataset, or loads two exports of one tool. Set CROISSANT_CACHE to a folder of its own for each dataset and version
# before mlcroissant is imported.
#
# Seen:   second dataset stores 200, loads 100 (the first dataset's); with a cache of its own 200
# Exits 0 while mlcroissant behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check mlcroissant==1.1.1 pillow==13.0.0
cd "$place"
cat > load.py <<'PYTHON'
import hashlib
import json
import os
import sys
import zipfile
from importlib.metadata import version

import mlcroissant as mlc
from PIL import Image


def make(folder, level):
    """A dataset of one grey picture in images.zip, with its metadata next to it."""
    os.makedirs(folder, exist_ok=True)
    Image.new("L", (8, 8), level).save(f"{folder}/picture.png")
    with zipfile.ZipFile(f"{folder}/images.zip", "w") as archive:
        archive.write(f"{folder}/picture.png", "picture.png")
    digest = hashlib.sha256(open(f"{folder}/images.zip", "rb").read()).hexdigest()
    pixels = mlc.Field(
        id="rows/image",
        name="image",
        data_types=mlc.DataType.IMAGE_OBJECT,
        source=mlc.Source(file_set="pictures", extract=mlc.Extract(file_property="content")),
    )
    metadata = mlc.Metadata(
        name=folder,
        description=folder,
        url="https://example.org",
        license="CC0-1.0",
        distribution=[
            mlc.FileObject(
                id="archive",
                name="archive",
                content_url="images.zip",
                encoding_formats=["application/zip"],
                sha256=digest,
            ),
            mlc.FileSet(
                id="pictures",
                name="pictures",
                contained_in=["archive"],
                encoding_formats=["image/png"],
                includes=["*.png"],
            ),
        ],
        record_sets=[mlc.RecordSet(id="rows", name="rows", fields=[pixels])],
    )
    with open(f"{folder}/croissant.json", "w") as out:
        json.dump(metadata.to_json(), out, default=str)


def loaded(folder):
    (row,) = mlc.Dataset(f"{folder}/croissant.json").records("rows")
    return row["rows/image"].getpixel((0, 0))


if sys.argv[1] == "write":
    make("one", 100)
    make("two", 200)
    print("mlcroissant", version("mlcroissant"))
for name in sys.argv[2:]:
    print(name, loaded(name))
PYTHON
export HOME="$place/home"
mkdir "$HOME"
shared=$("$place/venv/bin/python" load.py write one two 2>notes)
own=$(CROISSANT_CACHE="$place/cache" "$place/venv/bin/python" load.py read two 2>>notes)
printf '%s\nwith a cache of its own:\n%s\n' "$shared" "$own"
if [[ $shared == *$'\none 100\ntwo 100' && $own == "two 200" ]]; then
    echo "as described"
else
    cat notes
    echo "changed"
    exit 1
fi
