"""The segmentation object without a network: where it lies, what it says, and what is found before predicting."""

import dicom_forms as forms
import highdicom
import numpy as np
import pydicom
import pytest
from dicom_forms import OBLIQUE, enhanced, slices, volume, write
from pocketnet.contracts.labels import Concept, Label, SegmentCode
from pocketnet.errors import DataError
from pocketnet.inference import dicom_seg
from pocketnet.inference.segment_codes import code_of
from pocketnet.preprocessing import dicom, geometry
from pydicom.sequence import Sequence

LABELS = (Label("Left kidney", 1, (1,)), Label("something of ours", 2, (2,)))
SECRETS = {"InstitutionName": "St Elsewhere", "InstitutionAddress": "1 Street", "StationName": "CT99",
           "DeviceSerialNumber": "SN4711", "PatientComments": "a neighbour"}


def labelled(series):
    """The volume's grid, and a label map (RAS+) with a box of each label."""
    data, grid = dicom.read(series)
    classes = np.zeros(data.shape, np.uint8)
    classes[1:3, 2:5, 1:4], classes[4:6, 5:8, 3:5] = 1, 2
    return geometry.to_ras(classes, grid), grid, classes


def written(series, path, **options):
    ras, grid, classes = labelled(series)
    dicom_seg.check(series, LABELS)
    dicom_seg.write_segmentation(path, series, ras, grid, LABELS, **options)
    return highdicom.seg.segread(path), classes, grid


@pytest.mark.parametrize("make", [
    lambda f: write(f, slices(orientation=OBLIQUE)),
    lambda f: write(f, [enhanced(places=(4, 0, 2, 1, 5, 3), orientation=OBLIQUE)]),
    lambda f: write(f, [*slices(orientation=OBLIQUE), *slices(orientation=OBLIQUE)[2:3]])],
    ids=["files", "frames in another order", "with a copy"])
def test_it_lies_where_the_label_map_lies(make, tmp_path):
    seg, classes, grid = written(make(tmp_path / "form"), tmp_path / "out.dcm")
    found = seg.get_volume(combine_segments=True)
    places = {}
    for name, data, affine in (("seg", found.array, found.affine),
                               ("map", classes, geometry.LPS_TO_RAS @ grid.affine)):
        index = np.argwhere(data)
        at = index @ affine[:3, :3].T + affine[:3, 3]
        places[name] = sorted((*np.round(place, 2), int(data[tuple(one)]))
                              for place, one in zip(at, index, strict=True))
    np.testing.assert_allclose(places["seg"], places["map"], atol=0.02)
    assert len(places["map"]) == (classes > 0).sum()


def test_it_has_standard_codes_and_a_private_one_as_the_last_resort(tmp_path):
    seg, _, _ = written(write(tmp_path / "form", slices()), tmp_path / "out.dcm")
    kidney, ours = (seg.get_segment_description(number) for number in (1, 2))
    assert (kidney.segmented_property_type.scheme_designator, kidney.segmented_property_type.value) == (
        "SCT", "64033007")
    modifiers = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
    assert modifiers[0].CodeMeaning == "Left"
    assert ours.segmented_property_type.scheme_designator == "99POCKETNET"
    assert [one.segment_label for one in (kidney, ours)] == ["Left kidney", "something of ours"]


@pytest.mark.parametrize("name, scheme, value, category, side", [
    ("liver", "SCT", "10200004", "91723000", None), ("Edema", "SCT", "79654002", "49755003", None),
    ("oedema", "SCT", "79654002", "49755003", None), ("tumour", "SCT", "108369006", "49755003", None),
    ("kidney_right", "SCT", "64033007", "91723000", "24028007"), ("grey matter", "SCT", "389081007", "91723000", None),
    ("leftover", "99POCKETNET", "7", "91723000", None)])
def test_codes_by_name(name, scheme, value, category, side):
    code = code_of(Label(name, 7, (7,)))
    assert (code.type.scheme, code.type.value, code.category.value) == (scheme, value, category)
    assert (code.modifier and code.modifier.value) == side


def test_a_labels_own_code_comes_first():
    own = SegmentCode(Concept("SCT", "5366008", "Hippocampus"), modifier=Concept("SCT", "255549009", "Anterior"))
    assert code_of(Label("liver", 1, (1,), own)) is own
    assert Label.from_json(Label("liver", 1, (1,), own).to_json()) == Label("liver", 1, (1,), own)
    assert "code" not in Label("liver", 1, (1,)).to_json()


def with_secrets(folder):
    made = slices()
    for one in made:
        for name, value in SECRETS.items():
            setattr(one, name, value)
        one.ContributingEquipmentSequence = Sequence([forms.item(Manufacturer="Maker", InstitutionName="St Elsewhere")])
    return write(folder, made)


def test_it_names_no_hospital_or_device_unless_asked_to(tmp_path):
    series = with_secrets(tmp_path / "form")
    written(series, tmp_path / "out.dcm")
    content = (tmp_path / "out.dcm").read_bytes()
    assert not [value for value in SECRETS.values() if value.encode() in content]
    written(series, tmp_path / "asked.dcm", keep_origin=True)
    content = (tmp_path / "asked.dcm").read_bytes()
    assert not [value for value in SECRETS.values() if value.encode() not in content]


def lacking(name):
    def make(folder):
        made = slices()
        delattr(made[2], name)
        return write(folder, made)
    return make


def no_series(folder):
    folder.mkdir()
    (folder / "a.nii").write_bytes(b"x")
    return folder / "a.nii"


@pytest.mark.parametrize("make, words", [
    (no_series, "refers to a DICOM series, which this image is not"),
    (lacking("FrameOfReferenceUID"), "different frames of reference"),
    (lacking("StudyInstanceUID"), "(?s)lack attributes.*IM0005: StudyInstanceUID"),
    (lambda f: write(f, [one for one in slices() if not delattr(one, "FrameOfReferenceUID")]),
     "(?s)lack attributes.*IM0000: FrameOfReferenceUID"),
    (lambda f: write(f, slices(volume())[:1]), "found 1 slice")])
def test_what_prevents_it_is_found_before_predicting(make, words, tmp_path):
    with pytest.raises(DataError, match=words):
        dicom_seg.check(make(tmp_path / "form"), LABELS)


def test_what_highdicom_refuses_is_found_before_predicting(tmp_path):
    made = slices()
    for one in made:
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = "1.2.3.4"
    with pytest.raises(DataError, match="No DICOM segmentation of this series can be made"):
        dicom_seg.check(write(tmp_path / "form", made), LABELS)


def test_a_file_without_the_attributes_that_may_be_empty(tmp_path):
    made = slices()
    for one in made:
        for name in (*dicom_seg.EMPTY_ALLOWED, "SliceThickness"):
            if name in one:
                delattr(one, name)
    written(write(tmp_path / "form", made), tmp_path / "out.dcm")
    assert pydicom.dcmread(tmp_path / "out.dcm").PatientID in (None, "")
