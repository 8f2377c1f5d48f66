#!/usr/bin/env bash
# pydicom 3.0.2, SimpleITK 2.5.7: the frames of an enhanced DICOM keep a rescaling each, and both give wrong numbers.
#
# An enhanced multi-frame file (CT, MR, PET) has slope and intercept not among its own tags but in the functional groups
# of each frame; PET and MR have other slopes in each. pydicom's apply_modality_lut, which its guide names for Hounsfield
# units, finds no slope there and returns the stored values as they are. SimpleITK takes the first frame's slope for all of
# them. Neither warns, so one of the two looks like a volume of another scanner. apply_voi_lut passes over the window of
# the frames in the same way. highdicom's get_frames rescales each.
#
# Seen:   true [-900, -500]; pydicom [100, 100]; SimpleITK [-900, -900]; highdicom [-900, -500]
# Exits 0 while both behave so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  pydicom==3.0.2 SimpleITK==2.5.7 highdicom==0.28.2 numpy
PLACE="$place" "$place/venv/bin/python" - <<'PYTHON'
import os
import sys
import warnings

import highdicom
import numpy as np
import pydicom
import SimpleITK
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

warnings.simplefilter("error")
slopes, intercept = (1, 5), -1000
file = Dataset()
file.file_meta = pydicom.dataset.FileMetaDataset()
file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
file.SOPClassUID, file.SOPInstanceUID, file.Modality = EnhancedCTImageStorage, generate_uid(), "CT"
file.Rows, file.Columns, file.NumberOfFrames, file.SamplesPerPixel = 4, 4, 2, 1
file.PhotometricInterpretation, file.PixelRepresentation = "MONOCHROME2", 0
file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
file.PixelData = np.full((2, 4, 4), 100, "<u2").tobytes()
file.PerFrameFunctionalGroupsSequence = []
for slope in slopes:
    scale, window, group = Dataset(), Dataset(), Dataset()
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = slope, intercept, "HU"
    window.WindowCenter, window.WindowWidth = 50, 100
    group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [scale], [window]
    file.PerFrameFunctionalGroupsSequence.append(group)
path = os.path.join(os.environ["PLACE"], "film.dcm")
file.save_as(path, enforce_file_format=True)

true = [100 * slope + intercept for slope in slopes]
read = pydicom.dcmread(path)
scaled = apply_modality_lut(read.pixel_array, read)[:, 0, 0].tolist()
windowed = apply_voi_lut(read.pixel_array, read)[:, 0, 0].tolist()
volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))[:, 0, 0].tolist()
other = highdicom.imread(path).get_frames(apply_real_world_transform=None)[:, 0, 0].astype(int).tolist()
print("pydicom", pydicom.__version__, "SimpleITK", SimpleITK.Version.VersionString(), "highdicom", highdicom.__version__)
print(f"true {true}; pydicom {scaled}; SimpleITK {volume}; highdicom {other}")
is_so = scaled == windowed == [100, 100] and volume == [true[0]] * 2 and other == true
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
