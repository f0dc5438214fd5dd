"""A DICOM series of a NIfTI file, as a scanner would leave it, in files whose names say nothing."""

import locale
from contextlib import contextmanager

import SimpleITK as sitk


@contextmanager
def same_locale():
    """GDCM sets the whole process's locale to C when it writes, after which subprocesses' texts are read as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@same_locale()
def write_dicom(source, folder, uid="1.2.826.0.1.3680043.8.498.1"):
    """Write it; the folder."""
    folder.mkdir(exist_ok=True)
    image = sitk.Cast(sitk.ReadImage(str(source)), sitk.sitkInt16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = image.GetDirection()
    for z in range(image.GetDepth()):
        plane = image[:, :, z]
        position = image.TransformIndexToPhysicalPoint((0, 0, z))
        tags = {"0008|0060": "CT", "0020|000e": uid, "0020|000d": "1.2.826.0.1.3680043.8.498.2",
                "0008|0018": f"{uid}.{z + 1}", "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0020|0013": str(z + 1),
                "0020|0032": "\\".join(f"{x:.6f}" for x in position),
                "0020|0037": "\\".join(f"{direction[i]:.6f}" for i in (0, 3, 6, 1, 4, 7)),
                "0010|0010": "Test^CT", "0010|0020": "1", "0008|0020": "20200101", "0008|0030": "120000",
                "0008|0070": "Maker", "0018|5100": "HFS", "0020|0011": "3", "0020|0052": "1.2.3.4"}
        for tag, value in tags.items():
            plane.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"slice{(z * 7) % 31:03d}.dcm"))
        writer.Execute(plane)
    return folder
