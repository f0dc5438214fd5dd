"""Choose the standard codes of a label for DICOM segmentations.

The label's own codes come first. Otherwise its name is looked up among the names that DICOM lists for segments (context
groups 7191 to 7197, mostly SNOMED CT). A private code is the last resort.
"""

from __future__ import annotations

import re
from functools import cache

from ..contracts.labels import Concept, Label, SegmentCode

PRIVATE_SCHEME = "99POCKETNET"
"""Private coding scheme of labels whose name no standard lists."""
GROUPS = {7192: "AnatomicalStructure", 7194: "MorphologicallyAbnormalStructure", 7191: "Tissue",
          7197: "BodySubstance"}
"""DICOM's context groups of segmented property types, and the category of each."""
SIDE = re.compile(r"(?:(?P<before>left|right)[ _-]+(?P<what>.+)|(?P<that>.+?)[ _,-]+(?P<after>left|right))", re.I)
SYNONYMS = {"tumor": "neoplasm", "tumour": "neoplasm", "oedema": "edema", "haemorrhage": "hemorrhage",
            "greymatter": "graymatter"}
"""Common names of classes, and the standard's, both in plain form."""
LONGEST = 64
"""Maximum letters of a code's meaning (DICOM's value representation LO)."""


def code_of(label: Label) -> SegmentCode:
    """Return the codes of a label."""
    if label.code:
        return label.code
    side, name = _split(label.name)
    plain = _plain(name)
    found = _standard().get(SYNONYMS.get(plain, plain))
    if found:
        return SegmentCode(*found, _concept("SCT", side) if side else None)
    return SegmentCode(Concept(PRIVATE_SCHEME, str(label.value), label.name[:LONGEST]),
                       _concept("SCT", "AnatomicalStructure"))


def _split(name: str) -> tuple[str, str]:
    """Split `left kidney` or `kidney_left` into `Left` and `kidney`."""
    match = SIDE.fullmatch(name)
    if not match:
        return "", name
    return (match["before"] or match["after"]).capitalize(), match["what"] or match["that"]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _standard() -> dict[str, tuple[Concept, Concept]]:
    """Return type and category by the plain form of a standard name, the first group's first."""
    from pydicom.sr.codedict import codes

    out: dict[str, tuple[Concept, Concept]] = {}
    for group, category in GROUPS.items():
        members = getattr(codes, f"cid{group}")
        for name in members.dir():
            code = getattr(members, name)
            type_and_category = (Concept(code.scheme_designator, code.value, code.meaning[:LONGEST]),
                                 _concept("SCT", category))
            out.setdefault(name.lower(), type_and_category)
            out.setdefault(_plain(code.meaning), type_and_category)
    return out


def _concept(scheme: str, name: str) -> Concept:
    from pydicom.sr.codedict import codes

    code = getattr(getattr(codes, scheme), name)
    return Concept(code.scheme_designator, code.value, code.meaning[:LONGEST])
