"""Read a DICOM series as a volume: a folder or a zip of its files, or a multi-frame file.

pydicom reads the files, and GDCM decodes the compressions that pydicom does not know. The geometry comes from each
slice's own attributes, never from the order of the files or of the frames. A series that makes no box of voxels is
refused: slices missing or doubled, two volumes in one series, a tilted gantry, a damaged file. The page `docs/dicom.md`
says what is read and what is refused, form by form.
"""

from __future__ import annotations

from .archive import unpacked
from .headers import quiet
from .series import Series, files_of, grid_of, is_dicom_file, is_series, open_series, read, read_with_warnings

__all__ = ["Series", "files_of", "grid_of", "is_dicom_file", "is_series", "open_series", "quiet", "read",
           "read_with_warnings", "unpacked"]
