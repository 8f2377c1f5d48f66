#!/usr/bin/env bash
# fsspec 2026.9.0: a name with brackets is a pattern, so cat, get and rm act on another file that it matches.
#
# cat, get, copy and rm take patterns as well as names, and ask for no difference: "cat[1].png" is the pattern that
# "cat1.png" matches, even where a file of that very name is there. cat returns the other file's bytes, and rm of an object
# store or of memory deletes the other file and leaves the one that was named. "cat (1)" is no pattern, so it goes well for
# long, until a browser, a camera or a class ("Acer [genus]") writes brackets. open, cat_file, get_file, rm_file and
# pipe_file take names alone; glob.escape before a call that takes patterns helps too.
#
# Seen:   there: cat1.png, cat[1].png; cat of cat[1].png: the bytes of cat1.png; after rm of cat[1].png: cat[1].png
#         cat_file: the bytes of cat[1].png; after rm_file of cat[1].png: cat1.png
# Exits 0 while fsspec behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0
"$place/venv/bin/python" - <<'PYTHON'
import sys

import fsspec

store = fsspec.filesystem("memory")
named, other = "/pictures/cat[1].png", "/pictures/cat1.png"


def fill():
    for name in (named, other):
        store.pipe_file(name, name.encode())


def there():
    return sorted(store.ls("/pictures", detail=False))


fill()
print("fsspec", fsspec.__version__)
print("there:", there())
read, read_by_name = store.cat(named), store.cat_file(named)
print("cat:", read, "cat_file:", read_by_name)
store.rm(named)
left = there()
fill()
store.rm_file(named)
left_by_name = there()
print("after rm:", left, "after rm_file:", left_by_name)
is_so = read == {other: other.encode()} and read_by_name == named.encode() and left == [named] and left_by_name == [other]
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
