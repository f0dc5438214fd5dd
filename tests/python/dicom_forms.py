"""DICOM files in many forms, made with pydicom from one small volume that no axis or slice can be mistaken in."""

from __future__ import annotations

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

MR = MRImageStorage
ROOT = "1.2.826.0.1.3680043.8.498.9"
ROWS, COLUMNS, SLICES = 9, 7, 6
SPACING = (0.75, 1.25)
"""mm between rows and between columns."""
STEP = 2.5
ORIGIN = np.array([-30.0, 12.0, 40.0])
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.96, 0.28, 0.0, -0.168, 0.576, 0.8)


def volume(dtype=np.int16):
    """(slice, row, column): values that tell all voxels apart."""
    return np.arange(SLICES * ROWS * COLUMNS, dtype=dtype).reshape(SLICES, ROWS, COLUMNS)


def position(z, orientation=STRAIGHT, step=STEP):
    return ORIGIN + z * step * np.cross(orientation[:3], orientation[3:])


def affine(orientation=STRAIGHT, step=STEP):
    """What voxel (column, row, slice) to mm in RAS+ is to be."""
    out = np.eye(4)
    out[:3, 0] = np.multiply(orientation[:3], SPACING[1])
    out[:3, 1] = np.multiply(orientation[3:], SPACING[0])
    out[:3, 2] = np.cross(orientation[:3], orientation[3:]) * step
    out[:3, 3] = ORIGIN
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ out


def dataset(pixels, number=1, kind=CTImageStorage, syntax=ExplicitVRLittleEndian):
    """An image without a place: patient, study, series and pixels."""
    out = FileDataset(None, {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    out.file_meta.MediaStorageSOPClassUID = out.SOPClassUID = kind
    out.file_meta.MediaStorageSOPInstanceUID = out.SOPInstanceUID = f"{ROOT}.1.{number}"
    out.file_meta.TransferSyntaxUID = syntax
    out.StudyInstanceUID, out.SeriesInstanceUID, out.FrameOfReferenceUID = f"{ROOT}.2", f"{ROOT}.3", f"{ROOT}.4"
    out.Modality = "CT" if kind == CTImageStorage else "MR"
    out.PatientName, out.PatientID, out.PatientBirthDate, out.PatientSex = "Test^T", "1", "", ""
    out.StudyDate = out.SeriesDate = out.AcquisitionDate = out.ContentDate = "20200101"
    out.StudyTime = out.SeriesTime = out.AcquisitionTime = out.ContentTime = "120000"
    out.StudyID, out.AccessionNumber, out.ReferringPhysicianName, out.Manufacturer = "1", "", "", "Maker"
    out.SeriesNumber, out.InstanceNumber, out.SeriesDescription = 3, number, "test"
    out.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if kind == CTImageStorage else "M"]
    set_pixels(out, pixels)
    return out


def set_pixels(data, pixels, stored=None):
    pixels = np.asarray(pixels)
    bits = 8 * pixels.dtype.itemsize
    data.Rows, data.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, stored or bits, (stored or bits) - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB" if bits == 8 else "OW"


def slices(pixels=None, orientation=STRAIGHT, kind=CTImageStorage, step=STEP, syntax=ExplicitVRLittleEndian):
    """A series of one file a slice, as datasets in order of place."""
    out = []
    for z, plane in enumerate(volume() if pixels is None else pixels):
        one = dataset(plane, z + 1, kind, syntax)
        one.ImagePositionPatient = [float(f"{x:.6f}") for x in position(z, orientation, step)]
        one.ImageOrientationPatient, one.PixelSpacing = list(orientation), list(SPACING)
        one.SliceThickness = step
        if kind == CTImageStorage:
            one.RescaleSlope, one.RescaleIntercept = 1, 0
        out.append(one)
    return out


def changed(datasets, **values):
    """The datasets with these attributes set; a function gives one by the slice's index."""
    for index, one in enumerate(datasets):
        for name, value in values.items():
            setattr(one, name, value(index) if callable(value) else value)
    return datasets


def item(**values):
    out = pydicom.Dataset()
    for name, value in values.items():
        setattr(out, name, value)
    return out


def enhanced(places=tuple(range(SLICES)), pixels=None, orientation=STRAIGHT, rescale=None, marks=None):
    """An enhanced MR file with a frame at each of these places, in this order.

    `rescale` gives slope and intercept of a frame by its index; `marks` functional groups of a frame by its index.
    """
    pixels = volume()[list(places)] if pixels is None else pixels
    out = dataset(pixels, 1, EnhancedMRImageStorage)
    out.AcquisitionContrast, out.ContentQualification, out.ImageComments = "T1", "RESEARCH", ""
    out.SharedFunctionalGroupsSequence = Sequence([item(
        PixelMeasuresSequence=Sequence([item(PixelSpacing=list(SPACING), SliceThickness=STEP)]),
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=list(orientation))]))])
    frames = []
    for index, z in enumerate(places):
        frame = item(
            FrameContentSequence=Sequence([item(DimensionIndexValues=[1, z + 1], StackID="1",
                                                InStackPositionNumber=z + 1)]),
            PlanePositionSequence=Sequence([item(ImagePositionPatient=[
                float(f"{x:.6f}") for x in position(z, orientation)])]))
        if rescale:
            slope, intercept = rescale(index)
            frame.PixelValueTransformationSequence = Sequence([item(RescaleSlope=slope, RescaleIntercept=intercept,
                                                                    RescaleType="US")])
        for name, value in (marks(index) if marks else {}).items():
            setattr(frame, name, value)
        frames.append(frame)
    out.PerFrameFunctionalGroupsSequence = Sequence(frames)
    organisation = f"{ROOT}.5"
    out.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=organisation)])
    out.DimensionIndexSequence = Sequence([
        item(DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111, DimensionOrganizationUID=organisation)
        for pointer in (0x00209056, 0x00209057)])
    return out


def write(folder, datasets, order=(3, 0, 5, 1, 4, 2)):
    """Write datasets under names that say nothing of their place; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, one in enumerate(datasets):
        name = order[index] if index < len(order) else index
        one.save_as(folder / f"IM{name:04d}", enforce_file_format=True)
    return folder


def multi(**options):
    """A function that writes an enhanced file into a folder."""
    return lambda folder: write(folder, [enhanced(**options)])
