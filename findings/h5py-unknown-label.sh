#!/usr/bin/env bash
# h5py 3.16.0: a label of -1 that is written into a column of bytes becomes class 0, and nothing is said.
#
# -1 stands for "no label" in torchvision and scikit-learn and for "uncertain" in CheXpert's table. NumPy refuses the
# number -1 for a uint8 array, and turns an array of it round to 255, which stands out. h5py hands an array with its own
# type to HDF5, and HDF5 cuts what does not fit off at the ends of the type: -1 is 0 and 300 is 255. By slice, by list of
# rows, by create_dataset(data=..., dtype="u1") and of floats it is the same, while one Python number (labels[0] = -1) is
# refused, so a first test fails loudly and the real writer does not. Images without a label, or findings that are not
# sure, are then plain members of class 0 (the negatives), and class 300 is one with class 255. Compare with
# np.iinfo(dataset.dtype) before writing, or use "i2".
#
# Seen:   written -1, 2, 300; read 0, 2, 255 (by slice, by rows, by create_dataset, of floats); NumPy 255, 2, 44; one
#         number: OverflowError
# Exits 0 while h5py behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check h5py==3.16.0 numpy
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import h5py
import numpy as np

warnings.simplefilter("error")
labels = np.array([-1, 2, 300])
found = {}
with h5py.File("set.h5", "w") as file:
    by_slice = file.create_dataset("slice", (3,), "u1")
    by_slice[:] = labels
    by_rows = file.create_dataset("rows", (3,), "u1")
    by_rows[[0, 1, 2]] = labels
    file.create_dataset("given", data=labels, dtype="u1")
    of_floats = file.create_dataset("floats", (3,), "u1")
    of_floats[:] = labels.astype(float)
    found = {name: column[:].tolist() for name, column in file.items()}
    try:
        by_slice[0] = -1
        one = "written"
    except OverflowError as error:
        one = f"OverflowError: {error}"
plain = labels.astype("u1").tolist()
print("h5py", h5py.__version__, "HDF5", h5py.version.hdf5_version)
print("written", labels.tolist(), "read", found, "NumPy", plain)
print("one number:", one)
is_so = (
    set(found) == {"slice", "rows", "given", "floats"}
    and all(read == [0, 2, 255] for read in found.values())
    and plain == [255, 2, 44]
    and one.startswith("OverflowError")
)
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
